"""A thousand nodes in simulated time: a call's cost does not grow with their number, and dead nodes are handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.proof import Outcome, Proof
from acceptance.scale_life import BOUND, SETTINGS, Life
from harness.redis_server import RedisServer
from tests.cluster.costs import Cost, cost_of
from tests.cluster.crowd import Crowd, Pair
from tests.cluster.page import Page
from tests.cluster.simulated import World

LIMIT: Final = 1.1
"""The cost of a call among many nodes, at most, in multiples of that on one or between two."""
DEVICES: Final = 20
"""On each node."""
AT_ONCE: Final = 64

FIGURES: Final[Mapping[str, str]] = {
    "round_trips": "round trips",
    "commands": "commands in scripts",
    "messages": "messages",
    "sent": "bytes to Redis",
    "received": "bytes from Redis",
    "records": "records read",
}
"""The figures, and their names in the report."""


class Plan(Struct, frozen=True):
    """The amounts."""

    nodes: Sequence[int]
    calls: int
    """The number of each kind that is counted."""
    seconds: int
    """The seconds of the cluster's life, while nodes die."""
    big: tuple[int, int]
    """Devices of a node that dies, and how many of them are in calls."""


FULL: Final = Plan((1, 2, 10, 100, 1000), 200, 120, (100_000, 5_000))
BRIEF: Final = Plan((1, 2, 10, 100), 20, 30, (5_000, 250))


class Scale:
    """The proof, and its findings so far."""

    def __init__(self, server: RedisServer, plan: Plan, random: Random) -> None:
        self._server = server
        self._plan = plan
        self._random = random
        self._reference: dict[str, Cost] = {}
        self.counts: Final[dict[str, object]] = {}
        self.misses: Final[list[str]] = []

    def grow(self) -> None:
        """Count the cost of calls and heartbeats, on ever more nodes, and again after some of these have died."""
        for nodes in self._plan.nodes:
            name = f"{nodes} node{'s' if nodes > 1 else ''}"
            crowd = self._crowd(nodes)
            for across in (False, True)[: min(nodes, 2)]:
                self._count(name, crowd, across)
            beats = cost_of(crowd.world, partial(crowd.world.pass_time, 10))
            self.counts[f"{name}: commands in a heartbeat"] = round(beats.commands / beats.round_trips, 2)
            self._expect(beats.round_trips == 10 * nodes, f"{name}: {beats.round_trips} heartbeats in 10 s")
            if nodes >= 10:
                life = Life(crowd, self._random)
                life.go_on(self._plan.seconds)
                self.counts.update({f"{name}: {what}": count for what, count in life.counts().items()})
                self.misses.extend(f"{name}: {miss}" for miss in life.misses())
                self._count(f"{name}, after that", crowd, across=True)
            crowd.world.close()

    def weigh(self) -> None:
        """Measure the computing time of Redis for connections, calls and heartbeats."""
        crowd = self._crowd(10)
        node = crowd.world.nodes[0]
        self._weigh("a heartbeat", crowd, 60, partial(crowd.world.pass_time, 1), len(crowd.world.nodes))
        for name, at_once in (("", 1), (f", {AT_ONCE} at once", AT_ONCE)):
            rounds = 10 * self._plan.calls // at_once
            self._weigh(f"a connection{name}", crowd, rounds, partial(crowd.connect, node, at_once), at_once)
            for where, across in (("inside a node", False), ("across nodes", True)):
                pairs = [crowd.pairs(at_once, across) for _ in range(rounds)]
                self._weigh(f"a call {where}{name}", crowd, rounds, partial(_call_some, crowd, pairs), at_once)
        self._weigh_pages(crowd, 10 * self._plan.calls)
        crowd.world.redis.ask(b"FLUSHALL")
        known = sum(len(node.cache.devices()) for node in crowd.world.nodes)
        self._weigh("a device that is announced again", crowd, 1, partial(crowd.world.pass_time, 2), known)
        crowd.world.close()

    def _weigh_pages(self, crowd: Crowd, count: int) -> None:
        here, there = crowd.world.nodes[:2]
        rooms = [f"room {number}" for number in range(count)]
        pages = [(Page(here, room, 1), Page(there, room, 2)) for room in rooms]
        for what, words in (
            (Page.joins, "taking a seat"),
            (Page.relays, "what a page says to one on another node"),
            (Page.goes, "leaving a seat"),
        ):
            left = [page for pair in pages for page in pair]
            self._weigh(words, crowd, len(left), partial(_act, crowd, what, left), 1)

    def bury(self) -> None:
        """Let a node die with too many devices to handle at once."""
        devices, in_calls = self._plan.big
        crowd = Crowd(self._server, 2, 0, self._random, SETTINGS)
        big, other = crowd.world.nodes
        phones = [phone for _ in range(devices // 1000) for phone in crowd.connect(big, 1000)]
        peers = [phone for _ in range(in_calls // 50) for phone in crowd.connect(other, 50)]
        pairs = list(zip(peers, self._random.sample(phones, in_calls), strict=True))
        for start in range(0, in_calls, 1000):
            crowd.talk(pairs[start : start + 1000])
        told = crowd.time_to_tell([big], peers)
        name = f"a node with {devices} devices dies, {in_calls} in calls, one node is left"
        self.counts[f"{name}: seconds until the last peer is told"] = told[-1]
        self._expect(told[-1] <= BOUND, f"{name}: the last peer was told after {told[-1]} s")
        crowd.world.close()

    def _crowd(self, nodes: int) -> Crowd:
        return Crowd(self._server, nodes, DEVICES, self._random, SETTINGS)

    def _count(self, name: str, crowd: Crowd, across: bool) -> None:
        where = f"a call {'across nodes' if across else 'inside a node'}"
        total = sum(crowd.cost_of_calls(self._plan.calls, across), Cost({}, 0, 0, 0, 0, 0))
        reference = self._reference.setdefault(where, total)
        told = []
        for what, words in FIGURES.items():
            average, least = (getattr(cost, what) / self._plan.calls for cost in (total, reference))
            told.append(f"{average:g} {words}")
            self._expect(average <= LIMIT * least, f"{name}: {where} takes {average:g} {words}, not {least:g}")
        self.counts[f"{name}: {where}"] = ", ".join(told)

    def _weigh(self, what: str, crowd: Crowd, rounds: int, action: Callable[[], object], each: int) -> None:
        """Do something again and again, which is ``each`` of the weighed things."""
        before = _computed(crowd.world)
        for _ in range(rounds):
            action()
        used = (_computed(crowd.world) - before) / (rounds * each)
        self.counts[f"Redis computes for {what}, µs"] = round(used * 1e6)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.misses.append(otherwise)


def _act(crowd: Crowd, act: Callable[[Page], object], left: list[Page]) -> None:
    act(left.pop())
    crowd.world.settle()


def _call_some(crowd: Crowd, left: list[Sequence[Pair]]) -> None:
    crowd.whole_calls(left.pop())


def _computed(world: World) -> float:
    """Seconds of a core that Redis has used."""
    text = world.redis.ask(b"INFO", b"cpu").decode()
    figures = dict(line.split(":") for line in text.splitlines() if ":" in line)
    return float(figures["used_cpu_sys"]) + float(figures["used_cpu_user"])


def prove(brief: bool, seed: int) -> Outcome:
    """On up to a thousand nodes, or a hundred."""
    server = RedisServer("redis")
    scale = Scale(server, BRIEF if brief else FULL, Random(seed))
    try:
        scale.grow()
        scale.weigh()
        scale.bury()
    finally:
        server.close()
    return Outcome(scale.counts, scale.misses)


PROOF: Final = Proof(
    "scale",
    f"in simulated time over a real Redis, a call among 1000 nodes takes at most {LIMIT} times the round trips,"
    " commands, messages, bytes and records that it takes on one node or between two; when nodes die, those in calls"
    f" with their devices are told within {BOUND:g} s, and nothing of the dead is left",
    prove,
)
