"""Execution of the daemon's statements, and their clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, ParamSpec, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Double, Insert, cast, extract, func, literal
from twisted.internet.defer import Deferred

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""


def insert_rows(connection: Connection, insert: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows with the driver's own ``executemany`` (PEP 249).

    SQLAlchemy's own looks at each value of each row, which takes as long as the database does, and the interpreter's
    lock.

    :param rows: their values by the names of the columns, as the driver takes them; all have the same.
    """
    compiled = insert.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    places = compiled.positiontup
    values: Any = rows if places is None else list(map(itemgetter(*places), rows))
    connection.exec_driver_sql(str(compiled), values)


def shared_time(connection: Connection, now: float) -> ColumnElement[float]:
    """The time by the clock that all who use a database have in common, in seconds since 1970.

    :param now: the time of this machine, by which a file of SQLite goes; PostgreSQL goes by its server's.
    """
    if connection.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(now, Double)
