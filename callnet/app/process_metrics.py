"""All metrics of one process, collected from the parts that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from msgspec import Struct, field

from callnet.accounts.guests import Guests
from callnet.accounts.pairing import Pairings
from callnet.accounts.profiles import Profiles
from callnet.accounts.revocations import Revocations
from callnet.calls.ports import IEndedCalls
from callnet.calls.rooms import RoomManager
from callnet.ops.certificates import ServerTls
from callnet.ops.ice import IceServers
from callnet.ops.lag import Lag
from callnet.ops.logs import log_queue
from callnet.ops.metrics import (
    Family,
    Sample,
    of_build,
    of_calls,
    of_certificate,
    of_dropped,
    of_kinds,
    of_log,
    of_media,
    of_newcomers,
    of_numbers,
    of_orders,
    of_sockets,
    of_times,
    of_turn,
    of_unfinished,
    of_wakes,
)
from callnet.ops.turn_handover import TurnHandover
from callnet.ops.webhooks import Deliveries
from callnet.push.sender import Waker
from callnet.storage.enrolling import SqlAccounts
from callnet.storage.threads import Threads
from callnet.util.histogram import Histogram
from callnet.web.http import CappedSite
from callnet.ws import ServerSocketFactory

_OF_SOCKETS: Final[Sequence[tuple[str, str, Callable[[ServerSocketFactory], int]]]] = (
    ("callnet_frames_received", "WebSocket text messages received.", lambda factory: factory.frames_received),
    ("callnet_frames_sent", "WebSocket text messages sent.", lambda factory: factory.frames_sent),
    ("callnet_bytes_received", "Bytes in WebSocket text messages received.", lambda factory: factory.bytes_received),
    ("callnet_bytes_sent", "Bytes in WebSocket text messages sent.", lambda factory: factory.bytes_sent),
)


class Counted(Struct, frozen=True):
    """The parts of a process that count something."""

    rooms: RoomManager
    devices: ServerSocketFactory
    pages: ServerSocketFactory
    sites: Sequence[CappedSite]
    turn: TurnHandover
    waker: Waker
    accounts: SqlAccounts
    profiles: Profiles
    pairings: Pairings
    guests: Guests
    ice: IceServers
    tls: ServerTls
    orders: Mapping[str, int]
    """Of certificates, by outcome."""
    deliveries: Sequence[Deliveries]
    threads: Threads
    ended: IEndedCalls
    round_trips: Histogram | None
    """With Redis, if there is one."""
    lag: Lag
    revocations: Revocations
    relay: Callable[[], Sequence[Family]]
    """The metrics of the relay that this process runs."""
    build: Family = field(default_factory=lambda: of_build(version("callnet")))

    def families(self) -> Iterator[Family]:
        """All of it."""
        counts = self.rooms.counts
        yield self.build
        yield from of_calls(counts)
        yield of_unfinished(self.rooms.local_calls.placed_here())
        yield of_dropped(self.ended.dropped)
        yield of_times("callnet_call_rang_after_seconds", "Time until devices rang.", counts.rang_after)
        yield of_times(
            "callnet_call_answered_after_seconds",
            "Time that calls rang until they were answered.",
            counts.answered_after,
        )
        yield from of_media(
            counts.media_setup.items(),
            counts.media_failed,
            counts.media_failed_without_relay,
            counts.media_failed_relay_unreachable,
        )
        kinds = {"device": self.devices, "page": self.pages}
        yield of_sockets({kind: len(factory.sockets) for kind, factory in kinds.items()})
        for name, help_, number in _OF_SOCKETS:
            yield of_kinds(name, help_, {kind: number(factory) for kind, factory in kinds.items()})
        not_reading = {kind: factory.not_reading for kind, factory in kinds.items()}
        yield of_kinds(
            "callnet_sockets_not_reading", "WebSockets whose clients have stopped reading.", not_reading, "gauge"
        )
        unread = {kind: factory.unread for kind, factory in kinds.items()}
        yield of_kinds("callnet_bytes_unread", "Bytes buffered for clients that have stopped reading.", unread, "gauge")
        yield of_numbers(
            "callnet_handshakes_refused",
            "WebSocket handshakes refused, by HTTP status.",
            "status",
            self.devices.refused + self.pages.refused,
        )
        yield of_numbers(
            "callnet_sockets_closed",
            "WebSockets closed by callnet, by close code: 4413 reads too slowly, 4429 sends too much.",
            "code",
            self.devices.closed + self.pages.closed,
        )
        yield of_numbers(
            "callnet_http_answers",
            "HTTP responses of the account service and the site, by status.",
            "status",
            sum((site.answers for site in self.sites), Counter()),
        )
        yield Family(
            "callnet_http_connections",
            "Open HTTP connections to the account service and the site.",
            [Sample("", sum(site.connections for site in self.sites))],
            kind="gauge",
        )
        yield of_numbers(
            "callnet_http_connections_refused",
            "HTTP connections refused, by status: 429 too many from an address, 503 too many in total.",
            "status",
            sum((site.refused for site in self.sites), Counter()),
        )
        open_now = [Sample("", self.turn.connections)]
        yield Family("callnet_turn_connections", "Open connections handed to the TURN server.", open_now, kind="gauge")
        accepted = [Sample("", self.turn.accepted)]
        yield Family("callnet_turn_connections_accepted", "Connections that the TURN server has taken.", accepted)
        yield of_numbers(
            "callnet_turn_connections_refused",
            "Connections of TURN clients refused, by status: 429 too many from an address, 503 too many in total, "
            "502 the TURN server is away.",
            "status",
            self.turn.refused,
        )
        yield Family(
            "callnet_postponed",
            "Requests and frames deferred to a later turn of the event loop because too many arrived at once.",
            [Sample("", self.devices.budget.postponed)],
        )
        yield from of_turn(self.ice.given, self.ice.refused)
        yield of_wakes(self.waker.counts)
        yield from of_newcomers(self.accounts.refused, self.accounts.forgotten)
        pairings = [Sample(outcome, number) for outcome, number in self.pairings.counts.items()]
        yield Family("callnet_pairings", "Pairings begun, accepted and refused.", pairings, "outcome")
        guests = [Sample(outcome, number) for outcome, number in counts.of_guests.items()]
        yield Family("callnet_guest_calls", "Calls of guests by links that ring, by outcome.", guests, "outcome")
        not_rung = [Sample(cause, number) for cause, number in self.guests.not_rung.items()]
        yield Family(
            "callnet_guest_calls_not_rung",
            "Calls of guests that rang nobody, by cause: link does not ring, limit exceeded.",
            not_rung,
            "cause",
        )
        yield Family("callnet_photos_stored", "Photos stored for phones.", [Sample("", self.profiles.photos)])
        for delivery in self.deliveries:
            yield delivery.counted()
        known = [Sample("", self.revocations.count)]
        yield Family("callnet_revocations", "Token revocations known to this process.", known, kind="gauge")
        yield of_times("callnet_loop_lag_seconds", "Delay of the event loop.", self.lag.took)
        yield of_times("callnet_database_seconds", "Time until the database answered.", self.threads.took)
        if self.round_trips is not None:
            yield of_times("callnet_redis_seconds", "Time until Redis answered.", self.round_trips)
        yield from self.relay()
        yield of_log(log_queue.dropped)
        yield from of_certificate(self.tls.expires, self.tls.near_expiry)
        yield of_orders(self.orders)
