"""``callnet setup``: makes callnet serve a name on this machine, by steps that each look before they do. It blocks."""
