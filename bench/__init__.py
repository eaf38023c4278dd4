"""The parts of ``make bench``: a load generator, the servers that it measures, and its table."""
