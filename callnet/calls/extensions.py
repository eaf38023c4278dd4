"""Requests of extended clients (protocol §2.5): signals between the parties, and transfers of calls between devices."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.calls import events
from callnet.calls.ports import IBus, ICallStore, IPreferences, IRoster, Roster
from callnet.calls.presence import ChangeNotices, Presence
from callnet.calls.records import Active, DeviceRelay
from callnet.calls.sessions import DeviceSession, Onlooker
from callnet.calls.switchboard import PerKeyQueue, Transactions, nothing
from callnet.calls.transaction import other_party
from callnet.calls.transitions import NotToBeHad, NotYours, TooLate, late
from callnet.model import Accepted, DeviceAddress, Reason, RoomId, Topic
from callnet.util.deferreds import Soon, begin, logged_unless_unavailable, or_else
from callnet.util.logger import Logger

_OF_LISTS: Final = frozenset({Topic.CONTACTS, Topic.ADDED})
"""The subjects of changes that change who a phone's contacts are."""

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to notify an extended device")


@implementer(IRoster)
class NoRoster:
    """An empty roster: no contacts and no missed calls."""

    def came(self, device: DeviceAddress) -> Deferred[Roster]:  # noqa: ARG002
        """See :meth:`IRoster.came`."""
        return succeed(Roster(frozenset(), ()))

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:  # noqa: ARG002
        """See :meth:`IRoster.contacts_of`."""
        return succeed(frozenset())

    def went(self, device: DeviceAddress) -> None:
        """See :meth:`IRoster.went`."""


NO_ROSTER: Final = NoRoster()


class Extensions:
    """Requests of extended devices, each device's in their order.

    :param here: the newest connections of devices on this node.
    :param notices: tells devices that data of their phones have changed.
    """

    def __init__(
        self,
        store: ICallStore,
        bus: IBus,
        decisions: Transactions,
        queue: PerKeyQueue,
        here: Mapping[DeviceAddress, DeviceSession],
        presence: Presence,
        roster: IRoster,
        preferences: IPreferences,
        notices: ChangeNotices,
    ) -> None:
        self._store = store
        self._bus = bus
        self._transactions = decisions
        self._queue = queue
        self._here = here
        self._presence = presence
        self._roster = roster
        self._preferences = preferences
        self._notices = notices

    def came(self, session: DeviceSession) -> None:
        """Send a newly connected extended device its missed calls, and from now on the presence of its contacts."""
        self._roster.came(session.address).addCallback(self._met, session).addErrback(_log_unless_unavailable)

    def _met(self, found: Roster, session: DeviceSession) -> None:
        if self._here.get(session.address) is session:
            if found.missed:
                session.missed(found.missed)
            self._presence.watch(session, found.contacts)

    def went(self, session: DeviceSession) -> None:
        """Stop telling a lost or displaced device."""
        self._presence.leave(session)
        if self._here.get(session.address) is session:
            self._roster.went(session.address)

    def data_changed(self, changed: Mapping[str, Collection[Topic]] | None) -> None:
        """Tell the devices of these phones of changes, and those that list them of changed profiles; ``None``: anything
        may have changed, and nobody is told.
        """
        if changed is None:
            self.lists_changed(None)
            return
        self.lists_changed([phone for phone, topics in changed.items() if not topics or _OF_LISTS & set(topics)])
        for session in self._presence.onlookers_of(changed):
            topics = changed[session.address.phone]
            if topics:
                self._notices.note(session, topics)
        for phone, topics in changed.items():
            if Topic.PROFILE in topics:
                or_else(begin(self._tell_contacts(phone)), _log_unless_unavailable)

    async def _tell_contacts(self, phone: str) -> None:
        """Tell the devices that list a phone, and may see its profile, that this has changed."""
        policy = await self._preferences.policy_of(phone)
        for onlooker in self._presence.watchers_of(phone):
            if policy.admits(onlooker.address.phone):
                self._notices.note(onlooker, [Topic.CONTACTS])

    def lists_changed(self, phones: Collection[str] | None) -> None:
        """Reread the contacts of these phones, or with ``None`` of all."""
        sessions = self._presence.onlookers_of(phones)
        Deferred.fromCoroutine(self._list_again(sessions)).addErrback(_log_unless_unavailable)

    async def _list_again(self, sessions: Iterable[Onlooker]) -> None:
        for session in sessions:  # one after the other: there may be thousands
            self._list(await self._roster.contacts_of(session.address.phone), session)

    def _list(self, phones: frozenset[str], session: Onlooker) -> None:
        if self._here.get(session.address) is session:
            self._presence.watch(session, phones)

    def announced(self, session: DeviceSession, room: RoomId) -> None:
        """Tell the extended caller of a call that a device rings. Failures are ignored."""
        self._transactions.run(events.Announced(room, session.address), nothing, _log_unless_unavailable)

    def signal(self, session: DeviceSession, room: RoomId, data: bytes) -> Soon[TooLate | NotYours | NotToBeHad | None]:
        """Deliver a signal to the other party of a call, if that has a socket and is extended.

        Returns the reply for the device, if any: it is not in such a call.

        :param data: JSON.
        :raises Unavailable: the store cannot be reached, and nothing was delivered.
        """
        return self._queue.submit(session.address, lambda: self._signal(session, room, data))

    async def _signal(
        self, session: DeviceSession, room: RoomId, data: bytes
    ) -> TooLate | NotYours | NotToBeHad | None:
        device = session.address
        if self._here.get(device) is not session:
            return None
        call = (await self._store.read((), (room,))).call(room)
        if call is None:
            return TooLate(Reason.EXPIRED)
        is_late = late(call, device)
        if is_late is not None:
            return is_late
        if not isinstance(call.state, Active):
            return NotToBeHad(None)
        if not call.state.signalled:
            await self._transactions.reply_to(events.Signalled(room, device))
        other = other_party(call, device)
        there = (await self._store.read((other.phone,), ())).device(other)
        if there is not None and there.connected:
            self._bus.publish(there.node, DeviceRelay(other, call.room_for(other), data))
        return None

    def pull(self, session: DeviceSession, room: RoomId) -> Soon[Accepted | NotToBeHad | None]:
        """Take over a call from another device of the phone.

        :raises Unavailable: the store cannot be reached, and nothing has changed, or the result is unknown.
        """
        return self._queue.submit(session.address, lambda: self._pull(session, room))

    async def _pull(self, session: DeviceSession, room: RoomId) -> Accepted | NotToBeHad | None:
        if self._here.get(session.address) is not session:
            return None
        event = events.Pulled(session.address, room, session.generation)
        reply: Accepted | NotToBeHad | None = await self._transactions.reply_to(event)
        return reply

    def receive(self, message: DeviceRelay) -> None:
        """Deliver a message to its device."""
        session = self._here.get(message.to)
        if session is not None:
            session.signalled(message.room, message.data)
