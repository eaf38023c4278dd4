"""What only extended clients ask for (protocol §2.5): what they say to each other, and calls that change devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from twisted.logger import Logger
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.call import NotYours, TooLate, late
from callnet.calls.decisions import Decisions
from callnet.calls.draft import other_party
from callnet.calls.extended_rules import NotToBeHad, PullReply
from callnet.calls.sessions import DeviceSession
from callnet.calls.turns import Turns
from callnet.errors import Unavailable
from callnet.interfaces import IBus, ICallStore
from callnet.model import DeviceAddress, RoomId
from callnet.records import CallState, DeviceRelay
from callnet.soon import Soon, begin, or_else

log = Logger()


class Extensions:
    """These are, like everything else that a device asks for, done in the order in which it asks.

    :param here: the newest connections of devices on this node.
    """

    def __init__(
        self,
        store: ICallStore,
        bus: IBus,
        decisions: Decisions,
        turns: Turns,
        here: Mapping[DeviceAddress, DeviceSession],
    ) -> None:
        self._store = store
        self._bus = bus
        self._decisions = decisions
        self._turns = turns
        self._here = here

    def announced(self, session: DeviceSession, room: RoomId) -> None:
        """Have the extended caller of a call told that a device rings. If that cannot be, nobody misses it."""
        or_else(begin(self._decisions.settle(events.Announced(room, session.address))), _log_unless_unavailable)

    def signal(self, session: DeviceSession, room: RoomId, data: bytes) -> Soon[TooLate | NotYours | NotToBeHad | None]:
        """Hand what a party of a call says to the other, if that has a socket and is extended.

        Answers with what the device is to be told, if anything: it is not in such a call.

        :param data: JSON.
        :raises Unavailable: the store cannot be reached, and nothing was handed over.
        """
        return self._turns.take(session.address, lambda: self._signal(session, room, data))

    async def _signal(
        self, session: DeviceSession, room: RoomId, data: bytes
    ) -> TooLate | NotYours | NotToBeHad | None:
        device = session.address
        if self._here.get(device) is not session:
            return None
        call = (await self._store.read((), (room,))).calls.get(room)
        is_late = late(call, device)
        if is_late is not None or call is None:
            return is_late
        if call.state is not CallState.ACTIVE:
            return NotToBeHad(None)
        if not call.signalled:
            await self._decisions.settle(events.Signalled(room, device))
        other = other_party(call, device)
        there = (await self._store.read((other.phone,), ())).device(other)
        if there is not None and there.connected:
            self._bus.publish(there.node, DeviceRelay(other, room, data))
        return None

    def pull(self, session: DeviceSession, room: RoomId) -> Soon[PullReply]:
        """Take over a call that another device of the phone is in.

        :raises Unavailable: the store cannot be reached, and nothing has changed, or it is not known.
        """
        return self._turns.take(session.address, lambda: self._pull(session, room))

    async def _pull(self, session: DeviceSession, room: RoomId) -> PullReply:
        if self._here.get(session.address) is not session:
            return None
        event = events.Pulled(session.address, room, session.generation)
        return cast(PullReply, (await self._decisions.settle(event)).reply)  # that is what its rule answers

    def receive(self, message: DeviceRelay) -> None:
        """Hand a message to the device that it is for."""
        session = self._here.get(message.to)
        if session is not None:
            session.signalled(message.room, message.data)


def _log_unless_unavailable(failure: Failure) -> None:
    if not failure.check(Unavailable):
        log.failure("telling a caller that it rings", failure)
