"""The programs of the tutorials, typed in from their pages, call and are called by the web phone in Chromium."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProcessTransport
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from callnet.client import Account
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.phone_visitor import ALICE, TELEVISION, phone
from tests.browser.stage import Stage
from tests.devices import service_of

DOCS: Final = Path(__file__).parent.parent.parent / "docs"
MOST_LINES: Final = 100
PATIENCE: Final = 60
"""Seconds that anything may take on a machine that is busy with other tests."""

reactor: Any = installed


def program_of(page: str, language: str) -> str:
    """The one block of a page that is a program."""
    [program] = re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    return str(program)


class TypedIn(ProcessProtocol):
    """A program with pipes for a terminal."""

    transport: IProcessTransport

    def __init__(self) -> None:
        self.output = ""
        self._seen = 0
        self._wanted: list[tuple[str, Deferred[re.Match[str]]]] = []
        self.ended: Deferred[int | None] = Deferred()

    def shows(self, pattern: str) -> Deferred[re.Match[str]]:
        """Fires when it has shown something like this, after what was asked for before."""
        shown: Deferred[re.Match[str]] = Deferred()
        self._wanted.append((pattern, shown))
        self._look()
        return shown.addTimeout(PATIENCE, reactor)

    def type(self, line: str) -> None:
        """Press keys, and Enter."""
        self.transport.writeToChild(0, f"{line}\n".encode())

    def stop(self) -> Deferred[int | None] | None:
        """Make sure that it is gone."""
        if self.ended.called:
            return None
        self.transport.signalProcess("KILL")
        return self.ended

    def outReceived(self, data: bytes) -> None:
        """Take what it shows."""
        self.output += data.decode()
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Take what it complains of."""
        self.outReceived(data)

    def processEnded(self, reason: Failure) -> None:
        """Note the end."""
        value: Any = reason.value
        self.ended.callback(value.exitCode)

    def _look(self) -> None:
        while self._wanted:
            pattern, shown = self._wanted[0]
            match = re.search(pattern, self.output[self._seen :])
            if match is None:
                return
            self._seen += match.end()
            self._wanted.pop(0)
            shown.callback(match)


class Tutorial:
    """What the television of a tutorial does, in whichever language it is written.

    A subclass says where the program is, and how it is run.
    """

    PAGE = ""
    LANGUAGE = ""
    FILE = ""
    COMMAND: tuple[str, ...] = ()

    def environ(self) -> dict[str, str]:
        """What the program finds in its environment, beside what the tests do."""
        raise NotImplementedError

    def television(self) -> TypedIn:
        """Type it in, and run it. What opens its pages writes down where they are."""
        case: Any = self
        directory = Path(case.mktemp()).absolute()
        directory.mkdir(parents=True)
        (directory / self.FILE).write_text(program_of(self.PAGE, self.LANGUAGE), encoding="utf-8")
        browser = directory / "browser"
        browser.write_text('#!/bin/sh\necho "browser: $1"\nexec sleep 600\n', encoding="ascii")
        browser.chmod(0o755)
        process = TypedIn()
        command = (*self.COMMAND, self.FILE, case.daemon.site_url, *TELEVISION)
        environ = {**os.environ, "BROWSER": str(browser), **self.environ()}
        reactor.spawnProcess(process, command[0], command, environ, str(directory))
        case.addCleanup(process.stop)
        return process

    def test_length(self) -> None:
        """The program has no more than 100 lines."""
        case: Any = self
        case.assertLessEqual(len(program_of(self.PAGE, self.LANGUAGE).splitlines()), MOST_LINES)

    def test_calls(self) -> Deferred[None]:
        """It is called and calls, is answered by a key, opens the page, where both see each other, and hangs up."""
        case: Any = self

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(Camera.RED))
            alice.log_in(*ALICE)
            television = in_reactor(self.television)
            in_reactor(lambda: television.shows("is online"))
            alice.add_contact(TELEVISION.phone, "Television")
            alice.await_contact(TELEVISION.phone, online=True)
            alice.call(TELEVISION.phone)
            in_reactor(lambda: television.shows(rf"{ALICE.phone} is calling"))
            in_reactor(lambda: television.type("a"))
            page = in_reactor(lambda: television.shows(r"browser: (https://\S+)\n"))
            viewer = stage.visitor(stage.browser(Camera.BLUE))
            viewer.page.goto(page[1])
            viewer.await_state("connected")
            viewer.await_colour(Camera.RED)
            alice.await_connected(Camera.BLUE)
            in_reactor(lambda: television.type("h"))
            alice.await_text("notice-text", "They hung up.")
            viewer.await_state("ended")
            in_reactor(lambda: television.shows("the call is over"))
            in_reactor(lambda: television.type("q"))
            case.assertEqual(0, in_reactor(lambda: television.ended))
            case.assertNotIn("Traceback", television.output)

        played: Deferred[None] = case.play(story)
        return played

    def test_comes_back(self) -> Deferred[None]:
        """When the daemon is gone it says so, and is back when that is; then it calls whom it has in its list."""
        case: Any = self

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*ALICE)
            in_reactor(self.befriend)
            television = in_reactor(self.television)
            in_reactor(lambda: television.shows(r"1: Alice \(\S+\), online"))
            in_reactor(case.daemon.stop)
            in_reactor(lambda: television.shows("is offline"))
            case.daemon = case.daemon.successor("")
            case.addCleanup(case.daemon.stop)
            in_reactor(case.daemon.start)
            in_reactor(lambda: television.shows("is online"))
            in_reactor(lambda: television.shows(r"1: Alice \(\S+\), online"))
            in_reactor(lambda: television.type("1"))
            alice.await_scene("ringing")
            alice.press("accept")
            in_reactor(lambda: television.shows(r"browser: https://"))
            alice.press("call-hangup")
            in_reactor(lambda: television.shows("the call is over"))

        played: Deferred[None] = case.play(story)
        return played

    def befriend(self) -> Deferred[None]:
        """Put Alice in the television's list."""
        case: Any = self
        return Account(service_of(case.daemon), *TELEVISION).add_contact(ALICE.phone, "Alice")


class PythonTests(Tutorial, BrowserCase):
    """The one in Python."""

    PAGE = "tutorial-python.md"
    LANGUAGE = "python"
    FILE = "television.py"
    COMMAND = (sys.executable,)

    def environ(self) -> dict[str, str]:
        """The certificate that is to be trusted."""
        return {"SSL_CERT_FILE": self.daemon.certificate}
