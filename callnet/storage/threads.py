"""The threads in which the daemon talks to the database, never on the reactor's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.threadpool import ThreadPool

from callnet.errors import Unavailable
from callnet.operations.histogram import Histogram

LIMIT: Final = 5.0
"""Seconds that anybody waits."""

_P = ParamSpec("_P")
_T = TypeVar("_T")


class IThreadsReactor(IReactorFromThreads, IReactorTime):
    """What threads need of a reactor."""


class Threads:
    """A few threads.

    :param size: how many; see :attr:`Database.threads`.
    :param give_up: has those who wait in a thread for somebody else come back soon; see :meth:`Database.give_up`.
    """

    def __init__(self, reactor: IThreadsReactor, size: int, give_up: Callable[[], None]) -> None:
        self._reactor = reactor
        self._give_up = give_up
        self._stopping = False
        self.took: Final = Histogram()
        """Seconds from what was asked to the answer, the wait for a thread included."""
        self._pool = ThreadPool(minthreads=size, maxthreads=size, name="database")

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop(self) -> None:
        """Begin nothing more, wait until what was begun is done or has failed, and end the threads."""
        self._stopping = True
        self._give_up()
        self._pool.stop()

    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function`` in a thread. What nobody waits for any more is not begun.

        :raises Unavailable: it was not done in time; if it was begun it may still be done.
        """
        if self._stopping:
            return fail(Unavailable("the database is not asked any more"))
        outcome: Deferred[_T] = Deferred()
        asked_at = self._reactor.seconds()

        def work() -> _T:
            if outcome.called or self._stopping:
                raise Unavailable("the database is not asked any more")
            return function(*args, **kwargs)

        def done(is_success: bool, result: object) -> None:
            deliver = outcome.callback if is_success else outcome.errback
            self._reactor.callFromThread(answered, deliver, result)

        def answered(deliver: Callable[[Any], None], result: object) -> None:
            self.took.count(self._reactor.seconds() - asked_at)
            deliver(result)

        self._pool.callInThreadWithCallback(done, work)
        return outcome.addTimeout(LIMIT, self._reactor, _too_late)


def _too_late(_result: object, seconds: float) -> NoReturn:
    raise Unavailable("the database cannot be reached") from TimeoutError(f"no answer within {seconds:g} s")
