"""The stores of call records and the buses that reach devices."""
