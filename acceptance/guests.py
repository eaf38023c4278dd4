"""Guests, who come by links that ring: a thousand, half of them with a link that rings nobody; strangers; and a flood.

**Guests.** Those with a good link are answered, refused, busy or not answered, as the owner's devices do; some links
are of owners who are away, or have quiet hours. The others' links are switched off, removed, expired, out of hours,
used up or wrong. These ring nobody: no device, history or webhook knows their names. All that nobody answers are sent
the same bytes in the same order, and as fast: of each kind it is counted how often one of it waited for longer than one
of the others (Mann and Whitney's U, which is how well somebody guesses the kind by the time), for each kind of answer.
Nothing that a guest is sent names the owner, nor a room or ICE servers before the accept. On one process, and on two
nodes with Redis.

**Strangers** try what they can with the token of a guest (:mod:`acceptance.strangers`), and **a flood** of guests keeps
no friend from calling (:mod:`acceptance.guest_flood`).
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from math import sqrt
from pathlib import Path
from random import Random
from statistics import median
from typing import Any, Final

from msgspec import Struct

from acceptance import guest_flood, strangers
from acceptance.crowd.crowd import door_of
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.faults.operator import ask, series
from acceptance.porch import ALIKE, ANSWERED, AWAY, BAD, RUNG, House
from acceptance.proof import Outcome, Proof
from acceptance.visitor import Visitor
from harness.redis_server import RedisServer
from harness.wire import HOST

SURE: Final = 4.0
"""The most standard deviations by which a kind may be off: more by chance one time in 16 000."""
AT_ONCE: Final = 32
"""Guests that are there at the same time."""
SETTLED: Final = 1.0
"""Seconds after which all nodes have heard of new connections and links."""
IN_TIME: Final = 30.0
"""Seconds in which the history and the webhooks know of all calls."""
SHOWN: Final = 8
OUTCOMES: Final = {"answered": "answered", "refused": "refused", "busy": "missed"} | dict.fromkeys(AWAY, "missed")
"""The outcomes that the owner's history has."""
COUNTED: Final = {"answered": "answered", "refused": "refused", "busy": "busy"} | dict.fromkeys(ALIKE, "no_answer")
"""The outcomes that ``/metrics`` has."""


class Plan(Struct, frozen=True):
    """The amounts."""

    guests: int
    """With a good link; as many have one that does not ring."""
    houses: int
    ring_time: float
    """Seconds."""
    redis: bool
    """All of it once more, on two nodes."""


FULL: Final = Plan(500, 8, 2.0, True)
BRIEF: Final = Plan(60, 4, 3.0, False)


class Webhooks:
    """A program that is told of events."""

    def __init__(self) -> None:
        self.events: Final[list[dict[str, Any]]] = []

    async def serve(self, port: int = 0) -> int:
        """Listen; returns the port."""
        self._server = await asyncio.start_server(self._take, HOST, port)
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                self.events.append(json.loads(await reader.readexactly(int(length.partition(b":")[2]))))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def close(self) -> None:
        """Listen no longer."""
        self._server.close()


@contextmanager
def nodes(count: int, redis: str, plan: Plan, hooks: int) -> Iterator[Sequence[CountedDaemon]]:
    """This number of daemons, which tell a program at a port of events."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name, ExitStack() as running:
        folder = Path(name)
        key = folder / "signing.key"
        key.touch(0o600)
        key.write_text("k" * 64)
        settings = (
            f'database.url = "sqlite:///{folder}/accounts.db"\n'
            f'tokens.signing_key_file = "{key}"\n'
            f"calls.ring_time = {plan.ring_time}\n"
            f'turn = {{ urls = ["turn:turn.example.org:3478?transport=udp"], secret = "{"t" * 32}" }}\n'
            f'webhooks = {{ url = "http://{HOST}:{hooks}/", secret = "{"w" * 32}" }}\n'
            + (f'redis.url = "{redis}"\n' if redis else "")
            + WITHOUT_LIMITS
        )
        yield [running.enter_context(_node(folder / f"node{number}", settings)) for number in range(count)]


def _node(home: Path, settings: str) -> CountedDaemon:
    listeners = "".join(
        f'{service} = [{{ endpoint = "tcp:0:interface={HOST}", tls = false }}]\n'
        for service in ("account", "signaling", "site")
    )
    admin = f'admin = [{{ endpoint = "unix:{home}/admin" }}]\n'
    return CountedDaemon(home, settings, listeners=f"[listeners]\n{listeners}{admin}")


class Stage:
    """All guests of one set of nodes.

    :param name: of the set, in the report.
    """

    def __init__(self, name: str, daemons: Sequence[CountedDaemon], plan: Plan, random: Random) -> None:
        doors = [door_of(daemon) for daemon in daemons]
        self._name = name
        self._daemons = daemons
        self._plan = plan
        self._random = random
        self._problems: list[str] = []
        self._houses = [
            House(doors, number, Random(random.getrandbits(64)), self._problems) for number in range(plan.houses)
        ]
        self._visitors: dict[str, list[Visitor]] = {kind: [] for kind in (*ANSWERED, *ALIKE)}
        self.counts: Final[dict[str, object]] = {}

    async def run(self, hooks: Webhooks) -> Sequence[str]:
        """Have all come, and look; returns the misses."""
        await asyncio.gather(*(house.begin() for house in self._houses))
        await asyncio.sleep(SETTLED)
        await asyncio.gather(*(house.use_up() for house in self._houses))
        before = await self._metrics()
        await asyncio.gather(*map(self._come, self._drawn()))
        self._compare_metrics(before, await self._metrics())
        self._compare_bytes()
        self._compare_times()
        self._look_at_devices()
        await self._look_at_history()
        await self._look_at_events(hooks)
        for house in self._houses:
            house.end()
        total = sum((house.counts for house in self._houses), Counter[str]())
        self.counts.update((f"{self._name}: {what}", number) for what, number in sorted(total.items()))
        return [f"{self._name}: {problem}" for problem in self._problems]

    def _drawn(self) -> Sequence[tuple[int, str]]:
        """The guests, in random order: a number, and a kind."""
        good, half = (*ANSWERED, *AWAY), self._plan.guests
        kinds = [kinds[number % len(kinds)] for kinds in (good, BAD) for number in range(half)]
        drawn = list(enumerate(kinds))
        self._random.shuffle(drawn)
        self._slots = asyncio.Semaphore(AT_ONCE)
        return drawn

    async def _come(self, drawn: tuple[int, str]) -> None:
        number, kind = drawn
        house = self._houses[self._random.randrange(len(self._houses))]
        try:
            visitor = await house.take(kind, number, self._slots, self._plan.ring_time)
        except Exception as error:  # noqa: BLE001  one that breaks is a miss, and the others go on
            self._problems.append(f"{kind}: {type(error).__name__} {error}")
        else:
            self._visitors[kind].append(visitor)

    async def _metrics(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for daemon in self._daemons:
            _, text = await ask(daemon.admin, "/metrics")
            total.update({name: int(value) for name, value in series(text).items() if "_guest_calls" in name})
        return total

    def _compare_metrics(self, before: Counter[str], after: Counter[str]) -> None:
        due: Counter[str] = Counter()
        for kind, visitors in self._visitors.items():
            due[f'callnet_guest_calls_total{{outcome="{COUNTED[kind]}"}}'] += len(visitors)
            if kind in BAD:
                due['callnet_guest_calls_not_rung_total{cause="link"}'] += len(visitors)
        counted = after - before
        self._expect(counted == +due, f"/metrics counts {dict(counted)}, and there were {dict(due)}")

    def _compare_bytes(self) -> None:
        seen = Counter(visitor.transcript() for kind in ALIKE for visitor in self._visitors[kind])
        self.counts[f"{self._name}: different transcripts of guests that nobody answered"] = len(seen)
        if len(seen) > 1:
            usual = seen.most_common(1)[0][0]
            for kind in ALIKE:
                others = [visitor for visitor in self._visitors[kind] if visitor.transcript() != usual]
                if others:
                    told = others[0].transcript()
                    parts = [(part, of_most) for part, of_most in zip(told, usual, strict=True) if part != of_most]
                    self._problems.append(f"{kind}: {len(others)} were sent other bytes: {parts}")

    def _compare_times(self) -> None:
        for what in ("enter", "welcome", "end"):
            times = {kind: [visitor.took[what] for visitor in self._visitors[kind]] for kind in ALIKE}
            worst = ""
            most = 0.0
            for kind, own in times.items():
                others = [took for other, took_by in times.items() if other != kind for took in took_by]
                share, sigmas = slower(own, others)
                off = (median(own) - median(others)) * 1e3
                if abs(sigmas) >= abs(most):
                    worst, most = f"{kind}: {share:.3f} of pairs, {sigmas:+.1f} sigma, median {off:+.2f} ms", sigmas
                self._expect(
                    abs(sigmas) <= SURE,
                    f"{kind}: the time of the {what} tells it: it is slower than another in {share:.3f} of all pairs"
                    f" ({sigmas:+.1f} sigma), its median is {off:+.2f} ms off",
                )
            everything = sorted(took for took_by in times.values() for took in took_by)
            self.counts[f"{self._name}: time of the {what}, median, ms"] = round(median(everything) * 1e3, 1)
            self.counts[f"{self._name}: time of the {what}, the kind that is most off"] = worst

    def _look_at_devices(self) -> None:
        known = self._names(RUNG) | {"Guest first"}
        for house in self._houses:
            for device in (*house.devices, *house.ringers, *house.sleepers):
                for frame in device.heard:
                    name = frame.get("from_device_id", "")
                    is_wrong = frame["type"] == "called" and name.startswith("Guest") and name not in known
                    self._expect(not is_wrong, "a device rang for a guest whose link rings nobody")
            self._expect(not house.sleepers[0].heard, "a device rang in quiet hours")

    async def _look_at_history(self) -> None:
        due = {visitor.name: OUTCOMES[kind] for kind in OUTCOMES for visitor in self._visitors[kind]}
        due["Guest first"] = "answered"
        found: dict[str, str] = {}
        async with asyncio.timeout(IN_TIME):
            while not due.keys() <= found.keys():
                await asyncio.sleep(0.5)
                owners = [owner for house in self._houses for owner in house.owners]
                rows = [row for owner in owners for row in await owner.history()]
                found = {row["peer_device_id"]: row["outcome"] for row in rows if row["guest"]}
        self._expect(found == due, f"the history has {len(found)} guests and not {len(due)}, or other outcomes")
        self.counts[f"{self._name}: guests in histories"] = len(found)

    async def _look_at_events(self, hooks: Webhooks) -> None:
        due = self._names(OUTCOMES) | {"Guest first"}
        told: set[str] = set()
        async with asyncio.timeout(IN_TIME):
            while not due <= told:
                await asyncio.sleep(0.5)
                told = {event["caller"]["device_id"] for event in hooks.events if event.get("guest")}
        self._expect(told == due, f"webhooks were told of {len(told)} guests and not of {len(due)}")
        started = {event["caller"]["device_id"] for event in hooks.events if event["event"] == "call_started"}
        rung = {name for name in started if name.startswith("Guest")} - {"Guest first"}
        self._expect(rung == self._names(RUNG), "webhooks were told of other guests that rang")
        self.counts[f"{self._name}: guests in webhooks"] = len(told)

    def _names(self, kinds: Sequence[str] | Mapping[str, str]) -> set[str]:
        return {visitor.name for kind in kinds for visitor in self._visitors[kind]}

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self._problems.append(otherwise)


def slower(own: Sequence[float], others: Sequence[float]) -> tuple[float, float]:
    """The share of pairs in which one of the first is more than one of the others; and by how many standard deviations
    this is off a half (Mann and Whitney's U).
    """
    ranked = sorted([(took, 1) for took in own] + [(took, 0) for took in others])
    ranks = sum(rank for rank, (_, is_own) in enumerate(ranked, 1) if is_own)
    few, many = len(own), len(others)
    share = (ranks - few * (few + 1) / 2) / (few * many)
    return share, (share - 0.5) / sqrt((few + many + 1) / (12 * few * many))


def prove_guests(plan: Plan, random: Random, redis: str) -> tuple[dict[str, object], list[str]]:
    """All guests, on one process or, with Redis, on two nodes."""
    name, count = ("two nodes", 2) if redis else ("one process", 1)

    async def run() -> tuple[dict[str, object], list[str]]:
        hooks = Webhooks()
        port = await hooks.serve()
        with nodes(count, redis, plan, port) as daemons:
            stage = Stage(name, daemons, plan, random)
            misses = list(await stage.run(hooks))
            misses += [f"{name}: the daemon logged {line}" for each in daemons for line in each.complaints()]
        hooks.close()
        return stage.counts, misses

    return asyncio.run(run())


def prove(brief: bool, seed: int) -> Outcome:
    """A thousand guests twice, strangers and a flood; or some of each."""
    plan, random = BRIEF if brief else FULL, Random(seed)
    counts, misses = prove_guests(plan, random, "")
    if plan.redis:
        server = RedisServer("redis")
        try:
            more, missed = prove_guests(plan, random, server.url())
        finally:
            server.close()
        counts |= more
        misses += missed
    for proven in (strangers.prove(), guest_flood.prove(brief, random)):
        counts |= proven.counts
        misses += proven.misses
    shown = [*misses[:SHOWN], *([f"{len(misses)} in all"] if len(misses) > SHOWN else [])]
    return Outcome(counts, shown)


PROOF: Final = Proof(
    "guests",
    "of 1 000 guests 500 with links that are switched off, removed, expired, out of hours, used up or wrong ring"
    " nobody, on one process and on two nodes; what they are sent, and when, tells them neither this nor whether"
    " the owner of a good link is away: the bytes are the same, and the times of no kind are off by more than"
    f" {SURE:.0f} standard deviations of Mann and Whitney's U; nobody is told of the owner, nor of a room or ICE"
    " servers before the accept; a guest's token is good for nothing else; in a flood of guests all calls of friends"
    f" ring, 95 of 100 at most {guest_flood.LATER * 1e3:.0f} ms later than before",
    prove,
)
