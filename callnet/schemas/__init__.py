"""The wire format as JSON Schema, AsyncAPI and OpenAPI, derived from the structs that the server itself uses.

This is for documents and tests; nothing of the daemon imports it.
"""
