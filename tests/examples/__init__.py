"""The examples of examples/, run as their README pages have it. See the docstring of each module."""
