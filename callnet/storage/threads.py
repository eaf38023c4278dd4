"""The threads in which the daemon talks to the database, never on the reactor's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Threads:
    """A few threads.

    :param size: how many; see :attr:`Database.threads`.
    """

    def __init__(self, reactor: IReactorFromThreads, size: int) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(minthreads=size, maxthreads=size, name="database")

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop(self) -> None:
        """Wait until what was asked for is done, and end the threads."""
        self._pool.stop()

    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function`` in a thread. Cancelling the Deferred gives up its result, not the call."""
        return deferToThreadPool(self._reactor, self._pool, function, *args, **kwargs)
