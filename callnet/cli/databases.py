"""Database access for commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from callnet.config.schema import Settings
from callnet.storage.database import Database
from callnet.util import files


@contextmanager
def reached(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, whatever its schema.

    :raises StartError: it cannot be reached.
    """
    if settings.database.url.startswith("sqlite:"):
        files.make_private_directory(settings.state_dir, "state_dir")
    database = Database(settings.database.url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, ready for use: its schema is treated as when the daemon starts.

    :raises StartError: it cannot be reached, or has a schema that this code cannot use.
    """
    with reached(settings) as database:
        if settings.database.upgrade_on_start:
            database.upgrade()
        else:
            database.check()
        yield database
