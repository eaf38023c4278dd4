"""Any number of nodes in simulated time: their stores, buses, room managers and sessions are real, and so is Redis.

All nodes share one connection, on which a script has run when :meth:`BlockingRedis.run` returns. So nothing happens at
the same time, and what something costs is the same each time.
"""

from __future__ import annotations

import secrets
import socket
import time
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final, TypeVar

from hiredis import PushNotification, Reader
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from callnet.calls.ports import EVERY_NODE, IRoster
from callnet.calls.records import Records
from callnet.calls.rooms import RoomManager
from callnet.calls.waking import Wake, nobody_can
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.redis.codec import decode_view
from callnet.redis.connection import REPLY_TIME, Scripts
from callnet.redis.limits import SharedLimits
from callnet.redis.local_cache import LocalCache
from callnet.redis.node import NodeLifecycle, channel_of
from callnet.redis.reconnecting import pack
from callnet.redis.store import NAME_BYTES, EndedAnywhere, SharedBus, SharedCallStore
from harness.redis_server import RedisServer
from tests.cluster.case import NodesCase, Phone
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.shared_nodes import PATIENCE, scripts_with

T = TypeVar("T")

STEP: Final = 0.25
"""Seconds by which time passes at once."""

_OWN_CLOCK: Final = "time[1] + time[2] / 1000000"
"""Redis' clock in the scripts. Without it only the shift, which World sets, is left: a machine may stand still."""
_AT_ONCE: Final = 20_000
"""The number of tasks that nodes may have at once; more would never end."""
_MOMENT: Final = 0.05
"""Seconds that a test waits for anything at least, so that nothing that it does after something else is as late."""


class BlockingRedis:
    """A connection to Redis on which one waits for each answer.

    RESP3 lets it carry messages too; they stand in the way until somebody asks for them. The words are
    the same as on the connections of a real node, but for the scripts' hashes, and as many bytes.
    """

    def __init__(self, server: RedisServer) -> None:
        self.messages: Final[deque[tuple[bytes, bytes]]] = deque()
        """Published messages: channel and message."""
        self.given: Final[Counter[str]] = Counter()
        """Commands that :meth:`ask` gave, by their name."""
        self.sent = self.received = self.published = 0
        """Bytes of the requests of :meth:`run`, of the answers, and of messages."""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(server.socket_url().removeprefix("unix://"))
        self._reader = Reader(notEnoughData=BlockingRedis)
        self._scripts = Scripts(scripts_with("0", instead_of=_OWN_CLOCK))
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
        """Listen to a channel, or stop listening."""
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


class SimulatedWire:
    """The two connections of a node, which are made and lost together; see :class:`tests.cluster.wire.Wire`."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world = world
        self._clock = clock
        self._channel = ""
        self._listens = self._is_deaf = self._is_silent = False
        self._unanswered: dict[Deferred[Any], None] = {}
        self._held: list[tuple[Deferred[Any], str, Sequence[bytes]]] = []
        """Requests of the node since this is silent."""
        self._held_back: list[bytes] = []
        """and what was published for it."""
        self.up = False
        self.answers_after = 0.0
        self.connected: Callable[[str], None] = lambda _: None
        self.received: Callable[[bytes], None] = lambda _: None
        self.lost: Callable[[], None] = lambda: None
        self.subscribed: Callable[[], None] = lambda: None
        self.unsubscribed: Callable[[], None] = lambda: None

    # The link

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script."""
        if not self.up:
            return fail(Unavailable("Redis cannot be reached"))
        if not (self._is_silent or self.answers_after):
            return succeed(self._world.run(script, args))
        answer: Deferred[Any] = Deferred()
        self._unanswered[answer] = None
        if self._is_silent:
            self._held.append((answer, script, args))
            self._clock.callLater(REPLY_TIME, self._give_up, answer)
        else:
            self._clock.callLater(self.answers_after, self._answer, answer, self._world.run(script, args))
        return answer

    def give_up(self, cause: str) -> None:  # noqa: ARG002
        """Nothing is ever wrong with it."""
        raise AssertionError("a node gave its connection up")

    def start(self) -> None:
        """Connect, unless that was done before."""
        if not self.up:
            self.up = True
            self.connected(self._world.run_id)

    def _answer(self, answer: Deferred[Any], result: object) -> None:
        if answer in self._unanswered:
            del self._unanswered[answer]
            answer.callback(result)

    def _give_up(self, answer: Deferred[Any]) -> None:
        if answer in self._unanswered:
            self._lose()

    def _lose(self) -> None:
        if self.up:
            self.up = False
            self._listen_no_more()
            self.lost()
            unanswered, self._unanswered = self._unanswered, {}
            for answer in unanswered:
                answer.errback(Unavailable("Redis cannot be reached"))

    # The subscription

    def follow(self, channel: str) -> None:
        """Listen to a channel, and no longer to another."""
        self._world.listen_no_more(self, self._channel)
        self._channel = channel
        if not self._is_deaf:
            self._world.listen(self, channel)
            self._listens = True
            self.subscribed()

    def receive(self, message: bytes) -> None:
        """Receive a published message."""
        if self._is_silent:
            self._held_back.append(message)
        elif self._listens:
            self.received(message)

    def _listen_no_more(self) -> None:
        self._listens = False
        self._held_back.clear()
        if not self._is_silent:  # else Redis does not know
            self._world.listen_no_more(self, self._channel)
        self.unsubscribed()

    # Actions of a test

    def cut(self) -> None:
        """Break both directions, with the bytes held back."""
        self._is_silent = False
        self._held.clear()
        self._lose()
        self._world.listen_no_more(self, self._channel)

    def deafen(self) -> None:
        """Break the one on which the node listens."""
        self._is_deaf = True
        self._listen_no_more()

    def silence(self) -> None:
        """Carry nothing any more, in either direction; the node finds out when it has asked something."""
        self._is_silent = True

    def heal(self) -> None:
        """Carry again. Bytes from the time between come late, though nobody waits for the answer any more."""
        was_deaf = self._is_deaf
        self._is_deaf = self._is_silent = False
        held, self._held = self._held, []
        held_back, self._held_back = self._held_back, []
        for answer, result in [(answer, self._world.run(script, args)) for answer, script, args in held]:
            self._answer(answer, result)
        for message in held_back:
            self.receive(message)
        if was_deaf and self.up:
            self.follow(self._channel)
        self.start()

    def stop(self) -> Deferred[None]:
        """End."""
        self.up = False
        self._world.listen_no_more(self, self._channel)
        return succeed(None)


class SimulatedNode:
    """A node. Its clock is ``ahead`` of the others'."""

    def __init__(self, world: World, ahead: float) -> None:
        name: Final = secrets.token_hex(NAME_BYTES)
        self._world = world
        self.clock = NodeClock(lambda: world.soon(self))
        self.clock.advance(ahead)
        self.cache = LocalCache(name)
        self.wire = wire = SimulatedWire(world, self.clock)
        self.bus = bus = SharedBus(self.cache)

        def link(connected: Callable[[str], None], lost: Callable[[], None]) -> SimulatedWire:
            wire.connected, wire.lost = connected, lost
            return wire

        def subscription(subscribed: Callable[[], None], lost: Callable[[], None]) -> SimulatedWire:
            wire.received, wire.subscribed, wire.unsubscribed = bus.received, subscribed, lost
            return wire

        self.member = NodeLifecycle(
            link, subscription, world.prefix, self.cache, self.clock, world.settings, bus.deliver, name
        )
        bus.go_by(self.member)
        self.store = SharedCallStore(self.member, self.cache, bus)
        self.ended = EndedAnywhere(self.member, self.store.ended)
        self.limits = SharedLimits(self.member, self.clock)
        """Other nodes hear of them when a test has started this."""
        self.rooms = RoomManager(self.store, bus, self.clock, world.settings, OPEN, world.roster, world.wake)
        self.member.start()
        self.rooms.start()

    @property
    def is_joined(self) -> bool:
        """True if other nodes can reach it."""
        return self.member.why_away() is None

    def die(self) -> None:
        """End as a process does that is killed: its time stands still."""
        self._world.nodes.remove(self)
        self.wire.stop()


class World:
    """Redis, the nodes, and the time, which only passes when told to.

    :param server: one that no other test uses while this lasts.
    :param roster: the contact list of each phone, known to all nodes.
    :param wake: wakes devices for all of them.
    """

    def __init__(
        self,
        server: RedisServer,
        prefix: str,
        settings: CallSettings,
        roster: IRoster = NO_ROSTER,
        wake: Wake = nobody_can,
    ) -> None:
        self.roster: Final = roster
        self.wake: Final = wake
        self.prefix: Final = prefix
        self.settings: Final = settings
        self.nodes: Final[list[SimulatedNode]] = []
        self._server = server
        self.redis = BlockingRedis(server)
        self.round_trips: Final[Counter[str]] = Counter()
        """Scripts that nodes ran, by name."""
        self.records_read = 0
        self.passed = 0.0
        """Seconds since the beginning."""
        self._began = time.time()
        self._soon: dict[SimulatedNode, None] = {}
        self._at_once = 0
        self._everyone = channel_of(prefix, EVERY_NODE).encode()
        self._listeners: defaultdict[bytes, dict[SimulatedWire, None]] = defaultdict(dict)
        self._set_clock()
        self.run_id = self._run_of_redis()
        """The ``run_id`` of Redis that nodes see when they connect. A test may set another one: that of a replica."""
        self.redis.ask(b"HSET", f"{prefix}meta".encode(), b"run", self.run_id.encode())

    def _run_of_redis(self) -> str:
        info: list[str] = self.redis.ask(b"INFO", b"server").decode().splitlines()
        return next(line[7:] for line in info if line.startswith("run_id:"))

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
        self._at_once = 0
        while self._soon or self.redis.messages:
            while self.redis.messages:
                channel, message = self.redis.messages.popleft()
                for wire in list(self._listeners[channel]):
                    wire.receive(message)
            soon, self._soon = self._soon, {}
            for node in soon:
                node.clock.advance(0)

    def pass_time(self, seconds: float, until: Callable[[], object] = lambda: False) -> None:
        """Let time pass for the nodes that are alive, or until something is so."""
        self.settle()
        end = self.passed + seconds
        while self.passed < end and not until():
            step = min(STEP, end - self.passed)
            self.passed += step
            self._set_clock()
            for node in self.nodes:
                node.clock.advance(step)
                self.settle()

    def restart_redis(self) -> BlockingRedis:
        """Have Redis be there again, empty; nodes lose it, and reach it when their wires are healed."""
        for node in self.nodes:
            node.wire.cut()
        self.redis.close()
        self._server.restart()
        self.redis = BlockingRedis(self._server)
        self.run_id = self._run_of_redis()
        self._set_clock()
        return self.redis

    def close(self) -> None:
        """End it all at once."""
        self.redis.close()

    def _set_clock(self) -> None:
        shift = self._began + self.passed
        self.redis.ask(b"HSET", f"{self.prefix}meta".encode(), b"shift", f"{shift:.6f}".encode())

    # Needs of the nodes' lines

    def soon(self, node: SimulatedNode) -> None:
        """Take note that a node has something to do."""
        self._soon[node] = None
        self._at_once += 1
        if self._at_once > _AT_ONCE:
            raise AssertionError("the nodes are never done")

    def run(self, script: str, args: Sequence[bytes]) -> Any:
        """Run a script for a node."""
        self.round_trips[script] += 1
        answer = self.redis.run(script, args)
        if script == "read":
            self.records_read += sum(map(_count, map(decode_view, answer)))
        return answer

    def listen(self, wire: SimulatedWire, channel: str) -> None:
        """Have a wire listen to the channel of its node, and to that of all nodes."""
        for name in (channel.encode(), self._everyone):
            if not self._listeners[name]:
                self.redis.follow(name)
            self._listeners[name][wire] = None

    def listen_no_more(self, wire: SimulatedWire, channel: str) -> None:
        """Have it stop listening to them, if it does."""
        for name in (channel.encode(), self._everyone):
            if self._listeners[name].pop(wire, True) is None and not self._listeners[name]:
                self.redis.follow(name, listens=False)


class SimulatedCase(NodesCase[SimulatedNode]):
    """A test in simulated time, which passes while the test waits for something."""

    def setUp(self) -> None:
        """Begin with a world in which there is nothing."""
        super().setUp()
        self.world = self.make_world()
        self.addCleanup(self.world.close)

    def make_world(self) -> World:
        """Make the world of the test."""
        return World(self.server, self.prefix, self.settings)

    def new_node(self) -> SimulatedNode:
        """See :meth:`NodesCase.new_node`."""
        [node] = self.world.start(1)
        return node

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        self.world.pass_time(_MOMENT)
        self.world.pass_time(PATIENCE, condition)
        self.assertTrue(condition(), "this takes too long")

    async def pass_time(self, seconds: float) -> None:
        """See :meth:`NodesCase.pass_time`."""
        self.world.pass_time(seconds)

    async def result_of(self, question: Awaitable[T]) -> T:
        """See :meth:`NodesCase.result_of`."""
        answer = Deferred.fromCoroutine(_ask(question))
        await self.until(lambda: answer.called)
        return await answer


async def _ask(question: Awaitable[T]) -> T:
    return await question


def _count(records: Records) -> int:
    return sum(map(len, records.devices.values())) + len(records.calls) + len(records.seats)
