"""``callnet doctor``, ``status`` and ``top`` beside a real daemon and real servers."""

from __future__ import annotations

import atexit
import re
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version

from twisted.trial.unittest import TestCase

from harness.coturn import Coturn
from tests.integration.test_workers import shared_workers, workers_of
from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.processes import stopped
from tests.support.turn_case import SECRET


class DoctorTestCase(TestCase):
    """Commands, and their output."""

    async def run_(self, daemon: Daemon, *arguments: str, status: int = 0) -> str:
        """Run a command that ends with this exit status; returns its output."""
        shown, complaints, code = await callnet(daemon, *arguments)
        self.assertEqual((code, complaints), (status, ""), shown)
        return shown


def turn_of(coturn: Coturn) -> str:
    """TOML with a TURN server."""
    plain, reliable = coturn.urls
    return f'turn = {{ urls = ["{plain}", "{reliable}"], stun = ["{coturn.stun[0]}"], secret = "{SECRET}" }}'


@cache
def shared_coturn() -> Coturn:
    """A TURN server for all tests, which leave it as it was."""
    coturn = Coturn(SECRET)
    atexit.register(coturn.close)
    return coturn


class RunningTests(DoctorTestCase):
    """A daemon with two workers, Redis, and a TURN server."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Have all of them."""
        self.daemon = await shared_workers(self, turn_of(shared_coturn()))

    def found(self, shown: str) -> Mapping[str, list[str]]:
        """The severity of each finding."""
        of: dict[str, list[str]] = {}
        for line in shown.splitlines():
            word, _, rest = line.partition(" ")
            if word:
                of.setdefault(rest.strip().partition(":")[0], []).append(word)
        return of

    async def status(self, pattern: str, status: int) -> str:
        """The output of ``callnet status``, asked again until it begins so: a worker may be late once."""
        shown, code = "", -1
        while not re.match(pattern, shown):
            shown, complaints, code = await callnet(self.daemon, "status", "--at", self.daemon.admin_url)
            self.assertEqual("", complaints)
        self.assertEqual(status, code)
        return shown

    async def test_all_is_well(self) -> None:
        """Everything is right: the servers take the secret, over UDP and TCP, and the schema is that of the code."""
        found = self.found(await self.run_(self.daemon, "doctor"))
        self.assertEqual((["ok"], ["ok"]), (found["database"], found["redis"]))
        self.assertEqual((["ok", "ok"], ["ok"]), (found["turn"], found["stun"]))

    async def test_another_secret(self) -> None:
        """A server that knows another secret is found out."""
        coturn, other = shared_coturn(), "another-secret-of-thirty-two-or-more"
        for undo, secret in ((coturn.remove_secret, other), (coturn.add_secret, SECRET)):
            self.addCleanup(undo, secret)
        coturn.remove_secret(SECRET)
        coturn.add_secret(other)
        shown = await self.run_(self.daemon, "doctor", status=1)
        self.assertEqual(["fail", "fail"], self.found(shown)["turn"])
        self.assertIn("rejects the secret", shown)
        self.assertNotIn(SECRET, shown)

    async def test_status(self) -> None:
        """The status shows each worker, and the counts."""
        shown = await self.status(r"callnet is ready\.\n", 0)
        lines = [line.split(maxsplit=1) for line in shown.splitlines()]
        for words in (["worker", "1 ready"], ["worker", "2 ready"], ["devices", "0"], ["pages", "0"]):
            self.assertIn([words[0], words[1]], [[each[0], " ".join(each[1].split())] for each in lines])
        self.assertIn("certificate", shown)
        self.assertIn(["version", version("callnet")], lines)

    async def test_trouble(self) -> None:
        """When a worker does not answer, the status says so and ends with 1."""
        with stopped(workers_of(self.daemon)[0]):
            await self.status(r"callnet is not ready: worker 1: no answer within 1 s\n", 1)

    async def test_top(self) -> None:
        """It shows the state again and again."""
        shown = ""
        while shown.count("callnet is ready.") != 2:  # a worker may be late once
            shown = await self.run_(self.daemon, "top", "--at", self.daemon.admin_url, "--every", "0.1", "--times", "2")
            self.assertEqual(2, shown.count("callnet is "))


class StoppedTests(DoctorTestCase):
    """No daemon."""

    async def test_nobody_answers(self) -> None:
        """If nobody answers one line says so."""
        daemon = Daemon(self.mktemp(), listeners='listeners.admin = [{ endpoint = "unix:/run/nobody/admin" }]')
        daemon.write_settings()
        for command in ("status", "top"):
            shown, complaints, code = await callnet(daemon, command)
            self.assertEqual(("", 1), (shown, code))
            self.assertEqual(
                "Error: /run/nobody/admin: no answer from callnet: No such file or directory\n", complaints
            )
