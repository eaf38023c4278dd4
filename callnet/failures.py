"""Error handling for work that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable

from twisted.python.failure import Failure

from callnet.errors import Unavailable
from callnet.logger import Logger


def logged_unless_unavailable(log: Logger, doing: str) -> Callable[[Failure], None]:
    """An errback that logs a failure with its traceback, under the message ``doing``.

    That the store is away is said elsewhere, and not once more here.
    """

    def failed(failure: Failure) -> None:
        if not failure.check(Unavailable):
            log.failure(doing, failure)

    return failed
