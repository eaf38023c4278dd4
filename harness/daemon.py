"""A callnet daemon as a process of its own: how tests, bench and acceptance start one.

It has its settings, log and state in a folder of its own, and listens on ports that the kernel chooses::

    with Daemon(folder, "calls.grace = 2") as daemon:
        ask(daemon.account_url)

Its methods block. A test that serves something to the daemon meanwhile uses :mod:`tests.support.daemon`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, Self

from harness.forks import Fork
from harness.leaks import check, complaints
from harness.ports import free_ports

START_LIMIT: Final = 60.0
"""Seconds that a start may take on a machine that is busy with other tests."""
STOP_LIMIT: Final = 30.0
"""Seconds that a stop may take on such a machine: a parent gives its workers 7 (callnet/supervision.py)."""

LISTENERS: Final = """
[listeners]
account = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
signaling = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
site = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
admin = [{ endpoint = "tcp:0:interface=127.0.0.1" }]
"""
BIN: Final = os.path.dirname(sys.executable)
OPTIONS: Final = ("--nodaemon", "--pidfile=", "callnet")
"""Options of twistd."""
TWISTD: Final = (os.path.join(BIN, "twistd"), *OPTIONS)

READY: Final = re.compile(r"is ready\.\n((?:[ \t]+[a-z]+ +\S+\n)+)(?=.)")
"""The lines with its URLs. It prints others after them."""
_URL: Final = re.compile(r"(accounts|signaling|page|admin) +((?:unix:|[a-z]+://[^/\s]+)(?:/socket\.io)?)")
_SERVICES: Final = {"accounts": "account", "signaling": "signaling", "page": "site", "admin": "admin"}


class Daemon:
    """A daemon, which may be started again once it has ended.

    :param folder: its home, made if it is missing.
    :param settings: TOML, without the state directory, the drain deadline and the listeners.
    :param command: starts it, perhaps by another command such as ``ip netns exec …``, which must become it (exec(3)).
    :param listeners: TOML.
    :param state_dir: by default ``state`` in its folder.
    :param environment: variables besides those that every daemon here has.
    :param descriptors: files that it finds open, under the same numbers.
    :param drain_deadline: seconds that calls have to end when it is stopped.
    :param is_piped: it writes its log to a pipe (see :meth:`read_log`).
    """

    def __init__(
        self,
        folder: Path | str,
        settings: str = "",
        command: Sequence[str] = TWISTD,
        listeners: str = LISTENERS,
        *,
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        descriptors: Sequence[int] = (),
        drain_deadline: float = 0,
        is_piped: bool = False,
    ) -> None:
        self.folder: Final = Path(folder).absolute()
        self.state_dir: Final = state_dir or self.folder / "state"
        self.certificate: Final = self.state_dir / "self-signed.crt"
        self.settings_file: Final = self.folder / "callnet.toml"
        self.log_file = self.folder / "log"
        self.environment: Final = dict(environment or {})
        self.urls: Mapping[str, str] = {}
        """The URLs by service, such as ``account``. Empty until it serves."""
        self._settings = settings
        self._command = command
        self._listeners = listeners
        self._descriptors = descriptors
        self._drain_deadline = drain_deadline
        self._is_piped = is_piped
        self._process: subprocess.Popen[bytes] | Fork | None = None
        self._reader: subprocess.Popen[bytes] | None = None

    @property
    def account_url(self) -> str:
        """Such as ``http://127.0.0.1:8083``."""
        return self.urls["account"]

    @property
    def signaling_url(self) -> str:
        """Such as ``ws://127.0.0.1:8082/socket.io``."""
        return self.urls["signaling"]

    @property
    def site_url(self) -> str:
        """Such as ``https://127.0.0.1:8080``."""
        return self.urls["site"]

    @property
    def admin_url(self) -> str:
        """Such as ``http://127.0.0.1:8084``."""
        return self.urls["admin"]

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports by service; without those that listen on a socket in the file system."""
        found = {service: re.search(r":([0-9]+)", url) for service, url in self.urls.items()}
        return {service: int(port[1]) for service, port in found.items() if port is not None}

    @property
    def environ(self) -> Mapping[str, str]:
        """Its whole environment. The switch of the short paths is the caller's."""
        kept = {name: os.environ[name] for name in ("PATH", "CALLNET_SHORT_PATH") if name in os.environ}
        return {**kept, "HOME": str(self.folder), "CALLNET_CONFIG": str(self.settings_file), **self.environment}

    @property
    def process(self) -> subprocess.Popen[bytes] | Fork:
        """The process of its last start."""
        assert self._process is not None, "the daemon was not started"
        return self._process

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    @property
    def log(self) -> str:
        """The text that it has logged since its last start."""
        return self.log_file.read_text("utf-8", "replace") if self.log_file.exists() else ""

    def complaints(self) -> list[str]:
        """Lines of its log above info, and those that hold secrets."""
        return complaints(self.log)

    def memory(self) -> int:
        """Its resident memory, in KiB."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(r"^VmRSS:\s+([0-9]+)", status, re.MULTILINE)[0])

    def files(self) -> int:
        """The number of files and sockets that it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def write_settings(self) -> None:
        """Write the file that it reads."""
        self.folder.mkdir(parents=True, exist_ok=True)
        own = f'state_dir = "{self.state_dir}"\ndrain_deadline = {self._drain_deadline}\n'
        self.settings_file.write_text(f"{own}{self._settings}\n{self._listeners}", "utf-8")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it serves.

        :raises TimeoutError: it does not serve in time.
        :raises ChildProcessError: it ended.
        """
        self.launch()
        self.await_service()

    def launch(self) -> None:
        """Start it; it does not serve yet."""
        check(self.log)
        self.urls = {}
        self.write_settings()
        with self.log_file.open("wb") as log:
            self._process = self._begin(log)

    def _begin(self, log: BinaryIO) -> subprocess.Popen[bytes] | Fork:
        process = subprocess.Popen(
            self._command,
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._is_piped else log,
            stderr=subprocess.STDOUT,
            pass_fds=self._descriptors,
        )
        if process.stdout is not None:
            self._reader = subprocess.Popen(["cat"], stdin=process.stdout, stdout=log)
            process.stdout.close()
        return process

    def await_service(self) -> None:
        """Wait until it serves; it is killed if it does not.

        :raises TimeoutError: it does not serve in time.
        :raises ChildProcessError: it ended.
        """
        try:
            wait_for(self._serves, START_LIMIT, "the daemon")
        except BaseException:
            self.kill()
            raise

    def _serves(self) -> bool:
        has_ended = self.process.poll() is not None
        log = self.log
        ready = READY.search(log)
        if ready is not None:
            self._note(ready)
        elif has_ended:
            raise ChildProcessError(f"the daemon ended: {log[-2000:]}")
        return ready is not None

    def _note(self, ready: re.Match[str]) -> None:
        """Take its URLs, the first of each service, from a match of :data:`READY`."""
        self.urls = {_SERVICES[name]: url for name, url in reversed(_URL.findall(ready[1]))}

    def read_log(self, is_read: bool) -> None:
        """Move its output from its pipe to its log, or leave it in the pipe."""
        assert self._reader is not None
        self._reader.send_signal(signal.SIGCONT if is_read else signal.SIGSTOP)

    def stop(self, limit: float = STOP_LIMIT) -> None:
        """Send SIGTERM, and wait until it has ended.

        :raises subprocess.TimeoutExpired: it did not within ``limit`` seconds, and was killed.
        :raises AssertionError: its log holds a secret.
        """
        if self._process is not None:
            self._process.terminate()
            self.wait(limit)
        check(self.log)

    def wait(self, limit: float = STOP_LIMIT) -> None:
        """Wait until it has ended and its log is whole.

        :raises subprocess.TimeoutExpired: it did not end within ``limit`` seconds, and was killed.
        """
        try:
            self.process.wait(limit)
        finally:
            self.kill()

    def kill(self) -> None:
        """Send SIGKILL, and wait until it has ended."""
        self.process.kill()
        self.process.wait()
        if self._reader is not None:
            self.read_log(True)
            self._reader.wait()

    def reconfigure(self, settings: str) -> None:
        """Give it other settings for its next start."""
        self._settings = settings


def staying_listeners() -> str:
    """The usual listeners, for a daemon that is to find its ports free when it is started again.

    A port that the kernel chose for the daemon it may give to a connection meanwhile; one of these it does not
    (:mod:`harness.ports`).
    """
    ports = iter(free_ports(LISTENERS.count("tcp:0:")))
    return re.sub("tcp:0:", lambda _: f"tcp:{next(ports)}:", LISTENERS)


def with_admin_socket(folder: Path | str) -> str:
    """The usual listeners, with the operator's at ``admin`` in a folder. Commands find it in the settings."""
    return re.sub("(?m)^admin = .*$", f'admin = [{{ endpoint = "unix:{folder}/admin" }}]', LISTENERS)


def wait_for(happened: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait until the function ``happened`` says so.

    :raises TimeoutError: it does not within ``seconds``.
    """
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not come within {seconds:.0f} s")
        time.sleep(0.02)
