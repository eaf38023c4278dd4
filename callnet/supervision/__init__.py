"""The parent of several worker processes, and their messages."""
