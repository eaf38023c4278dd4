"""The way of an event: the records are read, the rules decide, what they decided is committed, and then delivered.

An event for which all is at hand runs to completion: nothing is created that waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.counts import CallCounts
from callnet.calls.rules import Decision, decide
from callnet.calls.turns import Waits
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.interfaces import BusMessage, Commit, ICallStore
from callnet.model import DeviceAddress
from callnet.records import NOTHING, Changes, Records

_TRIES: Final = 20
"""How often a decision is made anew because somebody else was faster."""

Then: TypeAlias = Callable[[Any], object]
"""Goes on with the reply of a decision that is committed."""
Failed: TypeAlias = Callable[[Failure], Waits]
"""Goes on after a failure: with :class:`Unavailable` it cannot be decided just now, with :class:`InDoubt` nobody knows
whether it was; any other is a fault of ours."""


def nothing(reply: object) -> None:
    """Go on with nothing: nobody waits for the reply."""


class InDoubt(Unavailable):
    """It is not known whether ``decision`` was written."""

    def __init__(self, decision: Decision) -> None:
        super().__init__("the store did not answer")
        self.decision: Final = decision


class Decisions:
    """Has the rules decide.

    :param deliver: takes what a commit has for this node, after it.
    :param shown: called after it with a phone of which others may see a device come or go.
    :param counts: counts what becomes of calls.
    :param unreached: called after it, if some of its notices reached nobody, with their addressees.
    """

    def __init__(
        self,
        store: ICallStore,
        settings: CallSettings,
        deliver: Callable[[BusMessage], None],
        shown: Callable[[str], None],
        unreached: Callable[[Changes, tuple[DeviceAddress, ...]], None],
        counts: CallCounts,
    ) -> None:
        self._store = store
        self._settings = settings
        self._deliver = deliver
        self._shown = shown
        self._unreached = unreached
        self._counts = counts

    def settle(
        self, event: events.Event, then: Then, failed: Failed, tries: int = _TRIES, read: Records | None = None
    ) -> Waits:
        """Decide on an event, commit the decision, anew for as long as somebody else is faster, and go on.

        :param read: the records that this is decided on, if they are at hand.
        """
        store = self._store
        records = store.view(event, tries < _TRIES) if read is None else read
        if records is None:
            reading: Deferred[Any] = store.read(event.phones(), event.rooms(), event.fresh)
            return reading.addCallbacks(self._settle_on, failed, (event, then, failed, tries))
        if isinstance(event, events.OF_A_NODE) and event.node != store.node:
            event = replace(event, node=store.node)
        try:
            decision = decide(records, event, store.now(), self._settings)
        except Exception:  # noqa: BLE001  whatever it is, it is for whoever asked
            return failed(Failure())
        if decision.changes is NOTHING:
            then(decision.reply)
            return None
        in_doubt = decision if records.complete else None
        try:
            commit = store.try_commit(decision.changes)
        except Exception:  # noqa: BLE001  as above
            return _not_committed(Failure(), in_doubt, failed)
        if commit is not None:
            return self._committed(commit, decision, event, then, failed, tries)
        committing: Deferred[Any] = store.commit(decision.changes)
        return committing.addCallbacks(
            self._committed, _not_committed, (decision, event, then, failed, tries), errbackArgs=(in_doubt, failed)
        )

    def _settle_on(self, records: Records, event: events.Event, then: Then, failed: Failed, tries: int) -> Waits:
        return self.settle(event, then, failed, tries, records)

    async def settled(self, event: events.Event) -> Any:
        """The reply of the decision on an event, once it is committed.

        :raises Unavailable: see :data:`Failed`.
        """
        replies: list[Any] = []
        waits = self.settle(event, replies.append, Failure.raiseException)
        if waits is not None:
            await waits
        (reply,) = replies
        return reply

    def _committed(
        self, commit: Commit, decision: Decision, event: events.Event, then: Then, failed: Failed, tries: int
    ) -> Waits:
        if not commit.held:
            if tries == 1:
                return failed(Failure(Unavailable("the records change too fast")))
            return self.settle(event, then, failed, tries - 1)
        changes = decision.changes
        self._counts.committed(event, changes.calls)
        for message in commit.here:
            self._deliver(message)
        if event.shows:
            for phone in event.phones():
                self._shown(phone)
        if commit.unreached:
            self._unreached(changes, commit.unreached)
        then(decision.reply)
        return None


def _not_committed(failure: Failure, in_doubt: Decision | None, failed: Failed) -> Waits:
    if in_doubt is None or not failure.check(Unavailable):
        return failed(failure)
    doubt = InDoubt(in_doubt)
    doubt.__cause__ = failure.value
    return failed(Failure(doubt))
