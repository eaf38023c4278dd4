"""The pages of this node, each at the door of a room or in one of its seats (docs/room.md)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Final, Literal

from msgspec import Raw
from msgspec.json import Encoder
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.counts import CallCounts, LocalCalls
from callnet.calls.delivery import ArrivalBuffers
from callnet.calls.outage import Retries
from callnet.calls.ports import IBus, ICallStore, IPeer, Servers
from callnet.calls.records import Active, CallRecord, Relay, SeatNotice, SeatsRecord
from callnet.calls.seats import FULL, NoSeat, RoomOver, RoomView, Seated, SeatReply, view
from callnet.calls.switchboard import InDoubt, PerKeyQueue, Transactions
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.frames import page
from callnet.frames.ice import IceServer
from callnet.model import CloseCode, RoomId
from callnet.util.logger import Logger

_LOOK_AGAIN: Final = 0.25
"""Seconds until a waiting page tries again to get a seat."""
_NONE: Final = (-1, 0)
"""The age of a missing call."""

log = Logger()
_encode = Encoder().encode


class Pages:
    """The seated and the waiting pages."""

    def __init__(
        self,
        store: ICallStore,
        bus: IBus,
        settings: CallSettings,
        decisions: Transactions,
        retries: Retries,
        queue: PerKeyQueue,
        counts: CallCounts,
        local_calls: LocalCalls,
    ) -> None:
        self.now: Final = store.now
        self.publish: Final = bus.publish
        self.settings: Final = settings
        self.counts: Final = counts
        self.local_calls: Final = local_calls
        self._store = store
        self._transactions = decisions
        self._retries = retries
        self._queue = queue
        self._seated: dict[tuple[RoomId, str], PageSession] = {}
        self._arrivals: ArrivalBuffers[SeatNotice | Relay] = ArrivalBuffers(self._deliver)

    def take(self, named: RoomId, key: str, page: str, session: PageSession) -> Deferred[SeatReply]:
        """Give the page load ``page`` a seat. From then on ``session`` is told of changes of the room.

        :param named: the room, which may go by an alias.
        :raises Unavailable: the store cannot be reached, and the page has no seat.
        """
        return self._queue.submit(key, self._take, named, key, page, session)

    async def _take(self, named: RoomId, key: str, page: str, session: PageSession) -> SeatReply:
        while True:
            reply = await self._try(named, key, page, session)
            if not isinstance(reply, NoSeat) or not reply.may_wait:
                return reply
            session.waits()
            await self._retries.pause(_LOOK_AGAIN)
            if not session.is_open:
                return reply

    async def _try(self, named: RoomId, key: str, page: str, session: PageSession) -> SeatReply:
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

    def leave(self, key: str, session: PageSession) -> Deferred[None]:
        """Record that the socket of a seated page has closed."""
        return self._queue.submit(key, self._leave, key, session)

    async def _leave(self, key: str, session: PageSession) -> None:
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
        session = self._seated.get((room, message.key))
        if session is None:
            return
        if isinstance(message, Relay):
            session.relayed(message.sender, message.data)
        else:
            session.deliver(message.seats, message.call)


class PageSession:
    """The session of a page. It has no seat before it has joined and after it has left.

    :param site: the origin of the page for rate limits.
    """

    def __init__(self, pages: Pages, peer: IPeer, ice: Servers, site: str | None) -> None:
        self._pages: Final = pages
        self._peer: Final = peer
        self.generation = 0
        self.room = RoomId("")
        self.is_open = True
        self._joined: page.Join | None = None
        self._view: RoomView | None = None
        self._answer: Active | None = None
        """That of the call in the room: there is none in a room made up by hand."""
        self._version = 0, _NONE
        self._ice: Final = ice
        self._site: Final = site
        self._servers: Sequence[IceServer] = ()
        self._ask_at = -inf
        """The time at which the ICE servers must be asked for again."""
        self._has_told_of_media = False

    # From the socket

    def received(self, payload: bytes) -> None:
        """Handle one frame. An invalid frame closes the socket, since callnet serves the page."""
        try:
            frame = page.decode_page(payload)
        except page.BadPageFrame:
            self._peer.close(CloseCode.BAD_FRAMES, "bad frame")
            return
        joined = self._joined
        if isinstance(frame, page.Join):
            self._join(frame)
        elif joined is None:
            self._peer.close(CloseCode.BAD_FRAMES, "join first")
        elif isinstance(frame, page.RelayTo):
            self._relay(joined, frame)
        elif isinstance(frame, page.Hangup):
            self._pages.hung_up(RoomId(joined.room_id), joined.key).addErrback(self._failed)
        else:
            self._ping(frame.media)

    def closed(self) -> None:
        """Leave the seat."""
        self.is_open = False
        if self._joined is not None:
            self._pages.leave(self._joined.key, self).addErrback(self._failed)

    def _join(self, frame: page.Join) -> None:
        if self._joined is not None:
            self._peer.close(CloseCode.BAD_FRAMES, "joined already")
            return
        if not page.is_room_name(frame.room_id):
            self._refuse("invalid")
            return
        self._joined = frame
        taken = self._pages.take(RoomId(frame.room_id), frame.key, frame.session, self)
        taken.addCallback(self._taken).addErrback(self._failed)

    def _taken(self, reply: SeatReply) -> None:
        if isinstance(reply, NoSeat):
            self._refuse(reply.reason)
        elif isinstance(reply, RoomOver):
            self._send(page.Room("ended", reply.reason, None, ()))

    def _ping(self, media: page.MediaSetup | None) -> None:
        """Answer a ping, and send fresh ICE servers if it is time."""
        if media is not None:
            self._count(media)
        before = self._servers
        if self._view is not None and self._view.state == "meeting" and self._fresh_servers() != before:
            self._show(self._view)
        self._send(page.Pong())

    def _count(self, media: page.MediaSetup) -> None:
        """Count the media setup of a page: once for each socket, and only if another page is in the room."""
        if not self._has_told_of_media and self._view is not None and self._view.peer is not None:
            self._has_told_of_media = True
            self._pages.counts.connected(media)

    def _relay(self, joined: page.Join, frame: page.RelayTo) -> None:
        peer = None if self._view is None else self._view.peer
        if peer is not None and peer.session == frame.to:
            message = Relay(self.room, peer.node, peer.key, joined.session, bytes(frame.data))
            self._pages.publish(peer.node, message)

    def is_in_call(self) -> bool:
        """Return whether the page has a seat in a live call, or in a meeting with another page."""
        return self._view is not None and self._pages.local_calls.fills(self.room)

    # From the room

    def deliver(self, seats: SeatsRecord, call: CallRecord | None) -> None:
        """Send the state of the room, unless a newer one was sent or nothing visible changed."""
        version = seats.version, _NONE if call is None else call.age
        if self._joined is None or version <= self._version:
            return
        self._version = version
        if self._joined.key not in (seat.key for seat in seats.taken):
            self._refuse(FULL)  # the store lost its records, and other pages were faster
            return
        seen = view(seats, call, self._joined.key)
        if seen != self._view:
            self._view, self._answer = seen, None if call is None else call.answer
            self._show(seen)

    def waits(self) -> None:
        """Tell the page once that it has no seat yet."""
        if self._view is None:
            self._view = RoomView("waiting", "", None)
            self._show(self._view)

    def relayed(self, sender: str, data: bytes) -> None:
        """Deliver a message of the other page."""
        self._send(page.RelayFrom(sender, Raw(data)))

    def displaced(self) -> None:
        """Close: a newer socket holds the seat."""
        self._peer.close(CloseCode.DISPLACED, "opened elsewhere")

    # To the socket

    def _show(self, seen: RoomView) -> None:
        peer = None if seen.peer is None else page.PeerPage(seen.peer.session, seen.peer.empty_since is None)
        answer = self._answer
        elapsed = None if peer is None or answer is None else max(0.0, self._pages.now() - answer.since)
        # Servers are offered only while the two pages may meet.
        servers = self._fresh_servers() if seen.state == "meeting" else ()
        self._send(page.Room(seen.state, seen.reason, peer, servers, elapsed))

    def _fresh_servers(self) -> Sequence[IceServer]:
        """The ICE servers for the page, which change when they expire.

        In the room of a call TURN credentials expire no later than the call must end. A room made up by hand, which
        anybody can do, has none unless the operator enables it.
        """
        now = self._pages.now()
        if now >= self._ask_at:
            if self._answer is None:
                told = self._ice.for_made_up_room(self._site)
            else:
                told = self._ice.for_call(self._site, self._answer.since + self._pages.settings.longest - now)
            self._servers, self._ask_at = told.servers, now + told.good_for
        return self._servers

    def _send(self, message: page.PageMessage) -> None:
        self._peer.send(_encode(message))

    def _refuse(self, reason: page.SeatRefusal | Literal["invalid"]) -> None:
        self._send(page.RefusedSeat(reason))
        self._peer.close(CloseCode.NO_SEAT, "no seat")

    def _failed(self, failure: Failure) -> None:
        if not failure.check(Unavailable):
            log.failure("failed to handle a page's request", failure)
        self._peer.close(CloseCode.INTERNAL_ERROR, "try again")
