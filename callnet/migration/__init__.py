"""Migration from the Go server that callnet replaces, and back: its tables in MySQL or MariaDB.

Only ``callnet migrate`` uses it; the daemon has no part in it. What is not here is in docs/migrating.md.
"""
