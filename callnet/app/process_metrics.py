"""All metrics of one process, collected from the parts that count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Final

from msgspec import Struct, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from callnet.accounts.tokens import Revocations
from callnet.app.accounts import Owners, People
from callnet.calls.ports import IEndedCalls
from callnet.calls.rooms import RoomManager
from callnet.ops.certificates import ServerTls
from callnet.ops.ice import IceServers
from callnet.ops.logs import log_queue
from callnet.ops.metrics import (
    Family,
    Kind,
    of_build,
    of_calls,
    of_certificate,
    of_log,
    of_media,
    of_number,
    of_numbers,
    of_orders,
    of_sockets,
    of_times,
    of_turn,
    of_unfinished,
)
from callnet.ops.turn_handover import TurnHandover
from callnet.storage.threads import Threads
from callnet.util.histogram import Histogram
from callnet.util.timers import PeriodicRuns
from callnet.web.http import CappedSite
from callnet.ws.factory import ServerSocketFactory

LAG_EVERY: Final = 0.5
"""Seconds between two looks at the lag."""


class Lag:
    """The delay of the event loop, looked at again and again."""

    def __init__(self, clock: IReactorTime) -> None:
        self.took = Histogram()
        """By how many seconds it was late."""
        self._clock = clock
        self._rounds = PeriodicRuns(self._look, clock, LAG_EVERY)

    def start(self) -> None:
        """Begin."""
        self._due = self._clock.seconds()
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Come to an end."""
        return self._rounds.stop()

    def _look(self) -> Deferred[None]:
        now = self._clock.seconds()
        self.took.count(max(0.0, now - self._due))
        self._due = now + LAG_EVERY
        return succeed(None)


_OF_SOCKETS: Final[Sequence[tuple[str, str, Kind, Callable[[ServerSocketFactory], int]]]] = (
    ("callnet_frames_received", "WebSocket text messages received.", "counter", lambda each: each.frames_received),
    ("callnet_frames_sent", "WebSocket text messages sent.", "counter", lambda each: each.frames_sent),
    (
        "callnet_bytes_received",
        "Bytes in WebSocket text messages received.",
        "counter",
        lambda each: each.bytes_received,
    ),
    ("callnet_bytes_sent", "Bytes in WebSocket text messages sent.", "counter", lambda each: each.bytes_sent),
    (
        "callnet_sockets_not_reading",
        "WebSockets whose clients have stopped reading.",
        "gauge",
        lambda each: each.not_reading,
    ),
    (
        "callnet_bytes_unread",
        "Bytes buffered for clients that have stopped reading.",
        "gauge",
        lambda each: each.unread,
    ),
)


class Counted(Struct, frozen=True):
    """The parts of a process that count something."""

    rooms: RoomManager
    devices: ServerSocketFactory
    pages: ServerSocketFactory
    sites: Sequence[CappedSite]
    turn: TurnHandover
    owners: Owners
    people: People
    ice: IceServers
    tls: ServerTls
    orders: Mapping[str, int]
    """Of certificates, by outcome."""
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
        yield from of_calls(counts.placed, counts.answered, counts.failed, counts.ended)
        yield of_unfinished(self.rooms.local_calls.placed_here())
        yield of_number(
            "callnet_ended_calls_dropped",
            "Ended calls dropped from the history because too many waited for the database.",
            self.ended.dropped,
        )
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
        yield from self._of_sockets()
        yield from self._of_http()
        yield from self._of_turn_connections()
        yield of_number(
            "callnet_postponed",
            "Requests and frames deferred to a later turn of the event loop because too many arrived at once.",
            self.devices.budget.postponed,
        )
        yield from of_turn(self.ice.given, self.ice.refused)
        yield from self._of_accounts()
        yield of_times("callnet_loop_lag_seconds", "Delay of the event loop.", self.lag.took)
        yield of_times("callnet_database_seconds", "Time until the database answered.", self.threads.took)
        if self.round_trips is not None:
            yield of_times("callnet_redis_seconds", "Time until Redis answered.", self.round_trips)
        yield from self.relay()
        yield of_log(log_queue.dropped)
        yield from of_certificate(self.tls.expires, self.tls.near_expiry)
        yield of_orders(self.orders)

    def _of_sockets(self) -> Iterator[Family]:
        kinds = {"device": self.devices, "page": self.pages}
        yield of_sockets({kind: len(factory.sockets) for kind, factory in kinds.items()})
        for name, help_, of_kind, number in _OF_SOCKETS:
            yield of_numbers(name, help_, "kind", {kind: number(factory) for kind, factory in kinds.items()}, of_kind)
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

    def _of_http(self) -> Iterator[Family]:
        yield of_numbers(
            "callnet_http_answers",
            "HTTP responses of the account service and the site, by status.",
            "status",
            sum((site.answers for site in self.sites), Counter()),
        )
        yield of_number(
            "callnet_http_connections",
            "Open HTTP connections to the account service and the site.",
            sum(site.connections for site in self.sites),
            "gauge",
        )
        yield of_numbers(
            "callnet_http_connections_refused",
            "HTTP connections refused, by status: 429 too many from an address, 503 too many in total.",
            "status",
            sum((site.refused for site in self.sites), Counter()),
        )

    def _of_turn_connections(self) -> Iterator[Family]:
        turn, handed, taken = self.turn, "callnet_turn_connections", "Connections that the TURN server has taken."
        yield of_number(handed, "Open connections handed to the TURN server.", turn.connections, "gauge")
        yield of_number(f"{handed}_accepted", taken, turn.accepted)
        yield of_numbers(
            f"{handed}_refused",
            "Connections of TURN clients refused, by status: 429 too many from an address, 503 too many in total, "
            "502 the TURN server is away.",
            "status",
            turn.refused,
        )

    def _of_accounts(self) -> Iterator[Family]:
        wakes = {became.value: number for became, number in self.owners.waker.counts.items()}
        yield of_numbers("callnet_wakes", "Attempts to wake a device for a call, by outcome.", "outcome", wakes)
        yield of_number(
            "callnet_new_devices_refused",
            "New devices refused because their phone had the maximum number.",
            self.owners.accounts.refused,
        )
        yield of_number(
            "callnet_unused_devices_forgotten",
            "Unused devices removed that were created by logins.",
            self.owners.accounts.forgotten,
        )
        yield of_numbers(
            "callnet_pairings",
            "Pairings begun, accepted and refused, and those that were too many.",
            "outcome",
            self.people.pairings.counts,
        )
        yield of_numbers(
            "callnet_guest_calls",
            "Calls of guests by links that ring, by outcome.",
            "outcome",
            self.rooms.counts.of_guests,
        )
        yield of_numbers(
            "callnet_guest_calls_not_rung",
            "Calls and entries of guests that rang nobody, by cause: silent link, limit, too many from an address.",
            "cause",
            self.owners.guests.not_rung,
        )
        yield of_number(
            "callnet_photos_stored",
            "Photos stored for phones, and for their contacts.",
            self.people.profiles.photos + self.people.lists.photos,
        )
        if self.people.deliveries is not None:
            yield self.people.deliveries.counted()
        known = self.revocations.count
        yield of_number("callnet_revocations", "Token revocations known to this process.", known, "gauge")
