"""Revocations: a storm of logouts, and a thief who refreshes a stolen token while it is revoked.

Two nodes share a database. In the storm devices log in, refresh and log out, as fast as they can: one device, and as
many of two hundred. Of every event of either node's reactor it is measured how much CPU it took, and the rows of the
table are counted. A third node, with the usual limits, shows that these end such a storm after a few rounds.

The thief has a token of a device, and refreshes the newest one that it has ten times a second, on one node after the
other. Meanwhile the device is revoked by the operator, logs out, or is deleted. Two seconds later every token that the
thief has is shown to both nodes.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.daemon import running
from acceptance.faults.nodes import Node, Shared
from acceptance.proof import Outcome, Proof
from bench import watched
from callnet.config.schema import LimitSettings
from callnet.model import REVOCATIONS_OF_DEVICE_MAX
from harness import ROOT
from harness.leaks import complaints
from harness.wire import login, post

LONGEST: Final = 0.02
"""Seconds of CPU that an event may take."""
WITHIN: Final = 2.0
"""Seconds after which no token of the thief's may be good."""
STOOD_STILL: Final = 0.5
"""Seconds: a node that takes longer to answer has stood still, and has read no revocation meanwhile."""
EVERY: Final = 0.1
"""Seconds between two refreshes of a thief."""
CROWD: Final = 200
"""The devices of the second storm."""
AT_ONCE: Final = 12
OPERATORS: Final = 2
"""Command lines that run at the same time."""
_CALLNET: Final = Path(sys.executable).parent / "callnet"
WAYS: Final = ("revoked", "logged out", "deleted")


class Plan(Struct, frozen=True):
    """The amounts."""

    logouts: int
    """In each of two storms."""
    thieves: int
    """For each way of ending a token."""
    at_once: int
    """Thieves at the same time."""


FULL: Final = Plan(10_000, 100, 24)
BRIEF: Final = Plan(110, 1, 3)


@asynccontextmanager
async def two_nodes() -> AsyncIterator[tuple[Path, Sequence[Node]]]:
    """Two nodes on one database, whose events are watched, and the folder that all of it is in."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        folder = Path(name)
        shared = Shared(folder, ("bench.watched",))
        nodes = [Node(number, shared, "") for number in range(2)]
        for node in nodes:
            await node.start()
        try:
            yield folder, nodes
        finally:
            for node in nodes:
                await node.stop()


async def storm(nodes: Sequence[Node], phones: Sequence[str], logouts: int) -> Counter[str]:
    """Have the devices of these phones log in, refresh and log out; returns the answers to the logouts."""
    answers: Counter[str] = Counter()
    numbers = iter(range(logouts))

    async def go_on() -> None:
        for number in numbers:
            one, other = (nodes[(number + more) % 2].door.account for more in range(2))
            token = await login(one, phones[number % len(phones)], "tv")
            refreshed = await post(other, "/account/refresh", {"token": token})
            out = await post(other, "/account/logout", {"token": refreshed.get("token", token)})
            answers[out["errorCodeName"]] += 1

    await asyncio.gather(*(go_on() for _ in range(AT_ONCE)))
    return answers


def longest_event(node: Node, since: float) -> watched.Event:
    """The event of a node that has taken longest since then."""
    events = [event for event in watched.read(node.life.folder / "census") if event.at >= since]
    return max(events, key=lambda event: event.took, default=watched.Event(since, 0.0, "none"))


def rows(folder: Path) -> Mapping[str, int]:
    """The number of revocations of each phone in the table."""
    with closing(sqlite3.connect(folder / "accounts.db")) as database:
        return dict(database.execute("SELECT phone, count(*) FROM revocation GROUP BY phone").fetchall())


async def storms(folder: Path, nodes: Sequence[Node], plan: Plan) -> tuple[dict[str, object], list[str]]:
    """Both storms, one after the other; returns the counts, and the misses."""
    counts: dict[str, object] = {}
    misses: list[str] = []
    for who, phones in (("one device", ["13600000000"]), (f"{CROWD} devices", [f"137{n:08}" for n in range(CROWD)])):
        began = time.monotonic()
        answers = await storm(nodes, phones, plan.logouts)
        took = time.monotonic() - began
        await asyncio.sleep(WITHIN)
        counts[f"{who}: logouts, by answer"] = dict(answers)
        counts[f"{who}: took, s"] = round(took)
        for node in nodes:
            event = longest_event(node, began)
            counts[f"{who}: longest event of node {node.number}, ms of CPU"] = f"{event.took * 1e3:.1f} {event.name}"
            if event.took > LONGEST:
                misses.append(f"{who}: an event of node {node.number} took {event.took * 1e3:.0f} ms: {event.name}")
        kept = rows(folder)
        most = max((kept.get(phone, 0) for phone in phones), default=0)
        counts[f"{who}: revocations of a device in the table, at most"] = most
        if not 0 < most <= REVOCATIONS_OF_DEVICE_MAX:
            misses.append(f"{who}: the table has {most} revocations of a device")
        if not answers["ERROR_CODE_NONE"]:
            misses.append(f"{who}: nobody was logged out")
    return counts, misses


class Thief:
    """A thief who has a token of a device, and refreshes it wherever it can."""

    def __init__(self, nodes: Sequence[Node], phone: str, random: Random) -> None:
        self.nodes: Final = nodes
        self.phone: Final = phone
        self.tokens: list[str] = []
        self._random = random

    async def live(self, way: str, end: Callable[[str, Thief], Awaitable[None]]) -> int:
        """Go on until the token has been ended in this way for some time; the number of tokens that are valid then."""
        self.tokens.append(await login(self.nodes[0].door.account, self.phone, "tv"))
        stealing = asyncio.ensure_future(self._steal())
        await asyncio.sleep(self._random.uniform(0.3, 1.3))
        await end(way, self)
        await asyncio.sleep(WITHIN)
        asked = time.monotonic()
        for node in self.nodes:
            await post(node.door.account, "/account/refresh", {})
        if time.monotonic() - asked > STOOD_STILL:
            await asyncio.sleep(WITHIN)
        stealing.cancel()
        return sum([await self._is_good(token) for token in self.tokens])

    async def _steal(self) -> None:
        for number in range(1_000_000):
            port = self.nodes[number % 2].door.account
            answer = await post(port, "/account/refresh", {"token": self.tokens[-1]})
            if answer["errorCode"] == 0:
                self.tokens.append(answer["token"])
            await asyncio.sleep(EVERY)

    async def _is_good(self, token: str) -> bool:
        asked = {"phone": self.phone, "token": token}
        answers = [await post(node.door.account, "/getContactPersons", asked) for node in self.nodes]
        return any(answer["errorCode"] != 4 for answer in answers)


class Operators:
    """The few who end tokens."""

    def __init__(self, settings: Path) -> None:
        self._settings = settings
        self._free = asyncio.Semaphore(OPERATORS)

    async def end(self, way: str, thief: Thief) -> None:
        """End the tokens of the thief's device."""
        if way == "logged out":
            await post(thief.nodes[0].door.account, "/account/logout", {"token": thief.tokens[0]})
            return
        arguments = ["revoke", thief.phone, "tv"] if way == "revoked" else ["delete", thief.phone, "--yes"]
        command = [str(_CALLNET), "--config", str(self._settings), "account", *arguments]
        async with self._free:
            await asyncio.to_thread(subprocess.run, command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL)


async def thieves(nodes: Sequence[Node], plan: Plan, random: Random) -> tuple[dict[str, object], list[str]]:
    """All thieves; how many tokens they got, and how many survived."""
    operators = Operators(nodes[0].life.folder / "callnet.toml")
    slots = asyncio.Semaphore(plan.at_once)
    got: Counter[str] = Counter()
    survived: Counter[str] = Counter()

    async def one(number: int) -> None:
        way = WAYS[number % len(WAYS)]
        thief = Thief(nodes, f"138{number:08}", random)
        async with slots:
            survived[way] += await thief.live(way, operators.end)
        got[way] += len(thief.tokens)

    await asyncio.gather(*(one(number) for number in range(plan.thieves * len(WAYS))))
    counts: dict[str, object] = {"thieves, for each way": plan.thieves}
    for way in WAYS:
        counts[f"tokens that thieves had of devices that were {way}"] = got[way]
    counts[f"of these good {WITHIN:.0f} s later"] = sum(survived.values())
    misses = [f"{count} tokens survived that were {way}" for way, count in survived.items() if count]
    misses += [f"no thief got a token before it was {way}" for way in WAYS if got[way] <= plan.thieves]
    return counts, misses


async def limited(port: int) -> tuple[int, int]:
    """The number of refreshes and logouts that the usual limits allow a device at once."""
    token = await login(port, "13600000001", "tv")
    allowed = {"refresh": 0, "logout": 0}
    for _ in range(LimitSettings().logins_a_minute_of_a_phone - 2):
        for what in allowed:
            answer = await post(port, f"/account/{what}", {"token": token})
            allowed[what] += answer["errorCode"] == 0
        token = await login(port, "13600000001", "tv")
    return allowed["refresh"], allowed["logout"]


async def both(plan: Plan, random: Random) -> tuple[dict[str, object], list[str]]:
    """The storms, then the thieves."""
    async with two_nodes() as (folder, nodes):
        counts, misses = await storms(folder, nodes, plan)
        more, missed = await thieves(nodes, plan, random)
        logged = [f"node {node.number} logged {line}" for node in nodes for line in complaints(node.logs())]
    return counts | more, [*misses, *missed, *logged]


def prove(brief: bool, seed: int) -> Outcome:
    """Ten thousand logouts twice, and three hundred thieves; or some of each."""
    counts, misses = asyncio.run(both(BRIEF if brief else FULL, Random(seed)))
    with running("", limits="") as daemon:
        refreshes, logouts = asyncio.run(limited(daemon.ports["account"]))
    usual = LimitSettings()
    counts["refreshes and logouts of a device at once, by the usual limits"] = f"{refreshes}, {logouts}"
    if (refreshes, logouts) != (usual.refreshes_an_hour_of_a_device, usual.logouts_an_hour_of_a_device):
        misses.append(f"the usual limits let {refreshes} refreshes and {logouts} logouts through")
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "revocations",
    f"no event of a node takes more than {LONGEST * 1e3:.0f} ms however many log out, at most"
    f" {REVOCATIONS_OF_DEVICE_MAX} revocations are kept of a device, and no refreshed token outlives its revocation by"
    f" more than {WITHIN:.0f} s",
    prove,
)
