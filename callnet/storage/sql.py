"""Running the daemon's statements, and the time that they go by."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Double, cast, extract, func, literal
from twisted.internet.defer import Deferred

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""


def shared_time(connection: Connection, now: float) -> ColumnElement[float]:
    """The time by the clock that all who use a database have in common, in seconds since 1970.

    :param now: the time of this machine, by which a file of SQLite goes; PostgreSQL goes by its server's.
    """
    if connection.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(now, Double)
