"""The judge of the fault suite is judged: what it must find, and what it must let pass."""
