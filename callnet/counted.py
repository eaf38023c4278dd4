"""All that one process has counted, composed from where it is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from callnet.calls.rooms import RoomManager
from callnet.operations.certificates import ServerTls
from callnet.operations.deliveries import Deliveries
from callnet.operations.histogram import Histogram
from callnet.operations.ice_servers import IceServers
from callnet.operations.lag import Lag
from callnet.operations.metrics import (
    Family,
    of_calls,
    of_certificate,
    of_numbers,
    of_sockets,
    of_times,
    of_turn,
    of_wakes,
)
from callnet.push.waker import Waker
from callnet.storage.threads import Threads
from callnet.web.http import CappedSite
from callnet.websocket import ServerSocketFactory


class Counted(Struct, frozen=True):
    """The parts of a process that count something."""

    rooms: RoomManager
    devices: ServerSocketFactory
    pages: ServerSocketFactory
    sites: Sequence[CappedSite]
    waker: Waker
    ice: IceServers
    tls: ServerTls
    deliveries: Sequence[Deliveries]
    threads: Threads
    round_trips: Histogram | None
    """With Redis, if there is one."""
    lag: Lag

    def families(self) -> Iterator[Family]:
        """All of it."""
        yield from of_calls(self.rooms.counts)
        yield of_sockets({"device": len(self.devices.sockets), "page": len(self.pages.sockets)})
        yield of_numbers(
            "callnet_handshakes_refused",
            "WebSockets that were not opened, by status of HTTP.",
            "status",
            self.devices.refused + self.pages.refused,
        )
        yield of_numbers(
            "callnet_sockets_closed",
            "WebSockets that were closed by callnet, by close code: 4413 reads too slowly, 4429 sends too much.",
            "code",
            self.devices.closed + self.pages.closed,
        )
        yield of_numbers(
            "callnet_http_answers",
            "Answers of the account service and the site, by status.",
            "status",
            sum((site.answers for site in self.sites), Counter()),
        )
        yield from of_turn(self.ice.given, self.ice.refused)
        yield of_wakes(self.waker.counts)
        for delivery in self.deliveries:
            yield delivery.counted()
        yield of_times("callnet_loop_lag_seconds", "How late the event loop was.", self.lag.took)
        yield of_times("callnet_database_seconds", "How long the database took to answer.", self.threads.took)
        if self.round_trips is not None:
            yield of_times("callnet_redis_seconds", "How long Redis took to answer.", self.round_trips)
        yield of_certificate(self.tls.expires)
