"""Taking turns: what one device asks for is done in the order in which it asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

from callnet.soon import Ready, Soon, begin

T = TypeVar("T")
_Turn: TypeAlias = tuple[Callable[[], Coroutine[Any, Any, Any]], Deferred[Any]]


class Turns:
    """One line of waiting work for each owner. Work that never waits never stands in line."""

    def __init__(self) -> None:
        self._waiting: dict[object, deque[_Turn]] = {}

    def take(self, owner: object, work: Callable[[], Coroutine[Any, Any, T]]) -> Soon[T]:
        """Do ``work`` after all that ``owner`` brought before. Answers with what comes of it."""
        if owner not in self._waiting:
            done = begin(work())
            if isinstance(done, Ready) or done.called:
                return done
            self._waiting[owner] = deque()
            return self._hand_over(done, Deferred(), owner)
        mine: Deferred[T] = Deferred()
        self._waiting[owner].append((work, mine))
        return mine

    def is_awaited(self, owner: object) -> bool:
        """Tell whether more work of ``owner`` waits for what is being done."""
        return bool(self._waiting.get(owner))

    def _hand_over(self, done: Deferred[T], mine: Deferred[T], owner: object) -> Deferred[T]:
        """Let what comes of ``done`` be known by ``mine`` before the next in line begins."""
        done.chainDeferred(mine)
        done.addCallback(lambda _: self._go_on(owner))
        return mine

    def _go_on(self, owner: object) -> None:
        waiting = self._waiting[owner]
        while waiting:
            work, mine = waiting.popleft()
            done = begin(work())
            if isinstance(done, Ready):
                mine.callback(done.value)
            elif done.called:
                done.chainDeferred(mine)
            else:
                self._hand_over(done, mine, owner)
                return
        del self._waiting[owner]
