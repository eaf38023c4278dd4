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

        :returns: whether the file was changed.
        :raises OSError, sqlite3.Error: a file cannot be written.
        """
        now = self._now()
        with files.private(), closing(sqlite3.connect(self._database)) as database, database:
            database.execute(_TABLE)
            newest = database.execute("SELECT value, made FROM turn_secret ORDER BY rowid DESC LIMIT 1").fetchone()
            if newest is None or not 0 <= now - newest[1] < REPLACED_AFTER:
                newest = (secrets.token_hex(_BYTES), now)
                database.execute("INSERT INTO turn_secret (realm, value, made) VALUES (?, ?, ?)", (REALM, *newest))
            database.execute(_OLD, (now - KEPT_FOR,))
        line = f"{newest[0]}\n".encode("ascii")
        if self._read() == line:
            return False
        files.overwrite(self._file, line, files.PRIVATE)
        return True

    def _read(self) -> bytes:
        try:
            with open(self._file, "rb") as file:
                return file.read()
        except FileNotFoundError:
            return b""
