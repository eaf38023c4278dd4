"""What the manual is built with beside Sphinx: diagrams from text, and the protocol's reference from the structs."""
