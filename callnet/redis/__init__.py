"""The store that nodes share: records, messages and limits in Redis."""
