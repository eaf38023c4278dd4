"""What stands on the wire, as JSON Schema, AsyncAPI and OpenAPI, read off the structs that the server itself uses.

This is for documents and tests; nothing of the daemon imports it.
"""
