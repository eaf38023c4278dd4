"""The operation of one process: its metrics, collected from the parts that count, and its answers to admin commands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import islice
from typing import Any, ClassVar, Final

from msgspec import Struct, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from callnet.accounts.links import Links
from callnet.accounts.logins import Logins
from callnet.accounts.tokens import Revocations
from callnet.app.accounts import Owners, People
from callnet.calls.counts import FailedCall
from callnet.calls.ports import IEndedCalls
from callnet.calls.records import CallRecord
from callnet.calls.rooms import RoomManager
from callnet.model import DeviceAddress, log_name
from callnet.ops.admin_api import (
    AdminCommand,
    AdminResult,
    CallShown,
    ChooseLevel,
    DeviceShown,
    Disconnect,
    EndCall,
    FailureShown,
    LinkShown,
    ListCalls,
    ListDevices,
    ListFailures,
    ListLinks,
    ListNodes,
    Named,
    NodeShown,
    RemoveLink,
    Revoke,
)
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
from callnet.storage.database import Threads
from callnet.storage.links import StoredLink
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger, threshold
from callnet.util.timers import PeriodicRuns
from callnet.web.http import CappedSite
from callnet.ws.device_socket import Peer, SignalingFactory
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


_DONE: Final = AdminResult(done=1)
_NOT_DONE: Final = AdminResult()


class Administered(Struct, frozen=True):
    """Does what it is ordered to do."""

    _log: ClassVar = Logger()

    _rooms: RoomManager
    _devices: SignalingFactory
    _logins: Logins
    _links: Links
    _nodes: Callable[[], Deferred[Sequence[NodeShown]]]

    def execute(self, order: AdminCommand) -> Deferred[AdminResult]:
        """Carry out an order.

        :raises callnet.errors.Unavailable: the database is needed, and away.
        """
        return Deferred.fromCoroutine(_WAYS[type(order)](self, order))

    async def list_calls(self, order: ListCalls) -> AdminResult:
        """Name calls that go on."""
        now = self._rooms.now()
        return AdminResult(calls=[_call(call, now) for call in islice(self._rooms.local_calls.calls(), order.limit)])

    async def list_devices(self, order: ListDevices) -> AdminResult:
        """Name devices that are connected."""
        return AdminResult(devices=[self._device(peer) for peer in islice(self._peers(order.phone), order.limit)])

    async def list_failures(self, order: ListFailures) -> AdminResult:
        """Name calls that failed, the newest first."""
        now = self._rooms.now()
        newest = islice(reversed(self._rooms.counts.recent), order.limit)
        return AdminResult(failures=[_failure(failed, now) for failed in newest])

    async def list_nodes(self, _order: ListNodes) -> AdminResult:
        """Name all nodes."""
        return AdminResult(nodes=await self._nodes())

    async def end_call(self, order: EndCall) -> AdminResult:
        """End a call."""
        for call in self._rooms.local_calls.calls():
            if log_name(call.room) == order.call:
                self._log.info("ending call {call} for the operator", call=order.call)
                await self._rooms.stop_call(call.room)
                return _DONE
        return _NOT_DONE

    async def disconnect(self, order: Disconnect) -> AdminResult:
        """Close the sockets of a device."""
        found = [peer for peer in self._peers(order.phone) if peer.token.device.device_id == order.device_id]
        for peer in found:
            peer.go_away()
        return _DONE if found else _NOT_DONE

    async def revoke(self, order: Revoke) -> AdminResult:
        """Revoke tokens."""
        return _DONE if await self._logins.revoke(DeviceAddress(order.phone, order.device_id)) else _NOT_DONE

    async def list_links(self, order: ListLinks) -> AdminResult:
        """Name the links of a phone."""
        return AdminResult(links=[_link(link) for link in await self._links.of_phone(order.phone)])

    async def remove_link(self, order: RemoveLink) -> AdminResult:
        """Remove a link."""
        return _DONE if await self._links.discard(order.phone, order.link_id) else _NOT_DONE

    async def choose_level(self, order: ChooseLevel) -> AdminResult:
        """Log from another level on."""
        threshold.choose(order.level)
        return _DONE

    def _peers(self, phone: str | None) -> Iterator[Peer]:
        if phone is not None:
            yield from self._devices.phones.of(phone)
            return
        for socket in list(self._devices.sockets):
            if isinstance(socket, Peer) and socket.is_admitted:
                yield socket

    def _device(self, peer: Peer) -> DeviceShown:
        device, session = peer.token.device, peer.session
        call = self._rooms.local_calls.of(device)
        age = max(0.0, self._rooms.now() - session.generation / 1000) if session.generation else 0.0
        name = None if call is None else log_name(call.room)
        return DeviceShown(device.phone, device.device_id, session.extended, age, peer.host, name)


def _link(link: StoredLink) -> LinkShown:
    return LinkShown(link.id, link.name, link.is_on, link.expires_at, link.calls_left, link.made_at, link.last_used_at)


def _call(call: CallRecord, now: float) -> CallShown:
    answered = None if call.answer is None else max(0.0, now - call.answer.since)
    return CallShown(
        log_name(call.room),
        "ringing" if call.answer is None else "active",
        Named(*call.caller),
        Named(*(call.callee or call.target)),
        max(0.0, now - call.placed_at),
        answered,
    )


def _failure(failed: FailedCall, now: float) -> FailureShown:
    name = None if failed.room is None else log_name(failed.room)
    ago = max(0.0, now - failed.at)
    return FailureShown(name, ago, Named(*failed.caller), Named(*failed.target), failed.reason.value)


_WAYS: Final[dict[type, Callable[[Administered, Any], Coroutine[Any, Any, AdminResult]]]] = {
    ListCalls: Administered.list_calls,
    ListDevices: Administered.list_devices,
    ListFailures: Administered.list_failures,
    ListNodes: Administered.list_nodes,
    EndCall: Administered.end_call,
    Disconnect: Administered.disconnect,
    Revoke: Administered.revoke,
    ListLinks: Administered.list_links,
    RemoveLink: Administered.remove_link,
    ChooseLevel: Administered.choose_level,
}
