"""The third-party programs that look at callnet's components, as ``make sbom``, ``licences`` and ``audit`` run them.

The database of vulnerabilities is one of this test's, on loopback, that answers as OSV does.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site

from tools.supply_chain import TOOLS, Failed, audit, licences, sbom
from tools.supply_chain.locks import Pin, everything, locked

reactor: Any = installed

_VALIDATE: Final = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
sys.exit(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()))
"""
PINS: Final = tuple(Pin(*of, frozenset()) for of in (("one-two", "1.0"), ("three", "2.0"), ("three", "3.0")))


class Database(Resource):
    """A database with vulnerabilities of some versions of some packages."""

    isLeaf = True  # noqa: N815  # the name that Twisted looks for

    def __init__(self) -> None:
        Resource.__init__(self)
        self.known: set[tuple[str, str]] = set()
        self.target: set[tuple[str, str]] = set()
        self.status = 200

    def render_POST(self, request: Request) -> bytes:
        """Answer one question."""
        assert request.content is not None
        question = json.loads(request.content.read())
        about = question["package"]["name"], question["version"]
        self.target.add(about)
        request.setResponseCode(self.status)
        if about not in self.known:
            return b"{}"
        events = [{"introduced": "0"}, {"fixed": "9.9"}]
        affected = {
            "package": {"name": about[0], "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": events}],
        }
        return json.dumps({"vulns": [{"id": "X-1", "summary": "It breaks.", "affected": [affected]}]}).encode()


class AuditTests(TestCase):
    """pip-audit and a database."""

    timeout = 600

    def setUp(self) -> None:
        """Begin to answer."""
        self.database = Database()
        self.port = reactor.listenTCP(0, Site(self.database), interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/v1/query"
        self.addCleanup(self.port.stopListening)

    def ask(self, pins: tuple[Pin, ...] = PINS) -> Deferred[None]:
        """Ask it."""
        return deferToThread(audit.audit, pins, self.url, Path(self.mktemp()))

    async def failure(self, pins: tuple[Pin, ...] = PINS) -> Failed | audit.NotRun:
        """The failure of an audit that must fail."""
        try:
            await self.ask(pins)
        except (Failed, audit.NotRun) as error:
            return error
        raise AssertionError("it passed")

    async def test_all_is_well(self) -> None:
        """Every version of every package is asked about, and passes if nothing is known of it."""
        await self.ask()
        self.assertEqual({pin[:2] for pin in PINS}, self.database.target)

    async def test_everything(self) -> None:
        """All locked packages pass, for whatever platform: nothing is skipped."""
        pins = tuple(everything())
        await self.ask(pins)
        self.assertEqual({pin[:2] for pin in pins}, self.database.target)

    async def test_vulnerable(self) -> None:
        """A known vulnerability fails the audit, and is named with the version that fixes it."""
        self.database.known.add(("three", "3.0"))
        self.assertEqual(Failed("three 3.0: X-1, repaired in 9.9").args, (await self.failure()).args)

    async def test_an_error_of_the_database(self) -> None:
        """A database that answers with an error was not asked."""
        self.database.status = 503
        self.assertIsInstance(await self.failure(), audit.NotRun)

    async def test_no_database(self) -> None:
        """One that cannot be reached was not asked either: that is no pass."""
        await self.port.stopListening()
        self.assertIsInstance(await self.failure(), audit.NotRun)

    async def test_what_cannot_be_asked(self) -> None:
        """A package that pip-audit does not understand is not looked up: the audit has failed."""
        failed = await self.failure((Pin("three", "none", frozenset()),))
        self.assertIsInstance(failed, Failed)
        self.assertIn("pip-audit gave no report", str(failed))


class HereTests(SynchronousTestCase):
    """The packages installed here."""

    def test_here(self) -> None:
        """Every licence is one that we take, and the page has it; the bill is whole, the same each time, and valid."""
        found = licences.here()
        self.assertEqual([], list(found.faults(everything())))
        self.assertEqual(licences.TABLE.read_text(), licences.table(licences.rows(found)))
        files = [Path(self.mktemp()) for _ in range(2)]
        for file in files:
            self.assertEqual(len(locked("daemon")) + 1, sbom.write(found, file))
        text, again = (file.read_text() for file in files)
        self.assertEqual(text, again)
        command = (TOOLS / "python", "-c", _VALIDATE)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
