"""Taking turns: what one device asks for is done in the order in which it asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

from callnet.failures import logged_unless_unavailable
from callnet.logger import Logger
from callnet.soon import Ready, Soon, begin

T = TypeVar("T")

Waits: TypeAlias = Deferred[Any] | None
"""Fires when work is done that has to wait; ``None``: it is done."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "doing what a device or a page has asked for")


class Turns:
    """One line of waiting work for each owner. Work that never waits never stands in line."""

    def __init__(self) -> None:
        self._waiting: dict[object, deque[Callable[[], Waits]]] = {}

    def run(self, owner: object, work: Callable[..., Waits], *asked: Any) -> None:
        """Do ``work`` after all that ``owner`` brought before."""
        if owner in self._waiting:
            self._waiting[owner].append(partial(work, *asked))
        else:
            waits = work(*asked)
            if waits is not None:
                self._wait(owner, waits)

    def take(self, owner: object, work: Callable[[], Coroutine[Any, Any, T]]) -> Soon[T]:
        """Do ``work`` after all that ``owner`` brought before. Answers with what comes of it."""
        mine: Deferred[T] = Deferred()
        if owner in self._waiting:
            self._waiting[owner].append(partial(_hand_over, work, mine))
            return mine
        done = begin(work())
        if isinstance(done, Ready) or done.called:
            return done
        done.chainDeferred(mine)
        self._wait(owner, done)
        return mine

    def is_awaited(self, owner: object) -> bool:
        """Tell whether more work of ``owner`` waits for what is being done."""
        return bool(self._waiting.get(owner))

    def _wait(self, owner: object, waits: Deferred[Any]) -> None:
        self._waiting.setdefault(owner, deque())
        waits.addErrback(_log_unless_unavailable).addCallback(self._go_on, owner)

    def _go_on(self, _: None, owner: object) -> None:
        waiting = self._waiting[owner]
        while waiting:
            done: Deferred[Any] = maybeDeferred(waiting.popleft())
            if not done.called:
                self._wait(owner, done)
                return
            done.addErrback(_log_unless_unavailable)
        del self._waiting[owner]


def _hand_over(work: Callable[[], Coroutine[Any, Any, T]], mine: Deferred[T]) -> Waits:
    """Do work whose turn has come, and let what comes of it be known before the next begins."""
    done = begin(work())
    if isinstance(done, Ready):
        mine.callback(done.value)
        return None
    done.chainDeferred(mine)
    return done
