"""What ``make bench`` runs: a load generator, the servers that it measures, and its table."""
