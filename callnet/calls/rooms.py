"""The room manager: what devices and pages ask for is decided and committed, and whoever is to be told is reached.

The record in the store is the call; who waits here is only told of it. Whatever ends a call or answers it,
on whichever node, is committed there and comes here as a notice, which tells the waiter.

What one device asks for is done in its order, and only on its newest connection. While the store is away a call fails
at once, an answer waits a little, and what takes somebody out of a call or a seat is done when it is back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from callnet.calls import events
from callnet.calls.arrivals import Arrivals
from callnet.calls.call import NoSuchCall, NotYours, Overtaken, TooLate
from callnet.calls.connecting import ConnectedInDoubt, Connecting
from callnet.calls.deadlines import Deadlines
from callnet.calls.decisions import Decisions, InDoubt
from callnet.calls.departures import Departures
from callnet.calls.extensions import Extensions
from callnet.calls.orders import Orders
from callnet.calls.pages import Pages
from callnet.calls.place import UNREACHED, Ringing, unreached
from callnet.calls.presence import Presence
from callnet.calls.retries import AGAIN, Retries
from callnet.calls.ringing import RingingAgain
from callnet.calls.seats import SeatReply
from callnet.calls.sessions import DeviceSession, SeatSession
from callnet.calls.telling import Missed, outcome_of
from callnet.calls.turns import Turns
from callnet.calls.unfinished import Unfinished
from callnet.calls.unknown import UnknownCalls
from callnet.calls.waiters import Told, Waiters
from callnet.calls.waking import Waking
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.interfaces import BusMessage, IBus, ICallStore, IPreferences
from callnet.model import EVERY_DEVICE, DeviceAddress, Failed, Outcome, Reason, RoomId, Withdrawn, new_room_id
from callnet.records import CallRecord, CallState, DeviceRelay, Displaced, Notice, PresenceChanged, Relay
from callnet.soon import Soon

_ANSWER_TRIES: Final = 11
"""How often an answer is tried while the store is away: for 5 s."""


class RoomManager:
    """Everything that happens to calls and seats on this node goes through here."""

    def __init__(
        self, store: ICallStore, bus: IBus, clock: IReactorTime, settings: CallSettings, preferences: IPreferences
    ) -> None:
        self._store = store
        self._preferences = preferences
        self._bus = bus
        self._clock = clock
        self.settings: Final = settings
        self.now: Final[Callable[[], float]] = store.now  # of the clock on which all records are
        self.date_of: Final = store.date_of
        self._decisions = Decisions(store, settings)
        self.counts: Final = self._decisions.counts
        """What has become of calls on this node."""
        self.unfinished: Final = Unfinished(store)
        self.known: Final = store.known()
        """The calls that this node knows (:meth:`callnet.interfaces.ICallStore.known`). It is live."""
        self._retries = Retries(clock, self._settle_again)
        self._unknown = UnknownCalls(self._retries, self._decisions.settle)
        self._decisions.on_unreached = RingingAgain(self._decisions, self._retries).unreached
        self._deadlines = Deadlines(store, self._decisions, clock)
        self._turns = Turns()
        self._devices: dict[DeviceAddress, DeviceSession] = {}
        self._connecting = Connecting(store, clock, self._decisions, self._retries)
        self.orders: Final = Orders(store, self._decisions, self._retries, self._turns, preferences, self._devices)
        self.waking: Final = Waking(self._decisions, preferences, settings)
        self.presence: Final = Presence(store, bus, clock)
        self.extensions: Final = Extensions(store, bus, self._decisions, self._turns, self._devices, self.presence)
        self._decisions.on_shown = self.presence.changed
        self._waiters = Waiters()
        self._arrivals: Arrivals[Notice] = Arrivals(self._notice)
        self._departures = Departures(clock, self._displace)
        self._pages = Pages(store, self._decisions, self._retries, self._turns)
        self._refusing = False
        bus.subscribe(self._receive)

    def start(self) -> None:
        """Begin to act on what is due."""
        self._deadlines.start()

    def refuse_calls(self) -> None:
        """Answer every further call with ``shutting_down``."""
        self._refusing = True

    def stop(self) -> None:
        """Act on what is due no more, and on nothing that was to be tried again."""
        self._deadlines.stop()
        self._retries.stop()
        self._departures.stop()
        self.presence.stop()

    # Devices come and go

    def attach(self, session: DeviceSession) -> Soon[None]:
        """Let ``session`` be the newest connection of its device, and tell it what the device may have missed.

        :raises Unavailable: the store cannot be reached, and the device is not connected.
        """
        opened_at = self._clock.seconds()
        return self._turns.take(session.address, lambda: self._attach(session, opened_at))

    async def _attach(self, session: DeviceSession, opened_at: float) -> None:
        device = session.address
        policy = await self._preferences.policy_of(device.phone)
        older = self._devices.get(device)
        last = (None, None) if older is None else (older.known(), older.owed())
        with self._arrivals.arriving(device):
            try:
                reply = await self._connecting.connect(device, last, opened_at, policy, session.extended)
            except ConnectedInDoubt:
                if older is not None:
                    older.displaced()
                raise
            if isinstance(reply, Overtaken):
                session.displaced()
                return
            missed = reply.missed
            owed = missed.ended.room if missed.ended is not None and missed.is_owed else None
            session.began(reply.generation, reply.known, owed)
            older = self._devices.get(device)  # unless it has been told in the meantime
            self._devices[device] = session
            self._waiters.withdraw(device)
            if older is not None:
                older.displaced()
            self.orders.introduce(session, policy)
            if session.extended:
                session.welcomed(reply.present, reply.of_phone)
                self.extensions.came(session)
            self._tell_missed(session, missed)

    def _tell_missed(self, session: DeviceSession, missed: Missed) -> None:
        if missed.ended is not None:
            (session.told_later if missed.present is None else session.told)(missed.ended)
        if missed.present is not None:
            if missed.present.caller == session.address and outcome_of(missed.present) is None:
                self._waiters.expect(missed.present.room, session.answered)
                self._waiters.placed(session.address, missed.present.room)
            else:
                session.told(missed.present)

    def detach(self, session: DeviceSession) -> Soon[None]:
        """Take notice that the socket of ``session`` is gone."""
        gone_at = self.now()
        return self._turns.take(session.address, lambda: self._detach(session, gone_at))

    async def _detach(self, session: DeviceSession, gone_at: float) -> None:
        if session.extended:
            self.extensions.went(session)
        if self._is_newest(session):
            del self._devices[session.address]
            self._waiters.withdraw(session.address)
            owed = session.owed()
            event = events.Disconnected(session.address, session.generation, session.known(), gone_at, owed=owed)
            try:
                await self._decisions.settle(event)
            except Unavailable:
                self._retries.keep(event)
            if owed is not None:
                self._retries.keep(events.AcceptedInVain(owed, session.address))  # it may be elsewhere already

    def _is_newest(self, session: DeviceSession) -> bool:
        return self._devices.get(session.address) is session

    # What devices ask for

    def call(self, session: DeviceSession, target: DeviceAddress, told: Told) -> Soon[None]:
        """Place a call. ``told`` is called once with its outcome, now or when it is known, if this does not raise.

        :raises Unavailable: the store cannot be reached; nothing rings, or not for long.
        """
        return self._turns.take(session.address, lambda: self._place(session, target, told))

    async def _place(self, session: DeviceSession, target: DeviceAddress, told: Told) -> None:
        if self._refusing:
            self._tell_at_once(session, told, Failed(target, Reason.SHUTTING_DOWN))
            return
        if not self._is_newest(session):
            told(Withdrawn())
            return
        caller, room = session.address, new_room_id()
        said = self._retries.kept_for(caller) if self._retries else ()
        secret = new_room_id() if target.device_id == EVERY_DEVICE else room  # who rings alone has no alias
        date = self.date_of(self.now())
        event = events.Place(caller, target, room, session.generation, date, session.extended, said, secret)
        self._retries.forget((events.Cancel, caller))
        self._waiters.expect(room, told)
        try:
            reply: Any = (await self._decisions.settle(event)).reply
        except Exception as error:
            if self._waiters.not_placed(room):
                if isinstance(error, InDoubt):
                    for older in said:
                        self._retries.keep(older)
                    self._retries.keep(events.GaveUp(room, caller), (events.Place, caller))
                self.counts.not_placed(caller, target, error, self.now())
                raise
            return  # the outcome came, though the commit of the call was never answered
        if isinstance(reply, Ringing):
            self._waiters.placed(caller, room)
            if reply.asleep:
                self.waking.wake_all(room, caller, reply.asleep)
        else:
            self._waiters.not_placed(room)
            self._tell_at_once(session, told, reply)
            if isinstance(reply, Failed) and reply.reason in UNREACHED:
                self._store.failed(unreached(caller, target, room, reply.reason, self.now()))

    def _tell_at_once(self, session: DeviceSession, told: Told, outcome: Outcome) -> None:
        self.counts.told_at_once(session.address, outcome, self.now())
        told(outcome)

    def answer(
        self, session: DeviceSession, room: RoomId, accepted: bool, by_itself: bool = False
    ) -> Soon[TooLate | NotYours | None]:
        """Accept or refuse a call. Answers with what the device is to be told, if anything.

        :param by_itself: it accepts without anybody touching it.
        """
        return self._turns.take(session.address, lambda: self._answer(session, room, accepted, by_itself))

    async def _answer(self, session: DeviceSession, room: RoomId, accepted: bool, by_itself: bool) -> Any:
        if not self._is_newest(session):
            return None
        device = session.address
        if self._retries and self._retries.keeps((events.Answer, device), events.GaveUp(room, device)):
            self._retries.forget((events.Answer, device))
        return await self._try_answer(events.Answer(room, device, accepted, by_itself, session.extended), session)

    async def _try_answer(self, event: events.Answer, session: DeviceSession) -> Any:
        room, device = event.room, event.device
        for tried in range(_ANSWER_TRIES):
            try:
                return (await self._decisions.settle(event)).reply
            except Unavailable:
                event = events.LateAnswer(
                    room, device, event.accepted, event.by_itself, event.extended, generation=session.generation
                )
                if tried and self._turns.is_awaited(device):
                    break  # the device has something else to ask for
                await self._retries.pause(AGAIN)
        self._retries.keep(events.GaveUp(room, device), (events.Answer, device))
        return TooLate(Reason.CONNECTION_LOST) if event.accepted else None

    def hang_up(self, session: DeviceSession, room: RoomId) -> Soon[NotYours | None]:
        """End a call that the device is in. Answers with what the device is to be told, if anything."""
        return self._turns.take(session.address, lambda: self._end(session, events.HangUp(room, session.address)))

    def cancel(self, session: DeviceSession, phone: str) -> Soon[None]:
        """End the call that the device placed to ``phone``, if there is one."""
        device = session.address
        return self._turns.take(device, lambda: self._end(session, events.Cancel(device, phone, session.generation)))

    async def _end(self, session: DeviceSession, event: events.HangUp | events.Cancel) -> Any:
        if not self._is_newest(session):
            return None
        kept = replace(event, sent_at=self.now()) if isinstance(event, events.Cancel) else event
        try:
            reply = (await self._decisions.settle(event)).reply
        except Unavailable:
            self._retries.keep(kept, (type(event), session.address))
            return None
        if isinstance(reply, NoSuchCall):
            self._unknown.keep(kept)
            return None
        return reply

    async def _settle_again(self, event: events.Event) -> None:
        """Settle what was kept until the store was back."""
        decision = await self._decisions.settle(event)
        if isinstance(event, events.HangUp | events.Cancel) and isinstance(decision.reply, NoSuchCall):
            self._unknown.keep(event)

    # Pages

    def take_seat(self, room: RoomId, key: str, page: str, session: SeatSession) -> Soon[SeatReply]:
        """Give the page load ``page`` a seat. If it gets one, ``session`` is told of the room from now on.

        :raises Unavailable: the store cannot be reached, and nobody sits there.
        """
        return self._pages.take(room, key, page, session)

    def leave_seat(self, key: str, session: SeatSession) -> Soon[None]:
        """Take notice that the socket of a page in its seat is gone."""
        return self._pages.leave(key, session)

    def page_hung_up(self, room: RoomId, key: str) -> Soon[None]:
        """End the call, or the meeting, of a page's room.

        :raises Unavailable: the store cannot be reached, and nothing has ended.
        """
        return self._pages.hung_up(room, key)

    def relay(self, message: Relay) -> None:
        """Hand what one page said to the other, wherever it is."""
        self._bus.publish(message.node, message)

    # What comes over the bus

    def _receive(self, message: BusMessage) -> None:
        if isinstance(message, Notice):
            if not self._arrivals.keep(message.to, message):
                self._notice(message)
        elif isinstance(message, Displaced):
            self._departures.add(message)
        elif isinstance(message, PresenceChanged):
            self.presence.receive(message)
        elif isinstance(message, DeviceRelay):
            self.extensions.receive(message)
        else:
            self._pages.receive(message)

    def _displace(self, message: Displaced) -> None:
        """Close a connection of a device that has gone on elsewhere; what it sends on this one is not done any more."""
        session = self._devices.get(message.to)
        if session is not None and session.generation < message.generation:
            del self._devices[message.to]
            self._waiters.withdraw(message.to)
            session.displaced()

    def _notice(self, notice: Notice) -> None:
        device, call = notice.to, notice.call
        session = self._devices.get(device)
        if device == call.caller:
            if call.room in self._waiters:
                self._fire(call, session)
                return
            if self._retries and self._has_given_up(device, call.room):
                return  # it was told that this call has failed
        if session is not None:
            session.told(call)

    def _has_given_up(self, device: DeviceAddress, room: RoomId) -> bool:
        gave_up = events.GaveUp(room, device)
        return self._retries.keeps(gave_up) or self._retries.keeps((events.Place, device), gave_up)

    def _fire(self, call: CallRecord, session: DeviceSession | None) -> None:
        """Have the caller's waiter know of the outcome, and the caller of what came after it."""
        outcome = outcome_of(call)
        if outcome is None:
            if session is not None:
                session.told(call)
            return
        self.counts.told(outcome)
        self._waiters.fire(call.caller, call.room, outcome)
        if session is None:
            return
        was_answered = call.callee is not None and call.state is CallState.OVER
        (session.told if was_answered else session.knows)(call)
