"""Taking turns: what one device asks for is done in the order in which it asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")
_Turn: TypeAlias = tuple[Callable[[], Coroutine[Any, Any, Any]], Deferred[Any]]


class Turns:
    """One line of waiting work for each owner. Work that never waits never stands in line."""

    def __init__(self) -> None:
        self._waiting: dict[object, deque[_Turn]] = {}

    def take(self, owner: object, work: Callable[[], Coroutine[Any, Any, T]]) -> Deferred[T]:
        """Do ``work`` after all that ``owner`` brought before. Fires with what comes of it."""
        waiting = self._waiting.get(owner)
        if waiting is not None:
            mine: Deferred[T] = Deferred()
            waiting.append((work, mine))
            return mine
        done = Deferred.fromCoroutine(work())
        if not done.called:
            self._waiting[owner] = deque()
            done.addBoth(self._next, owner)
        return done

    def _next(self, result: T, owner: object) -> T:
        waiting = self._waiting[owner]
        if waiting:
            work, mine = waiting.popleft()
            done = Deferred.fromCoroutine(work())
            done.addBoth(self._next, owner)
            done.chainDeferred(mine)
        else:
            del self._waiting[owner]
        return result
