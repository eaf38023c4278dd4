"""Requests of a node to the shared store, in terms of the scripts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from msgspec import Struct
from msgspec.msgpack import Decoder
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from callnet.calls.ports import BusMessage, Ended
from callnet.calls.records import DeviceRecord, Records
from callnet.model import RoomId
from callnet.redis import codec
from callnet.redis.batch import Batch, Link
from callnet.store.tables import Record

DECISION_TIME: Final = 1.5
"""Seconds after which a commit that reaches Redis has no effect."""
SWEPT_AT_ONCE: Final = 1000
"""Records that one beat brings of what nobody else looks at."""
_CLOSE_ENOUGH: Final = 0.002
"""Seconds by which the estimate of Redis' clock may be off before it is corrected: time should not jump about."""


class Differences(Struct, frozen=True):
    """Records that are not as this node knows them: all of these phones and rooms."""

    phones: Sequence[str]
    rooms: Sequence[RoomId]
    records: Records


class NodeSeen(Struct, frozen=True):
    """A node, as the shared store knows it."""

    name: str
    lease: float
    """For how many seconds it is surely alive; less than 0: it is not, since then."""
    holds: int
    """Devices and pages, and what else it looks after."""


class Counted(Struct, frozen=True, array_like=True):
    """The events that this node has let through, of one key of a limit."""

    key: str
    seconds: float
    """Seconds for which that many may not come again."""
    known_from: float
    """The lead, in seconds, that every node should know."""


class Exchanged(Struct, frozen=True, array_like=True):
    """The events that all nodes have let through."""

    ahead: Sequence[float]
    """The lead of each key in seconds, in the order in which they were sent."""
    sockets: Sequence[int]
    """The number of sockets that other nodes have for each address, in the order in which they were sent."""
    used_up: Sequence[tuple[str, float]]
    """Keys that every node should know, and how many seconds each is ahead."""


_exchanged: Final = Decoder(Exchanged).decode


class SharedClock:
    """The clock that all nodes share: Redis', by the node's own clock and its distance to that one."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ahead: float | None = None

    @property
    def is_set(self) -> bool:
        """True if the store has ever answered."""
        return self._ahead is not None

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock.seconds() + (self._ahead or 0.0)

    def set(self, now: float, asked_at: float) -> None:
        """Take note that the store's clock said ``now``, when asked at ``asked_at`` by the node's own clock."""
        ahead = now - (asked_at + self._clock.seconds()) / 2
        if self._ahead is None or abs(ahead - self._ahead) > _CLOSE_ENOUGH:
            self._ahead = ahead


class Questions:
    """Asks. Every answer may fail with :class:`callnet.errors.Unavailable`.

    :param prefix: what every key and channel begins with.
    """

    def __init__(self, link: Link, prefix: str, node: str, clock: IReactorTime, time: SharedClock) -> None:
        self._link = link
        self._prefix = prefix.encode()
        self._clock = clock
        self._time = time
        self.node = node
        """The present name of this node."""
        self.commits: Final = Batch(link, "commit", self._commit_head, clock, bytes)
        """Takes what :func:`callnet.redis.codec.encode_changes` makes; fires with what ``commit.lua`` answers, or
        ``None``: this node is not known."""
        self._reads = Batch(link, "read", self._head, clock, codec.decode_view, merges=True)

    @property
    def unanswered(self) -> int:
        """The number of reads and commits in flight."""
        return self._reads.unanswered + self.commits.unanswered

    def read(self, phones: Collection[str], rooms: Collection[RoomId]) -> Deferred[Records | None]:
        """Fires with the records; ``None``: this node is not known."""
        return self._reads.ask((codec.encode((tuple(phones), tuple(rooms))),), len(phones) + len(rooms))

    async def hello(self, old: str, new: str, run: str, knows_run: bool) -> bool:
        """Introduce the node, which is called ``old``, or ``new`` if that is not known here any more.

        Tells whether it keeps the old name.
        """
        asked_at = self._clock.seconds()
        expected = f"{self._time.now():.6f}" if self._time.is_set else ""
        arguments = (old, new, run, "1" if knows_run else "", expected)
        now, keeps = await self._link.run("hello", self._prefix, *map(str.encode, arguments))
        self._time.set(float(now), asked_at)
        return bool(keeps)

    async def beat(self, sweeps: bool) -> Sequence[Record] | None:
        """Renew the lease. Tells what this node is to look at; ``None``: it is not known, or its lease was over.

        :param sweeps: whether it can look at anything now.
        """
        asked_at = self._clock.seconds()
        answer = await self._link.run("beat", *self._head(), str(SWEPT_AT_ONCE if sweeps else 0).encode())
        if not answer:
            return None
        now, swept = answer
        self._time.set(float(now), asked_at)
        return codec.decode_swept(swept) if swept else ()

    async def compare(
        self, devices: Sequence[DeviceRecord], rooms: Sequence[RoomId], records: Records
    ) -> Differences | None:
        """Tell what of these is not as ``records`` have it. ``None``: this node is not known."""
        answer = await self._link.run("compare", *self._head(), codec.encode_known(devices, rooms, records))
        if not answer:
            return None
        phones, differing, view = answer
        names = [RoomId(room) for room in codec.decode_names(differing)]
        return Differences(codec.decode_names(phones), names, codec.decode_view(view))

    def take_ended(self, most: int, kept_max: int) -> Deferred[tuple[int, Sequence[Ended]]]:
        """Fires with ended calls, up to the given number, that nobody else is about to write.

        Before them comes how many were dropped because more than ``kept_max`` were kept.
        """
        taken = self._link.run("ended", self._prefix, b"%d" % most, b"%d" % kept_max)
        return taken.addCallback(
            lambda found: (found[0], [Ended(codec.decode_ended(value), value) for value in found[1]])
        )

    def done_with(self, ended: Sequence[bytes]) -> Deferred[object]:
        """Have these be handed out no more, as they were."""
        return self._link.run("ended", self._prefix, b"0", b"0", *ended)

    def nodes(self) -> Deferred[Sequence[NodeSeen]]:
        """Fires with the nodes that are known."""
        found = self._link.run("nodes", self._prefix)
        return found.addCallback(
            lambda nodes: [NodeSeen(name.decode(), float(lease), holds) for name, lease, holds in nodes]
        )

    def publish(self, node: str, message: BusMessage) -> Deferred[object]:
        """Hand a message to a node. Whether it came there is not known."""
        return self._link.run("publish", self._prefix, node.encode(), codec.encode_message(message))

    async def take(self, limits: Sequence[tuple[str, float, float]]) -> tuple[int, float] | None:
        """Count one more for each of these limits, until one has too many: tells which, and how many seconds ahead
        it is.

        :param limits: of each its key, the seconds after which one more may come, and those in which as many as
            may come at once.
        """
        words = [word for key, spacing, window in limits for word in (key, f"{spacing:.6f}", f"{window:.6f}")]
        answer = await self._link.run("take", self._prefix, *map(str.encode, words))
        return (answer[0], float(answer[1])) if answer else None

    async def exchange(self, counted: Sequence[Counted], sockets: Sequence[tuple[str, int]]) -> Exchanged:
        """Tell what this node has let through, and how many sockets it has from addresses."""
        said = codec.encode((counted, sockets))
        return _exchanged(await self._link.run("exchange", self._prefix, self._name(), said))

    def leave(self) -> Deferred[object]:
        """Say that this node is gone."""
        return self._link.run("leave", *self._head())

    def _head(self) -> tuple[bytes, bytes]:
        return self._prefix, self.node.encode()

    def _commit_head(self) -> tuple[bytes, bytes, bytes]:
        return self._prefix, self.node.encode(), b"%.6f" % (self._time.now() + DECISION_TIME)

    def _name(self) -> bytes:
        """The constant part of this node's name."""
        return self.node.rpartition(".")[0].encode()
