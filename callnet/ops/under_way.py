"""Work in progress."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Generic, TypeVar

from twisted.internet.defer import Deferred

_Result = TypeVar("_Result")


class UnderWay(Generic[_Result]):
    """Coroutines that wait for others. It has as many as its ``len``."""

    def __init__(self) -> None:
        self._running: set[Deferred[_Result]] = set()

    def __len__(self) -> int:
        return len(self._running)

    def begin(self, coroutine: Coroutine[Deferred[Any], Any, _Result]) -> Deferred[_Result]:
        """Let one run. Fires with what comes of it."""
        running = Deferred.fromCoroutine(coroutine)
        self._running.add(running)
        return running.addBoth(self._done, running)

    def cancel(self) -> None:
        """Cancel what all of them wait for."""
        for running in list(self._running):
            running.cancel()

    def _done(self, result: _Result, running: Deferred[_Result]) -> _Result:
        self._running.discard(running)
        return result
