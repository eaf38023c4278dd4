"""Several nodes over a real Redis: what devices see when parts of the cluster die."""
