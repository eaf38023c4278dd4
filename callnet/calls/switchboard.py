"""The switchboard: reads the records of an event, has the rules decide, commits the decision and delivers its messages.
It also keeps the requests of each device in order, and processes due records.

The rules are pure: (records, event, now) → (changes, reply). Three machines decide: that of a call
(:mod:`callnet.calls.machine`), the registration of devices (:mod:`callnet.calls.registration`), and the seats of a
page's room (:mod:`callnet.calls.seats`). If everything for an event is at hand it runs to completion, without a
Deferred.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container, Coroutine, Mapping
from functools import partial
from itertools import islice
from types import NoneType
from typing import Any, Final, TypeAlias, TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls import events, registration, seats
from callnet.calls.counts import CallCounts
from callnet.calls.machine import TABLE, of_device, place, refuse_by_ticket
from callnet.calls.ports import BusMessage, Commit, ICallStore
from callnet.calls.records import NOTHING, CallRecord, Changes, DeviceRecord, Records, SeatsRecord
from callnet.calls.transaction import Transaction
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, is_guest
from callnet.util.deferreds import Ready, begin, logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns, pause

T = TypeVar("T")

_TRIES: Final = 20
"""The number of attempts of a decision when other commits come first."""
_LOOK_EVERY: Final = 0.25
"""Seconds between two queries for due records."""
_OTHERS_LATER: Final = 2.0
"""Seconds for which other nodes leave the end of a guest's call to its own node."""
_AT_ONCE: Final = 50
"""The maximum number processed in one turn of the reactor: after a power cut thousands are due together."""

Waits: TypeAlias = Deferred[Any] | None
"""Fires when waiting work is done; ``None``: it is done already."""
Then: TypeAlias = Callable[[Any], object]
"""Continues with the reply of a committed decision."""
Failed: TypeAlias = Callable[[Failure], Waits]
"""Continues after a failure: with :class:`Unavailable` no decision is possible at the moment, with :class:`InDoubt` the
result is unknown; any other is a bug."""


log = Logger()
_log_request = logged_unless_unavailable(log, "failed to handle a request")
_log_due = logged_unless_unavailable(log, "failed to process due records")
"""Records that could not be processed are still due, and the next query finds them again."""


def nothing(reply: object) -> None:
    """Do nothing with the reply."""


class Decision(Struct, frozen=True):
    """The decision on an event: changes to commit, and the reply to its sender once they are committed."""

    changes: Changes
    reply: Any


def decide(records: Records, event: events.Event, now: float, settings: CallSettings) -> Decision:
    """Apply the rules to one event. ``records`` hold at least what the event's phones and rooms name.

    :raises callnet.errors.Unavailable: ``records`` are not complete, and this cannot be decided without the rest.
    """
    tx = Transaction(records, now, settings)
    kind = type(event)
    machine = _MACHINES.get(kind)
    if machine is not None:
        reply = machine(tx, event)
    else:  # an event of the call in its room, as it was read
        room = cast("events.RoomEvent", event).room
        call = records.calls.get(records.aliases.get(room, room))
        transition = TABLE.get((NoneType if call is None else type(call.state), kind))
        reply = None if transition is None else transition(tx, call, event)
    return Decision(tx.build(), reply)


_MACHINES: Final[Mapping[type, Callable[[Transaction, Any], Any]]] = {
    events.Place: place,
    events.PlaceAsGuest: place,
    events.Cancel: of_device,
    events.Pulled: of_device,
    events.RefusedByTicket: refuse_by_ticket,
    events.Connected: registration.connected,
    events.ExtendedConnected: registration.connected,
    events.Disconnected: registration.disconnected,
    events.DeviceDue: registration.due,
    events.Sleeps: registration.sleep,
    events.PolicyChanged: registration.change_policy,
    events.Revoked: registration.revoke,
    events.SeatTaken: seats.take,
    events.SeatEmptied: seats.empty,
    events.PageHungUp: seats.hang_up,
    events.SeatsDue: seats.due,
}
"""The events with a machine of their own; all others are events of the call in their room."""


class InDoubt(Unavailable):
    """The result of a commit is unknown; ``reply`` is that of its decision."""

    def __init__(self, reply: Any) -> None:
        super().__init__("the store did not answer")
        self.reply: Final = reply


class Transactions:
    """Runs decisions of the rules.

    :param deliver: takes the messages of a commit for this node.
    :param shown: called after a commit with a phone whose devices may have become visible or invisible to others.
    :param counts: counts the results of calls.
    :param unreached: called after a commit with the addressees that could not be notified, if any.
    :param woken: called with each change of a call that sleeping devices are woken for, and its event.
    """

    def __init__(
        self,
        store: ICallStore,
        settings: CallSettings,
        deliver: Callable[[BusMessage], None],
        shown: Callable[[str], None],
        unreached: Callable[[Changes, tuple[DeviceAddress, ...]], None],
        counts: CallCounts,
        woken: Callable[[CallRecord, events.Event], None],
    ) -> None:
        self._store = store
        self._settings = settings
        self._deliver = deliver
        self._shown = shown
        self._unreached = unreached
        self._counts = counts
        self._woken = woken

    def run(
        self, event: events.Event, then: Then, failed: Failed, tries: int = _TRIES, read: Records | None = None
    ) -> Waits:
        """Decide on an event, commit the decision, with retries while other commits come first, and continue."""
        store = self._store
        records = store.view(event, tries < _TRIES) if read is None else read
        if records is None:
            reading: Deferred[Any] = store.read(event.phones(), event.rooms(), event.fresh)
            return reading.addCallbacks(self._run_on, failed, (event, then, failed, tries))
        if event.of_node:
            event = replace(event, node=store.node)
        try:
            decision = decide(records, event, store.now(), self._settings)
        except Exception:  # noqa: BLE001  passed to the caller
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

    def _run_on(self, records: Records, event: events.Event, then: Then, failed: Failed, tries: int) -> Waits:
        return self.run(event, then, failed, tries, records)

    async def reply_to(self, event: events.Event) -> Any:
        """Return the reply of the decision on an event, once it is committed.

        :raises Unavailable: see :data:`Failed`.
        """
        replies: list[Any] = []
        waits = self.run(event, replies.append, Failure.raiseException)
        if waits is not None:
            await waits
        (reply,) = replies
        return reply

    def _committed(
        self, commit: Commit, decision: Decision, event: events.Event, then: Then, failed: Failed, tries: int
    ) -> Waits:
        if not commit.held:
            if tries == 1:
                return failed(Failure(Unavailable("gave up after 20 conflicting commits")))
            return self.run(event, then, failed, tries - 1)
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
        for call in changes.calls:
            if call.woken:
                self._woken(call, event)
        return None


def _not_committed(failure: Failure, in_doubt: Decision | None, failed: Failed) -> Waits:
    if in_doubt is None or not failure.check(Unavailable):
        return failed(failure)
    doubt = InDoubt(in_doubt.reply)
    doubt.__cause__ = failure.value
    return failed(Failure(doubt))


class PerKeyQueue:
    """A queue of waiting work for each key. Work that never waits is never queued."""

    def __init__(self) -> None:
        self._waiting: dict[object, deque[tuple[Callable[[], Waits], bool]]] = {}
        """The queued work of each owner, each with ``is_patient``."""

    def run(self, owner: object, work: Callable[..., Waits], *asked: Any, is_patient: bool = False) -> None:
        """Run ``work`` after all earlier work of ``owner``. ``is_patient``: the earlier work may take its time."""
        if owner in self._waiting:
            self._waiting[owner].append((partial(work, *asked), is_patient))
        else:
            waits = work(*asked)
            if waits is not None:
                self._wait(owner, waits)

    def submit(
        self, owner: object, work: Callable[..., Coroutine[Any, Any, T]], *asked: Any, is_patient: bool = False
    ) -> Deferred[T]:
        """Run ``work`` as :meth:`run` does, and return its result, which is known before the next begins."""
        result: Deferred[T] = Deferred()
        self.run(owner, _hand_over, result, work, *asked, is_patient=is_patient)
        return result

    def is_awaited(self, owner: object) -> bool:
        """Return whether work of ``owner`` that is not patient is queued behind the current work."""
        return not all(is_patient for _, is_patient in self._waiting.get(owner, ()))

    def _wait(self, owner: object, waits: Deferred[Any]) -> None:
        self._waiting.setdefault(owner, deque())
        waits.addErrback(_log_request).addCallback(self._go_on, owner)

    def _go_on(self, _: None, owner: object) -> None:
        waiting = self._waiting[owner]
        while waiting:
            done: Deferred[Any] = maybeDeferred(waiting.popleft()[0])
            if not done.called:
                self._wait(owner, done)
                return
            done.addErrback(_log_request)
        del self._waiting[owner]


def _hand_over(result: Deferred[T], work: Callable[..., Coroutine[Any, Any, T]], *asked: Any) -> Waits:
    done = begin(work(*asked))
    if isinstance(done, Ready):
        result.callback(done.value)
        return None
    done.addErrback(_log_if_cancelled, result)
    done.chainDeferred(result)
    return done


def _log_if_cancelled(failure: Failure, result: Deferred[Any]) -> Failure | None:
    """Log a failure that nobody waits for any more."""
    return _log_request(failure) if result.called else failure


class Deadlines:
    """Processes due records.

    Of all nodes that know a call the first one that looks ends it. The call of a guest is left to the guest's own node:
    by the time the guest would see whether devices of other nodes ring.

    :param devices: those of this node.
    """

    def __init__(
        self, store: ICallStore, decisions: Transactions, clock: IReactorTime, devices: Container[DeviceAddress]
    ) -> None:
        self._store = store
        self._devices = devices
        self._transactions = decisions
        self._clock = clock
        self._looks = PeriodicRuns(self._look, clock, _LOOK_EVERY)
        self.start: Final = self._looks.start
        self._stopped = False

    def stop(self) -> None:
        """Stop the queries."""
        self._stopped = True
        self._looks.stop()

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._act_on_due()).addErrback(_log_due)

    async def _act_on_due(self) -> None:
        due = filter(self._is_for_us, await self._store.due(self._store.now()))
        while not self._stopped and (some := list(islice(due, _AT_ONCE))):
            acts = (self._transactions.reply_to(_due_event(record)) for record in some)
            await DeferredList([Deferred.fromCoroutine(act).addErrback(_log_due) for act in acts])
            if len(some) == _AT_ONCE:
                await pause(self._clock, 0)

    def _is_for_us(self, record: DeviceRecord | CallRecord | SeatsRecord) -> bool:
        if not isinstance(record, CallRecord) or record.due is None or not is_guest(record.caller.phone):
            return True
        return record.caller in self._devices or record.due + _OTHERS_LATER <= self._store.now()


def _due_event(record: DeviceRecord | CallRecord | SeatsRecord) -> events.Event:
    if isinstance(record, DeviceRecord):
        return events.DeviceDue(record.address)
    return events.CallDue(record.room) if isinstance(record, CallRecord) else events.SeatsDue(record.room)
