"""Any number of nodes in simulated time: their stores, buses, room managers and sessions are real, and so is Redis.

All nodes share one connection, on which a script has run when :meth:`BlockingRedis.run` returns. So nothing happens at
the same time, and what something costs is the same each time.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from hiredis import PushNotification, Reader
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock, deferLater

from callnet.calls.rooms import RoomManager
from callnet.cluster import scripts
from callnet.cluster.codec import decode_view
from callnet.cluster.copies import Copies
from callnet.cluster.member import Member
from callnet.cluster.over_redis import NAME_BYTES
from callnet.cluster.redis import Scripts
from callnet.cluster.redis_line import pack
from callnet.cluster.shared import SharedBus, SharedCallStore
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.records import Records
from harness.redis_server import RedisServer
from tests.cluster.case import Phone
from tests.support.plain_preferences import OPEN

STEP: Final = 0.25
"""Seconds by which time passes at once."""


_STANDS_STILL: Final = 0.02
"""Seconds that time may pass by itself at most."""


class BlockingRedis:
    """A connection to Redis on which one waits for each answer.

    RESP3 lets it carry messages too; they stand in the way until somebody asks for them. The words are
    the same as on the connections of a real node, and as many bytes.
    """

    def __init__(self, server: RedisServer) -> None:
        self.messages: Final[deque[tuple[bytes, bytes]]] = deque()
        """What was published: channel and message."""
        self.given: Final[Counter[str]] = Counter()
        """Commands that :meth:`ask` gave, by their name."""
        self.sent = self.received = self.published = 0
        """Bytes of what :meth:`run` said, of what it was answered, and of messages."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(server.socket_url().removeprefix("unix://"))
        self._reader = Reader(notEnoughData=BlockingRedis)
        self._scripts = Scripts(scripts.load())
        self.ask(b"HELLO", b"3")
        for text in self._scripts.texts:
            self.ask(b"SCRIPT", b"LOAD", text)

    def ask(self, *words: bytes) -> Any:
        """Give a command."""
        self.given[words[0].decode().lower()] += 1
        return self._ask(pack(words))[0]

    def run(self, script: str, args: Sequence[bytes]) -> Any:
        """Run a script."""
        command = pack((b"EVALSHA", self._scripts.hashes[script], b"0", *args))
        published = self.published
        answer, size = self._ask(command)
        self.sent += len(command)
        self.received += size - (self.published - published)
        return answer

    def _ask(self, command: bytes) -> tuple[Any, int]:
        """The answer, and how many bytes came."""
        self._socket.sendall(command)
        size = 0
        while (reply := self._next()) is BlockingRedis:
            data = self._socket.recv(1 << 16)
            size += len(data)
            self._reader.feed(data)
        if self._next() is not BlockingRedis:
            raise AssertionError("an answer that nobody asked for")
        if isinstance(reply, Exception):
            raise reply
        return reply, size

    def _next(self) -> Any:
        while isinstance(reply := self._reader.gets(), PushNotification):
            if reply[0] == b"message":
                self.published += len(pack(tuple(reply)))
                self.messages.append((reply[1], reply[2]))
        return reply

    def follow(self, channel: bytes, listens: bool = True) -> None:
        """Listen to a channel, or no more."""
        # The answer to these is a message, which would come before that to the next command.
        self._socket.sendall(pack((b"SUBSCRIBE" if listens else b"UNSUBSCRIBE", channel)))
        self.ask(b"PING")

    def close(self) -> None:
        """End."""
        self._socket.close()


class NodeClock(Clock):
    """The clock of a node, which tells when something is to be done at once."""

    def __init__(self, soon: Callable[[], object]) -> None:
        super().__init__()
        self._soon = soon

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> IDelayedCall:  # noqa: A002
        """Call something later."""
        if not delay:
            self._soon()
        return super().callLater(delay, callable, *args, **kw)


class _Line:
    """The two connections of a node."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._channel = b""
        self.up = False
        self.answers_after = 0.0
        self.connected: Callable[[str], None] = lambda _: None
        self.received: Callable[[bytes], None] = lambda _: None
        self.subscribed: Callable[[], None] = lambda: None

    # The link

    def start(self, channel: str = "") -> None:
        """Connect; if there is a channel, listen."""
        if channel:
            self.follow(channel)
        else:
            self.up = True
            self.connected(self._world.run_id)

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script."""
        if not self.up:
            return fail(Unavailable("the node is dead"))
        answer = self._world.run(script, args)
        return deferLater(self._clock, self.answers_after, lambda: answer) if self.answers_after else succeed(answer)

    def drop(self) -> None:
        """Nothing is ever wrong with it."""
        raise AssertionError("a node gave its connection up")

    # The subscription

    def follow(self, channel: str) -> None:
        """Listen to a channel."""
        self._world.listen(self._channel, None)
        self._channel = channel.encode()
        self._world.listen(self._channel, self.received)
        self.subscribed()

    # Both

    def stop(self) -> Deferred[None]:
        """End."""
        self.up = False
        self._world.listen(self._channel, None)
        return succeed(None)


class SimulatedNode:
    """A node. Its clock is ``ahead`` of the others'."""

    def __init__(self, world: World, ahead: float) -> None:
        name: Final = secrets.token_hex(NAME_BYTES)
        self.clock = NodeClock(lambda: world.soon(self))
        self.clock.advance(ahead)
        self.copies = Copies(lambda node: node.rpartition(".")[0] == name)
        self._line = line = _Line(world, self.clock)
        bus = SharedBus(self.copies)

        def link(connected: Callable[[str], None], _lost: Callable[[], None]) -> _Line:
            line.connected = connected
            return line

        def subscription(subscribed: Callable[[], None], _lost: Callable[[], None]) -> _Line:
            line.received, line.subscribed = bus.received, subscribed
            return line

        self.member = Member(
            link, subscription, world.prefix, self.copies, self.clock, world.settings, bus.deliver, name
        )
        bus.go_by(self.member)
        self.store = SharedCallStore(self.member, self.copies, bus)
        self.rooms = RoomManager(self.store, bus, self.clock, world.settings, OPEN)
        self.member.start()
        self.rooms.start()

    def slow_down(self, seconds: float) -> None:
        """Let every answer of Redis take so long from now on."""
        self._line.answers_after = seconds

    def die(self) -> None:
        """End as a process does that is killed."""
        self._line.stop()


class World:
    """Redis, the nodes, and the time, which only passes when told to.

    :param server: one that no other test uses while this lasts.
    """

    def __init__(self, server: RedisServer, prefix: str, settings: CallSettings) -> None:
        self.prefix: Final = prefix
        self.settings: Final = settings
        self.nodes: Final[list[SimulatedNode]] = []
        self.redis: Final = BlockingRedis(server)
        [self.run_id] = [
            line[7:] for line in self.redis.ask(b"INFO", b"server").decode().splitlines() if line.startswith("run_id:")
        ]
        self.round_trips: Final[Counter[str]] = Counter()
        """Scripts that nodes ran, by name."""
        self.records_read = 0
        self.passed = 0.0
        """Seconds since the beginning."""
        self._began = time.time()
        self._set_at = 0.0
        self._soon: dict[SimulatedNode, None] = {}
        self._receivers: dict[bytes, Callable[[bytes], None]] = {}
        self._set_clock()
        self.redis.ask(b"HSET", f"{prefix}meta".encode(), b"run", self.run_id.encode())

    def start(self, count: int, ahead: Callable[[], float] = lambda: 0.0) -> Sequence[SimulatedNode]:
        """Start nodes, which have joined then."""
        nodes = [SimulatedNode(self, ahead()) for _ in range(count)]
        self.nodes.extend(nodes)
        self.settle()
        return nodes

    def phones(self, node: SimulatedNode, addresses: Collection[DeviceAddress]) -> Sequence[Phone]:
        """Connect devices at once."""
        phones = [Phone(address, node) for address in addresses]
        self.settle()
        return phones

    def settle(self) -> None:
        """Do everything that is to be done just now."""
        while self._soon or self.redis.messages:
            while self.redis.messages:
                channel, message = self.redis.messages.popleft()
                if channel in self._receivers:
                    self._receivers[channel](message)
            soon, self._soon = self._soon, {}
            for node in soon:
                node.clock.advance(0)

    def pass_time(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass for the nodes that are alive, or until something is so."""
        end = self.passed + seconds
        while self.passed < end and not until():
            self.passed += STEP
            self._set_clock()
            for node in self.nodes:
                node.clock.advance(STEP)
                self.settle()

    def kill(self, node: SimulatedNode) -> None:
        """Kill a node."""
        node.die()
        self.nodes.remove(node)

    def close(self) -> None:
        """End it all at once."""
        self.redis.close()

    def _set_clock(self) -> None:
        # Redis' own clock goes on; that is made up for.
        self._set_at = time.time()
        shift = self._began + self.passed - self._set_at
        self.redis.ask(b"HSET", f"{self.prefix}meta".encode(), b"shift", f"{shift:.6f}".encode())

    # What the nodes' lines need

    def soon(self, node: SimulatedNode) -> None:
        """Take note that a node has something to do."""
        self._soon[node] = None

    def run(self, script: str, args: Sequence[bytes]) -> Any:
        """Run a script for a node."""
        self.round_trips[script] += 1
        if time.time() - self._set_at > _STANDS_STILL:
            self._set_clock()
        answer = self.redis.run(script, args)
        if script == "read":
            self.records_read += sum(map(_count, map(decode_view, answer)))
        return answer

    def listen(self, channel: bytes, receiver: Callable[[bytes], None] | None) -> None:
        """Have a node listen to a channel, or no more."""
        if receiver is not None:
            self._receivers[channel] = receiver
        elif self._receivers.pop(channel, None) is None:
            return
        self.redis.follow(channel, receiver is not None)


def _count(records: Records) -> int:
    return sum(map(len, records.devices.values())) + len(records.calls) + len(records.seats)
