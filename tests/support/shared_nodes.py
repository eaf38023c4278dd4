"""Nodes of a cluster in one process, over a real Redis or Valkey: everything but the devices is real."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from callnet.config.schema import CallSettings, RedisSettings
from callnet.redis import commands, connection
from callnet.redis.store import open_shared
from callnet.redis.url import parse
from callnet.store.cluster_handle import ClusterHandle
from harness.redis_server import Flavour, RedisServer, new_prefix, shared

reactor: Any = installed

PATIENCE = 20.0
"""Seconds that anything may take on a machine that is busy with other tests."""


class SharedNodes(TestCase):
    """A test with nodes that meet over Redis. ``server`` may be replaced in ``setUp`` by one of the test's own."""

    flavour: Flavour = "redis"
    timeout = 120

    def setUp(self) -> None:
        """Begin with an empty cluster."""
        self.server: RedisServer = shared(self.flavour)
        self.prefix = new_prefix()
        self.nodes: list[ClusterHandle] = []
        self.addCleanup(self.stop_nodes)

    def know_the_run(self) -> None:
        """Let this run of Redis be known, so that the first node need not wait for others to announce themselves."""
        [run] = [line[7:] for line in self.server.cli("INFO", "server").splitlines() if line.startswith("run_id:")]
        self.server.cli("HSET", f"{self.prefix}meta", "run", run)

    async def node(self, settings: CallSettings = CallSettings()) -> ClusterHandle:  # noqa: B008
        """Start a node, which has joined."""
        target = parse(RedisSettings(url=self.server.url(), prefix=self.prefix))
        node = open_shared(target, self.prefix, reactor, settings)
        self.nodes.append(node)
        node.start()
        await self.until(lambda: node.why_away() is None)
        return node

    def stop_nodes(self) -> Deferred[Any]:
        """Let all nodes leave."""
        nodes, self.nodes = self.nodes, []
        return gatherResults([node.stop() for node in nodes])

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        until = reactor.seconds() + PATIENCE
        while not condition():
            self.assertLess(reactor.seconds(), until, "this takes too long")
            await deferLater(reactor, 0.01)

    def keys(self) -> list[str]:
        """All keys in Redis, except those of the cluster as such."""
        found = self.server.cli("KEYS", f"{self.prefix}*").split()
        return sorted(key.removeprefix(self.prefix) for key in found if key != f"{self.prefix}meta")


class PatientNodes(SharedNodes):
    """A test of something else than outages: neither nodes nor Redis are taken for dead on a busy machine."""

    def setUp(self) -> None:
        """Have nodes wait, and keep their leases, for longer than a test lasts."""
        super().setUp()
        scripts = scripts_with("LEASE, BEAT = 300, 1", instead_of="LEASE, BEAT = 3, 1")
        self.patch(commands, "load_scripts", lambda: scripts)
        self.patch(commands, "DECISION_TIME", self.timeout)
        self.patch(connection, "REPLY_TIME", self.timeout)


def scripts_with(text: str, *, instead_of: str) -> Mapping[str, str]:
    """The scripts of the shared store, with something in their common part replaced."""
    scripts = commands.load_scripts()
    assert all(script.count(instead_of) == 1 for script in scripts.values()), instead_of
    return {name: script.replace(instead_of, text) for name, script in scripts.items()}
