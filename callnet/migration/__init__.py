"""From the Go server that callnet takes the place of, and back to it: its tables in MySQL or MariaDB, and its key.

Only ``callnet migrate`` uses it; the daemon has no part in it. What is not here is in docs/migrating.md.
"""
