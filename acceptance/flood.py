"""Clients that send as much as they can: requests without waiting for answers, pings, empty parts of messages, and
bodies and headers without end.

Meanwhile bystanders ping and log in, and a stand-in for systemd listens to the watchdog. How long a ping takes at the
most, and how late a beat of the watchdog is, must not depend on how much others send.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from acceptance.daemon import CountedDaemon, running
from acceptance.flooding import Done, Flood, Plan
from acceptance.proof import Outcome, Proof
from harness.base_protocol import socket_path
from harness.websocket import PING, TEXT, client_frame
from harness.wire import HOST, WebSocket, login

PING_WITHIN: Final = 0.1
"""Seconds."""
BRIEF_PING_WITHIN: Final = 1.5
"""The same in a short slice, on a machine that has other things to do."""
LATE_BEAT: Final = 2.0
"""Seconds."""
BEAT: Final = 1.0
"""Seconds between two beats of the watchdog, at the most."""
READ_ON: Final = 4 * 1024 * 1024
"""Bytes that one client may get rid of until it is cut off. The daemon reads 256 KiB; the system takes some before."""
BYSTANDERS: Final = 4
PING_EVERY: Final = 0.125
"""Seconds; all of them together ping that many times more often."""
ONCE: Final = 64 * 1024
"""Bytes of requests that a connection sends, once."""

_GET: Final = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
_LOGIN: Final = (
    b"POST /account/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
)
_BODY: Final = b"POST /account/login HTTP/1.1\r\nHost: x\r\n"
_LONG: Final = _BODY + b"Content-Length: 99999999999\r\n\r\n"
_CHUNKED: Final = _BODY + b"Transfer-Encoding: chunked\r\n\r\n"
_ENDLESS: Final = b"GET / HTTP/1.1\r\nHost: x\r\nX: "
_FRAMES: Final = {
    "pings": client_frame(PING, b""),
    "empty parts of a message": client_frame(0, b"", fin=False),
}


class Case(Struct, frozen=True):
    """One flood."""

    name: str
    plan: Plan


def cases(ports: dict[str, int], tokens: Sequence[str], brief: bool) -> list[Case]:
    """All of them, or a few that are short."""
    account, signaling, site = (ports[name] for name in ("account", "signaling", "site"))
    long = 2.0 if brief else 120.0
    gets = {count: Plan(account, count, long, _GET, most=ONCE) for count in (80, 150, 300)}
    found = [
        *(Case(f"{count} connections of GETs", plan) for count, plan in gets.items()),
        Case("150 connections of logins", Plan(account, 150, long, _LOGIN, most=ONCE)),
        Case("150 connections of GETs over TLS", Plan(site, 150, long, _GET, most=ONCE, tls=True)),
    ]
    seconds = 10.0
    some = 10 if brief else len(tokens)
    sockets = tuple(map(socket_path, tokens))
    for name, repeated in _FRAMES.items():
        begin = client_frame(TEXT, b"", fin=False) if "parts" in name else b""
        for count in (1, some):
            plan = Plan(signaling, count, seconds, repeated, begin, upgrades=sockets[:count], until_cut=True)
            found.append(Case(f"{count} devices of {name}", plan))
    pages = Plan(
        site, 300, seconds, _FRAMES["pings"], tls=True, upgrades=("/room",) * 300, origin=f"https://{HOST}:{site}"
    )
    found += [
        Case("300 pages of pings", pages),
        Case("a body without end", Plan(account, 1, seconds, b"x" * 1000, _LONG, until_cut=True)),
        Case(
            f"{some // 5} bodies of chunks of one byte",
            Plan(account, some // 5, seconds, b"1\r\nx\r\n", _CHUNKED, until_cut=True),
        ),
        Case("a header without end", Plan(account, 1, seconds, b"x" * 1000, _ENDLESS, until_cut=True)),
        Case(
            "a header without end over TLS",
            Plan(site, 1, seconds, b"x" * 1000, _ENDLESS, until_cut=True, tls=True),
        ),
    ]
    wanted = (1, 4, 6, 11, 13)
    return [found[place] for place in wanted] if brief else found


class Seen(Struct):
    """The experience of bystanders during one flood, in seconds at the most."""

    ping: float = 0.0
    beat: float = 0.0
    login: float = 0.0


class Bystanders:
    """They ping, log in, and listen to the watchdog, all the time."""

    def __init__(self, ports: dict[str, int], systemd: socket.socket) -> None:
        self._ports = ports
        self._systemd = systemd
        self._seen = Seen()
        self._beat_at = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Come, and begin to look."""
        for number in range(BYSTANDERS):
            token = await login(self._ports["account"], f"1360000000{number}", "tv")
            device = await WebSocket.open(self._ports["signaling"], token)
            self._tasks.append(asyncio.ensure_future(self._ping(device)))
        self._tasks.append(asyncio.ensure_future(self._log_in()))
        asyncio.get_running_loop().add_reader(self._systemd, self._hear)

    def end(self) -> None:
        """Stop looking."""
        asyncio.get_running_loop().remove_reader(self._systemd)
        for task in self._tasks:
            task.cancel()

    def begin_anew(self) -> None:
        """Forget the observations."""
        self._seen = Seen()
        self._beat_at = time.monotonic()

    def seen(self) -> Seen:
        """The figures. A beat that is overdue counts as if it came now."""
        if any(task.done() for task in self._tasks):
            raise RuntimeError("a bystander was cut off")
        self._hear_beat(time.monotonic())
        return self._seen

    async def _ping(self, device: WebSocket) -> None:
        while True:
            await asyncio.sleep(PING_EVERY)
            began = time.monotonic()
            device.ping()
            await device.pong()
            self._seen.ping = max(self._seen.ping, time.monotonic() - began)

    async def _log_in(self) -> None:
        number = 0
        while True:
            await asyncio.sleep(0.5)
            number += 1
            began = time.monotonic()
            await login(self._ports["account"], f"137{number:08}", "tv")
            self._seen.login = max(self._seen.login, time.monotonic() - began)

    def _hear(self) -> None:
        if b"WATCHDOG=1" in self._systemd.recv(65536):
            now = time.monotonic()
            self._hear_beat(now)
            self._beat_at = now

    def _hear_beat(self, now: float) -> None:
        self._seen.beat = max(self._seen.beat, now - self._beat_at)


async def give(case: Case, bystanders: Bystanders) -> tuple[Done, Seen]:
    """Have one flood, and see."""
    flood = await Flood.begin(case.plan)
    bystanders.begin_anew()
    done = await flood.end()
    await asyncio.sleep(BEAT / 2)
    return done, bystanders.seen()


async def see(daemon: CountedDaemon, systemd: socket.socket, brief: bool) -> tuple[dict[str, object], list[str]]:
    """All floods, one after the other. Returns the observations and the misses."""
    counts: dict[str, object] = {}
    misses = []
    ports = dict(daemon.ports)
    within = BRIEF_PING_WITHIN if brief else PING_WITHIN
    tokens = [await login(ports["account"], f"138{number:08}", "tv") for number in range(50)]
    bystanders = Bystanders(ports, systemd)
    await bystanders.begin()
    for case in cases(ports, tokens, brief):
        done, seen = await give(case, bystanders)
        counts[case.name] = (
            f"ping {seen.ping * 1000:.0f} ms, login {seen.login * 1000:.0f} ms, beats {seen.beat:.1f} s apart, "
            f"sent {done.sent / 2**20:.1f} MiB, {done.cut} cut"
        )
        misses += [f"{case.name}: a ping took {seen.ping * 1000:.0f} ms"] if seen.ping > within else []
        misses += [f"{case.name}: a beat was {seen.beat - BEAT:.1f} s late"] if seen.beat > BEAT + LATE_BEAT else []
        if case.plan.until_cut and (done.cut < case.plan.count or done.most_sent > READ_ON):
            misses.append(f"{case.name}: {done.cut} were cut, after {done.most_sent / 2**20:.1f} MiB")
    bystanders.end()
    counts["memory of the daemon in the end, MiB"] = daemon.memory() // 1024
    return counts, misses


def prove(brief: bool, _seed: int) -> Outcome:
    """One flood after the other, on one daemon with the usual limits."""
    with (
        tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        address = str(Path(folder) / "notify")
        systemd.bind(address)
        systemd.setblocking(False)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": str(int(BEAT * 3e6))}
        with running("", "", environment) as daemon:
            counts, misses = asyncio.run(see(daemon, systemd, brief))
            misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "flood",
    f"whatever clients send at once, a bystander's ping takes {PING_WITHIN * 1000:.0f} ms at most and no beat of the"
    f" watchdog is {LATE_BEAT:.0f} s late",
    prove,
)
