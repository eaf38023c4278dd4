"""Links by real Sentinels: to the master, and after a failover to the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet import reactor
from twisted.internet.task import deferLater

from callnet.errors import Unavailable
from callnet.redis.check import reachable
from harness.redis_server import Flavour
from harness.sentinels import Sentinels
from tests.support.redis_case import Link, RedisCase, Subscription, target

if TYPE_CHECKING:
    _Base = RedisCase
else:
    _Base = object


class Node:
    """The two connections of a node, by Sentinels of its own."""

    def __init__(self, case: RedisCase, flavour: Flavour, tls: bool) -> None:
        certificate = case.certificate("127.0.0.1") if tls else None
        self.sentinels = Sentinels(flavour, certificate=certificate)
        case.addCleanup(self.sentinels.close)
        self.url, self.ca = self.sentinels.url(), certificate[0] if certificate else ""
        self.link: Link = case.link(self.url, self.ca)
        self.subscription: Subscription = case.subscription(self.url, "channel", self.ca)

    async def up(self) -> str:
        """Wait until both are up; answers with the run of Redis."""
        run = await self.link.runs.get()
        await self.subscription.confirmed.get()
        return run


class Failovers(_Base):
    """A failover as a node sees it; a class below says of which servers."""

    tls = False

    async def connected(self) -> Node:
        """A node that is up."""
        node = Node(self, self.flavour, self.tls)
        self.assertIsNone(reachable(target(node.url, node.ca)))
        run = await node.up()
        self.assertIn(run, node.sentinels.servers[0].cli("INFO", "server"))
        return node

    async def assert_goes_over(self, node: Node) -> None:
        """After a failover that begins now, both connections lead to the other Redis."""
        run = await node.up()
        self.assertIn(run, node.sentinels.servers[1].cli("INFO", "server"))
        self.assertEqual(await node.link.run("publish", b"channel", b"after"), 1)
        self.assertEqual(await node.subscription.messages.get(), b"after")

    async def test_the_master_is_killed(self) -> None:
        """As soon as the Sentinels have another one it is used."""
        node = await self.connected()
        node.sentinels.servers[0].kill()
        await self.assert_goes_over(node)


class RedisFailoverTests(Failovers, RedisCase):
    """Failovers of Redis."""

    flavour = "redis"

    async def test_the_master_stands_still(self) -> None:
        """And when it goes on, nobody is there who takes it for the master."""
        node = await self.connected()
        node.sentinels.servers[0].stop()
        command = self.assertFailure(node.link.run("append", b"key", b"ghost"), Unavailable)
        await self.assert_goes_over(node)
        await command
        node.sentinels.servers[0].resume()
        self.assertEqual(await node.link.run("list", b"key"), [])

    async def test_the_master_is_well(self) -> None:
        """An operator had the Sentinels fail over: a connection that works is left all the same."""
        node = await self.connected()
        node.sentinels.fail_over()
        await self.assert_goes_over(node)

    async def test_the_sentinels_are_away(self) -> None:
        """A connection that works is kept, and without one it is said that they are away; then they come back."""
        node = await self.connected()
        node.sentinels.stop(0, 1, 2)
        node.link.give_up("of no use")
        self.assertIn("no Sentinel knows the master of callnet: no answer in time", await self.said("Redis link: away"))
        self.assertEqual(node.subscription.cause, "")
        said = reachable(target(node.url))
        self.assertEqual(said, f"{target(node.url)}: no answer in 2 s")
        node.sentinels.resume(0, 1, 2)
        await node.link.runs.get()

    async def test_some_sentinels_are_away(self) -> None:
        """One that answers is enough."""
        node = await self.connected()
        node.sentinels.stop(0, 1)
        node.link.give_up("of no use")
        await node.link.runs.get()
        self.assertIsNone(reachable(target(node.url)))

    async def test_a_sentinel_knows_nothing_of_the_failover(self) -> None:
        """It still names the old master: nobody leaves the new one for that, and nobody takes the old one for it."""
        node = await self.connected()
        node.sentinels.fail_over()
        await self.assert_goes_over(node)
        old, new = node.sentinels.servers
        old.replica_of(new)  # the Sentinels would do so later
        node.sentinels.stop(0, 1)
        node.sentinels.restart(2)
        await deferLater(reactor, 2.5)  # it is asked twice, and nothing is to happen
        self.assertTrue(node.link.up)
        node.link.give_up("of no use")
        await self.said("Redis link: away: this Redis is a replica")
        node.sentinels.resume(0, 1)
        await node.link.runs.get()

    async def test_the_service_is_unknown(self) -> None:
        """The name in the URL is not that which the Sentinels know."""
        node = await self.connected()
        url = node.url.replace("/callnet", "/other")
        self.assertEqual(reachable(target(url)), f"{target(url)}: this Sentinel does not know the service")
        line = self.said("Redis link: away")
        self.link(url)
        self.assertIn("no Sentinel knows the master of other: ERR No such master with that name", await line)

    async def test_the_sentinels_ask_for_a_password(self) -> None:
        """It is theirs, and says nothing about that of Redis."""
        sentinels = Sentinels(self.flavour, password="p&w")
        self.addCleanup(sentinels.close)
        self.assertIsNone(reachable(target(sentinels.url())))
        await self.link(sentinels.url()).runs.get()
        url = sentinels.url().partition("?")[0]
        self.assertEqual(reachable(target(url)), f"{target(url)}: a password is required")
        line = self.said("Redis link: away")
        self.link(url)
        self.assertIn("no Sentinel knows the master of callnet: NOAUTH", await line)

    async def test_stopping_leaves_nothing(self) -> None:
        """A stop leaves nothing, connected or not, and while the Sentinels are asked (trial looks)."""
        node = await self.connected()
        await node.link.stop()
        node.sentinels.stop(0, 1, 2)
        node.link.start()
        await node.link.stop()
        await node.subscription.stop()


class RedisTlsFailoverTests(Failovers, RedisCase):
    """Failovers of Redis where everyone speaks TLS."""

    flavour = "redis"
    tls = True


class ValkeyFailoverTests(Failovers, RedisCase):
    """Failovers of Valkey."""

    flavour = "valkey"
