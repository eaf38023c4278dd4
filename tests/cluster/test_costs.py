"""The costs in Redis of calls, connections and heartbeats are those of docs/scaling.md."""

from __future__ import annotations

import re
import secrets
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from itertools import count, islice
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.records import DeviceRecord
from callnet.model import DeviceAddress
from callnet.redis import commands
from callnet.redis.codec import encode_device
from callnet.redis.connection import Scripts
from callnet.redis.store import NAME_BYTES
from harness.redis_server import Flavour, shared
from tests.cluster.case import ClusterCase, Phone
from tests.cluster.costs import AT_ONCE, MANY, Cost, bytes_held, costs, table
from tests.support.shared_nodes import PatientNodes

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "scaling.md"
TOLERANCE: Final = 0.1
"""Relative tolerance of figures in bytes against the document."""
MEMORY_TOLERANCE: Final = 0.25
"""The memory of Redis for one of many depends on how full its tables happen to be."""
PLACES: Final = ("", ", across nodes")


def rows(document: str) -> dict[str, list[str]]:
    """The cells of all tables of a document, by their first."""
    lines = [line.strip("| ").split(" | ") for line in document.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def is_near(told: str, measured: float, tolerance: float = TOLERANCE) -> bool:
    """Tell whether a number of bytes is about that of the document."""
    return abs(int(told) - measured) <= tolerance * measured


@cache
def counted(flavour: Flavour) -> Mapping[str, Cost]:
    """The cost of everything, counted once."""
    return costs(shared(flavour))


class RedisCostsTests(SynchronousTestCase):
    """Costs without races."""

    flavour: Flavour = "redis"

    def setUp(self) -> None:
        """Count, once."""
        self.found = counted(self.flavour)

    def test_call(self) -> None:
        """A whole call takes four round trips, wherever its devices are: one to read and three to commit."""
        for where in PLACES:
            placed, answered, ended = (self.found[f"call is {how}{where}"] for how in ("placed", "answered", "hung up"))
            self.assertEqual({"read": 1, "commit": 1}, placed.scripts)
            self.assertEqual({"commit": 1}, answered.scripts)
            self.assertEqual({"commit": 1}, ended.scripts)

    def test_other_ends(self) -> None:
        """However else a call ends, that takes one round trip."""
        for what in ("refused", "not answered in time"):
            for where in PLACES:
                self.assertEqual({"commit": 1}, self.found[f"call is {what}{where}"].scripts)

    def test_messages(self) -> None:
        """A commit publishes the facts that other nodes need, once; inside a node nothing is published."""
        for what, cost in self.found.items():
            if what.startswith("call is"):
                self.assertEqual(int(what.endswith(PLACES[1])), cost.messages, what)
                self.assertNotIn("publish", cost.scripts)

    def test_heartbeat(self) -> None:
        """A heartbeat is one round trip and costs the same however many devices the node has."""
        sweeping = self.found["heartbeat of the one that sweeps"]
        self.assertEqual({"beat": 1}, sweeping.scripts)
        self.assertEqual({"beat": 1}, self.found["heartbeat of a node"].scripts)
        self.assertEqual(sweeping, self.found[f"the same with {MANY} devices"])

    def test_at_once(self) -> None:
        """A device that was not there lately is connected in one round trip, which it shares with others."""
        one, many = self.found["device connects"], self.found[f"{AT_ONCE} devices connect at once"]
        self.assertEqual({"commit": 1}, one.scripts)
        self.assertEqual(one.scripts, many.scripts)
        self.assertLess(many.sent / AT_ONCE, 0.6 * one.sent)

    def test_relay(self) -> None:
        """A message between pages costs nothing inside a node, and one published message across nodes."""
        inside, across = (self.found[f"page says something to the other{where}"] for where in PLACES)
        self.assertEqual(Cost({}, 0, 0, 0, 0, 0), inside)
        self.assertEqual({"publish": 1}, across.scripts)
        self.assertEqual(1, across.messages)

    def test_document(self) -> None:
        """The table of the document has the counted costs."""
        told, counted = rows(DOCUMENT.read_text()), rows(table(self.found))
        for what, cells in counted.items():
            self.assertEqual(told.get(what, [])[:3], cells[:3], f"{what}: the table should be\n{table(self.found)}")
            for said, measured in zip(told[what][3:], cells[3:], strict=True):
                if what != "what happens":
                    self.assertTrue(is_near(said, int(measured)), f"{what}: {said}, not {measured}")


class ValkeyCostsTests(RedisCostsTests):
    """The same on Valkey."""

    flavour: Flavour = "valkey"


class MemoryTests(SynchronousTestCase):
    """Memory of Redis."""

    def test_record(self) -> None:
        """The record of a device with a usual name is short enough for Redis to store it compactly, however often
        its node has re-announced itself.
        """
        node = f"{secrets.token_hex(NAME_BYTES)}.999"
        generation = int(time.time() * 1000)
        idle = DeviceRecord(
            DeviceAddress("13651884967", "phone"), 99, node, generation, True, None, None, None, None, None
        )
        self.assertLessEqual(len(encode_device(idle)) + 4, 64)

    def test_bytes(self) -> None:
        """A device and a call need as much memory as the document says."""
        told = rows(DOCUMENT.read_text())
        for what, measured in bytes_held(shared("redis")).items():
            [said] = told[f"one {what}"]
            self.assertTrue(is_near(said, measured, MEMORY_TOLERANCE), f"{what}: {said}, not {measured}")


class RealNodesTests(ClusterCase, PatientNodes):
    """The same with nodes that have connections of their own, as Redis itself reports it (MONITOR)."""

    def setUp(self) -> None:
        """Begin with a server that nobody else uses."""
        super().setUp()
        self.server = self.own_server()
        self.know_the_run()

    def monitor(self) -> socket.socket:
        """Have Redis report every command."""
        monitor = socket.socket(socket.AF_UNIX)
        self.addCleanup(monitor.close)
        monitor.connect(self.server.socket_url().removeprefix("unix://"))
        monitor.sendall(b"MONITOR\r\n")
        self.assertEqual(b"+OK\r\n", monitor.recv(5))
        return monitor

    def reported(self, monitor: socket.socket) -> Sequence[str]:
        """The commands up to now."""
        self.server.cli("ECHO", "the end")
        text = b""
        while b'"the end"' not in text:
            text += monitor.recv(1 << 16)
        return text.decode().splitlines()

    def scripts_run(self, report: Sequence[str]) -> Counter[str]:
        """The scripts that nodes ran, except those that a clock starts: heartbeats, and exchanges of counts."""
        names = {sha.decode(): name for name, sha in Scripts(commands.load_scripts()).hashes.items()}
        run = Counter(names[found[1]] for line in report if (found := re.search(r'"EVALSHA" "(\w+)"', line)))
        for periodic in ("beat", "exchange"):
            del run[periodic]
        return run

    async def report_of(self, act: Callable[[], Awaitable[None]]) -> Sequence[str]:
        """The commands while something is done."""
        monitor = self.monitor()
        await act()
        return self.reported(monitor)

    async def test_call(self) -> None:
        """A whole call across nodes is one read and three commits, and these publish all that is published."""
        *_, ann, tv = await self.ann_and_tv()

        async def call() -> None:
            for phone in (ann, tv):
                phone.frames.clear()
            tv.hangs_up(await self.talk(ann, tv))
            await self.hears(ann, "calling_be_hangup:hangup")

        report = await self.report_of(call)
        self.assertEqual({"read": 1, "commit": 3}, self.scripts_run(report))
        published = [line for line in report if '"PUBLISH"' in line]
        self.assertEqual(3, len(published))
        for line in published:
            self.assertIn(" lua] ", line)

    async def test_at_once(self) -> None:
        """Devices that connect in one turn of the reactor are written by one command."""
        node = await self.start()
        numbers = count(13600000000)

        async def connect() -> None:
            phones = [Phone(DeviceAddress(f"{number}", "phone"), node) for number in islice(numbers, AT_ONCE)]
            await self.until(lambda: all(phone.session.generation for phone in phones))

        self.assertEqual({"commit": 1}, self.scripts_run(await self.report_of(connect)))
