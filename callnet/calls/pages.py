"""The seated pages of this node."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from callnet.calls import events
from callnet.calls.delivery import ArrivalBuffers
from callnet.calls.outage import Retries
from callnet.calls.ports import ICallStore, SeatSession
from callnet.calls.records import Relay, SeatNotice
from callnet.calls.seats import NoSeat, Seated, SeatReply
from callnet.calls.switchboard import InDoubt, PerKeyQueue, Transactions
from callnet.model import RoomId

_LOOK_AGAIN: Final = 0.25
"""Seconds until a waiting page tries again to get a seat."""


class Pages:
    """The seated and the waiting pages."""

    def __init__(self, store: ICallStore, decisions: Transactions, retries: Retries, queue: PerKeyQueue) -> None:
        self._store = store
        self._transactions = decisions
        self._retries = retries
        self._queue = queue
        self._seated: dict[tuple[RoomId, str], SeatSession] = {}
        self._arrivals: ArrivalBuffers[SeatNotice | Relay] = ArrivalBuffers(self._deliver)

    def take(self, named: RoomId, key: str, page: str, session: SeatSession) -> Deferred[SeatReply]:
        """Give the page load ``page`` a seat. From then on ``session`` is told of changes of the room.

        :param named: the room, which may go by an alias.
        :raises Unavailable: the store cannot be reached, and the page has no seat.
        """
        return self._queue.submit(key, self._take, named, key, page, session)

    async def _take(self, named: RoomId, key: str, page: str, session: SeatSession) -> SeatReply:
        while True:
            reply = await self._try(named, key, page, session)
            if not isinstance(reply, NoSeat) or not reply.may_wait:
                return reply
            session.waits()
            await self._retries.pause(_LOOK_AGAIN)
            if not session.is_open:
                return reply

    async def _try(self, named: RoomId, key: str, page: str, session: SeatSession) -> SeatReply:
        self._arrivals.begin(key)
        try:
            event = events.SeatTaken(named, key, page, self._store.node)
            reply: SeatReply = await self._transactions.reply_to(event)
            if isinstance(reply, Seated):
                session.room, session.generation = reply.seats.room, reply.generation
                self._displace(session.room, key)
                self._seated[session.room, key] = session
                session.deliver(reply.seats, reply.call)
            return reply
        except InDoubt as doubt:  # the seat must not stay taken
            seated: Seated = doubt.reply
            self._retries.keep(events.SeatEmptied(seated.seats.room, key, seated.generation))
            self._displace(seated.seats.room, key)
            raise
        finally:
            self._arrivals.end(key)

    def _displace(self, room: RoomId, key: str) -> None:
        older = self._seated.get((room, key))
        if older is not None:
            older.displaced()

    def leave(self, key: str, session: SeatSession) -> Deferred[None]:
        """Record that the socket of a seated page has closed."""
        return self._queue.submit(key, self._leave, key, session)

    async def _leave(self, key: str, session: SeatSession) -> None:
        room = session.room
        if self._seated.get((room, key)) is not session:
            return
        del self._seated[room, key]
        await self._retries.settle(events.SeatEmptied(room, key, session.generation))

    def hung_up(self, room: RoomId, key: str) -> Deferred[None]:
        """End the call, or the meeting, of a page's room.

        :raises Unavailable: the store cannot be reached, and nothing has ended.
        """
        return self._queue.submit(key, self._transactions.reply_to, events.PageHungUp(room, key))

    def receive(self, message: SeatNotice | Relay) -> None:
        """Deliver a message to its page."""
        if not self._arrivals.keep(message.key, message):
            self._deliver(message)

    def _deliver(self, message: SeatNotice | Relay) -> None:
        room = message.room if isinstance(message, Relay) else message.seats.room
        page = self._seated.get((room, message.key))
        if page is None:
            return
        if isinstance(message, Relay):
            page.relayed(message.sender, message.data)
        else:
            page.deliver(message.seats, message.call)
