"""The parts of the manual beside Sphinx: diagrams from text, and the protocol's reference from the structs."""
