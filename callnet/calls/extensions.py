"""Services for extended clients (protocol §2.5): signals between the parties, transfers of calls between devices,
presence of contacts, and notices of changed data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Final

from msgspec import Raw, Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from callnet.calls import events
from callnet.calls.ports import EVERY_NODE, PHONES_AT_ONCE, IBus, ICallStore, IPreferences, IRoster, Roster
from callnet.calls.records import Active, DeviceRelay, PresenceChanged, Records
from callnet.calls.switchboard import Transactions, nothing
from callnet.calls.transaction import other_party
from callnet.calls.transitions import NotYours, TooLate, late
from callnet.errors import Unavailable
from callnet.frames import v2
from callnet.model import DeviceAddress, Reason, RoomId, Topic
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import EarliestTimer

if TYPE_CHECKING:
    from callnet.calls.session import Session

EVERY: Final = 2.0
"""Seconds between two reads."""
EVERYBODY_EVERY: Final = 30.0
"""Seconds between two reads of all listed phones, with or without reports of changes."""
WANTED_FOR: Final = 2.5 * EVERYBODY_EVERY
"""Seconds for which another node's announcement of onlookers holds."""
NOTICES_EVERY: Final = 2.0
"""Seconds between two notices of changes to a device, at least: it reads its data again after each."""
_TOLD_AT_ONCE: Final = 500
"""Devices that are told of changes in one turn of the reactor, so that nothing else has to wait."""
_IN_A_MESSAGE: Final = 5000
"""Phones in a message to other nodes."""

_OF_LISTS: Final = frozenset({Topic.CONTACTS, Topic.ADDED})
"""The subjects of changes that change who a phone's contacts are."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to notify an extended device")
_log_presence = logged_unless_unavailable(log, "failed to read presence")


class TooEarly(Struct, frozen=True):
    """The reply to a signal of the caller's page while the call rings: it is for whoever accepts."""


class Presence:
    """The onlookers, the watched phones and their changes (protocol §2.5, ``presence``).

    Every two seconds each node tells the others which phones had devices that came or went, and reads the records of
    those that its own devices list: a device that goes and comes back in between is not reported. One that comes and
    goes is reported as gone, since an onlooker may have read its contacts meanwhile. A change without such a message,
    as when another node has died or quiet hours have begun, is seen within half a minute. Nodes are told nothing unless
    one of them has announced onlookers.
    """

    def __init__(self, store: ICallStore, bus: IBus, clock: IReactorTime) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._watches: dict[Session, Collection[str]] = {}
        """The watched phones of each onlooker."""
        self._onlookers: dict[str, dict[Session, tuple[set[DeviceAddress], float] | None]] = {}
        """The onlookers of each watched phone, with its devices that were online when its records were last read for
        them, and the time of that, on the clock of the store; ``None``: they have yet to be read."""
        self._to_tell: dict[str, None] = {}
        """Changed phones to report to other nodes."""
        self._to_look_at: dict[str, None] = {}
        self._alarm = EarliestTimer(clock, self._look)
        self.stop: Final = self._alarm.stop
        self._looked_at = -EVERY
        self._everybody_at = -EVERY
        self._wanted_until = -EVERY
        self._begins = False
        self._is_looking = False

    def changed(self, phone: str) -> None:
        """Record that a device of a phone may have come or gone here."""
        if self._onlookers or self._clock.seconds() < self._wanted_until:
            self._to_tell[phone] = None
            self._schedule()

    def receive(self, message: PresenceChanged) -> None:
        """Record changes on another node or, with no phone named, that it has onlookers."""
        if not message.phones:
            self._wanted_until = self._clock.seconds() + WANTED_FOR
        seen = [phone for phone in message.phones if phone in self._onlookers]
        if seen:
            self._to_look_at.update(dict.fromkeys(seen))
            self._schedule()

    def watch(self, onlooker: Session, phones: Collection[str]) -> None:
        """Tell a device of presence changes of these phones from now on and, soon, of the devices online already.

        It may have read its contacts before: it is told of those that went a moment ago, too.
        """
        if not self._onlookers:
            self._everybody_at, self._begins = self._clock.seconds(), True
        online = {phone: self._onlookers[phone][onlooker] for phone in self._watches.get(onlooker, ())}
        self.leave(onlooker)
        self._watches[onlooker] = phones
        for phone in phones:
            self._onlookers.setdefault(phone, {})[onlooker] = online.get(phone)
        if phones:
            self._to_look_at.update(dict.fromkeys(phones))
            self._schedule()

    def leave(self, onlooker: Session) -> None:
        """Stop telling a device."""
        for phone in self._watches.pop(onlooker, ()):
            left = self._onlookers[phone]
            del left[onlooker]
            if not left:
                del self._onlookers[phone]
        if not self._onlookers and not self._to_tell:
            self._alarm.unset()

    def onlookers_of(self, phones: Collection[str] | None) -> list[Session]:
        """The onlookers of these phones, or with ``None`` all."""
        return [onlooker for onlooker in self._watches if phones is None or onlooker.address.phone in phones]

    def watchers_of(self, phone: str) -> list[Session]:
        """The devices that are told of a phone."""
        return list(self._onlookers.get(phone, ()))

    def _schedule(self) -> None:
        """Read soon if there are changes, else when all phones must be read again."""
        if not self._is_looking and (self._onlookers or self._to_tell):
            has_changes = self._to_tell or self._to_look_at
            at = self._looked_at + EVERY if has_changes else self._everybody_at
            self._alarm.set_in(max(at - self._clock.seconds(), 0.0))

    def _look(self) -> None:
        self._looked_at = self._clock.seconds()
        self._is_looking = True
        if self._looked_at >= self._everybody_at:
            self._to_look_at = dict.fromkeys(self._onlookers)
            if self._onlookers:
                self._bus.publish(EVERY_NODE, PresenceChanged(()))
            # Devices that came elsewhere before that node knew of the onlookers are seen in the second read.
            self._everybody_at = self._looked_at + (EVERY if self._begins else EVERYBODY_EVERY)
            self._begins = False
        self._tell_nodes()
        looking = Deferred.fromCoroutine(self._look_at_all())
        looking.addErrback(_log_presence).addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_looking = False
        self._schedule()

    def _tell_nodes(self) -> None:
        phones, self._to_tell = list(self._to_tell), {}
        for start in range(0, len(phones), _IN_A_MESSAGE):
            self._bus.publish(EVERY_NODE, PresenceChanged(tuple(phones[start : start + _IN_A_MESSAGE])))

    async def _look_at_all(self) -> None:
        phones, self._to_look_at = list(self._to_look_at), {}
        for start in range(0, len(phones), PHONES_AT_ONCE):
            some = [phone for phone in phones[start : start + PHONES_AT_ONCE] if phone in self._onlookers]
            if not some:
                continue
            try:
                records = await self._store.read(some, ())
            except Unavailable:
                self._to_look_at.update(dict.fromkeys(phones[start:]))
                raise
            for phone in some:
                self._look_at(phone, records)

    def _look_at(self, phone: str, records: Records) -> None:
        now = self._store.now()
        date = self._store.date_of(now)
        of_phone = records.devices.get(phone, {}).values()
        there = [device for device in of_phone if device.connected]
        gone = [(device, device.lost_at) for device in of_phone if device.lost_at is not None]
        onlookers = self._onlookers.get(phone, {})
        for onlooker, known in list(onlookers.items()):
            asker = onlooker.address.phone
            before, since = (set(), -inf) if known is None else known
            seen = {device.address for device in there if records.may_call(asker, device, date)}
            left = {device.address for device, at in gone if at >= since and records.may_call(asker, device, date)}
            onlookers[onlooker] = seen, now
            for device in sorted(seen ^ (before | left)):
                onlooker.send(v2.PresenceOf(*device, device in seen))


class Extensions:
    """Requests of extended devices, handled in their turns (:attr:`RoomManager.submit`).

    :param here: the newest connections of devices on this node.
    """

    def __init__(
        self,
        store: ICallStore,
        bus: IBus,
        decisions: Transactions,
        here: Mapping[DeviceAddress, Session],
        presence: Presence,
        roster: IRoster,
        preferences: IPreferences,
        clock: IReactorTime,
    ) -> None:
        self._store = store
        self._bus = bus
        self._transactions = decisions
        self._here = here
        self._presence = presence
        self._roster = roster
        self._preferences = preferences
        self._clock = clock
        self._topics: dict[Session, set[Topic]] = {}
        """Changed data of which a device has yet to be told (§2.5, ``changed``)."""
        self._told_at = -inf
        self._alarm = EarliestTimer(clock, self._tell_topics)
        self.stop: Final = self._alarm.stop

    def came(self, session: Session) -> None:
        """Tell a newly connected extended device of changes from now on, and soon of missed calls and presence."""
        self._presence.watch(session, ())  # it reads its data while its contacts are looked up
        self._roster.came(session.address).addCallback(self._met, session).addErrback(_log_unless_unavailable)

    def _met(self, found: Roster, session: Session) -> None:
        if self._here.get(session.address) is session:
            if found.missed:
                session.send(v2.MissedCalls(found.missed))
            self._presence.watch(session, found.contacts)

    def went(self, session: Session) -> None:
        """Stop telling a lost or displaced device."""
        self._presence.leave(session)
        if self._here.get(session.address) is session:
            self._roster.went(session.address)

    def data_changed(self, changed: Mapping[str, Collection[Topic]] | None) -> None:
        """Tell the devices of these phones of changes, and those that list them of changed profiles; ``None``: anything
        may have changed, and nobody is told.
        """
        lists = changed and [phone for phone, topics in changed.items() if not topics or _OF_LISTS & set(topics)]
        again = Deferred.fromCoroutine(self._list_again(self._presence.onlookers_of(lists)))
        again.addErrback(_log_unless_unavailable)
        if changed is None:
            return
        for session in self._presence.onlookers_of(changed):
            topics = changed[session.address.phone]
            if topics:
                self._note(session, topics)
        for phone, topics in changed.items():
            if Topic.PROFILE in topics:
                Deferred.fromCoroutine(self._tell_contacts(phone)).addErrback(_log_unless_unavailable)

    async def _tell_contacts(self, phone: str) -> None:
        """Tell the devices that list a phone, and may see its profile, that this has changed."""
        policy = await self._preferences.policy_of(phone)
        for onlooker in self._presence.watchers_of(phone):
            if policy.admits(onlooker.address.phone):
                self._note(onlooker, [Topic.CONTACTS])

    def _note(self, onlooker: Session, topics: Collection[Topic]) -> None:
        """Tell a device of changes soon."""
        self._topics.setdefault(onlooker, set()).update(topics)
        self._alarm.set_in(max(self._told_at + NOTICES_EVERY - self._clock.seconds(), 0.0))

    def _tell_topics(self) -> None:
        self._told_at = self._clock.seconds()
        for onlooker in list(islice(self._topics, _TOLD_AT_ONCE)):
            topics = self._topics.pop(onlooker)
            if self._here.get(onlooker.address) is onlooker:
                onlooker.send(v2.Changed(sorted(topics)))
        if self._topics:
            self._alarm.set_in(0.0)

    async def _list_again(self, sessions: Iterable[Session]) -> None:
        """Reread the contacts of devices."""
        for session in sessions:  # one after the other: there may be thousands
            contacts = await self._roster.contacts_of(session.address.phone)
            if self._here.get(session.address) is session:
                self._presence.watch(session, contacts)

    def announced(self, session: Session, room: RoomId) -> None:
        """Tell the extended caller of a call that a device rings. Failures are ignored."""
        self._transactions.run(events.Announced(room, session.address), nothing, _log_unless_unavailable)

    async def signal(
        self, session: Session, room: RoomId, data: bytes, *, of_page: bool
    ) -> TooLate | NotYours | TooEarly | None:
        """Deliver a signal to the other party of a call, if that has a socket and is extended.

        Returns the reply for the device, if any: it is not in such a call, or its page has to wait for the accept.

        :param data: JSON.
        :param of_page: it is said by the page of the call: seats are taken as always.
        :raises Unavailable: the store cannot be reached, and nothing was delivered.
        """
        device = session.address
        if self._here.get(device) is not session:
            return None
        records = await self._store.read((), (room,))
        call = records.call(room)
        if call is None:
            return TooLate(Reason.EXPIRED) if records.complete else None
        is_late = late(call, device)
        if is_late is not None:
            return is_late
        if not isinstance(call.state, Active):
            return TooEarly() if of_page and device == call.caller else NotYours()
        if not of_page and not call.state.signalled:
            await self._transactions.reply_to(events.Signalled(room, device))
        other = other_party(call, device)
        there = (await self._store.read((other.phone,), ())).device(other)
        if there is not None and there.connected:
            self._bus.publish(there.node, DeviceRelay(other, call.room_for(other), data))
        return None

    def receive(self, message: DeviceRelay) -> None:
        """Deliver a message to its device."""
        session = self._here.get(message.to)
        if session is not None and session.extended:
            session.send(v2.SignalFrom(message.room, Raw(message.data)))
