"""A flood of guests on a daemon with the usual limits, and friends who call the same phone meanwhile.

In another flood a link and its phone have no limits of guests, so that a guest rings nearly all the time.

The guests are a process of their own: ``python -m acceptance.guest_flood PLAN``. They come from as many addresses as
there are, by a PROXY header; half of them have the good link, the others some secret. Each enters, connects, rings,
and waits for the end or leaves without a word; then another one comes, as fast as the daemon lets them.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from random import Random
from typing import Final, cast

from msgspec import Struct
from msgspec.json import decode, encode

from acceptance.crowd.crowd import door_of
from acceptance.daemon import CountedDaemon
from acceptance.faults.line import Door
from acceptance.faults.operator import ask, series
from acceptance.porch import Owner
from acceptance.proof import Outcome
from acceptance.visitor import Visitor
from callnet.config.schema import LimitSettings
from harness import ROOT
from harness.base_protocol import EVERY
from harness.device import Device
from harness.ports import free_ports
from harness.wire import HOST, Closed

LATER: Final = 0.5
"""Seconds by which the ringing of a friend's call may be later in a flood, 95 times in 100."""
BRIEF_LATER: Final = 1.5
"""The same in a short slice, on a machine that has other things to do."""
RING_TIME: Final = 3.0
"""Seconds."""
CROWD: Final = 300
"""Guests at the same time."""
GROWTH: Final = 16 * 1024
"""KiB by which the memory may grow in the second half of a flood."""
FORGOTTEN: Final = 200.0
"""Seconds after which a call that is over is forgotten."""
FRIENDS: Final = 8
OF_AN_ADDRESS: Final = 20
"""Guests that come from one address, one after the other."""
PHONE: Final = "13400000001"
NO_LIMITS: Final = "[limits]\nguest_calls_an_hour_of_a_link = 0\nguest_calls_an_hour_of_a_phone = 0\n"


class Plan(Struct, frozen=True):
    """A flood, for its process."""

    account: int
    signaling: int
    secret: str
    crowd: int
    seconds: float
    seed: int


class Guests:
    """The guests of a flood."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._door = Door(0, plan.account, plan.signaling, 0)
        self._random = Random(plan.seed)
        self.counts: Final[Counter[str]] = Counter()

    async def run(self) -> Counter[str]:
        """Have them come until the time is over."""
        until = time.monotonic() + self._plan.seconds
        await asyncio.gather(*(self._go_on(until) for _ in range(self._plan.crowd)))
        return self.counts

    async def _go_on(self, until: float) -> None:
        number = 0
        while time.monotonic() < until:
            if number % OF_AN_ADDRESS == 0:
                source = str(IPv4Address(self._random.getrandbits(24) | 10 << 24))
            number += 1
            has_link = self._random.random() < 0.5
            secret = self._plan.secret if has_link else secrets.token_urlsafe(16)
            guest = Visitor([self._door], secret, "Eve", source)
            try:
                await self._one(guest)
            except (OSError, TimeoutError, Closed, ValueError) as error:
                self.counts[f"broke off by {type(error).__name__}"] += 1

    async def _one(self, guest: Visitor) -> None:
        await guest.enter()
        if not guest.token:
            self.counts["not let in"] += 1
            return
        try:
            await guest.connect()
            await guest.until("welcome")
            self.counts["rang"] += 1
            if self._random.random() < 0.3:
                guest.say("ring")
                await guest.until("call_failed") if self._random.random() < 0.1 else await asyncio.sleep(0)
                self.counts["left without a word"] += 1
            else:
                outcome = await guest.rings()
                self.counts[f"told {outcome.get('reason', outcome['type'])}"] += 1
                await guest.leave()
        finally:
            guest.drop()


class Flood:
    """The process of a flood."""

    @classmethod
    async def begin(cls, plan: Plan) -> Flood:
        """Start it."""
        command = (sys.executable, "-m", "acceptance.guest_flood", encode(plan).decode())
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        flood = cls()
        flood._process = process
        return flood

    async def end(self) -> dict[str, int]:
        """Wait until it is over; what came of it."""
        output = await cast(asyncio.StreamReader, self._process.stdout).read()
        await self._process.wait()
        return decode(output, type=dict[str, int])

    _process: asyncio.subprocess.Process


class Family:
    """A phone with a television and a pad that accept nothing, and friends who call it."""

    def __init__(self, door: Door) -> None:
        self._ports = door.account, door.signaling
        self.owner: Final = Owner([door], PHONE)

    async def begin(self) -> str:
        """Have all be there; the secret of a link."""
        await self.owner.begin()
        self.devices = [await Device.connect(self._ports, (PHONE, name)) for name in ("tv", "pad")]
        self._friends = [await Device.connect(self._ports, (f"135{number:08}", "phone")) for number in range(FRIENDS)]
        await asyncio.sleep(1.0)
        secret: str = (await self.owner.make("Door"))["secret"]
        return secret

    async def call(self, every: float, calls: int) -> Sequence[float]:
        """Have friends call, one after the other: the seconds until both devices rang.

        :param every: seconds from one call to the next.
        :raises TimeoutError: one did not ring.
        """
        found = []
        for number in range(calls):
            friend = self._friends[number % FRIENDS]
            began = time.perf_counter()
            friend.call((PHONE, EVERY))
            rung = []
            for device in self.devices:
                while True:
                    called = await device.until("called")
                    if called["from_phone"] == friend.address.phone:
                        break
                rung.append(called)
            found.append(time.perf_counter() - began)
            self.devices[number % 2].answer(rung[number % 2], accept=False)
            await friend.until("call_refuse")
            await asyncio.sleep(max(0.0, every - found[-1]))
        return found

    def end(self) -> None:
        """Be gone."""
        for device in (*self.devices, *self._friends):
            device.drop()


class Trial:
    """A flood, and what became of the daemon and of its family."""

    def __init__(
        self, daemon: CountedDaemon, ports: tuple[int, int], limited: bool, brief: bool, random: Random
    ) -> None:
        self._daemon = daemon
        self._ports = ports
        self._limited = limited
        self._brief = brief
        self._seconds = 10.0 if brief else 90.0
        self._calls = 10 if brief else 60
        self._later = BRIEF_LATER if brief else LATER
        self._seed = random.getrandbits(32)
        self.counts: Final[dict[str, object]] = {}
        self.misses: Final[list[str]] = []

    async def run(self) -> None:
        """Have all of it happen."""
        family = Family(door_of(self._daemon))
        secret = await family.begin()
        every = self._seconds / self._calls / 1.5
        before = await family.call(every / 2, self._calls)
        census, metrics, rows = self._daemon.census(), await self._metrics(), self._rows()
        flood = await Flood.begin(Plan(*self._ports, secret, CROWD, self._seconds, self._seed))
        began, used = time.monotonic(), self._cpu()
        during = list(await family.call(every, self._calls // 2))
        half = self._daemon.memory()
        during += await family.call(every, self._calls - self._calls // 2)
        grown = self._daemon.memory() - half
        share = (self._cpu() - used) / (time.monotonic() - began)
        self.counts["processors that the daemon had while friends called"] = round(share, 2)
        came = await flood.end()
        await asyncio.sleep(RING_TIME + 1.0)
        after = await self._metrics()
        self._judge_calls(before, during)
        self._judge_devices(family)
        if grown > GROWTH:
            self.misses.append(f"the memory grew by {grown} KiB in the second half of the flood")
        self.counts["memory in the middle of the flood, KiB, and growth after that"] = f"{half}, {grown}"
        self.counts.update((f"guests: {what}", number) for what, number in sorted(came.items()))
        self._judge_metrics(Counter(after) - Counter(metrics), came)
        if self._limited:
            await self._judge_history(family)
            self._judge_rows(self._rows() - rows)
        if not self._brief:
            await self._judge_rest(census)
        family.end()

    def _judge_calls(self, before: Sequence[float], during: Sequence[float]) -> None:
        late = [sorted(took)[len(took) * 95 // 100] for took in (before, during)]
        self.counts["calls of friends that rang, before and during"] = f"{len(before)}, {len(during)}"
        self.counts["95 of 100 rang within, ms, before and during"] = ", ".join(f"{each * 1e3:.0f}" for each in late)
        if late[1] > late[0] + self._later:
            self.misses.append(f"95 of 100 calls of friends rang within {late[1]:.2f} s, and {late[0]:.2f} s before")

    def _judge_devices(self, family: Family) -> None:
        """See that friends took devices from guests."""
        taken = sum(frame.get("reason") == "replaced" for device in family.devices for frame in device.heard)
        self.counts["times that a device left a guest for a friend"] = taken
        if not taken and not self._limited:
            self.misses.append("no device rang for a guest when a friend called")

    def _judge_metrics(self, counted: Counter[str], came: dict[str, int]) -> None:
        calls = sum(number for name, number in counted.items() if name.startswith("callnet_guest_calls_total"))
        not_rung = {name: number for name, number in counted.items() if "not_rung" in name}
        self.counts["calls of guests that /metrics counts"] = calls
        self.counts.update((f"of these {name}", number) for name, number in sorted(not_rung.items()))
        told = sum(number for what, number in came.items() if what.startswith("told "))
        if not told <= calls <= came["rang"]:
            self.misses.append(f"/metrics counts {calls} calls of guests; {came['rang']} rang, {told} heard the end")
        if sum(not_rung.values()) < told / 4:  # half of them have no link
            self.misses.append(f"/metrics counts {not_rung}")

    async def _judge_history(self, family: Family) -> None:
        guests = [row for row in await family.owner.history() if row["guest"]]
        most = LimitSettings().guest_calls_an_hour_of_a_link * (1 + self._seconds / 3600) + 1
        self.counts["guests in the history"] = len(guests)
        if not 0 < len(guests) <= most:
            self.misses.append(f"{len(guests)} guests are in the history")

    def _judge_rows(self, grown: Counter[str]) -> None:
        """See that the tables have grown by the calls of guests that rang and of friends alone."""
        most = 2 * (LimitSettings().guest_calls_an_hour_of_a_link + self._calls) + 10
        self.counts["rows that tables have grown by"] = dict(grown)
        self.misses.extend(f"the table {name} grew by {rows}" for name, rows in grown.items() if rows > most)

    def _cpu(self) -> float:
        """Seconds that the daemon has used of a processor."""
        fields = Path(f"/proc/{self._daemon.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _rows(self) -> Counter[str]:
        """The number of rows of each table."""
        with closing(sqlite3.connect(self._daemon.state_dir / "callnet.db")) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            counted = {name: database.execute(f'SELECT count(*) FROM "{name}"').fetchone() for name in names}  # noqa: S608
            return Counter({name: rows for name, (rows,) in counted.items()})

    async def _judge_rest(self, before: dict[str, int]) -> None:
        """See that nothing remains of the guests once their calls are forgotten."""
        until = time.monotonic() + FORGOTTEN
        while True:
            left = {
                name: number - before.get(name, 0)
                for name, number in self._daemon.census().items()
                if number - before.get(name, 0) > CROWD
            }
            if not left or time.monotonic() > until:
                break
            await asyncio.sleep(5.0)
        self.counts["objects that remain of the flood"] = str(left or "none")
        if left:
            self.misses.append(f"objects remain of the flood: {left}")

    async def _metrics(self) -> dict[str, int]:
        _, text = await ask(self._daemon.admin, "/metrics")
        return {name: int(value) for name, value in series(text).items() if "_guest_calls" in name}


def prove(brief: bool, random: Random) -> Outcome:
    """Both floods, or the second one, on one process."""
    counts: dict[str, object] = {}
    misses: list[str] = []
    for limited in (False,) if brief else (True, False):
        name = "flood" if limited else "flood without limits"
        trial = _flood(limited, brief, random)
        counts |= {f"{name}: {what}": number for what, number in trial.counts.items()}
        misses += [f"{name}: {miss}" for miss in trial.misses]
    return Outcome(counts, misses)


def _flood(limited: bool, brief: bool, random: Random) -> Trial:
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        folder = Path(name)
        ports = free_ports(2)
        listeners = "".join(
            f'{service} = [{{ endpoint = "tcp:0:interface={HOST}" }},'
            f' {{ endpoint = "tcp:{port}:interface={HOST}", proxy_protocol = ["{HOST}"] }}]\n'
            for service, port in zip(("account", "signaling"), ports, strict=True)
        )
        others = (
            f'site = [{{ endpoint = "tcp:0:interface={HOST}" }}]\nadmin = [{{ endpoint = "unix:{folder}/admin" }}]\n'
        )
        settings = f"calls.ring_time = {RING_TIME}\naccounts.open_enrolment_on_network = true\n"
        settings += "" if limited else NO_LIMITS
        with CountedDaemon(folder, settings, listeners=f"[listeners]\n{listeners}{others}") as daemon:
            trial = Trial(daemon, (ports[0], ports[1]), limited, brief, random)
            asyncio.run(trial.run())
            trial.misses.extend(f"the daemon logged {line}" for line in daemon.complaints())
    return trial


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(asyncio.run(Guests(decode(sys.argv[1], type=Plan)).run())))
