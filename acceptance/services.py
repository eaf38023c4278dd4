"""A service of systemd's, started without it: as its unit says, in a system whose root is a folder.

What is done as systemd does it (systemd.exec(5), sd_notify(3)): the command, user and group, the environment, the
directories with their modes and owners, the umask, no capabilities, and a socket by which the service tells how it is.
What only its own namespaces do, such as ``ProtectSystem=``, is not.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from acceptance.systems import System
from harness.daemon import wait_for

DIRECTORIES: Final = {
    "State": "var/lib",
    "Runtime": "run",
    "Cache": "var/cache",
    "Logs": "var/log",
    "Configuration": "etc",
}
"""Where the directories of ``StateDirectory=`` and the like are."""
NOTIFY_SOCKET: Final = "run/notify"


class Unit:
    """The section ``[Service]`` of a unit."""

    def __init__(self, path: Path) -> None:
        _, _, section = path.read_text().partition("\n[Service]\n")
        self._values: defaultdict[str, list[str]] = defaultdict(list)
        for key, value in re.findall(r"^(\w+)=(.*)$", section.partition("\n[")[0], re.MULTILINE):
            self._values[key].append(value)

    def all(self, key: str) -> Sequence[str]:
        """The values of a key."""
        return self._values[key]

    def one(self, key: str, default: str | None = None) -> str:
        """The value of a key.

        :raises LookupError: it has not just one, and there is no default.
        """
        found = self._values[key] or ([] if default is None else [default])
        if len(found) != 1:
            raise LookupError(f"the unit has {key}= {len(found)} times")
        return found[0]


class Service:
    """A service that was started.

    :param root: of the system that has it.
    :param log: where what it prints goes.
    """

    def __init__(self, system: System, unit: Unit, log: Path) -> None:
        self._root = system.root
        self._unit = unit
        self._log = log
        self.heard: Final[list[str]] = []
        """The messages that it has sent to systemd."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        place = self._root / NOTIFY_SOCKET
        self._notify.bind(str(place))
        place.chmod(0o777)
        environment = dict(self._environment())
        with log.open("wb") as output:
            self.process: Final = subprocess.Popen(
                ["chroot", str(self._root), *self._as_user(), *shlex.split(unit.one("ExecStart"))],
                env=environment,
                umask=int(unit.one("UMask", "0022"), 8),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def tells(self, assignment: str) -> bool:
        """True if it has told this to systemd."""
        while True:
            try:
                self.heard.extend(self._notify.recv(4096).decode().splitlines())
            except BlockingIOError:
                return assignment in self.heard

    def await_ready(self, seconds: float) -> None:
        """Wait until it says that it serves.

        :raises TimeoutError: it does not.
        :raises ChildProcessError: it ended.
        """

        def is_ready() -> bool:
            if self.process.poll() is not None:
                raise ChildProcessError(f"the service ended: {self._log.read_text(errors='replace')[-2000:]}")
            return self.tells("READY=1")

        wait_for(is_ready, seconds, "READY=1 of the service")

    def stop(self, seconds: float) -> int:
        """Have it end by SIGTERM; a directory that is made only while a service runs is removed. Returns its status.

        :raises subprocess.TimeoutExpired: it had to be killed.
        """
        try:
            self.process.send_signal(signal.SIGTERM)
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.tells("")
            self._notify.close()
            (self._root / NOTIFY_SOCKET).unlink()
            if self._unit.one("RuntimeDirectoryPreserve", "no") == "no":
                for name in self._unit.one("RuntimeDirectory", "").split():
                    shutil.rmtree(self._root / "run" / name)

    def _environment(self) -> Iterator[tuple[str, str]]:
        """The variables that it is started with; its directories are made by the way."""
        user = self._unit.one("User")
        yield from {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}.items()
        yield from {"USER": user, "LOGNAME": user, "HOME": self._account(user)[5]}.items()
        yield "NOTIFY_SOCKET", f"/{NOTIFY_SOCKET}"
        yield "WATCHDOG_USEC", str(int(self._unit.one("WatchdogSec")) * 1_000_000)
        for kind, place in DIRECTORIES.items():
            made = [self._make(kind, f"{place}/{name}") for name in self._unit.one(f"{kind}Directory", "").split()]
            if made:
                yield f"{kind.upper()}_DIRECTORY", ":".join(made)
        for assignments in self._unit.all("Environment"):
            for assignment in shlex.split(assignments):
                name, _, value = assignment.partition("=")
                yield name, value
        for file in self._unit.all("EnvironmentFile"):
            yield from self._read(file)

    def _read(self, file: str) -> Iterator[tuple[str, str]]:
        """The variables in an environment file, which may be missing if its name begins with ``-``."""
        path = self._root / file.removeprefix("-").lstrip("/")
        if not path.exists() and file.startswith("-"):
            return
        for line in path.read_text().splitlines():
            name, _, value = line.partition("=")
            yield name, value

    def _make(self, kind: str, place: str) -> str:
        """Make a directory as systemd makes it; those for configuration are root's."""
        folder = self._root / place
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(int(self._unit.one(f"{kind}DirectoryMode", "0755"), 8))
        if kind != "Configuration":
            _, _, user, group, *_ = self._account(self._unit.one("User"))
            os.chown(folder, int(user), int(group))
        return f"/{place}"

    def _account(self, user: str) -> Sequence[str]:
        """The line of a user in ``/etc/passwd`` of the system."""
        lines = (line.split(":") for line in (self._root / "etc" / "passwd").read_text().splitlines())
        return next(line for line in lines if line[0] == user)

    def _as_user(self) -> Sequence[str]:
        """The command that becomes the user, without anything that root may do."""
        user, group = self._unit.one("User"), self._unit.one("Group")
        bounds = ("--bounding-set=-all",) if self._unit.one("CapabilityBoundingSet") == "" else ()
        no_new = ("--no-new-privs",) if self._unit.one("NoNewPrivileges") == "yes" else ()
        return ("setpriv", f"--reuid={user}", f"--regid={group}", "--init-groups", "--inh-caps=-all", *bounds, *no_new)
