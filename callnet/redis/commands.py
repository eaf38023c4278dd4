"""The commands to Redis, and their batches."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from importlib.resources import files
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from msgspec import Struct
from msgspec.msgpack import Decoder
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls.ports import BusMessage, Ended
from callnet.calls.records import DeviceRecord, Records
from callnet.model import RoomId
from callnet.redis import codec
from callnet.store.tables import Record

_MOST: Final = 64
"""The maximum number of queries in one command: Redis does nothing else while it runs one."""
SIZE_MAX: Final = 128
"""The maximum total size of the queries in one command, if there are several."""


class Link(Protocol):
    """The connection for commands, as a batch needs it."""

    @property
    def up(self) -> bool:
        """True while there is a connection."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> Deferred[None]:
        """End the connection."""

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script. Fails with :class:`callnet.errors.Unavailable` if it is unknown whether it ran."""

    def give_up(self, cause: str) -> None:
        """Replace the connection after a failure; the cause is for the log."""


A = TypeVar("A")
_Question: TypeAlias = tuple[Sequence[bytes], int, "list[Deferred[A | None]]"]
"""The words of the query, its size, and the Deferreds that wait for its answer."""


class Batch(Generic[A]):
    """Collects queries for one script, and distributes its answers.

    :param head: the arguments before the queries.
    :param decode: decodes the answer to one query. If the script has no answers all queries get ``None``.
    :param merges: true to send equal waiting queries once; a query is one word then.
    """

    def __init__(
        self,
        link: Link,
        script: str,
        head: Callable[[], tuple[bytes, ...]],
        clock: IReactorTime,
        decode: Callable[[bytes], A],
        merges: bool = False,
    ) -> None:
        self._link = link
        self._script = script
        self._head = head
        self._clock = clock
        self._decode = decode
        self._merges = merges
        self._waiting: list[_Question[A]] = []
        self._same: dict[bytes, list[Deferred[A | None]]] = {}
        """The Deferreds that wait for each query, if equal ones are merged."""
        self._is_asking = False
        self.unanswered = 0
        """The number of queries without an answer."""

    def ask(self, words: Sequence[bytes], size: int = 1) -> Deferred[A | None]:
        """Send a query. Fires with the script's answer.

        :param words: the arguments of the script for this query.
        :param size: its size: :data:`SIZE_MAX` limits the sum in one command.
        :raises callnet.errors.Unavailable: there was no answer; it is unknown whether the query was processed.
        """
        answer: Deferred[A | None] = Deferred()
        if self._merges and words[0] in self._same:
            self._same[words[0]].append(answer)
        else:
            waiting = [answer]
            self._waiting.append((words, size, waiting))
            if self._merges:
                self._same[words[0]] = waiting
        self.unanswered += 1
        if not self._is_asking:
            self._is_asking = True
            self._clock.callLater(0, self._send)
        return answer

    def _send(self, _answered: None = None) -> None:
        """Send commands until one has to wait for its answer, or no query is left.

        A loop, not a call from each answer: without a connection each command fails at once, and thousands may wait.
        """
        while self._waiting:
            count = sizes = 0
            for _, size, _ in self._waiting[:_MOST]:
                sizes += size
                if count and sizes > SIZE_MAX:
                    break
                count += 1
            asked, self._waiting = self._waiting[:count], self._waiting[count:]
            command = [*self._head()]
            for words, _, _ in asked:
                self._same.pop(words[0], None)
                command += words
            answered = self._link.run(self._script, *command).addBoth(self._answered, asked)
            if not answered.called:
                answered.addCallback(self._send)
                return
        self._is_asking = False

    def _answered(self, answers: list[bytes] | Failure, asked: list[_Question[A]]) -> None:
        for index, (_, _, all_waiting) in enumerate(asked):
            self.unanswered -= len(all_waiting)
            answer: A | Failure | None = None
            if isinstance(answers, Failure):
                answer = answers
            elif answers:
                try:
                    answer = self._decode(answers[index])
                except Exception:  # noqa: BLE001  an undecodable answer must not affect the others
                    answer = Failure()
            for waiting in all_waiting:
                waiting.callback(answer)


def load_scripts() -> Mapping[str, str]:
    """Read the Lua scripts of the shared store, by name. They contain no rules of the protocol."""
    folder = files("callnet.redis") / "scripts"
    scripts = [file for file in folder.iterdir() if file.name.endswith(".lua")]
    texts = {file.name.removesuffix(".lua"): file.read_text("utf-8") for file in scripts}
    common = texts.pop("common")  # the head of all
    return {name: common + text for name, text in texts.items()}


DECISION_TIME: Final = 1.5
"""Seconds after which a commit that has not reached Redis has no effect."""
SWEPT_AT_ONCE: Final = 1000
"""The maximum number of orphaned records in the answer to one heartbeat."""
_CLOSE_ENOUGH: Final = 0.002
"""Seconds by which the estimate of Redis' clock may be off before it is corrected: time should not jump."""


class Differences(Struct, frozen=True):
    """Records different from those of this node: all of these phones and rooms."""

    phones: Sequence[str]
    rooms: Sequence[RoomId]
    records: Records


class NodeSeen(Struct, frozen=True):
    """A node in the shared store."""

    name: str
    lease: float
    """Seconds for which its lease is valid; negative: seconds since it expired."""
    holds: int
    """The number of its devices, pages and other records."""


class Counted(Struct, frozen=True, array_like=True):
    """The uses of one key of a limit on this node."""

    key: str
    seconds: float
    """The uses, as seconds of the limit's rate."""
    known_from: float
    """The seconds from which every node is told."""


class Exchanged(Struct, frozen=True, array_like=True):
    """The uses on all nodes."""

    ahead: Sequence[float]
    """The seconds by which each key is ahead, in the order of the request."""
    sockets: Sequence[int]
    """The number of sockets on other nodes for each address, in the order of the request."""
    used_up: Sequence[tuple[str, float]]
    """Keys to tell every node, with the seconds by which each is ahead."""


_exchanged: Final = Decoder(Exchanged).decode


class SharedClock:
    """The shared clock of all nodes: Redis' clock, estimated by an offset from the node's own."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ahead: float | None = None

    @property
    def is_set(self) -> bool:
        """True once the store has answered."""
        return self._ahead is not None

    def now(self) -> float:
        """The time, in seconds."""
        return self._clock.seconds() + (self._ahead or 0.0)

    def set(self, now: float, asked_at: float) -> None:
        """Set the clock: the store's was ``now`` in the answer to a query at ``asked_at`` on the node's own clock."""
        ahead = now - (asked_at + self._clock.seconds()) / 2
        if self._ahead is None or abs(ahead - self._ahead) > _CLOSE_ENOUGH:
            self._ahead = ahead


class RedisCommands:
    """The queries to the shared store. Every one may fail with :class:`callnet.errors.Unavailable`.

    :param prefix: the prefix of every key and channel.
    """

    def __init__(self, link: Link, prefix: str, node: str, clock: IReactorTime, time: SharedClock) -> None:
        self._link = link
        self._prefix = prefix.encode()
        self._clock = clock
        self._time = time
        self.node = node
        """The current name of this node."""
        self.commits: Final = Batch(link, "commit", self._commit_head, clock, bytes)
        """Takes the result of :func:`callnet.redis.codec.encode_changes`; fires with the answer of ``commit.lua``, or
        ``None``: this node is not known."""
        self._reads = Batch(link, "read", self._head, clock, codec.decode_view, merges=True)

    @property
    def unanswered(self) -> int:
        """The number of reads and commits without an answer."""
        return self._reads.unanswered + self.commits.unanswered

    def read(self, phones: Collection[str], rooms: Collection[RoomId]) -> Deferred[Records | None]:
        """Fires with the records; ``None``: this node is not known."""
        return self._reads.ask((codec.encode((tuple(phones), tuple(rooms))),), len(phones) + len(rooms))

    async def hello(self, old: str, new: str, run: str, knows_run: bool) -> tuple[bool, bytes]:
        """Introduce the node by its name ``old``, or by ``new`` if the old one is no longer known.

        Returns whether it keeps the old name, and a value that changes whenever the store loses records.
        """
        asked_at = self._clock.seconds()
        expected = f"{self._time.now():.6f}" if self._time.is_set else ""
        arguments = (old, new, run, "1" if knows_run else "", expected)
        now, keeps, memory = await self._link.run("hello", self._prefix, *map(str.encode, arguments))
        self._time.set(float(now), asked_at)
        return bool(keeps), memory

    async def beat(self, sweeps: bool) -> Sequence[Record] | None:
        """Renew the lease. Returns records for this node to process; ``None``: it is not known, or its lease was over.

        :param sweeps: true if it can process records now.
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
        """Return the differences from ``records``. ``None``: this node is not known."""
        answer = await self._link.run("compare", *self._head(), codec.encode_known(devices, rooms, records))
        if not answer:
            return None
        phones, differing, view = answer
        names = [RoomId(room) for room in codec.decode_names(differing)]
        return Differences(codec.decode_names(phones), names, codec.decode_view(view))

    def take_ended(self, most: int, kept_max: int) -> Deferred[tuple[int, Sequence[Ended]]]:
        """Fires with at most ``most`` ended calls not taken by other nodes.

        They follow the number of calls that were dropped because more than ``kept_max`` were kept.
        """
        taken = self._link.run("ended", self._prefix, b"%d" % most, b"%d" % kept_max)
        return taken.addCallback(
            lambda found: (found[0], [Ended(codec.decode_ended(value), value) for value in found[1]])
        )

    def done_with(self, ended: Sequence[bytes]) -> Deferred[object]:
        """Remove these ended calls, given as they were taken."""
        return self._link.run("ended", self._prefix, b"0", b"0", *ended)

    def nodes(self) -> Deferred[Sequence[NodeSeen]]:
        """Fires with the known nodes."""
        found = self._link.run("nodes", self._prefix)
        return found.addCallback(
            lambda nodes: [NodeSeen(name.decode(), float(lease), holds) for name, lease, holds in nodes]
        )

    def publish(self, node: str, message: BusMessage) -> Deferred[object]:
        """Send a message to a node. Its arrival is not confirmed."""
        return self._link.run("publish", self._prefix, node.encode(), codec.encode_message(message))

    async def take(self, limits: Sequence[tuple[str, float, float]]) -> tuple[int, float] | None:
        """Count one use for each of these limits, up to the first that is exceeded; return its index and the seconds by
        which it is ahead.

        :param limits: for each its key, the seconds between two uses, and those of a burst.
        """
        words = [word for key, spacing, window in limits for word in (key, f"{spacing:.6f}", f"{window:.6f}")]
        answer = await self._link.run("take", self._prefix, *map(str.encode, words))
        return (answer[0], float(answer[1])) if answer else None

    async def exchange(self, counted: Sequence[Counted], sockets: Sequence[tuple[str, int]]) -> Exchanged:
        """Report this node's uses and its sockets for addresses."""
        said = codec.encode((counted, sockets))
        return _exchanged(await self._link.run("exchange", self._prefix, self._name(), said))

    def leave(self) -> Deferred[object]:
        """Report that this node has left."""
        return self._link.run("leave", *self._head())

    def _head(self) -> tuple[bytes, bytes]:
        return self._prefix, self.node.encode()

    def _commit_head(self) -> tuple[bytes, bytes, bytes]:
        return self._prefix, self.node.encode(), b"%.6f" % (self._time.now() + DECISION_TIME)

    def _name(self) -> bytes:
        """The constant part of this node's name."""
        return self.node.rpartition(".")[0].encode()
