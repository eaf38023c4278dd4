"""Devices that never read their messages, while others call them, and yet others ping without end.

Thousands of devices show that they live, and read nothing. They are called and given up again and again, until the
daemon has cut every one of them, or has nothing more to keep for those that are left. Some more send pings as fast as
they are taken, and do not read the pongs. Meanwhile an innocent pair calls, and what it waits is printed.

How much memory this takes, of the process and of the system's sockets, is looked at all the time. What the calls take
by themselves is known from a daemon that has as many, to devices that read.

Before that, clients of HTTP send requests without waiting for the answers, and read none; others log in meanwhile.
"""

from __future__ import annotations

import asyncio
import re
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from msgspec import Struct

from acceptance.daemon import CountedDaemon, running
from acceptance.flooding import Flood, Plan
from acceptance.fuzz import Innocents
from acceptance.ledger import Ledger
from acceptance.proof import Outcome, Proof
from harness.base_protocol import call, hang_up, socket_path
from harness.websocket import PING, PONG, client_frame
from harness.wire import HOST, WebSocket, login, upgrade

READERS: Final = 5_000
BRIEF: Final = 300
PINGERS: Final = 40
BRIEF_PINGERS: Final = 2
PINGS: Final = 12 * 1024 * 1024
"""Bytes of pings that each of them has to send."""
EACH: Final = 48.0
"""KiB that a slow reader may cost at the most."""
CALLERS: Final = 8
PIPELINES: Final = 40
EACH_PIPELINE: Final = 1024.0
"""KiB that a connection may cost in the process whose answers are not read."""
LOGIN_WITHIN: Final = 1.0
"""Seconds, while there are such."""
ROUNDS: Final = 80
"""Calls of each slow reader: some 44 KiB for it to read."""
LIVE_EVERY: Final = 8.0
"""Seconds after which a slow reader shows that it lives."""
AT_ONCE: Final = 16
NOBODY: Final = "13600000000"
"""A caller of this one is answered at once."""
NO_HISTORY: Final = "[history]\ndays = 0\n"
"""Eight devices without limits end more calls than one database records. Those that wait are not weighed here."""
_ALIVE: Final = client_frame(PONG)
_PING: Final = client_frame(PING, b"x" * 120)


class Silent:
    """A device that does not read. The system keeps next to nothing for it on its own side."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

    @classmethod
    def open(cls, port: int, token: str) -> Silent:
        """Connect it, and read nothing but the answer to the handshake. This blocks."""
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        raw.connect((HOST, port))
        upgrade(raw, socket_path(token), HOST)
        raw.setblocking(False)
        return cls(raw)

    def live(self) -> bool:
        """Show that it lives; tell whether it was cut off."""
        try:
            self._raw.send(_ALIVE)
        except BlockingIOError:
            return True  # it is not read from any more
        except OSError:
            return False
        return True

    def flood(self) -> int:
        """Send pings as long as they are taken; how many bytes were."""
        sent = 0
        try:
            while True:
                sent += self._raw.send(_PING)
        except OSError:
            return sent

    def read(self) -> None:
        """Read all that there is."""
        try:
            while self._raw.recv(65536):
                pass
        except OSError:
            return

    def close(self) -> None:
        """Be gone."""
        self._raw.close()


class Cost(Struct):
    """The most memory that it has taken, in KiB."""

    process: int = 0
    sockets: int = 0

    def look(self, daemon: CountedDaemon, port: int, before: int) -> None:
        """Look at it now."""
        process, sockets = daemon.memory() - before, kernel_memory(port)
        self.process, self.sockets = max(self.process, process), max(self.sockets, sockets)


def kernel_memory(port: int) -> int:
    """The kernel's memory for the server's side of its connections, in KiB: sent and not taken, come and not read."""
    said = subprocess.run(
        ["ss", "--tcp", "--memory", "--numeric", "--no-header", "state", "established", f"sport = :{port}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return (
        sum(
            int(number)
            for found in re.findall(r"skmem:\(r(\d+),rb\d+,t(\d+),tb\d+,f\d+,w(\d+)", said)
            for number in found
        )
        // 1024
    )


@asynccontextmanager
async def silent(ports: tuple[int, int], count: int, first: str) -> AsyncIterator[Sequence[Silent]]:
    """This number of devices that do not read; ``first``: the prefix of their phones."""
    slots = asyncio.Semaphore(AT_ONCE)
    devices: list[Silent] = []

    async def one(number: int) -> None:
        async with slots:
            token = await login(ports[0], f"{first}{number:08}", "tv")
            devices.append(await asyncio.to_thread(Silent.open, ports[1], token))

    async def live() -> None:
        while True:
            await asyncio.sleep(LIVE_EVERY)
            for device in devices:
                device.live()

    living = asyncio.ensure_future(live())
    await asyncio.gather(*map(one, range(count)))
    living.cancel()
    try:
        yield devices
    finally:
        for device in devices:
            device.close()


async def bother(caller: WebSocket, phones: Sequence[str]) -> None:
    """Call each of these, and give up at once, as often as it takes; no faster than the daemon does it."""
    for _ in range(ROUNDS):
        for phone in phones:
            caller.say(**call((phone, "tv")))
            caller.say(**hang_up((phone, "tv")))
        caller.say(**call((NOBODY, "tv")))
        while b"call_failed" not in await caller.hear():
            pass


async def attack(
    daemon: CountedDaemon, count: int, others: int, reads: bool, ledger: Ledger
) -> tuple[Cost, dict[str, object]]:
    """The whole attack. Returns its cost beside idle sockets, and the counts.

    :param others: how many ping.
    :param reads: whether they read, as they should.
    """
    ports = daemon.ports["account"], daemon.ports["signaling"]
    cost = Cost()
    async with silent(ports, count, "139") as readers, silent(ports, others, "138") as pingers:
        before = daemon.memory()
        there = sum(device.live() for device in (*readers, *pingers))
        callers = [
            await WebSocket.open(ports[1], await login(ports[0], f"137{number:08}", "phone"))
            for number in range(CALLERS)
        ]
        phones = [f"139{number:08}" for number in range(count)]
        work = [asyncio.ensure_future(bother(caller, phones[at::CALLERS])) for at, caller in enumerate(callers)]
        innocents = Innocents(ports, ledger)
        await innocents.connect()
        calling = asyncio.ensure_future(innocents.call_on())
        pinged = [0] * others
        lived_at = time.monotonic()
        while not all(task.done() for task in work):
            await asyncio.sleep(0.2)
            for at, pinger in enumerate(pingers):
                if pinged[at] < PINGS and not reads:
                    pinged[at] += pinger.flood()
            if time.monotonic() - lived_at > LIVE_EVERY:
                lived_at = time.monotonic()
                for device in (*readers, *pingers):
                    device.live()
            if reads:
                for device in (*readers, *pingers):
                    device.read()
            cost.look(daemon, ports[1], before)
        calling.cancel()
        for task in work:
            task.result()
        left = sum(device.live() for device in readers)
        for caller in callers:
            caller.drop()
    return cost, {
        "of both that were there at first": there,
        "of these that were not cut": left,
        "pings that were taken of them, MiB": round(sum(pinged) / 2**20, 1),
        "until an innocent rang, ms": innocents.waited,
    }


async def pipeline(daemon: CountedDaemon, seconds: float) -> tuple[dict[str, object], list[str]]:
    """Requests whose answers nobody reads, plain and over TLS. Returns their cost, and the misses."""
    counts: dict[str, object] = {}
    misses = []
    page = b"GET /static/demo/direct_chat.html HTTP/1.1\r\nHost: x\r\n\r\n"
    for kind, service in (("plain", "account"), ("over TLS", "site")):
        plan = Plan(daemon.ports[service], PIPELINES, seconds, page, tls=service == "site", reads=False)
        flood = await Flood.begin(plan)
        before, grown, slowest = daemon.memory(), 0, 0.0
        done = asyncio.ensure_future(flood.end())
        number = 0
        while not done.done():
            number += 1
            began = time.monotonic()
            await login(daemon.ports["account"], f"135{number:08}", "tv")
            slowest = max(slowest, time.monotonic() - began)
            grown = max(grown, daemon.memory() - before)
            await asyncio.sleep(0.1)
        sent, each = (await done).sent, grown / PIPELINES
        counts[f"pipelines that nobody reads, {kind}"] = (
            f"{PIPELINES}, sent {sent / 1024:.0f} KiB, {each:.0f} KiB of the process each, "
            f"a login {slowest * 1000:.0f} ms"
        )
        misses += [f"a pipeline {kind} cost {each:.0f} KiB"] if each > EACH_PIPELINE else []
        misses += [f"a login took {slowest:.1f} s"] if slowest > LOGIN_WITHIN else []
    return counts, misses


def prove(brief: bool, _seed: int) -> Outcome:
    """Thousands of slow readers, or some hundreds; and before that as many who read."""
    count, others = (BRIEF, BRIEF_PINGERS) if brief else (READERS, PINGERS)
    ledger, costs = Ledger(), []
    with running("") as daemon:
        pipelines, misses = asyncio.run(pipeline(daemon, 2.0 if brief else 20.0))
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    for reads in (True, False):
        with running(NO_HISTORY) as daemon:
            cost, counts = asyncio.run(attack(daemon, count, others, reads, ledger))
            costs.append(cost)
            misses += [f"the daemon logged {line}" for line in daemon.complaints()]
            if counts["of both that were there at first"] != count + others:
                misses.append("some were cut before anybody called them")
    usual, slow = costs
    each = (slow.process - usual.process + slow.sockets) / (count + others)
    told = {
        **pipelines,
        "slow readers": count,
        "others who ping and do not read": others,
        **counts,
        "the process grew, KiB": slow.process,
        "as it does if everybody reads, KiB": usual.process,
        "sockets in the system, KiB": slow.sockets,
        "each, KiB": round(each, 1),
        **ledger.counts,
    }
    misses += [f"each cost {each:.0f} KiB"] if each > EACH else []
    if not ledger.counts["calls of the innocent"] or not slow.sockets:
        misses.append("nothing was measured")
    return Outcome(told, [*misses, *ledger.violations])


PROOF: Final = Proof(
    "slow_readers",
    f"devices that never read cost at most {EACH:.0f} KiB each, of the process and of the system, and disturb nobody;"
    f" requests whose answers are not read cost at most {EACH_PIPELINE:.0f} KiB a connection",
    prove,
)
