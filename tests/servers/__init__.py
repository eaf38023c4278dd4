"""See the docstring of each module."""
