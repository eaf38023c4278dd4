"""The threads in which the daemon talks to the database, never on the reactor's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from threading import Thread
from typing import Any, Concatenate, Final, NoReturn, ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.python.threadpool import ThreadPool

from callnet.errors import Unavailable
from callnet.storage.database import Database
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger

LIMIT: Final = 5.0
"""Seconds that anybody waits."""
STOP_LIMIT: Final = 2.0
"""Seconds that all together may still wait when the daemon stops."""
_THREAD_LIMIT: Final = 0.2
"""Seconds that each thread then has to come back. One that hangs in the system may never do so."""

log = Logger()

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""


class Queries:
    """Queries of the database, which a thread runs.

    What the methods return fails with :class:`callnet.errors.Unavailable` if the database cannot be reached.
    """

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run


_Q = TypeVar("_Q", bound=Queries)


def in_thread(query: Callable[Concatenate[_Q, _P], _T]) -> Callable[Concatenate[_Q, _P], Deferred[_T]]:
    """Have a method that blocks run where its object runs what it asks."""

    @wraps(query)
    def run(self: _Q, /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        return self._run(query, self, *args, **kwargs)

    return run


class IThreadsReactor(IReactorFromThreads, IReactorTime):
    """The reactor that threads need."""


class _Thread(Thread):
    """A thread that does not keep the process when it hangs."""

    def join(self, timeout: float | None = _THREAD_LIMIT) -> None:
        """Wait until it has come to its end, if that does not take long."""
        super().join(timeout)


class Threads:
    """A few threads.

    :param size: how many; see :attr:`Database.threads`.
    :param give_up: has those who wait in a thread for somebody else come back soon; see :meth:`Database.give_up`.
    """

    def __init__(self, reactor: IThreadsReactor, size: int, give_up: Callable[[], None]) -> None:
        self._reactor = reactor
        self._give_up = give_up
        self._stopping = False
        self._deadline: IDelayedCall | None = None
        self._asked: set[Deferred[Any]] = set()
        """The answers that somebody waits for."""
        self.took: Final = Histogram()
        """Seconds from what was asked to the answer, the wait for a thread included."""
        self._pool = ThreadPool(minthreads=size, maxthreads=size, name="database")
        self._pool.threadFactory = partial(_Thread, daemon=True)  # type: ignore[assignment]

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop_soon(self) -> None:
        """Have whoever still waits in :data:`STOP_LIMIT` be told that the database cannot be reached."""
        self._deadline = self._reactor.callLater(STOP_LIMIT, self._end)

    def stop(self) -> None:
        """Begin nothing more, wait for a moment until what was begun is done or has failed, and end the threads."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._stopping = True
        self._give_up()
        self._pool.stop()

    def _end(self) -> None:
        self._stopping = True
        self._give_up()
        if self._asked:
            log.warn("gave up {count} database queries: no answer while stopping", count=len(self._asked))
        for asked in list(self._asked):
            asked.errback(Unavailable("the database did not answer while callnet was stopping"))

    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function`` in a thread. What nobody waits for any more is not begun.

        :raises Unavailable: it was not done in time; if it was begun it may still be done.
        """
        if self._stopping:
            return fail(Unavailable("callnet is stopping and sends no more queries"))
        outcome: Deferred[_T] = Deferred()
        self._asked.add(outcome)
        asked_at = self._reactor.seconds()

        def work() -> _T:
            if outcome.called or self._stopping:
                raise Unavailable("callnet is stopping and sends no more queries")
            return function(*args, **kwargs)

        def done(is_success: bool, result: object) -> None:
            deliver = outcome.callback if is_success else outcome.errback
            self._reactor.callFromThread(answered, deliver, result)

        def answered(deliver: Callable[[Any], None], result: object) -> None:
            self.took.count(self._reactor.seconds() - asked_at)
            if not outcome.called:
                deliver(result)

        def told(result: Any) -> Any:
            self._asked.discard(outcome)
            return result

        self._pool.callInThreadWithCallback(done, work)
        return outcome.addBoth(told).addTimeout(LIMIT, self._reactor, _too_late)


def _too_late(_result: object, seconds: float) -> NoReturn:
    raise Unavailable("the database cannot be reached") from TimeoutError(f"no answer within {seconds:g} s")
