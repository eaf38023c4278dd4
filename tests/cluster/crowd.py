"""Many nodes with devices that call each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from random import Random
from typing import Final, TypeAlias

from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress
from harness.redis_server import RedisServer
from tests.cluster.case import Phone
from tests.cluster.costs import Cost, cost_of
from tests.cluster.simulated import SimulatedNode, World

Pair: TypeAlias = tuple[Phone, Phone]
"""Caller and callee."""

PREFIX: Final = "callnet:"
MINUTES: Final = 600.0
"""Seconds by which clocks of nodes differ at most."""


class Crowd:
    """Nodes whose clocks differ, and devices on each.

    :param server: one that no other test uses while this lasts.
    """

    def __init__(self, server: RedisServer, nodes: int, devices: int, random: Random, settings: CallSettings) -> None:
        server.flush()
        self._random = random
        self._last_phone = 13600000000
        self.world: Final = World(server, PREFIX, settings)
        self.phones: Final[dict[SimulatedNode, Sequence[Phone]]] = {}
        """The devices of each node."""
        for node in self.world.start(nodes, lambda: random.uniform(0, MINUTES)):
            self.phones[node] = self.connect(node, devices)
        self.world.pass_time(3)  # one of them sweeps

    def connect(self, node: SimulatedNode, count: int) -> Sequence[Phone]:
        """Connect new devices to a node."""
        first = self._last_phone + 1
        self._last_phone += count
        return self.world.phones(node, [DeviceAddress(str(first + number), "phone") for number in range(count)])

    def pairs(self, count: int, across: bool) -> Sequence[Pair]:
        """New devices, by two: on one node, or on different ones."""
        return [self._pair(across) for _ in range(count)]

    def _pair(self, across: bool) -> Pair:
        here = self._random.choice(self.world.nodes)
        there = self._random.choice([node for node in self.world.nodes if node is not here]) if across else here
        return self.connect(here, 1)[0], self.connect(there, 1)[0]

    def talk(self, pairs: Collection[Pair]) -> None:
        """Have them call each other at the same time, and answer."""
        for caller, callee in pairs:
            caller.calls(callee.address)
        self.world.settle()
        for _, callee in pairs:
            callee.accepts()
        self.world.settle()
        assert all(caller.told[-1] == "call_success" for caller, _ in pairs)

    def hang_up(self, pairs: Collection[Pair]) -> None:
        """Have them end their calls at the same time."""
        for caller, callee in pairs:
            callee.hangs_up(caller.last("call_success")["room_id"])
        self.world.settle()
        assert all(caller.told[-1] == "calling_be_hangup:hangup" for caller, _ in pairs)

    def whole_calls(self, pairs: Collection[Pair]) -> None:
        """Have them call each other, answer and end it, all at the same time."""
        self.talk(pairs)
        self.hang_up(pairs)

    def cost_of_calls(self, count: int, across: bool) -> Sequence[Cost]:
        """The cost of whole calls, one after the other, inside nodes or across.

        They are the first of their devices: a call that a device had just before is read with it.
        """
        return [cost_of(self.world, partial(self.whole_calls, [pair])) for pair in self.pairs(count, across)]

    def time_to_tell(self, dead: Collection[SimulatedNode], peers: Collection[Phone]) -> Sequence[float]:
        """Kill nodes; seconds until each of those was told who were in calls with devices of theirs, in order."""
        died = self.world.passed
        for node in dead:
            node.die()
        told: dict[Phone, float] = {}

        def all_told() -> bool:
            for phone in peers:
                if phone not in told and phone.told[-1] == "calling_be_hangup:connection_lost":
                    told[phone] = self.world.passed - died
            return len(told) == len(peers)

        self.world.pass_time(10 * self.world.settings.grace, all_told)
        assert len(told) == len(peers), f"{len(peers) - len(told)} of {len(peers)} were never told"
        return sorted(told.values())
