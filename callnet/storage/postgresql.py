"""Connections to PostgreSQL that do not wait forever.

The server ends a statement that takes too long (``statement_timeout``), and the kernel a connection whose other end
is gone (``tcp_user_timeout``). Neither helps if the server's processes hang while its kernel goes on to answer.
"""

from __future__ import annotations

from threading import Event
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import MetaData

SILENCE_MAX: Final = 6.0
"""The longest silence of a server that owes an answer, in seconds: a little longer than a statement may take, so that a
living server reports the cause itself."""

_EVERY: Final = 0.1
"""The interval at which a waiting thread checks for a stop, in seconds."""

_T = TypeVar("_T")


def prepare_indexes(metadata: MetaData) -> None:
    """Have tables made with the indexes that they have in SQLite: partial ones, and those of long texts."""
    for table in metadata.tables.values():
        for index in table.indexes:
            options = index.dialect_options["postgresql"]
            options["where"] = index.dialect_options["sqlite"]["where"]
            if "is_long" in index.info:  # longer than a B-tree takes
                options["using"] = "hash"


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is closed, with an error, if the server is silent for too long, or nobody wants to wait."""

    given_up: Event
    """Set when nobody wants to wait any more."""
    is_patient: bool = False
    """True if the server may take its time."""

    def wait(self, gen: PQGen[_T], interval: float = _EVERY, timeout: float | None = None) -> _T:
        """Wait until the server has done what ``gen`` asks it for."""
        return super().wait(self._watched(gen, interval), interval, timeout)

    def _watched(self, gen: PQGen[_T], interval: float) -> PQGen[_T]:
        """``gen``, as long as there is hope: when nothing has come for ``interval`` seconds it is sent a zero."""
        silent = 0.0
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                silent = 0.0 if ready else silent + interval
                if silent and (self.given_up.is_set() or (silent > SILENCE_MAX and not self.is_patient)):
                    self.close()
                    raise psycopg.OperationalError("the server does not answer")
                wanted = gen.send(ready)
        except StopIteration as end:
            result: _T = end.value
            return result


def connect(given_up: Event, _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> Any:
    """Connect, as a listener of SQLAlchemy's event ``do_connect``.

    :param given_up: set when nobody wants to wait any more.
    """
    if given_up.is_set():
        raise psycopg.OperationalError("callnet is stopping")
    connection = PatientConnection.connect(*arguments, **options)
    connection.given_up = given_up
    if connection.info.parameter_status("client_encoding") == "SQL_ASCII":  # text would come as bytes
        connection.close()
        raise psycopg.OperationalError("the database has the encoding SQL_ASCII; create one with ENCODING 'UTF8'")
    return connection
