"""The room manager: reads records, lets the rules decide, commits, and reaches whoever is to be told.

The record in the store is the call; a Deferred here is only this node's waiter on it. Whatever ends a
call or answers it, on whichever node, is committed there and comes here as a notice, which fires it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.call import Decision, NotYours, TooLate, decide
from callnet.calls.place import Ringing
from callnet.calls.seats import Seated, SeatReply
from callnet.calls.telling import Missed, outcome_of
from callnet.calls.turns import Turns
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.interfaces import BusMessage, IBus, ICallStore
from callnet.model import DeviceAddress, Failed, Outcome, Reason, RoomId, Withdrawn, new_room_id
from callnet.records import (
    NOTHING,
    CallRecord,
    CallState,
    DeviceRecord,
    Displaced,
    Notice,
    Relay,
    SeatNotice,
    SeatsRecord,
)

_TRIES: Final = 20
"""How often a decision is made anew because somebody else was faster."""

_LOOK_EVERY: Final = 0.25
"""How often the store is asked for what is due, in seconds."""

log = Logger()


class DeviceSession(Protocol):
    """What the room manager needs of a connected device."""

    generation: int

    def told(self, call: CallRecord) -> None:
        """Have the device look at a call that has changed."""

    def awaits(self, outcome: Deferred[Outcome]) -> None:
        """Have the device wait for the outcome of a call that it placed on an earlier connection."""

    def displaced(self) -> None:
        """A newer connection of the device is open."""

    def heard_at(self) -> float:
        """When anything was last received from the device."""


class SeatSession(Protocol):
    """What the room manager needs of a page in its seat."""

    generation: int

    def told(self, seats: SeatsRecord, call: CallRecord | None) -> None:
        """Have the page look at its room, which has changed."""

    def relayed(self, sender: str, data: bytes) -> None:
        """Hand over what the other page said."""

    def displaced(self) -> None:
        """A newer socket holds the seat."""


class RoomManager:
    """Everything that happens to calls and seats on this node goes through here."""

    def __init__(self, store: ICallStore, bus: IBus, clock: IReactorTime, settings: CallSettings) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self.settings: Final = settings
        self._devices: dict[DeviceAddress, DeviceSession] = {}
        self._pages: dict[tuple[RoomId, str], SeatSession] = {}
        self._waiters: dict[RoomId, Deferred[Outcome]] = {}
        self._placed: dict[DeviceAddress, RoomId] = {}
        self._arriving: dict[object, list[BusMessage]] = {}
        self._turns = Turns()
        self._look: IDelayedCall | None = None
        self._running = False
        self._refusing = False
        bus.subscribe(self._receive)

    def start(self) -> None:
        """Begin to act on what is due."""
        self._running = True
        self._look_again()

    def refuse_calls(self) -> None:
        """Answer every further call with ``shutting_down``."""
        self._refusing = True

    def stop(self) -> None:
        """Act on what is due no more."""
        self._running = False
        if self._look is not None:
            self._look.cancel()
            self._look = None

    # Devices

    def attach(self, device: DeviceAddress, session: DeviceSession) -> Deferred[None]:
        """Let ``session`` be the newest connection of ``device``, and tell it what the device may have missed."""
        return self._turns.take(device, lambda: self._attach(device, session))

    async def _attach(self, device: DeviceAddress, session: DeviceSession) -> None:
        older = self._devices.get(device)
        heard_at = None if older is None else older.heard_at()
        with self._kept(device):
            reply = await self._reply(events.Connected(device, self._store.node, heard_at))
            session.generation = reply.generation
            self._devices[device] = session
            self._withdraw(device)
            if older is not None:
                older.displaced()
            self._tell_missed(device, session, reply.missed)

    def _tell_missed(self, device: DeviceAddress, session: DeviceSession, missed: Missed) -> None:
        if missed.ended is not None:
            session.told(missed.ended)
        if missed.present is not None:
            if missed.present.caller == device and outcome_of(missed.present) is None:
                session.awaits(self._wait(device, missed.present.room, Deferred()))
            else:
                session.told(missed.present)

    def detach(self, device: DeviceAddress, session: DeviceSession) -> Deferred[None]:
        """Take notice that the socket of ``session`` is gone."""
        return self._turns.take(device, lambda: self._detach(device, session))

    async def _detach(self, device: DeviceAddress, session: DeviceSession) -> None:
        if self._devices.get(device) is session:
            del self._devices[device]
            self._withdraw(device)
            await self._settle(events.Disconnected(device, session.generation, session.heard_at()))

    def call(self, caller: DeviceAddress, target: DeviceAddress) -> Deferred[Outcome]:
        """Place a call. Fires with its outcome, at once or when it is known.

        :raises Unavailable: the store cannot be reached; nothing rings.
        """
        outcome: Deferred[Outcome] = Deferred()
        if self._refusing:
            outcome.callback(Failed(target, Reason.SHUTTING_DOWN))
            return outcome
        placed = self._turns.take(caller, lambda: self._place(caller, target, outcome))
        placed.addErrback(outcome.errback)
        return outcome

    async def _place(self, caller: DeviceAddress, target: DeviceAddress, outcome: Deferred[Outcome]) -> None:
        room = new_room_id()
        self._waiters[room] = outcome  # before the commit: the answer may come before we hear of the commit
        try:
            reply = await self._reply(events.Place(caller, target, room))
        except Exception:
            if self._waiters.pop(room, None) is not None:
                raise
            return  # the outcome came, though the commit of the call was never answered
        if not isinstance(reply, Ringing):
            del self._waiters[room]
            outcome.callback(reply)
            return
        self._withdraw(caller)
        if room in self._waiters:
            self._placed[caller] = room

    def answer(self, device: DeviceAddress, room: RoomId, accepted: bool) -> Deferred[TooLate | NotYours | None]:
        """Accept or refuse a call. Fires with what the device is to be told, if anything."""
        return self._turns.take(device, lambda: self._reply(events.Answer(room, device, accepted)))

    def hang_up(self, device: DeviceAddress, room: RoomId) -> Deferred[NotYours | None]:
        """End a call that ``device`` is in. Fires with what the device is to be told, if anything."""
        return self._turns.take(device, lambda: self._reply(events.HangUp(room, device)))

    def cancel(self, device: DeviceAddress, phone: str) -> Deferred[None]:
        """End the call that ``device`` placed to ``phone``, if there is one."""
        return self._turns.take(device, lambda: self._reply(events.Cancel(device, phone)))

    # Pages

    def take_seat(self, room: RoomId, key: str, page: str, session: SeatSession) -> Deferred[SeatReply]:
        """Give the page load ``page`` a seat. If it gets one, ``session`` is told of the room from now on."""
        return self._turns.take((room, key), lambda: self._take_seat(room, key, page, session))

    async def _take_seat(self, room: RoomId, key: str, page: str, session: SeatSession) -> SeatReply:
        with self._kept((room, key)):
            reply: SeatReply = await self._reply(events.SeatTaken(room, key, page, self._store.node))
            if isinstance(reply, Seated):
                session.generation = reply.generation
                older = self._pages.get((room, key))
                self._pages[room, key] = session
                if older is not None:
                    older.displaced()
                session.told(reply.seats, reply.call)
        return reply

    def leave_seat(self, room: RoomId, key: str, session: SeatSession) -> Deferred[None]:
        """Take notice that the socket of a page in its seat is gone."""
        return self._turns.take((room, key), lambda: self._leave_seat(room, key, session))

    async def _leave_seat(self, room: RoomId, key: str, session: SeatSession) -> None:
        if self._pages.get((room, key)) is session:
            del self._pages[room, key]
            await self._settle(events.SeatEmptied(room, key, session.generation))

    def page_hung_up(self, room: RoomId, key: str) -> Deferred[None]:
        """End the call, or the meeting, of a page's room."""
        return self._turns.take((room, key), lambda: self._reply(events.PageHungUp(room, key)))

    def relay(self, message: Relay) -> None:
        """Hand what one page said to the other, wherever it is."""
        self._bus.publish(message.node, message)

    # The way of an event

    async def _reply(self, event: events.Event) -> Any:
        return (await self._settle(event)).reply

    async def _settle(self, event: events.Event) -> Decision:
        """Decide on an event and commit the decision, anew for as long as somebody else is faster."""
        for _ in range(_TRIES):
            records = await self._store.read(event.phones(), event.rooms(), event.fresh)
            decision = decide(records, event, self._store.now(), self.settings)
            if decision.changes is NOTHING or (await self._store.commit(decision.changes)).held:
                return decision
        raise Unavailable("the records change too fast")

    @contextmanager
    def _kept(self, addressee: object) -> Iterator[None]:
        """Keep what comes for someone whose arrival is being committed, until it has arrived or failed to."""
        kept = self._arriving[addressee] = []
        try:
            yield
        finally:
            del self._arriving[addressee]
            for message in kept:
                self._receive(message)

    def _wait(self, caller: DeviceAddress, room: RoomId, outcome: Deferred[Outcome]) -> Deferred[Outcome]:
        self._waiters[room] = outcome
        self._placed[caller] = room
        return outcome

    def _withdraw(self, caller: DeviceAddress) -> None:
        """Let nobody wait any more for the outcome of the call that ``caller`` placed."""
        room = self._placed.pop(caller, None)
        waiter = None if room is None else self._waiters.pop(room, None)
        if waiter is not None:
            waiter.callback(Withdrawn())

    def _receive(self, message: BusMessage) -> None:
        """Act on what came over the bus."""
        if isinstance(message, Notice):
            if message.to in self._arriving:
                self._arriving[message.to].append(message)
            else:
                self._notice(message.to, message.call)
        elif isinstance(message, Displaced):
            session = self._devices.get(message.to)
            if session is not None and session.generation < message.generation:
                session.displaced()
        else:
            self._receive_for_page(message)

    def _notice(self, device: DeviceAddress, call: CallRecord) -> None:
        if device == call.caller and call.room in self._waiters:
            outcome = outcome_of(call)
            if outcome is None:
                return
            if self._placed.get(device) == call.room:
                del self._placed[device]
            self._waiters.pop(call.room).callback(outcome)
            if call.callee is None or call.state is not CallState.OVER:
                return
        session = self._devices.get(device)
        if session is not None:
            session.told(call)

    def _receive_for_page(self, message: SeatNotice | Relay) -> None:
        room = message.room if isinstance(message, Relay) else message.seats.room
        kept = self._arriving.get((room, message.key))
        if kept is not None:
            kept.append(message)
            return
        page = self._pages.get((room, message.key))
        if page is None:
            return
        if isinstance(message, Relay):
            page.relayed(message.sender, message.data)
        else:
            page.told(message.seats, message.call)

    def _look_at_due(self) -> None:
        self._look = None
        done = Deferred.fromCoroutine(self._act_on_due())
        done.addErrback(_log_unless_unavailable)
        done.addCallback(lambda _: self._look_again())

    def _look_again(self) -> None:
        if self._running:
            self._look = self._clock.callLater(_LOOK_EVERY, self._look_at_due)

    async def _act_on_due(self) -> None:
        for record in await self._store.due(self._store.now()):
            await Deferred.fromCoroutine(self._act_on(record)).addErrback(_log_unless_unavailable)

    async def _act_on(self, record: DeviceRecord | CallRecord | SeatsRecord) -> None:
        decision = await self._settle(_due_event(record))
        for call in decision.changes.calls:
            if call.reason is not None:
                log.info("a call ended by itself: {reason}", reason=call.reason.value)


def _log_unless_unavailable(failure: Failure) -> None:
    """Say what went wrong on the way to what is due; it is due still, and the next look tries again."""
    if not failure.check(Unavailable):
        log.failure("acting on what is due", failure)


def _due_event(record: DeviceRecord | CallRecord | SeatsRecord) -> events.Event:
    if isinstance(record, DeviceRecord):
        return events.DeviceDue(record.address)
    return events.CallDue(record.room) if isinstance(record, CallRecord) else events.SeatsDue(record.room)
