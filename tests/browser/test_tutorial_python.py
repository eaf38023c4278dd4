"""docs/tutorial-python.md, typed in as it stands: a television that calls the web phone, and is called by it."""

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

from acceptance import readme
from callnet_client import Account
from harness import ROOT
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import phone
from tests.browser.stage import Stage
from tests.support.devices import service_of

TUTORIAL: Final = ROOT / "docs" / "tutorial-python.md"
FILE: Final = "television.py"
MOST_LINES: Final = 100
PATIENCE: Final = 60
"""Seconds that anything may take on a machine that is busy with other tests."""

reactor: Any = installed


def program() -> str:
    """The one block of the page that is a program."""
    [block] = [block for block in readme.blocks(TUTORIAL) if block.language == "python"]
    return block.text


class TypedIn(ProcessProtocol):
    """A program with pipes for a terminal."""

    transport: IProcessTransport

    def __init__(self) -> None:
        self.output = ""
        self._seen = 0
        self._wanted: list[tuple[str, Deferred[re.Match[str]]]] = []
        self.ended: Deferred[int | None] = Deferred()

    def shows(self, pattern: str) -> Deferred[re.Match[str]]:
        """Fires when it has printed a match, after the one that was waited for before."""
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
        """Record its output."""
        self.output += data.decode()
        self._look()

    def errReceived(self, data: bytes) -> None:
        """Record its errors."""
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


class PythonTests(PhoneCase, OwnDaemonCase):
    """The television of the tutorial in Python."""

    def run_television(self) -> TypedIn:
        """Type it in, and run it. The program that stands for a browser records the addresses of its pages."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(parents=True)
        (directory / FILE).write_text(program(), encoding="utf-8")
        browser = directory / "browser"
        browser.write_text('#!/bin/sh\necho "browser: $1"\nexec sleep 600\n', encoding="ascii")
        browser.chmod(0o755)
        process = TypedIn()
        command = (sys.executable, FILE, self.daemon.site_url, *self.television)
        environ = {**os.environ, "BROWSER": str(browser), "SSL_CERT_FILE": str(self.daemon.certificate)}
        reactor.spawnProcess(process, command[0], command, environ, str(directory))
        self.addCleanup(process.stop)
        return process

    def test_length(self) -> None:
        """The program has at most 100 lines."""
        self.assertLessEqual(len(program().splitlines()), MOST_LINES)

    def test_calls(self) -> Deferred[None]:
        """It is called and calls, is answered by a key, opens the page, where both see each other, and hangs up."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(Camera.RED))
            alice.log_in(*self.alice)
            television = in_reactor(self.run_television)
            in_reactor(lambda: television.shows("is online"))
            alice.add_contact(self.television.phone, "Television")
            alice.await_contact(self.television.phone, online=True)
            alice.call(self.television.phone)
            in_reactor(lambda: television.shows(rf"{self.alice.phone} is calling"))
            in_reactor(lambda: television.type("a"))
            page = in_reactor(lambda: television.shows(r"browser: (https://\S+)\n"))
            viewer = stage.visitor(stage.browser(Camera.BLUE))
            viewer.page.goto(page[1])
            viewer.await_state("connected")
            viewer.await_colour(Camera.RED)
            alice.await_connected(Camera.BLUE)
            in_reactor(lambda: television.type("h"))
            alice.await_text("notice-text", " hung up.")
            viewer.await_state("ended")
            in_reactor(lambda: television.shows("the call is over"))
            in_reactor(lambda: television.type("q"))
            self.assertEqual(0, in_reactor(lambda: television.ended))
            self.assertNotIn("Traceback", television.output)

        return self.play(story)

    def test_comes_back(self) -> Deferred[None]:
        """It says that the daemon is gone, is back when the daemon is, and then calls the first of its list."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            in_reactor(self.befriend)
            television = in_reactor(self.run_television)
            in_reactor(lambda: television.shows(r"1: Alice \(\S+\), online"))
            in_reactor(self.daemon.stop)
            in_reactor(lambda: television.shows("is offline"))
            in_reactor(self.daemon.start)
            in_reactor(lambda: television.shows("is online"))
            in_reactor(lambda: television.shows(r"1: Alice \(\S+\), online"))
            in_reactor(lambda: television.type("1"))
            alice.await_scene("ringing")
            alice.press("accept")
            in_reactor(lambda: television.shows(r"browser: https://"))
            alice.hang_up()
            in_reactor(lambda: television.shows("the call is over"))
            # The browser reports each try: a daemon that stops answers 503 or cuts it off, and then nothing listens.
            alice.forgive("WebSocket", "ERR_CONNECTION")

        return self.play(story)

    def befriend(self) -> Deferred[None]:
        """Put Alice in the television's list."""
        return Account(service_of(self.daemon), *self.television).add_contact(self.alice.phone, "Alice")
