"""Errors of the older server's database."""

from __future__ import annotations

from callnet.errors import CallnetError


class MigrationError(CallnetError):
    """The migration cannot go on; the message is shown to who asked. It may be run again."""
