"""A callnet daemon in a process of its own, on ports of its own, in a folder that goes with it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Final

from msgspec import Struct

from acceptance.proof import ROOT
from callnet.config import LimitSettings

START_LIMIT: Final = 60.0
"""Seconds within which a daemon must serve."""

STOP_LIMIT: Final = 10.0
"""Seconds within which a daemon must end after SIGTERM."""

_FOR_CLIENTS: Final = """
[listeners]
account = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
signaling = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
site = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
"""
LISTENERS: Final = f'{_FOR_CLIENTS}admin = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]\n'

WITHOUT_LIMITS: Final = "[limits]\n" + "".join(f"{name} = 0\n" for name in LimitSettings.__struct_fields__)
"""Settings in TOML: nobody's devices do as much as those of a proof."""

_URLS: Final = {
    "account": re.compile(r"^\s+accounts\s+https?://[^/\s]+:([0-9]+)", re.MULTILINE),
    "signaling": re.compile(r"^\s+signaling\s+wss?://[^/\s]+:([0-9]+)", re.MULTILINE),
    "site": re.compile(r"^\s+page\s+https?://[^/\s]+:([0-9]+)", re.MULTILINE),
}
# "2026-11-25T00:41:09+0000 [callnet.tap#warn] …"
_LEVEL: Final = re.compile(r"^\S+ \[[^\]]*#(warn|error|critical)\]|^Traceback|Unhandled", re.MULTILINE)


class Daemon(Struct, frozen=True):
    """A daemon that serves."""

    process: subprocess.Popen[bytes]
    folder: Path
    ports: Mapping[str, int]
    """By service: account, signaling, site."""

    @property
    def admin(self) -> Path:
        """The socket of its operator's listener, of a daemon by :func:`running`."""
        return self.folder / "admin"

    def log(self) -> str:
        """What it has logged so far."""
        return (self.folder / "log").read_text(errors="replace")

    def complaints(self) -> list[str]:
        """Lines of its log above info."""
        return complaints(self.log())

    def census(self) -> dict[str, int]:
        """Count what it holds (see :mod:`acceptance.census`)."""
        path = self.folder / "census"
        path.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        wait_for(path.exists, 10, "the census")
        counted: dict[str, int] = json.loads(path.read_text())
        return counted

    def memory(self) -> int:
        """Its resident memory, in KiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+([0-9]+)", status, re.MULTILINE)[0])

    def files(self) -> int:
        """How many files and sockets it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def complaints(log: str) -> list[str]:
    """Lines of a log that are above info, with the end of the traceback that may follow."""
    lines = log.splitlines()
    return [f"{line}{_cause(lines[place + 1 :])}" for place, line in enumerate(lines) if _LEVEL.search(line)]


def _cause(lines: Iterable[str]) -> str:
    block = [line.strip() for line in takewhile(lambda line: not line or line.startswith("\t"), lines)]
    return next((f": {line}" for line in reversed(block) if line), "")


def errors(log: str) -> list[str]:
    """Lines of a log that are above a warning."""
    return [line for line in complaints(log) if "#warn]" not in line]


def wait_for(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the function ``happened`` says so.

    :raises TimeoutError: it does not within ``seconds``.
    """
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.05)


@contextmanager
def running(settings: str, limits: str = WITHOUT_LIMITS) -> Iterator[Daemon]:
    """Run a daemon with these settings (TOML, without limits and listeners) until the block ends, then stop it.

    :param limits: those in TOML, too; empty: the usual ones.
    :raises TimeoutError: it does not serve in time, or does not stop in time.
    """
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        folder = Path(name)
        admin = f'admin = [{{ endpoint = "unix:{folder}/admin" }}]\n'
        process = launch(folder, f'state_dir = "{folder}/state"\n{settings}{limits}{_FOR_CLIENTS}{admin}')
        try:
            yield Daemon(process, folder, ports(process, folder / "log"))
        finally:
            stop(process)


def launch(
    folder: Path,
    settings: str,
    program: Sequence[str] = ("acceptance.census",),
    before: Sequence[str] = (),
    drain_deadline: int = 0,
) -> subprocess.Popen[bytes]:
    """Start a daemon whose settings, log and census are in ``folder``; it does not serve yet.

    :param program: the module that is run, and its first arguments.
    :param before: a command that runs it, such as ``ip netns exec …``.
    :param drain_deadline: seconds that it gives calls when it is stopped.
    """
    (folder / "callnet.toml").write_text(f"drain_deadline = {drain_deadline}\n{settings}")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [
                *(*before, sys.executable, "-m", *program, str(folder / "census"), "--nodaemon", "--pidfile="),
                *("callnet", "--config", str(folder / "callnet.toml")),
            ],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes], calls: int = 0) -> None:
    """Have a process end by SIGTERM.

    :param calls: the seconds that it gives to calls.
    :raises subprocess.TimeoutExpired: it had to be killed.
    """
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_LIMIT + calls)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def ports(process: subprocess.Popen[bytes], log: Path) -> dict[str, int]:
    """The ports that the daemon printed, once it has printed them all.

    :raises TimeoutError: it does not serve in time.
    :raises ChildProcessError: it ended.
    """

    def printed() -> dict[str, int]:
        text = log.read_text(errors="replace")
        return {name: int(found[1]) for name, url in _URLS.items() if (found := url.search(text))}

    def served() -> bool:
        if process.poll() is not None:
            raise ChildProcessError(f"the daemon ended: {log.read_text(errors='replace')[-2000:]}")
        return len(printed()) == len(_URLS)

    wait_for(served, START_LIMIT, "the daemon")
    return printed()
