"""A newcomer's first minutes: the commands of README.md, typed by an ordinary user with an empty home."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Final

from acceptance import readme
from acceptance.browser import meet, see_each_other
from acceptance.proof import Outcome, Proof
from acceptance.systems import System, minimal_debian, this_machine
from harness import ROOT
from harness.daemon import STOP_LIMIT, wait_for
from harness.leaks import complaints
from tests.browser.stage import stage

SITE: Final = "http://localhost:8081"
PORTS: Final = (8080, 8081, 8082, 8083)
PYTHONS: Final = ("python3", "python3.11")
SERVES_WITHIN: Final = 60.0
"""Seconds from ``make run`` on a fresh clone to the first answer."""
READY: Final = " is ready."
"""The daemon's output when it serves."""
README: Final = ROOT / "README.md"
CLONE: Final = "callnet"

NO_COMPILER: Final = {"CC": "/bin/false", "CXX": "/bin/false"}
"""Should anything want to be compiled, it fails."""


class Newcomer:
    """A person at a system who follows README.md."""

    def __init__(self, system: System, name: str, counts: dict[str, object], misses: list[str], seed: int) -> None:
        self._system = system
        self._name = name
        self._counts = counts
        self._misses = misses
        self._random = Random(seed)

    def tell(self, python: str) -> None:
        """The whole story, with one Python."""
        self._clone()
        started = time.monotonic()
        with self._doing(f"{readme.command(README, 'make run')} PYTHON={python}") as daemon:
            wait_for(lambda: self._serves(daemon), SERVES_WITHIN, f"{self._name}: an answer of the daemon")
            self._count("seconds until it served", round(time.monotonic() - started))
            self._curl()
            self._call()
            stopping = time.monotonic()
        self._count("seconds to stop", round(time.monotonic() - stopping, 2))
        log = self._log("make").read_text(errors="replace")
        self._misses += [f"{self._name}: the daemon logged {line}" for line in complaints(log)]

    def _clone(self) -> None:
        """Put a fresh clone into the home. Git refuses to clone another user's repository, hence the chown."""
        target = self._system.home / CLONE
        subprocess.run(["git", "clone", "--quiet", "--no-local", str(ROOT), str(target)], check=True)
        subprocess.run(["chown", "-R", "nobody:nogroup", str(target)], check=True)

    def _serves(self, daemon: subprocess.Popen[bytes]) -> bool:
        printed = self._log("make").read_text(errors="replace")
        if daemon.poll() is not None:
            raise ChildProcessError(f"make run ended: {printed[-2000:]}")
        return READY in printed and all(map(_answers, PORTS))  # the server there may be somebody else's

    def _curl(self) -> None:
        """The two lines that log in and list contacts."""
        login, contacts = readme.command(README, "curl").splitlines()
        answer = self._answer_to(login)
        self._expect(answer.get("errorCode") == 0 and bool(answer.get("token")), f"the login was answered {answer}")
        answer = self._answer_to(contacts.replace("TOKEN", str(answer.get("token"))))
        self._expect(answer.get("contacts") == [], f"the contacts were answered {answer}")

    def _answer_to(self, curl: str) -> dict[str, object]:
        log = self._log("curl")
        self._system.run(f"exec {curl.replace('curl', 'curl --silent', 1)}", log).wait(30)
        answer: dict[str, object] = json.loads(log.read_text())
        return answer

    def _call(self) -> None:
        """Two terminals: one waits and answers, the other calls and hangs up with Ctrl-C."""
        answering, calling = self._log(".venv/bin/callnet device 1"), self._log(".venv/bin/callnet device 2")
        waits = readme.command(README, ".venv/bin/callnet device 13651884967")
        calls = readme.command(README, ".venv/bin/callnet device 13800138000")
        with self._doing(waits, answering):
            self._await(answering, "waiting for calls", "the first device to be ready")
            with self._doing(calls, calling):
                self._await(calling, "call_success", "the call to be answered")
                room = re.findall(r"[0-9a-f]{32}", calling.read_text())[0]
                self._meet(room)
            self._await(answering, "calling_be_hangup", "the first device to hear of the end")
        self._expect(room in answering.read_text(), "the two devices were given different rooms")
        self._count("calls", 1)

    def _meet(self, room: str) -> None:
        """The page, opened twice with the room that was just printed."""
        with tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder, stage(SITE, Path(folder)) as browsers:
            red, blue = meet(browsers, room, self._random)
            wrong = see_each_other(red, blue, self._random)
            self._expect(wrong is None, f"the page: {wrong}")
            self._count("pages that saw the other's moving picture", 0 if wrong else 2)

    @contextmanager
    def _doing(self, command: str, log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
        """Type a command in the clone, and at the end of the block Ctrl-C."""
        process = self._system.run(f"cd {CLONE} && exec {command}", log or self._log("make"), NO_COMPILER)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                self._misses.append(f"{self._name}: {command} did not end with Ctrl-C")

    def _await(self, log: Path, text: str, what: str) -> None:
        try:
            wait_for(lambda: text in log.read_text(errors="replace"), 20, f"{self._name}: {what}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}: {log.read_text(errors='replace')[-1000:]}") from None

    def _log(self, command: str) -> Path:
        return self._system.home / f"{command.replace('/', '-')}.log"

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(f"{self._name}: {otherwise}")

    def _count(self, what: str, value: object) -> None:
        self._counts[f"{self._name}: {what}"] = value


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def prove(brief: bool, seed: int) -> Outcome:
    """The story on this machine with two Pythons, a short slice with one of them, and on a minimal Debian."""
    counts: dict[str, object] = {}
    misses: list[str] = []
    if os.getuid():
        return Outcome({}, ["only root can make users and systems to try this with"])
    if any(map(_answers, PORTS)):
        return Outcome({}, [f"somebody else listens on one of the ports {PORTS}"])
    for python in [PYTHONS[seed % len(PYTHONS)]] if brief else PYTHONS:
        if shutil.which(python, path="/usr/bin") is None:
            misses.append(f"this machine has no {python}")
            continue
        with this_machine() as system:
            Newcomer(system, f"here, {python}", counts, misses, seed).tell(python)
    with minimal_debian(readme.command(README, "apt-get install")) as system:
        Newcomer(system, "minimal Debian 13", counts, misses, seed).tell("python3")
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "newcomer",
    "on a fresh clone with an empty home, as an ordinary user, README's commands start callnet within 60 s"
    " from wheels, log in, list contacts, call, answer and hang up: here and on a minimal Debian",
    prove,
)
