"""callnet: a self-hosted server for one-to-one video calls."""
