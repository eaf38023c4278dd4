"""Waiting for one of several states."""

from __future__ import annotations

from collections.abc import Collection
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed

State = TypeVar("State")


class Waiting(Generic[State]):
    """Those who wait. Each has a Deferred of its own, which may be cancelled."""

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
        """Say what the state is now to those who wait for it, or to everyone, since it is the last."""
        for waiting in [waiting for waiting, wanted in self._waiting.items() if everyone or state in wanted]:
            if self._waiting.pop(waiting, None) is not None:  # else another has cancelled it just now
                waiting.callback(state)
