"""The specification of callnet, as tests. Start with ``test_seed``."""
