"""The link of a node to a real Redis and a real Valkey: answers of commands, and reconnects."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Final

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.redis.connection import REPLY_TIME, ScriptFailed
from callnet.redis.store import open_shared
from harness.redis_server import RedisServer, new_prefix, shared
from tests.support.redis_case import SCRIPTS, Link, RedisCase, target

if TYPE_CHECKING:
    _Base = RedisCase
else:
    _Base = object

LATEST: Final = REPLY_TIME + 20
"""Seconds after which a silent Redis has been noticed, on a machine that is busy with other tests."""


def stand_still(seconds: float) -> None:
    """Have this process do nothing: not to wait for something, but because that is the case to be tested."""
    subprocess.run(["sleep", str(seconds)], check=True)


class Commands(_Base):
    """Commands over a link; a class below says to which server."""

    async def connected(self) -> Link:
        """A link that is up, to the server that all tests share."""
        self.key = new_prefix().encode() + b"list"
        self.shared = shared(self.flavour)
        link = self.link(self.shared.url())
        await link.runs.get()
        return link

    async def test_it_names_the_run_of_redis(self) -> None:
        """The first fact reported about a connection is the run of Redis that it leads to."""
        link = self.link(shared(self.flavour).url())
        self.assertFalse(link.up)
        run = await link.runs.get()
        self.assertTrue(link.up)
        self.assertEqual(link.cause, "")
        self.assertIn(f"run_id:{run}\n", shared(self.flavour).cli("INFO", "server").replace("\r", ""))

    async def test_commands_run_in_the_order_in_which_they_are_given(self) -> None:
        """Many commands are under way at once; each gets its own answer, and Redis runs them one after the other."""
        link = await self.connected()
        numbers = range(200)
        answers = await gatherResults([link.run("append", self.key, b"%d" % number) for number in numbers])
        self.assertEqual(answers, [number + 1 for number in numbers])
        self.assertEqual(await link.run("list", self.key), [b"%d" % number for number in numbers])

    async def test_replies_are_what_the_script_returned(self) -> None:
        """Integers, nothing, bytes, and lists of them in lists."""
        link = await self.connected()
        self.assertEqual(await link.run("kinds"), [7, -1, None, b"text", [1, [b"deep"]], []])

    async def test_bytes_stay_as_they_are(self) -> None:
        """A phone keeps its plus and its zeros; invalid UTF-8, or bytes like a line of the protocol, pass too."""
        link = await self.connected()
        args = [
            b"+8613651884967",
            b"007",
            b"1.50",
            b"",
            b"\xff\x00\xfe",
            b"$5\r\nhello\r\n",
            "房间".encode(),
            b"x" * 99999,
        ]
        self.assertEqual(await link.run("echo", *args), args)

    async def test_a_script_with_a_mistake_fails_alone(self) -> None:
        """The error is told to the one who asked; the commands around it are answered."""
        link = await self.connected()
        before, wrong, after = link.run("echo", b"1"), link.run("wrong", self.key), link.run("echo", b"2")
        self.assertEqual(await before, [b"1"])
        error = await self.assertFailure(wrong, ScriptFailed)
        self.assertIn("Wrong number of args", str(error))
        self.assertEqual(await after, [b"2"])
        self.assertTrue(link.up)

    async def test_scripts_that_redis_forgot_are_loaded_again(self) -> None:
        """After SCRIPT FLUSH all commands run all the same, in the order in which they were given."""
        link = await self.connected()
        self.shared.cli("SCRIPT", "FLUSH")
        given = [link.run("append", self.key, b"%d" % number) for number in range(50)]
        self.assertEqual(await gatherResults(given), [*range(1, 51)])
        self.assertEqual(await link.run("list", self.key), [b"%d" % number for number in range(50)])
        self.assertTrue(link.up)

    async def test_commands_given_while_scripts_are_loaded_again_come_after(self) -> None:
        """Some have been refused already, others not yet: whatever is given then waits for both."""
        link = await self.connected()
        self.shared.cli("SCRIPT", "FLUSH")
        self.shared.cli("SCRIPT", "LOAD", SCRIPTS["echo"])
        refused = link.run("append", self.key, b"1")
        known = link.run("echo").addCallback(lambda _: link.run("append", self.key, b"3"))
        await gatherResults([refused, known, link.run("append", self.key, b"2")])
        self.assertEqual(await link.run("list", self.key), [b"1", b"2", b"3"])

    async def test_a_killed_connection_comes_back(self) -> None:
        """The connection is restored at once, to the same run of Redis."""
        link = self.link(shared(self.flavour).url())
        run = await link.runs.get()
        number = await link.run("echo", b"here")
        self.assertEqual(number, [b"here"])
        shared(self.flavour).cli("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        self.assertFalse(await link.losses.get(), "it was still up when it was told to be lost")
        self.assertEqual(await link.runs.get(), run)
        self.assertEqual(await link.run("echo", b"again"), [b"again"])

    async def test_a_dropped_connection_is_made_anew(self) -> None:
        """The commands that were under way fail, after the link has said that it is lost, and none is run twice."""
        link = await self.connected()
        under_way = link.run("append", self.key, b"1")
        link.give_up("of no use")
        self.assertFalse(link.up)
        self.assertFalse(self.successResultOf(link.losses.get()))
        self.failureResultOf(under_way, Unavailable)
        self.failureResultOf(link.run("append", self.key, b"2"), Unavailable)
        await link.runs.get()
        self.assertIn(await link.run("list", self.key), ([], [b"1"]))


class RedisCommandsTests(Commands, RedisCase):
    """Commands to Redis."""

    flavour = "redis"


class ValkeyCommandsTests(Commands, RedisCase):
    """Commands to Valkey."""

    flavour = "valkey"


class Faults(_Base):
    """Faults of a server and their effect on a link; a class below says which server."""

    async def test_a_redis_that_stands_still_is_noticed(self) -> None:
        """Commands fail when the first of them has waited for 1.5 s, and all goes on when Redis does."""
        server = self.server()
        link = self.link(server.url())
        run = await link.runs.get()
        server.stop()
        given = reactor.seconds()
        under_way = [link.run("echo", b"x"), link.run("echo", b"y")]
        for command in under_way:
            await self.assertFailure(command, Unavailable)
        self.assertTrue(REPLY_TIME <= reactor.seconds() - given < LATEST, reactor.seconds() - given)
        self.assertFalse(link.up)
        self.failureResultOf(link.run("echo", b"z"), Unavailable)
        await self.said("Redis link: away: no answer in time")
        server.resume()
        self.assertEqual(await link.runs.get(), run)
        self.assertEqual(await link.run("echo", b"again"), [b"again"])

    async def test_a_redis_that_was_killed_comes_back_as_another(self) -> None:
        """Its run has another name, since it has lost all data."""
        server = self.server()
        link = self.link(server.url())
        run = await link.runs.get()
        server.kill()
        await link.losses.get()
        await self.said("Redis link: away")
        server.restart()
        self.assertNotEqual(await link.runs.get(), run)
        self.assertEqual(await link.run("echo", b"again"), [b"again"])

    async def test_a_master_that_became_a_replica_is_left(self) -> None:
        """A command that writes fails, and the link is not up again until there is a master."""
        server, other = self.server(tcp=True), self.server(tcp=True)
        link = self.link(server.url())
        await link.runs.get()
        server.replica_of(other)
        await self.assertFailure(link.run("append", b"key", b"1"), Unavailable)
        self.assertFalse(link.up)
        await self.said("this Redis is a replica")
        server.replica_of(None)
        await link.runs.get()
        self.assertEqual(await link.run("append", b"key", b"2"), 1)

    async def test_a_redis_without_memory_left_refuses_and_stays(self) -> None:
        """A refused command fails as unavailable; the connection holds."""
        server = self.server()
        link = self.link(server.url())
        await link.runs.get()
        server.cli("CONFIG", "SET", "maxmemory", "1")
        await self.assertFailure(link.run("append", b"key", b"1"), Unavailable)
        self.assertTrue(link.up)
        server.cli("CONFIG", "SET", "maxmemory", "0")
        self.assertEqual(await link.run("append", b"key", b"1"), 1)

    async def test_a_node_that_stood_still_itself_reads_before_it_judges(self) -> None:
        """If Redis has answered meanwhile, nothing is lost."""
        server = self.server()
        link = self.link(server.url())
        await link.runs.get()
        answer = link.run("echo", b"x")
        assert link.line is not None
        link.line.transport.doWrite()  # it is on its way now, and the reactor has read nothing
        server.cli("PING")  # the answer has been given, too
        stand_still(REPLY_TIME + 0.5)
        self.assertEqual(await answer, [b"x"])
        self.assertTrue(link.up)
        self.assertEqual(link.losses.pending, [])

    async def test_a_redis_that_refuses_is_named_once(self) -> None:
        """While Redis refuses what a node needs to join, the log says why, once; and that it is up when the node has
        joined.
        """
        server = self.server(settings=[("maxmemory", "1")])
        member = open_shared(target(server.url()), new_prefix(), reactor, CallSettings())
        self.addCleanup(member.stop)
        refused = self.said("Redis link: lost")
        member.start()
        self.assertEqual("Redis link: lost: Redis refused the command: OOM", await refused)
        await deferLater(reactor, 0)  # that line has been written
        following, before = self.said("Redis link"), self.connections(server)
        while self.connections(server) < before + 4:
            await deferLater(reactor, 0.05)
        self.assertNoResult(following)
        server.cli("CONFIG", "SET", "maxmemory", "0")
        self.assertEqual("Redis link: up", await following)
        while member.why_away() is not None:
            await deferLater(reactor, 0.05)

    def connections(self, server: RedisServer) -> int:
        """The number of connections that a server has taken."""
        [line] = [line for line in server.cli("INFO", "stats").splitlines() if "total_connections_received" in line]
        return int(line.partition(":")[2])


class RedisFaultsTests(Faults, RedisCase):
    """Faults of Redis."""

    flavour = "redis"


class ValkeyFaultsTests(Faults, RedisCase):
    """Faults of Valkey."""

    flavour = "valkey"


class StopTests(RedisCase):
    """A link that is stopped leaves nothing in the reactor, which each test here ends with (trial looks)."""

    async def test_commands_under_way_fail(self) -> None:
        """Nobody waits for an answer that will not come, and a wanted loss is not reported."""
        server = self.server()
        link = self.link(server.url())
        await link.runs.get()
        under_way = link.run("echo", b"x")
        stopped = link.stop()
        self.failureResultOf(under_way, Unavailable)
        await stopped
        self.assertEqual((link.up, link.cause, link.losses.pending), (False, "stopped", []))
        self.failureResultOf(link.run("echo", b"x"), Unavailable)

    async def test_while_it_connects(self) -> None:
        """An attempt that Redis does not answer is given up."""
        server = self.server()
        server.stop()
        link = self.link(server.url())
        await self.turn()
        await link.stop()

    async def test_while_it_waits_to_try_again(self) -> None:
        """There is no next attempt."""
        server = self.server()
        server.kill()
        link = self.link(server.url())
        await self.said("Redis link: away")
        await link.stop()

    async def test_right_after_a_drop(self) -> None:
        """The connection that was dropped is gone too."""
        link = self.link(shared(self.flavour).url())
        await link.runs.get()
        link.give_up("of no use")
        await link.stop()

    async def test_by_who_is_told_of_the_connection(self) -> None:
        """Both callbacks may stop the link."""
        server = self.server()
        link = Link(target(server.url()))
        stopped: list[Deferred[None]] = []
        link.runs.get().addCallback(lambda _: stopped.append(link.stop()))
        link.start()
        await self.said("Redis link: up")
        await self.turn()
        await stopped[0]
        link = Link(target(server.url()))
        link.losses.get().addCallback(lambda _: stopped.append(link.stop()))
        link.start()
        await link.runs.get()
        link.give_up("of no use")
        await stopped[1]

    async def test_before_it_was_started(self) -> None:
        """There is nothing to do."""
        await Link(target(shared(self.flavour).url())).stop()

    async def turn(self) -> None:
        """Let the reactor do its pending work."""
        await deferLater(reactor, 0)
