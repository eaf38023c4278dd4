"""The room manager: decides and commits the requests of devices and pages, and notifies those concerned.

The record in the store is the call; sessions here are only told of it. Every end and answer of a call, on whichever
node, is committed there and comes here as a notice for its devices.

Requests of a device are handled in order, and only on its newest connection. While the store is away a call fails at
once, an answer is retried for 5 s, and so is a takeover in doubt, and a request to leave a call or a seat is handled
when the store is back.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.counts import CallCounts, LocalCalls
from callnet.calls.delivery import ArrivalBuffers, DisplacedConnections
from callnet.calls.extensions import Extensions, Presence
from callnet.calls.outage import AGAIN, End, Retries
from callnet.calls.pages import Pages
from callnet.calls.ports import BusMessage, IBus, ICallStore, IPreferences, IRoster
from callnet.calls.preferences import UNREADABLE, Policy, Preferences
from callnet.calls.records import (
    Active,
    CallRecord,
    Changes,
    DeviceRelay,
    Displaced,
    Notice,
    Over,
    PresenceChanged,
    Ringing,
)
from callnet.calls.registration import Attached, Overtaken, seen_by
from callnet.calls.switchboard import Deadlines, InDoubt, PerKeyQueue, Then, Transactions, Waits, nothing
from callnet.calls.telling import outcome_of
from callnet.calls.transaction import Transaction
from callnet.calls.transitions import UNREACHED, NoSuchCall, NotYours, Rings, TooLate, unreached
from callnet.calls.waking import Wake, WakeRequests, nobody_can
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.model import EVERY_DEVICE, Accepted, DeviceAddress, Failed, Outcome, Reason, RoomId, Withdrawn, new_room_id
from callnet.util.deferreds import Ready, logged_unless_unavailable
from callnet.util.logger import Logger

if TYPE_CHECKING:
    from callnet.calls.session import Session

_REGISTRATION_TRIES: Final = 3
"""The number of attempts to register a connection."""
_ANSWER_TRIES: Final = 10
"""The number of further attempts of an answer while the store is away: for 5 s."""
_RING_AGAIN: Final = 1.2
"""Seconds until a call rings again whose devices could not be notified: a node that had lost its subscription may have
it back. A caller is told of the failure within 2 s, and kept events are retried after 0.5 s."""

Answer: TypeAlias = events.Accept | events.Refuse

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to handle a device's request")
_log_preferences = logged_unless_unavailable(log, "failed to load the policy of a connected device")
_log_ringing = logged_unless_unavailable(log, "failed to ring a call again")


class RoomManager:
    """The entry point for every change of calls and seats on this node.

    :param roster: the contacts and missed calls of extended devices.
    :param wake: see :class:`callnet.calls.waking.WakeRequests`.
    :param on_progress: called with each call that rings or was accepted because of a device of this node.
    :param guest_answered: called with the phone of a guest whose call was accepted by a device of this node.
    :param read_phone: returns the number that a text names by the rule of logins, or ``None``.
    """

    def __init__(
        self,
        store: ICallStore,
        bus: IBus,
        clock: IReactorTime,
        settings: CallSettings,
        preferences: IPreferences,
        roster: IRoster,
        wake: Wake = nobody_can,
        on_progress: Callable[[CallRecord], None] | None = None,
        guest_answered: Callable[[str], None] | None = None,
        read_phone: Callable[[str], str | None] = str,
    ) -> None:
        self._store = store
        self._preferences = preferences
        self._clock = clock
        self.settings: Final = settings
        self.read_phone: Final = read_phone
        self.now: Final[Callable[[], float]] = store.now  # the clock of all records
        self.date_of: Final = store.date_of
        self.presence: Final = Presence(store, bus, clock)
        self.counts: Final = CallCounts(on_progress, guest_answered)
        """The counters of this node's calls."""
        self._transactions = Transactions(
            store, settings, self._receive, self.presence.changed, self._unreached, self.counts, self._woken
        )
        self.local_calls: Final = LocalCalls(store)
        self.known: Final = store.known()
        """The calls that this node knows (:meth:`callnet.calls.ports.ICallStore.known`). It is live."""
        self._retries = Retries(clock, self._transactions.reply_to)
        self._queue = PerKeyQueue()
        self.in_turn: Final = self._queue.run
        """Runs a request of a device after its earlier ones: ``in_turn(device, work, *args)``."""
        self.submit: Final = self._queue.submit
        """The same for a coroutine, of which it returns the result."""
        self._devices: dict[DeviceAddress, Session] = {}
        self._deadlines = Deadlines(store, self._transactions, clock, self._devices)
        self.start: Final = self._deadlines.start
        """Begins to process due records."""
        self.wake_requests: Final = WakeRequests(
            store, self._transactions, self._queue, preferences, settings, self._retries.pause, wake
        )
        self.extensions: Final = Extensions(
            store, bus, self._transactions, self._devices, self.presence, roster, preferences, clock
        )
        self._arrivals: ArrivalBuffers[Notice | Displaced] = ArrivalBuffers(self._receive)
        self._departures = DisplacedConnections(clock, self._displace)
        self.pages: Final = Pages(
            store, bus, settings, self._transactions, self._retries, self._queue, self.counts, self.local_calls
        )
        self._refusing = False
        bus.subscribe(self._receive)
        preferences.subscribe(self.change_policy)

    def refuse_calls(self) -> None:
        """Answer every further call with ``shutting_down``."""
        self._refusing = True

    def stop(self) -> None:
        """Stop processing due records, and drop all retries."""
        self._deadlines.stop()
        self._retries.stop()
        self._departures.stop()
        self.presence.stop()
        self.extensions.stop()

    # Devices come and go

    def attach(self, session: Session) -> Deferred[None]:
        """Make ``session`` the newest connection of its device, and send possibly missed messages.

        :raises Unavailable: the store cannot be reached, and the device is not connected.
        """
        return self._queue.submit(session.address, self._attach, session, self._clock.seconds())

    async def _attach(self, session: Session, opened_at: float) -> None:
        device = session.address
        policy = await self._preferences.policy_of(device.phone)
        self._arrivals.begin(device)
        try:
            reply = await self._register(session, opened_at, policy)
            if isinstance(reply, Overtaken):
                session.displaced()
                return
            session.began(reply.generation, reply.known)
            self._retries.forget(events.Disconnected(device, reply.generation))  # of one that was given up just before
            older = self._devices.get(device)
            self._devices[device] = session
            if older is not None:
                older.displaced()
            self._attach_preferences(session, policy)
            session.welcomed(reply.present, reply.of_phone)
            if session.extended:
                self.extensions.came(session)
            self._tell_missed(session, reply.ended, reply.current)
        finally:
            self._arrivals.end(device)

    async def _register(self, session: Session, opened_at: float, policy: Policy) -> Attached | Overtaken:
        """Register a connection, opened at ``opened_at`` by the clock of this node.

        :raises Unavailable: it was not registered, or it may have been: then the older one here is closed, too.
        """
        device, older = session.address, self._devices.get(session.address)
        known = None if older is None else older.known()
        connected = events.ExtendedConnected if session.extended else events.Connected
        # Whatever the previous attempt did, each attempt makes a connection that is newer than all others.
        tried = [0]
        failure = Unavailable()
        for _ in range(_REGISTRATION_TRIES):
            since = opened_at + (self.now() - self._clock.seconds())
            event = connected(device, self._store.node, known, since, tried[-1], policy, session.call_waiting)
            try:
                reply: Attached | Overtaken = await self._transactions.reply_to(event)
            except InDoubt as doubt:
                failure = doubt
                tried.append(doubt.reply.generation)
            except Unavailable as unavailable:
                failure = unavailable  # the store is known to be away now: the next attempt goes on without it
            else:
                return reply
        for generation in tried[1:]:
            self._retries.keep(events.Disconnected(device, generation))
        if older is not None and tried[1:]:
            older.displaced()
        raise failure

    def _attach_preferences(self, session: Session, policy: Policy) -> None:
        """Give a new session the preferences of its device's owner, now or when they can be read.

        :param policy: the one in the device's record already.
        """
        found = self._preferences.of(session.address.phone)
        if isinstance(found, Ready):
            self._attach_found(found.value, session, policy)
        else:
            found.addCallback(self._attach_found, session, policy).addErrback(_log_preferences)

    def _attach_found(self, found: Preferences, session: Session, policy: Policy) -> None:
        if found is UNREADABLE:
            return  # a change event will follow
        session.preferences = found
        if found.policy != policy:  # it changed while this was written
            self.change_policy(session.address.phone, found)

    def _tell_missed(self, session: Session, ended: CallRecord | None, current: CallRecord | None) -> None:
        if ended is not None:
            (session.deliver_later if current is None else session.deliver)(ended)
        if current is not None:
            if current.caller == session.address and outcome_of(current) is None:
                session.asked[current.room] = ""
            else:
                session.deliver(current)

    async def welcome_again(self, session: Session) -> None:
        """Send a device its calls again, since nodes were apart at its welcome. It runs in a turn of the device.

        If the store does not answer it is done later: soon the store does, or the node's own records count.
        """
        device = session.address
        if self._devices.get(device) is not session:
            return
        self._arrivals.begin(device)
        try:
            records = await self._store.read((device.phone,), ())
            if self._devices.get(device) is session:
                session.welcomed(*seen_by(Transaction(records, self.now(), self.settings), device))
        except Unavailable:
            later = self._retries.pause(AGAIN)
            later.addCallback(lambda _: self.submit(device, self.welcome_again, session, is_patient=True))
            later.addErrback(_log_unless_unavailable)
        finally:
            self._arrivals.end(device)

    def detach(self, session: Session) -> None:
        """Record that the socket of ``session`` has closed."""
        self.in_turn(session.address, self._detach, session, self.now())

    def _detach(self, session: Session, gone_at: float) -> Waits:
        if session.extended:
            self.extensions.went(session)
        if self._devices.get(session.address) is not session:
            return None
        del self._devices[session.address]
        event = events.Disconnected(session.address, session.generation, session.known(), gone_at)
        return self._transactions.run(event, nothing, partial(self._retries.keep_failed, event))

    # Requests of devices. A frame may come before its connection is registered, so they take the number of the
    # connection (``generation``) in their turn.

    def call(
        self,
        session: Session,
        target: DeviceAddress,
        asked: str,
        read_at: float,
        kind: type[events.Place] = events.Place,
    ) -> Waits:
        """Place a call, in its caller's turn. The session is told of its outcome, now or when it is known.

        If the store cannot be reached that is :attr:`Reason.UNAVAILABLE`: nothing rings, or only briefly.

        :param asked: the id of the request; may be empty.
        :param read_at: the time at which the request was read, in seconds on the reactor's clock.
        """
        if self._refusing:
            self.fail_at_once(session, asked, Failed(target, Reason.SHUTTING_DOWN))
            return None
        if self._devices.get(session.address) is not session:
            return None
        caller, room = session.address, new_room_id()
        said = self._retries.kept_for(caller) if self._retries.kept else ()
        secret = new_room_id() if target.device_id == EVERY_DEVICE else room  # a device that rings alone has no alias
        date = self.date_of(self.now())
        event = kind(caller, target, room, session.generation, date, session.extended, said, secret)
        session.asked[room] = asked
        if target != caller:
            session.offline = None
        then, failed = partial(self._placed, event, session, read_at), partial(self._not_placed, event, session)
        return self._transactions.run(event, then, failed)

    def _placed(self, event: events.Place, session: Session, read_at: float, reply: Outcome | Rings) -> None:
        caller, room = event.caller, event.room
        if event.said:
            self._retries.forget((events.Cancel, caller))  # that was decided with this call
        if isinstance(reply, Rings):
            for other in [other for other in session.asked if other != room] if len(session.asked) > 1 else ():
                del session.asked[other]  # it waits for its newest call only
            return
        asked = session.asked.pop(room, "")
        self.counts.count_at_once(caller, reply, self.now())
        if isinstance(reply, Failed) and reply.reason in UNREACHED:
            self._store.failed(unreached(caller, event.target, room, reply.reason, self.now()))
        if isinstance(reply, Failed) and reply.reason is Reason.OFFLINE:
            session.offline = offline = reply, asked
            left = read_at + self.settings.offline_after - self._clock.seconds()
            if left <= 0.0:
                self._tell_offline(None, session, offline)
            else:
                told = self._retries.pause(left)
                told.addCallbacks(self._tell_offline, _log_unless_unavailable, (session, offline))
        elif isinstance(reply, Accepted):
            session.joined(reply, asked)
        else:
            session.answered(reply, None, asked)

    def _tell_offline(self, _: None, session: Session, offline: tuple[Failed, str]) -> None:
        """Answer that the callee is offline, a fixed time after the call was read (protocol §2.1): the delay must not
        reveal whether the device is connected, known, or has blocked the caller.
        """
        if session.offline is offline and self._devices.get(session.address) is session:
            session.tell_offline()

    def _not_placed(self, event: events.Place, session: Session, failure: Failure) -> None:
        asked = session.asked.pop(event.room, None)
        if asked is None:
            return  # the outcome came, though the commit of the call got no answer
        if failure.check(InDoubt):
            self._retries.keep(events.GaveUp(event.room, event.caller), (events.Place, event.caller))
        _log_unless_unavailable(failure)
        reason = Reason.UNAVAILABLE if failure.check(Unavailable) else Reason.INTERNAL
        self.fail_at_once(session, asked, Failed(event.target, reason))

    def fail_at_once(self, session: Session, asked: str, outcome: Failed) -> None:
        """Answer a call that is not placed."""
        self.counts.count_at_once(session.address, outcome, self.now())
        session.answered(outcome, None, asked)

    def answer(self, session: Session, event: Answer, then: Then) -> Waits:
        """Have a device accept or refuse, in its turn. ``then`` is called with the reply to the device, if any."""
        if self._devices.get(session.address) is not session:
            return None
        event = replace(event, generation=session.generation)
        if self._retries.kept:
            self._retries.forget((events.Accept, event.device), event.room)
        return self._transactions.run(event, then, partial(self._not_answered, event, then))

    def end(self, session: Session, event: End, then: Then = nothing) -> Waits:
        """Have a device hang up or cancel, in its turn. ``then`` is called with the reply to the device, if any."""
        if self._devices.get(session.address) is not session:
            return None
        event = replace(event, generation=session.generation)
        is_cancelled = isinstance(event, events.Cancel)
        kept = replace(event, sent_at=self.now()) if is_cancelled else replace(event, is_late=True)
        return self._transactions.run(event, partial(self._ended, kept, then), partial(self._not_ended, kept, then))

    def resume(self, session: Session, room: RoomId, then: Then = nothing, sent_at: float = inf) -> Waits:
        """Have a device go on with a call that it holds, in its turn. ``then`` is called with the reply, if any.

        :param sent_at: a call that has begun since, in seconds on the clock of the store, is not held for that one.
        """
        if self._devices.get(session.address) is not session:
            return None
        self._retries.forget((events.Resumed, session.address))
        event = events.Resumed(room, session.address, session.generation, sent_at)
        kept = replace(event, sent_at=min(sent_at, self.now()))
        failed = partial(self._retries.keep_failed, kept, key=(events.Resumed, session.address))
        return self._transactions.run(event, then, failed)

    def _ended(self, event: End, then: Then, reply: NotYours | NoSuchCall | None) -> None:
        if type(reply) is NoSuchCall:
            self._retries.keep_orphan(event)
            reply = None
        then(reply)

    def _not_ended(self, event: End, then: Then, failure: Failure) -> None:
        self._retries.keep_failed(event, failure, (type(event), event.device))
        then(None)

    def _not_answered(self, event: Answer, then: Then, failure: Failure) -> Waits:
        if not failure.check(Unavailable):
            _log_unless_unavailable(failure)
            return None
        return Deferred.fromCoroutine(self._answer_late(event)).addCallback(then)

    async def _answer_late(self, event: Answer) -> Any:
        """Retry an answer for 5 s while the store is away."""
        try:
            return await self._repeat(event, (events.Accept, event.device))
        except InDoubt:
            return TooLate(Reason.CONNECTION_LOST) if isinstance(event, events.Accept) else None

    async def pull(self, session: Session, room: RoomId) -> Accepted | TooLate | NotYours | None:
        """Have a device take over a call from another one of its phone, in its turn, and return the reply to it, if
        any. If it is unknown whether the device has the call, that is retried for 5 s.

        :raises Unavailable: the store cannot be reached. A device that has the call nevertheless leaves it.
        """
        if self._devices.get(session.address) is not session:
            return None
        event, key = events.Pulled(room, session.address, session.generation), (events.Pulled, session.address)
        was_in_doubt = self._retries.keeps(key, room)
        self._retries.forget(key, room)
        reply: Accepted | TooLate | NotYours | None
        try:
            reply = await self._transactions.reply_to(event)
        except Unavailable as failure:
            if not (was_in_doubt or isinstance(failure, InDoubt)):
                raise
            reply = await self._repeat(event, key)
        if isinstance(reply, Accepted):
            self._retries.forget_end(session.address, room)
        return reply

    async def _repeat(self, event: Answer | events.Pulled, key: Hashable) -> Any:
        """Retry a request for 5 s, or until the device has a further one; then the device has given up.

        :param key: that of the kept event.
        :raises InDoubt: the device has given up.
        :raises Unavailable: this node stops.
        """
        room, device = event.room, event.device
        await self._retries.pause(AGAIN)
        for _ in range(_ANSWER_TRIES):
            try:
                return await self._transactions.reply_to(event)
            except Unavailable:
                if self._queue.is_awaited(device):
                    break
            await self._retries.pause(AGAIN)
        has_left_first = isinstance(event, events.Accept) and not event.hold
        self._retries.keep(events.GaveUp(room, device, has_left_first, event.generation), key)
        raise InDoubt(None)

    def _unreached(self, changes: Changes, addresses: tuple[DeviceAddress, ...]) -> None:
        """Ring a call once more if no rung device could be notified; end it after the second time."""
        for call in changes.calls:
            state = call.state
            if isinstance(state, Ringing) and state.devices and set(addresses).issuperset(state.devices):
                if call.version == 1:
                    Deferred.fromCoroutine(self._ring_again(call)).addErrback(_log_ringing)
                else:
                    self._retries.keep(events.RangInVain(call.room, call.version, is_last=True))

    async def _ring_again(self, call: CallRecord) -> None:
        await self._retries.pause(_RING_AGAIN)
        try:
            await self._transactions.reply_to(events.RangInVain(call.room, call.version))
        except Unavailable:
            self._retries.keep(events.RangInVain(call.room, call.version, is_last=True))

    def _woken(self, call: CallRecord, event: events.Event) -> None:
        self.wake_requests.committed(call, event)

    # Orders, which are carried out when the store is back, if it is away

    def revoke(self, session: Session) -> Deferred[None]:
        """Remove a device from its call after the revocation of the token of its connection, which will be closed."""
        device = session.address
        return self.submit(device, lambda: self._retries.settle(events.Revoked(device, session.generation)))

    def revoke_absent(self, device: DeviceAddress) -> Deferred[None]:
        """Remove a device without a connection from its call; ``*``: all such devices of its phone."""
        return self.submit(device, self._retries.settle, events.Revoked(device, None))

    def stop_call(self, room: RoomId) -> Deferred[None]:
        """End a call for the operator."""
        return self.submit(room, self._retries.settle, events.Stopped(room))

    def change_policy(self, phone: str, preferences: Preferences) -> Deferred[None]:
        """Apply the changed preferences of a phone's owner."""
        every = DeviceAddress(phone, EVERY_DEVICE)
        return self.submit(every, self._change_policy, every, preferences)

    async def _change_policy(self, every: DeviceAddress, preferences: Preferences) -> None:
        for device_id in self.known.devices.get(every.phone, ()):
            session = self._devices.get(every._replace(device_id=device_id))
            if session is not None:
                session.preferences = preferences
        await self._retries.settle(events.PolicyChanged(every, preferences.policy))

    # Messages from the bus

    def _receive(self, message: BusMessage) -> None:
        if isinstance(message, Notice):
            if self._arrivals.kept and self._arrivals.keep(message.to, message):
                return
            device, call = message.to, message.call
            session = self._devices.get(device)
            if device == call.caller:
                if session is not None and call.room in session.asked:
                    self._tell_caller(session, call)
                    return
                if self._retries.kept and self._retries.keeps((events.Place, device), call.room):
                    return  # it was told that this call has failed
            if session is not None:
                session.deliver(call)
        elif isinstance(message, Displaced):
            self._departures.add(message)
        elif isinstance(message, PresenceChanged):
            self.presence.receive(message)
        elif isinstance(message, DeviceRelay):
            self.extensions.receive(message)
        else:
            self.pages.receive(message)

    def _tell_caller(self, session: Session, call: CallRecord) -> None:
        """Report the outcome of a call to its caller, and any change since then."""
        outcome = outcome_of(call)
        if outcome is None:
            session.deliver(call)
            return
        if not isinstance(outcome, (Accepted, Withdrawn)) and call.targets:
            self.counts.failed[outcome.reason] += 1
        has_ended_since = type(call.state) is Over and isinstance(call.state.was, Active)
        session.answered(outcome, None if has_ended_since else call, session.asked.pop(call.room))
        if has_ended_since:
            session.deliver(call)

    def _displace(self, message: Displaced) -> None:
        """Close a displaced connection; its further requests here are ignored."""
        if self._arrivals.keep(message.to, message):
            return  # it may be the arriving one
        session = self._devices.get(message.to)
        if session is not None and session.generation < message.generation:
            del self._devices[message.to]
            session.displaced()
