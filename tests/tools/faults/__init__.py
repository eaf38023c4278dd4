"""The judge of the fault suite is tested: the problems that it must find, and those that it must let pass."""
