"""Faults of the machine: the clock is set, the database hangs, the power fails, nobody reads the log.

* The clock is set back and forth by hours and days under a call that goes on and one that rings, and systemd's
  watchdog is listened to. The monotonic clock is a true one.
* The daemon is stopped while PostgreSQL hangs, or another process holds SQLite's lock, with a call to write down.
* A device claims its secret, another one's token is revoked; as soon as that was answered, the raw disk is copied, and
  the copy mounted.
* The daemon writes its log to a pipe that nobody reads any more.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Final

from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon, running
from acceptance.proof import Outcome, Proof
from harness.base_protocol import Frame
from harness.device import Device
from harness.postgres import Server
from harness.wire import HOST, exchange, login, post, request

STEPS: Final = {"-3 d": -259200, "-1 h": -3600, "+1 h": 3600, "+3 d": 259200}
"""Steps of the clock, in seconds; it is right again after each."""
RINGS: Final = 3.0
"""Seconds."""
BUSY: Final = 1.5
"""Seconds by which a busy machine may be late."""
WATCHDOG: Final = 3.0
"""Seconds after which systemd would kill the daemon."""
STOPS: Final = 30
STOP_WITHIN: Final = 3.0
"""Seconds."""
POWER_CUTS: Final = 20
LINES: Final = 2000
BRIEF_LINES: Final = 800
PHONE: Final = "13651884967"
OTHER: Final = "13800138000"


class Findings:
    """The counts, and the misses."""

    def __init__(self) -> None:
        self.counts: dict[str, object] = {}
        self.misses: list[str] = []

    def check(self, holds: bool, miss: str) -> None:
        """Note a miss unless this holds."""
        if not holds:
            self.misses.append(miss)


async def rings(caller: Device, callee: Device) -> Frame:
    """Call; returns the frame to the other."""
    caller.call(callee.address)
    return await callee.until("called")


async def talk(at: tuple[int, int]) -> tuple[Device, Device, str]:
    """Two devices in a call, and its room."""
    caller, callee = [await Device.connect(at, each) for each in ((PHONE, "phone"), (OTHER, "tv"))]
    called = await rings(caller, callee)
    callee.answer(called)
    await caller.until("call_success")
    return caller, callee, called["room_id"]


async def leave_when_told(device: Device) -> None:
    """Hear the device until its socket is closed."""
    await device.ended()
    device.drop()


# The clock


def set_clock(clock: Path, ahead: float) -> None:
    """Set it, at once."""
    fresh = clock.with_suffix(".new")
    fresh.write_text(str(ahead))
    fresh.replace(clock)


async def under_steps(at: tuple[int, int], clock: Path, steps: Sequence[str], found: Findings) -> None:
    """Set the clock while a call rings and another goes on."""
    caller, callee, room = await talk(at)
    ringer = await Device.connect(at, (PHONE, "other"))
    tv = await Device.connect(at, ("13700137000", "tv"))
    for step in steps:
        await rings(ringer, tv)
        began = time.monotonic()
        set_clock(clock, STEPS[step])
        await ringer.until("call_failed", "call_refuse", "calling_be_hangup")
        rang = time.monotonic() - began
        found.check(abs(rang - RINGS) < BUSY, f"{step}: a call rang for {rang:.1f} s of {RINGS:.0f}")
        found.counts[f"clock set by {step}: a call rang for, s"] = round(rang, 1)
        set_clock(clock, 0)
    caller.hang_up(callee, room)
    await callee.until("calling_be_hangup")
    for device in (caller, callee, ringer, tv):
        device.drop()


def prove_clock(steps: Sequence[str], found: Findings) -> None:
    """All of it, with systemd's watchdog."""
    with (
        tempfile.TemporaryDirectory(prefix="callnet-proof-") as name,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd,
    ):
        folder = Path(name)
        systemd.bind(f"{name}/notify")
        systemd.setblocking(False)
        clock = folder / "clock"
        set_clock(clock, 0)
        environment = {"NOTIFY_SOCKET": f"{name}/notify", "WATCHDOG_USEC": f"{WATCHDOG * 1e6:.0f}"}
        settings = f"calls.ring_time = {RINGS}\n{WITHOUT_LIMITS}"
        program = ("acceptance.set_clock", str(clock))
        with CountedDaemon(folder, settings, program, environment=environment) as daemon:
            at = daemon.ports["account"], daemon.ports["signaling"]
            beats = asyncio.run(_watched(systemd, under_steps(at, clock, steps, found)))
    gap = max((after - before for before, after in pairwise(beats)), default=WATCHDOG)
    found.counts["longest time between beats for the watchdog, s"] = round(gap, 1)
    found.check(gap < WATCHDOG, f"the watchdog heard nothing for {gap:.1f} s")


async def _watched(systemd: socket.socket, doing: object) -> list[float]:
    """Do something, and note meanwhile when the watchdog hears of the daemon."""
    task = asyncio.ensure_future(doing)  # type: ignore[call-overload]
    beats = [time.monotonic()]
    loop = asyncio.get_running_loop()
    while not task.done():
        try:
            said = await asyncio.wait_for(loop.sock_recv(systemd, 4096), 0.5)
        except TimeoutError:
            continue
        if b"WATCHDOG=1" in said:
            beats.append(time.monotonic())
    await task
    return [*beats, time.monotonic()]


# Stops


@contextmanager
def hanging(server: Server | None, folder: Path) -> Iterator[None]:
    """A database that does not answer: PostgreSQL stands still, or another process writes to SQLite's."""
    if server is None:
        with closing(sqlite3.connect(folder / "state" / "callnet.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
        return
    server.pause()
    try:
        yield
    finally:
        server.resume()


def prove_stops(count: int, found: Findings, random: Random) -> None:
    """Stop daemons with devices connected and a call that has just ended."""
    server = Server()
    try:
        kinds = (("PostgreSQL", server), ("SQLite", None))
        for kind, of in kinds[: 1 if count == 1 else 2]:
            took = [_one_stop(of, random.random() * 3 if count > 1 else 0.5) for _ in range(count)]
            found.counts[f"stops while {kind} hangs"] = len(took)
            found.counts[f"longest with {kind}, s"] = round(max(took), 2)
            found.check(max(took) < STOP_WITHIN, f"a stop while {kind} hangs took {max(took):.1f} s")
    finally:
        server.remove()


def _one_stop(server: Server | None, pause: float) -> float:
    """Seconds from SIGTERM to the end."""
    url = "" if server is None else f'database.url = "{server.new_database_url()}"\n'
    with running(url) as daemon:

        async def end_a_call() -> None:
            at = daemon.ports["account"], daemon.ports["signaling"]
            caller, callee, room = await talk(at)
            others = [await Device.connect(at, (PHONE, f"other{number}")) for number in range(3)]
            waits.enter_context(hanging(server, daemon.folder))
            caller.hang_up(callee, room)
            await callee.until("calling_be_hangup")
            callee.close()
            leaving = [asyncio.ensure_future(leave_when_told(each)) for each in (caller, *others)]
            await asyncio.sleep(pause)
            began.append(time.monotonic())
            daemon.process.terminate()
            await asyncio.get_running_loop().run_in_executor(None, daemon.process.wait, 30)
            began.append(time.monotonic())
            await asyncio.gather(*leaving)

        began: list[float] = []
        with ExitStack() as waits:
            asyncio.run(end_a_call())
    return began[1] - began[0]


# Power


@contextmanager
def mounted(image: Path, folder: Path) -> Iterator[None]:
    """The file system in a file."""
    subprocess.run(["mount", "-o", "loop", str(image), str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def prove_power(count: int, found: Findings) -> None:
    """Cut the power as soon as something was answered."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        image, copy = Path(name, "disk"), Path(name, "copy")
        disk, after = Path(name, "before"), Path(name, "after")
        for folder in (disk, after):
            folder.mkdir(0o700)
        with image.open("wb") as file:
            file.truncate(64 * 2**20)
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        with mounted(image, disk), running(f'database.url = "sqlite:///{disk}/callnet.db"\n') as daemon:
            account = daemon.ports["account"]
            for number in range(count):
                phone, other = f"139{number:08}", f"138{number:08}"
                asyncio.run(_claim_and_revoke(account, phone, other))
                shutil.copyfile(image, copy)
                with mounted(copy, after), closing(sqlite3.connect(after / "callnet.db")) as database:
                    claimed = database.execute("SELECT secret FROM account_device WHERE phone = ?", (phone,)).fetchone()
                    revoked = database.execute("SELECT 1 FROM revocation WHERE phone = ?", (other,)).fetchone()
                found.check(bool(claimed and claimed[0]), f"a claim of its secret is lost to {phone}")
                found.check(bool(revoked), f"a revocation is lost to {other}")
    found.counts["power cuts after a claim and a revocation"] = count


async def _claim_and_revoke(port: int, phone: str, other: str) -> None:
    first = await post(port, "/account/login", {"phone": phone, "device_id": "tv"})
    await post(port, "/account/login", {"phone": phone, "device_id": "tv", "secret": first["device_secret"]})
    token = await login(port, other, "tv")
    await post(port, "/account/logout", {"token": token})


# The log


def prove_log(lines: int, found: Findings) -> None:
    """Serve with a log that nobody reads."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        with CountedDaemon(Path(name), WITHOUT_LIMITS, is_piped=True) as daemon:
            daemon.read_log(False)
            began = time.monotonic()
            asyncio.run(_ask((daemon.ports["account"], daemon.ports["signaling"]), lines))
            found.counts["requests answered while nobody read the log"] = lines
            found.counts["they took, s"] = round(time.monotonic() - began, 1)
            began = time.monotonic()
            daemon.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                daemon.process.wait(30)
            took = time.monotonic() - began
        found.check(took < STOP_WITHIN, f"a stop with a log that nobody reads took {took:.1f} s")


async def _ask(at: tuple[int, int], lines: int) -> None:
    for _ in range(lines):
        async with asyncio.timeout(10):
            await exchange(at[0], request("/none", b"{}"), HOST)
    caller, callee, room = await talk(at)
    caller.hang_up(callee, room)
    await callee.until("calling_be_hangup")
    caller.drop()
    callee.drop()


def prove(brief: bool, seed: int) -> Outcome:
    """All of it, or one of each."""
    found = Findings()
    prove_clock(["-1 h"] if brief else list(STEPS), found)
    prove_log(BRIEF_LINES if brief else LINES, found)
    prove_power(1 if brief else POWER_CUTS, found)
    prove_stops(1 if brief else STOPS, found, Random(seed))
    return Outcome(found.counts, found.misses)


PROOF: Final = Proof(
    "machine",
    "a clock that is set, a database that hangs, a power failure, a log that nobody reads: no call is disturbed, a stop"
    f" takes {STOP_WITHIN:.0f} s at most, and what protects somebody is on the disk when it was answered",
    prove,
)
