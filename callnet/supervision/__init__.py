"""The parent of several worker processes, and what it and they say to each other."""
