"""Waiting for states of an object."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed

State = TypeVar("State")


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
