"""Limits that all nodes of a cluster go by."""

from __future__ import annotations

import time
from dataclasses import dataclass

from twisted.internet.address import IPv4Address, IPv6Address

from callnet.config.schema import LimitSettings
from callnet.errors import RateLimited
from callnet.model import DeviceAddress
from callnet.ops.ice import IceServers, TurnSecret
from callnet.ops.limits import IGate, ILimiter, ILimits, PerAddress, SignalLimits
from callnet.redis import limits
from callnet.redis.limits import EXCHANGE_EVERY, TAKE_TIME
from tests.cluster.case import ANN, TV
from tests.cluster.simulated import SimulatedCase, SimulatedNode
from tests.contract.test_limits import LimitsContract
from tests.support.turn_case import TURN

SOON = 2.5 * EXCHANGE_EVERY
"""Seconds after which every node has heard of another's admissions."""
ADDRESS = "192.0.2.77"


@dataclass
class From:
    """A transport of somebody."""

    host: str = ADDRESS

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The address."""
        return (IPv6Address if ":" in self.host else IPv4Address)("TCP", self.host, 7)


class LimitsCase(SimulatedCase):
    """Two nodes."""

    async def start(self) -> SimulatedNode:
        """Start one that tells the others of its admissions."""
        node = await super().start()
        node.limits.start()
        return node

    async def start_two(self) -> tuple[SimulatedNode, SimulatedNode]:
        """Start them."""
        return await self.start(), await self.start()

    async def enters(self, gate: IGate, *keys: str | None) -> bool:
        """Tell whether something may pass."""
        return await self.result_of(gate.enter(keys)) is None

    def names(self) -> list[str]:
        """The keys of limits in Redis."""
        return [key for key in self.keys() if key.startswith(("l:", "a:"))]


class RedisLimitsTests(LimitsCase, LimitsContract):
    """The contract of limits, for those of a node among others."""

    late = EXCHANGE_EVERY

    async def make_limits(self) -> ILimits:
        """Make them."""
        return (await self.start()).limits


class ValkeyLimitsTests(RedisLimitsTests):
    """The same on Valkey."""

    flavour = "valkey"


class GateTests(LimitsCase):
    """Requests that may wait for Redis: logins and codes."""

    limits = (("from", 4, 60.0), ("of", 3, 60.0))

    async def test_used_up(self) -> None:
        """A use admitted by one node is counted on every other, at once."""
        one, other = [node.limits.gate(self.limits) for node in await self.start_two()]
        self.assertTrue(await self.enters(one, ADDRESS, "1"))
        self.assertTrue(await self.enters(other, ADDRESS, "1"))
        self.assertTrue(await self.enters(one, ADDRESS, "1"))
        too_many = await self.result_of(other.enter([ADDRESS, "1"]))
        assert too_many is not None
        self.assertEqual(1, too_many.which)
        self.assertTrue(18 < too_many.wait <= 20, too_many.wait)
        self.assertFalse(await self.enters(other, ADDRESS, "2"))
        self.assertTrue(await self.enters(other, None, "2"))

    async def test_what_redis_holds(self) -> None:
        """Redis holds no address and no phone of those who logged in, and forgets them by itself."""
        node = await self.start()
        gate = node.limits.gate(self.limits)
        self.assertTrue(await self.enters(gate, ADDRESS, "13600000001"))
        names = self.names()
        self.assertEqual(2, len(names))
        for name in names:
            self.assertNotIn(ADDRESS, name)
            self.assertNotIn("13600000001", name)
            self.assertTrue(0 < int(self.server.cli("PTTL", self.prefix + name)) <= 20_000)

    async def test_away(self) -> None:
        """When Redis is away each node counts by itself, and when it is back they count together."""
        one, other = await self.start_two()
        gates = [node.limits.gate(self.limits) for node in (one, other)]
        await self.cut_off(one)
        self.assertEqual([True] * 3 + [False], [await self.enters(gates[0], None, "1") for _ in range(4)])
        self.assertTrue(await self.enters(gates[1], None, "1"))
        await self.let_back(one)
        for _ in range(3):
            await self.enters(gates[1], None, "2")
        self.assertFalse(await self.enters(gates[0], None, "2"))

    async def test_slow(self) -> None:
        """When Redis does not answer in half a second each node counts by itself."""
        node = await self.start()
        gate = node.limits.gate(self.limits)
        node.wire.silence()
        asked_at = self.world.passed
        self.assertTrue(await self.enters(gate, None, "1"))
        self.assertTrue(TAKE_TIME <= self.world.passed - asked_at < 2 * TAKE_TIME)
        node.wire.heal()


class LimiterTests(LimitsCase):
    """Requests that do not wait: calls and displacements."""

    async def start_limiters(self, count: int, seconds: float = 60.0) -> tuple[ILimiter, ILimiter]:
        """The same limit on two nodes."""
        one, other = await self.start_two()
        return one.limits.limiter("calls", count, seconds), other.limits.limiter("calls", count, seconds)

    async def test_used_up(self) -> None:
        """A limit that is used up on one node is used up on a node that has never counted it."""
        one, other = await self.start_limiters(20, 600.0)
        self.assertEqual({0.0}, {one.wait("a") for _ in range(20)})
        await self.until(lambda: other.would_wait("a"))
        self.assertTrue(0 < other.wait("a") <= 30.0)
        self.assertEqual(0, other.wait("b"))

    async def test_both(self) -> None:
        """Uses on two nodes are added up, even if each has few."""
        one, other = await self.start_limiters(20)
        self.assertEqual({0.0}, {limiter.wait("a") for limiter in (one, other) for _ in range(10)})
        await self.until(lambda: one.would_wait("a") and other.would_wait("a"))

    async def test_average(self) -> None:
        """Uses from before the nodes heard of each other are made up for."""
        one, other = await self.start_limiters(10, 5.0)
        let_through, until = 0, self.world.passed + 6.0
        while self.world.passed < until:
            let_through += sum(not limiter.wait("a") for limiter in (one, other))
            await self.pass_time(0.02)
        self.assertLessEqual(let_through, 2 * 10 + 2 * 6)
        self.assertGreaterEqual(let_through, 20)

    async def test_seldom(self) -> None:
        """A use far below its limit is not reported, until a tenth of the limit has been reached."""
        one, _ = await self.start_limiters(30)
        for _ in range(2):
            one.wait("a")
        await self.pass_time(SOON)
        self.assertEqual([], self.names())
        one.wait("a")
        await self.until(self.names)
        [name] = self.names()
        self.assertTrue(0 < int(self.server.cli("PTTL", self.prefix + name)) <= 6000)

    async def test_away(self) -> None:
        """Uses while Redis was away are reported when it is back."""
        one, other = await self.start_two()
        limiters = [node.limits.limiter("calls", 5, 60.0) for node in (one, other)]
        await self.cut_off(one)
        self.assertEqual([0.0] * 5, [limiters[0].wait("a") for _ in range(5)])
        self.assertTrue(limiters[0].would_wait("a"))
        self.assertFalse(limiters[1].would_wait("a"))
        one.wire.heal()
        await self.until(lambda: limiters[1].would_wait("a"))

    async def test_more_than_one_exchange_carries(self) -> None:
        """Whatever the number of keys, all are told."""
        self.patch(limits, "MOST", 10)
        one, other = await self.start_limiters(1)
        keys = [str(number) for number in range(100)]
        for key in keys:
            one.wait(key)
        await self.until(lambda: all(other.would_wait(key) for key in keys))

    async def test_devices(self) -> None:
        """Calls of a device, calls between phones and displacements are each counted so."""
        settings = LimitSettings(
            calls_a_minute_of_a_device=4, calls_a_minute_between_phones=2, displacements_a_minute=2
        )
        one, other = [SignalLimits(settings, node.limits) for node in await self.start_two()]
        pad = DeviceAddress(ANN.phone, "pad")
        for _ in range(2):
            self.assertTrue(one.may_call(ANN, TV.phone))
            one.displaced(TV)
        await self.until(lambda: not other.may_connect(TV))
        self.assertTrue(other.may_connect(ANN))
        await self.until(lambda: not other.may_call(pad, TV.phone))
        self.assertTrue(other.may_call(pad, "13600000009"))

    async def test_turn_credentials(self) -> None:
        """Credentials that go to an address are counted on all nodes; Redis does not show the address."""
        limits = LimitSettings(turn_credentials_a_minute_from_an_address=4)
        one, other = [
            IceServers(TURN, TurnSecret(TURN.secret), limits, node.limits, time.time) for node in await self.start_two()
        ]
        for _ in range(4):
            one.for_device(ADDRESS)
        await self.until(lambda: len(other.for_call(ADDRESS, 60.0).servers) == 1)
        self.assertRaises(RateLimited, other.for_device, ADDRESS)
        other.for_device("192.0.2.78")
        self.assertNotIn(ADDRESS, "".join(self.names()))


class CrowdsTests(LimitsCase):
    """Sockets of an address."""

    async def start_crowds(self, most: int) -> tuple[SimulatedNode, PerAddress, PerAddress]:
        """The sockets of two nodes."""
        one, other = await self.start_two()
        crowds = PerAddress(most), PerAddress(most)
        one.limits.share("devices", crowds[0])
        other.limits.share("devices", crowds[1])
        return one, *crowds

    async def test_together(self) -> None:
        """They are counted on all nodes together; when some are gone others may come."""
        _, here, there = await self.start_crowds(4)
        sites = [crowds.join(From()) for crowds in (here, here, there, there)]
        self.assertFalse(there.is_too_large(sites[3]))
        there.join(From())
        await self.until(lambda: there.is_too_large(ADDRESS) and here.is_too_large(ADDRESS))
        there.join(From("192.0.2.78"))
        self.assertFalse(there.is_too_large("192.0.2.78"))
        here.leave(ADDRESS)
        await self.until(lambda: not there.is_too_large(ADDRESS))
        self.assertNotIn(ADDRESS, "".join(self.names()))

    async def test_network(self) -> None:
        """Those of an IPv6 /48, ten times as many, are counted on all nodes together."""
        _, here, there = await self.start_crowds(1)
        sites = [crowds.join(From(f"2001:db8:1:{number:x}::1")) for number in range(5) for crowds in (here, there)]
        self.assertFalse(any(map(there.is_too_large, sites[1::2])))
        last = there.join(From("2001:db8:1:ffff::1"))
        await self.until(lambda: there.is_too_large(last))

    async def test_more_than_one_exchange_carries(self) -> None:
        """They are counted for each of very many addresses, and are taken back for each."""
        _, here, there = await self.start_crowds(1)
        clients = [From(f"192.0.{number // 250}.{number % 250}") for number in range(3 * limits.MOST)]
        sites = [[crowds.join(client) for client in clients] for crowds in (here, there)]
        await self.pass_time(2 * SOON)
        self.assertEqual(len(clients), sum(map(there.is_too_large, sites[1])))
        for site in sites[0]:
            here.leave(site)
        await self.pass_time(2 * SOON)
        self.assertEqual(0, sum(map(there.is_too_large, sites[1])))

    async def test_dead_node(self) -> None:
        """Those of a node that died are forgotten, and so is the address when nobody is left."""
        node, here, there = await self.start_crowds(4)
        for crowds in (here, here, here, there, there):
            crowds.join(From())
        await self.until(lambda: there.is_too_large(ADDRESS))
        node.die()
        await self.until(lambda: not there.is_too_large(ADDRESS))
        for _ in range(2):
            there.leave(ADDRESS)
        await self.until(lambda: not self.names())

    async def test_away(self) -> None:
        """A node that is alone goes by its own."""
        node, here, there = await self.start_crowds(4)
        for crowds in (here, here, here, there, there):
            crowds.join(From())
        await self.until(lambda: here.is_too_large(ADDRESS))
        node.wire.cut()
        await self.until(lambda: not here.is_too_large(ADDRESS))
        node.wire.heal()
        await self.until(lambda: here.is_too_large(ADDRESS))

    async def test_small(self) -> None:
        """Addresses with few clients are not reported."""
        _, here, _ = await self.start_crowds(300)
        for _ in range(2):
            here.join(From())
        await self.pass_time(SOON)
        self.assertEqual([], self.names())
        here.join(From())
        await self.until(self.names)
