"""The way of an event: the records are read, the rules decide, and what they decided is committed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.call import Decision, decide
from callnet.calls.counts import CallCounts
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.interfaces import ICallStore
from callnet.model import DeviceAddress
from callnet.records import NOTHING, Changes

_TRIES: Final = 20
"""How often a decision is made anew because somebody else was faster."""


class InDoubt(Unavailable):
    """It is not known whether ``decision`` was written."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("the store did not answer")
        self.decision: Final = decision


class Decisions:
    """Has the rules decide."""

    def __init__(self, store: ICallStore, settings: CallSettings) -> None:
        self._store = store
        self._settings = settings
        self.counts: Final = CallCounts()
        self.on_shown: Callable[[str], None] = _nobody_looks
        """Called when others may see a device of a phone come or go."""
        self.on_unreached: Callable[[Changes, tuple[DeviceAddress, ...]], None]
        """Called after a commit of which some notices reached nobody, with their addressees."""

    async def settle(self, event: events.Event) -> Decision:
        """Decide on an event and commit the decision, anew for as long as somebody else is faster.

        :raises Unavailable: it cannot be decided just now, or (:class:`InDoubt`) not be known whether it was.
        """
        store = self._store
        guess = event.guess
        for _ in range(_TRIES):
            records = await store.read(event.phones(), event.rooms(), event.fresh, guess)
            guess = False
            if isinstance(event, events.OF_A_NODE) and event.node != store.node:
                event = replace(event, node=store.node)
            decision = decide(records, event, store.now(), self._settings)
            changes = decision.changes
            if changes is NOTHING:
                return decision
            try:
                commit = await store.commit(changes)
            except Unavailable as error:
                if records.complete:
                    raise InDoubt(decision) from error
                raise
            if commit.held:
                self.counts.committed(event, changes.calls)
                if event.shows:
                    for phone in event.phones():
                        self.on_shown(phone)
                if commit.unreached:
                    self.on_unreached(changes, commit.unreached)
                return decision
        raise Unavailable("the records change too fast")


def _nobody_looks(phone: str) -> None:
    """Do nothing."""
