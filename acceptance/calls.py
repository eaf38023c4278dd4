"""A fleet of devices that call each other in every way there is, for as long as one likes.

Each keeps its books (:mod:`acceptance.device`). At the end nothing more is asked, and when all that was
under way has come to its end, both sides of every call must believe the same; then every device must be
able to call and to be called, and when all have left the daemon must hold what it held before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import Final

from acceptance.daemon import CountedDaemon, running
from acceptance.device import Device
from acceptance.habits import Habits
from acceptance.ledger import Ledger
from acceptance.proof import Outcome, Proof
from harness.base_protocol import Address

RING_TIME: Final = 3.0
GRACE: Final = 2.0
SETTLED: Final = RING_TIME + GRACE + 3.0
"""Seconds after which every answer that is owed must have come."""
REMEMBERED: Final = 300.0
"""Seconds after which a daemon that nobody uses has forgotten every call."""
LET_GO: Final = 15.0
"""Seconds after which a daemon that everyone has left has let go of everyone."""
KEPT: Final = ("callnet.calls.records.", "callnet.redis.", "callnet.store.", "callnet.model.")
"""The modules that remember ended calls for some time."""
SHOWN: Final = 5
"""The number of violations of a kind that are shown."""

SETTINGS: Final = f"[calls]\nring_time = {RING_TIME}\ngrace = {GRACE}\nunseated_limit = 0\n"


def fleet(ports: tuple[int, int], ledger: Ledger, phones: int, random: Random) -> list[Device]:
    """One to three devices for each of this number of phones."""
    addresses = [
        Address(f"138{number:08d}", f"dev{index}") for number in range(phones) for index in range(random.randint(1, 3))
    ]
    return [Device(address, ports, ledger) for address in addresses]


async def use(devices: Sequence[Device], random: Random, seconds: float) -> None:
    """Let everyone call everyone for so long, and see to it that every answer comes in time."""
    await asyncio.gather(*(device.connect() for device in devices))
    until = time.monotonic() + seconds
    lives = []
    for device in devices:
        others = [other.address for other in devices if other is not device]
        habits = Habits(device, others, Random(random.getrandbits(64)), GRACE)
        lives.append(habits.live(until, pause=random.uniform(0.1, 0.6)))
    watch = asyncio.create_task(_watch(devices))
    try:
        await asyncio.gather(*lives)
        await asyncio.sleep(SETTLED)
    finally:
        watch.cancel()


async def _watch(devices: Sequence[Device]) -> None:
    """Look out for calls that were never answered."""
    while True:
        await asyncio.sleep(1)
        for device in devices:
            if device.owed is not None and time.monotonic() - device.owed.at > SETTLED:
                device.violated(f"its call to {device.owed.target} was never answered")
                device.owed = None


def compare(devices: Sequence[Device], ledger: Ledger) -> None:
    """Both sides of a call must believe to be in it, and nobody may be owed an answer."""
    by_address = {device.address: device for device in devices}
    for device in devices:
        if device.owed is not None:
            device.violated(f"is still owed the answer to {device.owed.target}")
        if device.peer is not None:
            other = by_address[device.peer]
            ledger.counts["calls compared at the end"] += 1
            if other.room != device.room or other.peer != device.address:
                device.violated(f"is in {device.room} with {device.peer}, which is in {other.room} with {other.peer}")
                ledger.violated(other.address, "the other side of that", list(other.history))


async def prove_free(devices: Sequence[Device], ledger: Ledger) -> None:
    """Have everyone hang up; then have each device call the next one, and be answered."""
    for device in devices:
        if device.room is not None and device.peer is not None:
            device.hang_up(device.room, device.peer)
    await asyncio.sleep(1)
    for caller, callee in zip(devices, (*devices[1:], devices[0]), strict=True):
        caller.call(callee.address)
        await callee.until(lambda device: bool(device.pending))
        if callee.pending:
            callee.answer(next(iter(callee.pending)), accept=True)
        await caller.until(lambda device: device.room is not None)
        if caller.room is None or caller.room != callee.room:
            caller.violated(f"could not call {callee.address} when all was quiet")
            continue
        ledger.counts["calls when all was quiet"] += 1
        caller.hang_up(caller.room, callee.address)
        await callee.until(lambda device: device.room is None)


async def run(daemon: CountedDaemon, ledger: Ledger, phones: int, seconds: float, random: Random) -> int:
    """The whole story of one fleet. Returns its size."""
    devices = fleet((daemon.ports["account"], daemon.ports["signaling"]), ledger, phones, random)
    await use(devices, random, seconds)
    compare(devices, ledger)
    await prove_free(devices, ledger)
    await asyncio.gather(*(device.finish() for device in devices))
    return len(devices)


def left_over(daemon: CountedDaemon, before: dict[str, int], brief: bool) -> list[str]:
    """The objects that the daemon holds more than ``before``, once it has had time to forget.

    ``brief``: do not wait until it forgets calls that are over, and do not look at what keeps them.
    """
    latest = time.monotonic() + (LET_GO if brief else REMEMBERED)
    while True:
        grown = {name: size - before.get(name, 0) for name, size in daemon.census().items()}
        more = [f"{name} +{size}" for name, size in grown.items() if size > 0 and not (brief and name.startswith(KEPT))]
        if not more or time.monotonic() > latest:
            return more
        time.sleep(1)


def prove(brief: bool, seed: int) -> Outcome:
    """Half a minute with a few devices, or ten minutes with many."""
    random, ledger = Random(seed), Ledger()
    with running(SETTINGS) as daemon:
        before, memory = daemon.census(), daemon.memory()
        devices = asyncio.run(run(daemon, ledger, 6 if brief else 24, 25 if brief else 600, random))
        ledger.counts["devices"] = devices
        ledger.counts["rooms"] = len(ledger.stories)
        ledger.counts["daemon's memory at first, KiB"] = memory
        ledger.counts["daemon's memory at last, KiB"] = daemon.memory()
        held = left_over(daemon, before, brief)
        complaints = daemon.complaints()
    disagreements = ledger.disagreements()
    return Outcome(
        dict(sorted(ledger.counts.items())),
        [
            *ledger.violations[:SHOWN],
            *disagreements[:SHOWN],
            *(f"the daemon still holds {line}" for line in held),
            *(f"the daemon logged {line}" for line in complaints[:SHOWN]),
        ],
    )


PROOF: Final = Proof(
    "calls",
    "every call gets one answer, both sides of each call agree, nobody is stuck, and at the end nothing is held",
    prove,
)
