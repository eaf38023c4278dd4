"""Tests of the parts: nothing but Python, over in-memory wires, on a clock that stands still until it is moved."""
