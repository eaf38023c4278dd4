"""Thousands of devices that come back by themselves and call each other, cheap enough to be no load of their own."""
