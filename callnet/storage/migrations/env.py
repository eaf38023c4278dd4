"""Run by Alembic. The connection is given by ``callnet.storage.schema``, which holds the lock on it."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
