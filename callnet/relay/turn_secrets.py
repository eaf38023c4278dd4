"""The secrets of the relay, which callnet makes and replaces by time.

coturn reads them from its database whenever a client shows credentials, so a change needs no restart.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Final

from callnet.config import relay
from callnet.config.schema import TURN_LIFETIME_MAX
from callnet.relay.config import DATABASE, REALM
from callnet.util import files

REPLACED_AFTER: Final = 86400.0
"""Seconds after which another secret is made."""
KEPT_FOR: Final = TURN_LIFETIME_MAX + 60.0
"""Seconds for which a secret is accepted when there is another one: the longest that credentials last, and the time
until all workers use the other."""

# coturn's own table (schema.sql) with a column more.
_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS turn_secret"
    " (realm VARCHAR(127) DEFAULT '', value VARCHAR(256), made REAL, PRIMARY KEY (realm, value))"
)
# Those whose successor was made that long ago.
_OLD: Final = (
    "DELETE FROM turn_secret WHERE EXISTS"
    " (SELECT * FROM turn_secret AS later WHERE later.rowid > turn_secret.rowid AND later.made <= ?)"
)
_BYTES: Final = 32
_PRIMARY: Final = 0xFF
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
"""Errors of a file that is no such database; with the last one it is of coturn, with a table of its own."""


class RelaySecrets:
    """The database of coturn, and the file with the newest secret for those who make credentials.

    :param now: seconds since 1970.
    """

    def __init__(self, state_dir: str, now: Callable[[], float]) -> None:
        self._database = os.path.join(relay.directory(state_dir), DATABASE)
        self._file = relay.secret_file(state_dir)
        self._now = now

    def renew(self) -> bool:
        """Make another secret if it is time, and drop those whose credentials have all expired.

        If the database is damaged it is made again, and the credentials that were given out are good no more.

        :returns: whether the file was changed.
        :raises OSError, sqlite3.Error: a file cannot be written.
        """
        try:
            newest = self._renew(self._now())
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & _PRIMARY not in _DAMAGED:
                raise
            os.truncate(self._database, 0)  # coturn may have it open
            newest = self._renew(self._now())
        line = f"{newest}\n".encode("ascii")
        if self._read() == line:
            return False
        files.overwrite(self._file, line, files.PRIVATE)
        return True

    def _renew(self, now: float) -> str:
        """Bring the database up to date. Answers with the newest secret."""
        with files.private(), closing(sqlite3.connect(self._database)) as database, database:
            database.execute(_TABLE)
            newest = database.execute("SELECT value, made FROM turn_secret ORDER BY rowid DESC LIMIT 1").fetchone()
            if newest is None or not 0 <= now - newest[1] < REPLACED_AFTER:
                newest = (secrets.token_hex(_BYTES), now)
                database.execute("INSERT INTO turn_secret (realm, value, made) VALUES (?, ?, ?)", (REALM, *newest))
            database.execute(_OLD, (now - KEPT_FOR,))
        return str(newest[0])

    def _read(self) -> bytes:
        try:
            with open(self._file, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
