"""Several nodes over a real Redis: events at devices when parts of the cluster die."""
