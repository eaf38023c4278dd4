"""The store of a single process: records in memory."""
