"""Nodes with devices: real sessions, real room managers, a real Redis; only the sockets are the tests' own.

A test that is about a rule has its nodes in simulated time (:mod:`tests.cluster.simulated`), by the same words.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Awaitable
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from zope.interface import implementer

from callnet.calls.ports import IPeer
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.calls.session_v2 import ExtendedSession
from callnet.config.schema import CallSettings, RedisSettings
from callnet.model import DeviceAddress
from callnet.redis.store import open_shared
from callnet.redis.url import parse
from callnet.store.cluster_handle import ClusterHandle
from harness.redis_server import RedisServer
from tests.cluster.wire import Wire
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.shared_nodes import SharedNodes, reactor
from tests.support.unlimited import ANY_NUMBER, NO_SERVERS

ANN = DeviceAddress("13600000001", "phone")
TV = DeviceAddress("13600000002", "tv")
PAD = DeviceAddress("13600000002", "pad")
CAROL = DeviceAddress("13600000003", "phone")

GRACE = 2.0
RING_TIME = 4.0
BOUND = 5.0
"""Seconds after the grace in which those are told whose peer's node has died."""


class AnyNode(Protocol):
    """A node, in whatever time it is."""

    clock: Any
    rooms: RoomManager
    store: Any
    wire: Any

    @property
    def is_joined(self) -> bool:
        """True if other nodes can reach it."""


N = TypeVar("N", bound=AnyNode)
T = TypeVar("T")


class Node:
    """One node, and the wire that it has to Redis."""

    clock = reactor

    def __init__(self, server: RedisServer, prefix: str, settings: CallSettings) -> None:
        self.wire = Wire(parse(RedisSettings(url=server.socket_url())).path)
        target = parse(RedisSettings(url=self.wire.url, prefix=prefix))
        self.member: ClusterHandle = open_shared(target, prefix, reactor, settings)
        self.store = self.member.store
        self.rooms = RoomManager(self.store, self.member.bus, reactor, settings, OPEN, NO_ROSTER)
        self.member.start()
        self.rooms.start()

    @property
    def is_joined(self) -> bool:
        """True if other nodes can reach it."""
        return self.member.why_away() is None

    async def die(self) -> None:
        """End as a process does that is killed: nobody is told, and nothing is tidied up."""
        self.rooms.stop()
        await self.wire.close()

    async def stop(self) -> None:
        """End, in order or after :meth:`die`."""
        self.rooms.stop()
        await self.member.stop()
        await self.wire.close()


@implementer(IPeer)
class Phone:
    """A device's connection to a node. It answers nothing by itself."""

    def __init__(
        self, address: DeviceAddress, node: AnyNode, extended: bool = False, call_waiting: bool = False
    ) -> None:
        self.address = address
        self.frames: list[dict[str, Any]] = []
        self.closed: list[int] = []
        self._clock = node.clock
        self.session = self.make_session(node, extended, call_waiting)
        self.session.opened()

    def make_session(self, node: AnyNode, extended: bool, call_waiting: bool) -> Session:
        """Its session on a node."""
        if not extended:
            return Session(self.address, node.rooms, self, node.clock, ANY_NUMBER)
        return ExtendedSession(
            self.address, node.rooms, self, node.clock, ANY_NUMBER, True, NO_SERVERS, None, call_waiting
        )

    # Calls of the session

    def send(self, payload: bytes) -> None:
        """Remember a frame."""
        self.frames.append(json.loads(payload))

    def close(self, code: int, reason: str) -> None:  # noqa: ARG002
        """Remember why; the socket is gone then."""
        if not self.closed:
            self.closed.append(code)
            self.session.closed()

    def heard_at(self) -> float:
        """Just now."""
        return float(self._clock.seconds())

    # Actions of the test

    def goes(self) -> None:
        """Have the socket close."""
        self.close(1000, "")

    def says(self, **frame: object) -> None:
        """Send a frame."""
        self.session.received(json.dumps(frame).encode())

    def calls(self, target: DeviceAddress) -> None:
        """Call a device."""
        self.says(type="call", to_phone=target.phone, to_device_id=target.device_id)

    def accepts(self) -> None:
        """Accept the newest call that it was told of."""
        self._answers("called_success")

    def refuses(self) -> None:
        """Refuse the newest call that it was told of."""
        self._answers("called_refuse")

    def _answers(self, kind: str) -> None:
        called = self.last("called")
        self.says(
            type=kind,
            from_phone=called["from_phone"],
            from_device_id=called["from_device_id"],
            room_id=called["room_id"],
        )

    def hangs_up(self, room: str) -> None:
        """End a call."""
        self.says(type="calling_hangup", notified_phone="1", notified_device_id="1", room_id=room)

    # Questions of the test

    @property
    def told(self) -> list[str]:
        """The types of all frames that it got, with the reason where there is one."""
        return [":".join(filter(None, (frame["type"], frame.get("reason")))) for frame in self.frames]

    def last(self, kind: str) -> dict[str, Any]:
        """The newest frame of a type."""
        return next(frame for frame in reversed(self.frames) if frame["type"] == kind)


class NodesCase(SharedNodes, Generic[N]):
    """A test with nodes and devices. Grace and ring time are short."""

    settings = CallSettings(ring_time=RING_TIME, grace=GRACE)

    def setUp(self) -> None:
        """Begin with an empty cluster."""
        super().setUp()
        self.running: list[N] = []

    @abstractmethod
    def new_node(self) -> N:
        """A node that is about to join."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """Let time pass in which nothing may happen."""

    @abstractmethod
    async def result_of(self, question: Awaitable[T]) -> T:
        """Wait for a node's answer."""

    async def start(self) -> N:
        """Start a node, which has joined."""
        node = self.new_node()
        self.running.append(node)
        await self.until(lambda: node.is_joined)
        return node

    async def cut_off(self, node: N) -> None:
        """Cut a node's wire; it knows."""
        node.wire.cut()
        await self.until(lambda: not node.is_joined)

    async def let_back(self, node: N) -> None:
        """Heal a node's wire; it is back."""
        node.wire.heal()
        await self.until(lambda: node.is_joined)

    async def until_complete(self, node: N) -> None:
        """Wait until the store no longer waits for other nodes to announce their records."""
        while not (await self.result_of(node.store.read([ANN.phone], (), fresh=True))).complete:
            await self.pass_time(0.1)

    async def phone(self, address: DeviceAddress, node: N, extended: bool = False, call_waiting: bool = False) -> Phone:
        """Connect a device, which may speak ``callnet.v2``, and show a second call."""
        phone = Phone(address, node, extended, call_waiting)
        await self.until(lambda: phone.session.generation)
        return phone

    async def ann_and_tv(self) -> tuple[N, N, Phone, Phone]:
        """Two nodes, Ann's phone on one, and the television on the other."""
        here, there = await self.start(), await self.start()
        return here, there, await self.phone(ANN, here), await self.phone(TV, there)

    async def hears(self, phone: Phone, told: str) -> dict[str, Any]:
        """Wait until a device was told something; the frame."""
        await self.until(lambda: told in phone.told)
        return phone.frames[phone.told.index(told)]

    async def talk(self, caller: Phone, callee: Phone) -> str:
        """Have two devices in a call; its room."""
        caller.calls(callee.address)
        await self.hears(callee, "called")
        callee.accepts()
        frame = await self.hears(caller, "call_success")
        return str(frame["room_id"])


class ClusterCase(NodesCase[Node]):
    """A test on the wall clock: it is about connections, or about concurrent events."""

    def setUp(self) -> None:
        """Begin with one that is not new."""
        super().setUp()
        self.know_the_run()
        self.addCleanup(lambda: gatherResults([Deferred.fromCoroutine(node.stop()) for node in self.running]))

    def own_server(self) -> RedisServer:
        """A server that no other test uses, which may be treated badly."""
        server = RedisServer(self.flavour)
        self.addCleanup(server.close)
        return server

    def new_node(self) -> Node:
        """See :meth:`NodesCase.new_node`."""
        return Node(self.server, self.prefix, self.settings)

    async def pass_time(self, seconds: float) -> None:
        """See :meth:`NodesCase.pass_time`."""
        await deferLater(reactor, seconds)

    async def result_of(self, question: Awaitable[T]) -> T:
        """See :meth:`NodesCase.result_of`."""
        return await question
