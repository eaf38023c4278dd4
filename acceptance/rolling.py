"""Two nodes on one Redis are restarted one after the other, time and again, while devices call each other.

Each restart is a SIGTERM, with a little time for calls, and a start. Devices are good clients: when they are told that
their node goes away they come to another, and what may not have been heard they say again. First the code is always
this one; then one node after the other is taken back to the previous revision's, and forth, so that both kinds of nodes
share calls in every way.

A call that rings or is talked in when a node is restarted must go on, and end when one of the two ends it. New
calls may fail as ``shutting_down`` or ``unavailable``, or as ``offline`` while the callee is on its way, and must
succeed when they are tried again. Half of the devices speak ``callnet.v2``; in calls of theirs both sides say something
four times a second, and how long nothing came is measured. A device that was told when to come again (``going_away``)
comes then; by older code that may have been ten seconds later. So this is told of this code alone, too.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Final

from msgspec import Struct

from acceptance.crowd.crowd import Crowd, come, leave
from acceptance.crowd.handset import Handset
from acceptance.crowd.seen import Seen
from acceptance.faults.cluster import Cluster, running
from acceptance.faults.nodes import Node, Shared
from acceptance.faults.servers import Alone
from acceptance.proof import Outcome, Proof
from acceptance.revision import Revision, bring, previous
from bench.devices import KEY, address_of
from harness.leaks import errors

NODES: Final = 2
SETTLES: Final = 2.0
"""Seconds between the start of a node, or of the load, and the stop of the next one."""
RINGS: Final = 0.5, 6.0
LASTS: Final = 1.0, 15.0
"""A call may outlast the draining of a node, or not."""
MOVES: Final = 0.5
"""The share of those in no call that go to a node that is back."""
SHOWN: Final = 5


class Plan(Struct, frozen=True):
    """The amounts."""

    devices: int
    rate: float
    """Calls in a second."""
    drain_deadline: int
    rounds: int
    """The number of times that both nodes are restarted with the code that is here."""
    rolls: int
    """The number of times that they are taken to the previous revision and back."""


FULL: Final = Plan(300, 8.0, 5, 6, 3)
BRIEF: Final = Plan(100, 2.5, 2, 0, 1)


class Rolled(Shared):
    """The common parts of the nodes: all settings are the usual ones."""

    def __init__(self, folder: Path, drain_deadline: int) -> None:
        super().__init__(folder)
        self.drain_deadline = drain_deadline
        key = folder / "signing.key"
        key.touch(0o600)
        key.write_bytes(KEY)

    def settings(self, number: int, redis: str, host: str) -> str:
        """The settings of one node, in TOML."""
        services = "".join(
            f'{service} = [{{ endpoint = "tcp:0:interface={host}", tls = false }}]\n'
            for service in ("account", "signaling", "site")
        )
        return f"""
database.url = "sqlite:///{self.folder}/accounts.db"
tokens.signing_key_file = "{self.folder}/signing.key"
redis.url = "{redis}"
[listeners]
{services}admin = [{{ endpoint = "unix:{self.folder}/node{number}/admin" }}]
"""


class Rolling:
    """The restarts, and their counts."""

    def __init__(self, nodes: Sequence[Node], crowd: Crowd, random: Random) -> None:
        self._nodes = nodes
        self._crowd = crowd
        self._random = random
        self._counts: Counter[str] = Counter()
        self._longest_stop = 0.0

    async def roll(self, kind: str, code: Sequence[str]) -> None:
        """Restart all nodes, one after the other. ``code``: the prefix of the program then, to run its code."""
        for node in self._nodes:
            node.before = code
            await self._restart(node)
            self._counts[f"restarts, {kind}"] += 1
            await asyncio.sleep(SETTLES)

    async def _restart(self, node: Node) -> None:
        there = [
            talk for talk in self._crowd.talks if talk.in_progress and any(x.node == node.number for x in talk.both)
        ]
        self._counts["calls in progress when a node of theirs was stopped"] += len(there)
        rang = sum(not talk.is_talked_in for talk in there)
        began = time.monotonic()
        await node.stop()
        took = time.monotonic() - began
        self._longest_stop = max(self._longest_stop, took)
        self._counts["of these that rang"] += rang
        self._counts["of these that were in progress when it had stopped"] += sum(talk.in_progress for talk in there)
        print(f"node {node.number} took {took:.1f} s to stop, {len(there)} calls; lost: {len(self._crowd.seen.lost)}")
        await node.start()
        for device in self._crowd.handsets:
            if device.is_free and self._random.random() < MOVES:
                device.leave()
                device.background(device.connect(node.number))

    def counts(self) -> dict[str, object]:
        """The figures."""
        return {**self._counts, "longest stop, s": round(self._longest_stop, 1)}


async def prove_it(plan: Plan, old: Revision, cluster: Cluster, random: Random) -> tuple[dict[str, object], list[str]]:
    """The whole proof. Returns the counts, and the misses."""
    seen = Seen()
    doors = [node.door for node in cluster.nodes]
    handsets = [Handset(address_of(number), doors, seen, random, number % 2 == 1) for number in range(plan.devices)]
    crowd = Crowd(handsets, seen, random, RINGS, LASTS)
    rolling, over = Rolling(cluster.nodes, crowd, random), asyncio.Event()
    await come(handsets)
    calling = asyncio.create_task(crowd.call(plan.rate, over))
    await asyncio.sleep(SETTLES)
    for _ in range(plan.rounds):
        await rolling.roll("this code to this code", ())
    figures = pauses("this code alone", seen) if plan.rounds else {}
    for _ in range(plan.rolls):
        await rolling.roll("this code to the previous", old.command)
        await rolling.roll("the previous code to this", ())
    over.set()
    await calling
    await leave(handsets)
    logs = [line for node in cluster.nodes for line in errors(node.logs())]
    counts: dict[str, object] = {"devices": plan.devices, "calls begun": crowd.begun, **rolling.counts()}
    counts |= seen.counts() | seen.handshake_counts()
    counts |= {f"sockets closed with {code}": count for code, count in sorted(seen.closed.items())}
    counts |= {f"calls to be tried again, {reason} (each try)": count for reason, count in seen.refused.items()}
    return counts | figures | pauses("in all", seen), [
        *seen.misses(),
        *(f"a node logged {line}" for line in logs[:SHOWN]),
    ]


def pauses(when: str, seen: Seen) -> dict[str, object]:
    """The length of interruptions in the middle of a call."""
    return {
        f"{when}: longest that a device in a call was without a socket, s": round(seen.longest_away, 2),
        f"{when}: longest that nothing came from the other side of a call, s": round(seen.longest_gap, 2),
    }


async def on_two_nodes(plan: Plan, old: Revision, folder: Path, seed: int) -> Outcome:
    """The same, with the nodes and their Redis around it."""
    shared, store = Rolled(folder, plan.drain_deadline), Alone()
    nodes = [Node(number, shared, store.server.socket_url()) for number in range(NODES)]
    async with running(Cluster(store, nodes, ())) as cluster:
        counts, misses = await prove_it(plan, old, cluster, Random(seed))
    return Outcome({"previous revision": old.name, **counts}, misses)


def prove(brief: bool, seed: int) -> Outcome:
    """Five minutes with many restarts, or four restarts."""
    with TemporaryDirectory(prefix="callnet-rolling-") as name:
        folder = Path(name)
        old = bring(previous(), folder / "previous")
        return asyncio.run(on_two_nodes(BRIEF if brief else FULL, old, folder, seed))


PROOF: Final = Proof(
    "rolling",
    "two nodes are restarted one after the other under load, from the previous revision's code to this one and back,"
    " too: no call in progress is lost, nobody is told of a call what is not so, and calls that are refused meanwhile"
    " succeed when they are tried again",
    prove,
)
