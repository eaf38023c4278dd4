"""The shared store of several nodes: records, messages and limits in Redis."""
