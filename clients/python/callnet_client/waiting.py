"""Waiting for states of an object, and for operations of others."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

State = TypeVar("State")
T = TypeVar("T")


class Waiting(Generic[State]):
    """The waiting callers. Each has a Deferred of its own, which may be cancelled."""

    def __init__(self) -> None:
        self._waiting: dict[Deferred[State], Collection[State]] = {}

    def until(self, state: State, wanted: Collection[State]) -> Deferred[State]:
        """Wait for one of the wanted states; ``state`` is the present one."""
        if state in wanted:
            return succeed(state)
        waiting: Deferred[State] = Deferred(self._give_up)
        self._waiting[waiting] = wanted
        return waiting

    def _give_up(self, waiting: Deferred[State]) -> None:
        del self._waiting[waiting]

    def tell(self, state: State, everyone: bool = False) -> None:
        """Report the new state to the callers waiting for it, or as the last one to all."""
        for waiting in [waiting for waiting, wanted in self._waiting.items() if everyone or state in wanted]:
            if self._waiting.pop(waiting, None) is not None:  # otherwise another callback has just cancelled it
                waiting.callback(state)


class Shared(Generic[T]):
    """An operation for which several callers wait.

    Each has a Deferred of its own, which may be cancelled. If all of them are, so is the operation.
    """

    def __init__(self, operation: Deferred[T]) -> None:
        self._operation = operation
        self._waiting: list[Deferred[T]] = []

    @property
    def is_done(self) -> bool:
        """True if it has a result, which only the first caller is still told."""
        return self._operation.called

    def wait(self) -> Deferred[T]:
        """Wait for the result."""
        waiting: Deferred[T] = Deferred(self._give_up)
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            self._operation.addBoth(self._tell)
        return waiting

    def _give_up(self, waiting: Deferred[T]) -> None:
        self._waiting.remove(waiting)
        if not self._waiting:
            self._operation.cancel()

    def _tell(self, result: T | Failure) -> None:
        while self._waiting:  # a callback may cancel another
            waiting = self._waiting.pop(0)
            if isinstance(result, Failure):
                waiting.errback(result)
            else:
                waiting.callback(result)
