"""A hundred nodes in simulated time: a call costs the same as between two, and dead nodes are handled."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.transaction import KNOWN_AFTER, OLD_END_AFTER
from callnet.config.schema import CallSettings
from harness.redis_server import shared
from tests.cluster.case import Phone
from tests.cluster.costs import cost_of
from tests.cluster.crowd import PREFIX, Crowd

SETTINGS: Final = CallSettings(ring_time=20, grace=10)
BOUND: Final = SETTINGS.grace + 5
"""Seconds in which those are told whose peer's node has died."""


class ManyNodesCase(SynchronousTestCase):
    """A test with many nodes."""

    def setUp(self) -> None:
        """Have a server."""
        self.server = shared("redis")
        self.random = Random(1)  # noqa: S311

    def crowd(self, nodes: int, devices: int = 0) -> Crowd:
        """Nodes with devices."""
        crowd = Crowd(self.server, nodes, devices, self.random, SETTINGS)
        self.addCleanup(crowd.world.close)
        return crowd

    def keys(self) -> list[str]:
        """All keys in Redis."""
        return self.server.cli("KEYS", f"{PREFIX}*").split()


class CostTests(ManyNodesCase):
    """Costs do not depend on the number of nodes."""

    def test_call(self) -> None:
        """A whole call costs the same among a hundred nodes as among two, inside a node and across."""
        for across in (False, True):
            few, many = (self.crowd(nodes, 5).cost_of_calls(20, across) for nodes in (2, 100))
            self.assertEqual([few[0]] * 40, [*few, *many])

    def test_heartbeats(self) -> None:
        """Every node beats once a second, and one of them sweeps."""
        costs = []
        for nodes in (1, 10, 100):
            world = self.crowd(nodes, 5).world
            costs.append(cost_of(world, lambda world=world: world.pass_time(1)))  # type: ignore[misc]
        alone, ten, hundred = (cost.commands for cost in costs)
        self.assertEqual([1, 10, 100], [cost.round_trips for cost in costs])
        self.assertEqual((ten - alone) / 9, (hundred - ten) / 90)

    def test_local_cache(self) -> None:
        """A node knows nothing of calls that are none of its own."""
        crowd = self.crowd(100, 2)
        here, there = crowd.world.nodes[:2]
        crowd.talk([(crowd.phones[here][0], crowd.phones[there][0])])
        self.assertEqual([1, 1, *[0] * 98], [len(node.cache.records.calls) for node in crowd.world.nodes])


class DeadNodesTests(ManyNodesCase):
    """Nodes die: those who were in calls with their devices are told within the grace and five seconds."""

    def test_several(self) -> None:
        """Five of a hundred die at the same moment, the one that sweeps among them."""
        crowd = self.crowd(100, 20)
        world = crowd.world
        sweeper = self.server.cli("HGET", f"{PREFIX}meta", "sweeper")
        [sweeps] = [node for node in world.nodes if node.store.node == sweeper]
        nodes = [sweeps, *(node for node in world.nodes if node is not sweeps)]
        dead, alive = nodes[:5], nodes[5:10]
        names = [node.store.node for node in dead]
        lost, others = ([phone for node in some for phone in crowd.phones[node]] for some in (dead, alive))
        crowd.talk(list(zip(lost, others, strict=True)))
        told = crowd.time_to_tell(dead, others)
        self.assertGreater(told[0], SETTINGS.grace - 1)
        self.assertLess(told[-1], BOUND)
        left = self.keys()
        self.assertEqual([], [name for name in names if f"{PREFIX}n:{name}" in left])
        world.pass_time(2)
        self.assertEqual("95", self.server.cli("ZCARD", f"{PREFIX}nodes"))

    def test_big_node(self) -> None:
        """A node dies with too many devices to handle at once; a tenth of them are in calls."""
        crowd = self.crowd(2)
        big, other = crowd.world.nodes
        peers = crowd.connect(other, 500)
        crowd.talk(list(zip(peers, self.random.sample(crowd.connect(big, 5000), len(peers)), strict=True)))
        self.assertLess(crowd.time_to_tell([big], peers)[-1], BOUND)

    def test_calls_elsewhere(self) -> None:
        """Meanwhile calls between others cost the same as always."""
        crowd = self.crowd(100, 5)
        costs = list(crowd.cost_of_calls(5, across=True))
        for node in crowd.world.nodes[:5]:
            node.die()
        for _ in range(20):
            crowd.world.pass_time(1)
            costs += crowd.cost_of_calls(1, across=True)
        self.assertEqual([costs[0]] * 25, costs)


class EmptiedTests(ManyNodesCase):
    """Redis loses all data, as after a restart."""

    def test_everything_is_announced(self) -> None:
        """Within two heartbeats all nodes have announced their devices and calls, and nobody noticed."""
        crowd = self.crowd(100, 10)
        nodes = crowd.world.nodes
        pairs = [
            (caller, callee)
            for here, there in pairwise(nodes)
            for caller, callee in zip(crowd.phones[here][:2], crowd.phones[there][5:7], strict=True)
        ]
        crowd.talk(pairs)
        before = len(self.keys())
        self.server.cli("FLUSHALL")
        crowd.world.pass_time(2)
        self.assertEqual(before, len(self.keys()))
        crowd.hang_up(pairs)
        self.assertEqual({("call_success", "calling_be_hangup:hangup")}, {tuple(caller.told) for caller, _ in pairs})
        self.assertEqual({("called",)}, {tuple(callee.told) for _, callee in pairs})

    def test_it_takes_longer_than_a_lease(self) -> None:
        """A node that has so much to announce that it takes longer than a lease lives on meanwhile, and gets done."""
        crowd = self.crowd(2)
        big, other = crowd.world.nodes
        phones = crowd.connect(big, 2000)
        big.wire.answers_after = 0.2
        self.server.cli("FLUSHALL")
        crowd.world.pass_time(3, lambda: not big.member.joined)
        self.assertFalse(big.member.joined)
        crowd.world.pass_time(60, lambda: big.member.joined)
        self.assertTrue(big.member.joined)
        self.assertEqual("2", big.store.node.rpartition(".")[2])
        peer = crowd.connect(other, 1)[0]
        crowd.talk([(peer, phones[-1])])


class ClocksTests(ManyNodesCase):
    """The clocks of the nodes differ by minutes, and nothing depends on it."""

    def test_ring_time(self) -> None:
        """The callee reads how long it will ring, whatever the clock of its node says."""
        crowd = self.crowd(10, 2)
        caller, callee = (crowd.phones[node][0] for node in crowd.world.nodes[:2])
        caller.calls(callee.address)
        crowd.world.settle()
        self.assertEqual(SETTINGS.ring_time, callee.last("called")["expires_in"])
        crowd.world.pass_time(5)
        back = Phone(callee.address, crowd.world.nodes[2])
        crowd.world.settle()
        self.assertEqual(SETTINGS.ring_time - 5, back.last("called")["expires_in"])
        crowd.world.pass_time(SETTINGS.ring_time)
        self.assertEqual("call_failed:no_answer", caller.told[-1])

    def test_missed(self) -> None:
        """A device that was away is told how its call ended, and one that was not is told once."""
        crowd = self.crowd(10, 2)
        nodes = crowd.world.nodes
        for here, there, back in zip(nodes, nodes[1:], nodes[2:], strict=False):
            caller, callee = crowd.connect(here, 1)[0], crowd.connect(there, 1)[0]
            crowd.talk([(caller, callee)])
            callee.goes()
            crowd.world.pass_time(1)
            caller.hangs_up(caller.last("call_success")["room_id"])
            crowd.world.pass_time(1)
            again = Phone(callee.address, back)
            crowd.world.pass_time(OLD_END_AFTER)
            self.assertEqual(["calling_be_hangup:hangup"], again.told)
            crowd.world.pass_time(KNOWN_AFTER + 0.5)  # nodes do not agree on the time to the millisecond
            again.goes()
            crowd.world.settle()
            once_more = Phone(callee.address, here)
            crowd.world.pass_time(OLD_END_AFTER)
            self.assertEqual([], once_more.told)
