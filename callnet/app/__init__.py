"""The wiring: one process that serves, composed of all other parts."""
