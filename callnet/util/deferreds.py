"""Results that are available already, or come later.

Nearly all that a node does waits for nothing: its records are at hand. A Deferred that has fired before
anybody looks at it, and one more to run the coroutine that awaits it, cost as much as the rules themselves.
So what may be there at once is handed out as :data:`Soon`, and :func:`begin` runs a coroutine without a
Deferred until it first has to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from functools import wraps
from typing import Any, Generic, ParamSpec, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from callnet.errors import Unavailable
from callnet.util.logger import Logger

P = ParamSpec("P")
T = TypeVar("T")


class Ready(Generic[T]):
    """A result that is available. Awaiting it does not wait."""

    __slots__ = ("value",)

    def __init__(self, value: T) -> None:
        self.value = value

    def __await__(self) -> Generator[Any, Any, T]:
        """Answer with the value."""
        return self.value
        yield


Soon: TypeAlias = Ready[T] | Deferred[T]
"""Awaitable, like both of them."""


def begin(work: Coroutine[Any, Any, T]) -> Soon[T]:
    """Run a coroutine as far as it comes without waiting. What it raises is the failure of a Deferred."""
    try:
        waits_for = work.send(None)
    except StopIteration as ended:
        return Ready(ended.value)
    except Exception:  # noqa: BLE001  whatever it is, it is for whoever asked
        return fail()
    return _Waiting(work).until(waits_for)


class _Waiting(Generic[T]):
    """A coroutine that waits for a Deferred. Twisted keeps a context for those that it runs, which takes longer."""

    __slots__ = ("_result", "_work")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._result: Deferred[T] = Deferred()

    def until(self, fires: Deferred[Any]) -> Deferred[T]:
        """Go on when ``fires`` has fired. Answers with what comes of the coroutine."""
        fires.addBoth(self._go_on)
        return self._result

    def _go_on(self, result: object) -> None:
        try:
            if isinstance(result, Failure):
                waits_for = result.throwExceptionIntoGenerator(self._work)
            else:
                waits_for = self._work.send(result)
        except StopIteration as ended:
            self._result.callback(ended.value)
        except Exception:  # noqa: BLE001  as above
            self._result.errback()
        else:
            waits_for.addBoth(self._go_on)


def as_deferred(work: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Deferred[T]]:
    """Have a coroutine function begin when it is called, and return a Deferred."""

    @wraps(work)
    def begin_now(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(work(*args, **kwargs))

    return begin_now


def logged_unless_unavailable(log: Logger, doing: str, *others: type[Exception]) -> Callable[[Failure], None]:
    """An errback that logs a failure with its traceback, under the message ``doing``.

    That the store is away is said elsewhere, and not once more here.

    :param others: further errors that are not logged.
    """

    def failed(failure: Failure) -> None:
        if not failure.check(Unavailable, *others):
            log.failure(doing, failure)

    return failed
