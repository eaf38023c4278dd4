"""Real Redis and Valkey servers for the tests, each in a directory of its own, never one that the machine may run.

They keep nothing on disk, and end even if the test run is killed. A test that only needs *a* server takes
:func:`shared` and a :func:`new_prefix`; one that stops or kills it makes its own.
"""

from __future__ import annotations

import atexit
import itertools
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

Flavour = Literal["redis", "valkey"]
FLAVOURS: Final[tuple[Flavour, ...]] = ("redis", "valkey")

USER: Final = "callnet"
PASSWORD: Final = "a +:@/%41?#ü"
"""What the server asks for with ``acl``: an URL must write much of it in another way."""

_START_TIME: Final = 30
"""Seconds that a start may take on a busy machine."""
_PORTS: Final = range(20000, 32000)
"""No connection is given one of these by itself, so that a server that comes back finds its own free."""

_shared: dict[Flavour, RedisServer] = {}
_prefixes = (f"test{number}:" for number in itertools.count())


def shared(flavour: Flavour) -> RedisServer:
    """The server of this run: started when the first asks for it, stopped when the run ends."""
    if flavour not in _shared:
        _shared[flavour] = server = RedisServer(flavour)
        atexit.register(server.close)
    return _shared[flavour]


def new_prefix() -> str:
    """What the keys of one test begin with."""
    return next(_prefixes)


class RedisServer:
    """One server, which runs from the start.

    :param tcp: it listens on a free port of loopback, IPv4 and IPv6; without it there is only a Unix socket.
    :param certificate: PEM files with its certificate and key: the port then speaks TLS, and only that.
    :param acl: it asks for :data:`USER` and :data:`PASSWORD`, and gives that user no more than callnet needs.
    :param options: more of what may stand in ``redis.conf``, such as ``("maxclients", "10")``.
    """

    def __init__(
        self,
        flavour: Flavour,
        *,
        tcp: bool = False,
        certificate: tuple[str, str] | None = None,
        acl: bool = False,
        options: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.flavour: Final = flavour
        self.directory: Final = Path(tempfile.mkdtemp(prefix=f"callnet-{flavour}-"))
        self.socket: Final = str(self.directory / "socket")
        self.port: int = free_port() if tcp or certificate else 0
        self._acl = acl
        self._options = [*options]
        if certificate:
            self._options += [("tls-port", str(self.port)), ("tls-cert-file", certificate[0])]
            self._options += [("tls-key-file", certificate[1]), ("tls-auth-clients", "no")]
        self._scheme = "rediss" if certificate else "redis"
        self._process = self._start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def url(self, host: str = "127.0.0.1") -> str:
        """The server as the setting ``redis.url``: its port if it has one, else its socket."""
        login = f"{USER}:{quote(PASSWORD, safe='')}@" if self._acl else ""
        return f"{self._scheme}://{login}{host}:{self.port}" if self.port else self.socket_url()

    def socket_url(self) -> str:
        """The same by its socket, which it always has."""
        login = f"{USER}:{quote(PASSWORD, safe='')}@" if self._acl else ""
        return f"unix://{login}{self.socket}"

    def cli(self, *words: str) -> str:
        """Give a command as an administrator; what it answers, as ``redis-cli`` prints it to a pipe."""
        login = ["--user", USER, "--pass", PASSWORD, "--no-auth-warning"] if self._acl else []
        command = [f"{self.flavour}-cli", "-s", self.socket, *login, *words]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def flush(self) -> None:
        """Forget everything, and the scripts."""
        self.cli("FLUSHALL")
        self.cli("SCRIPT", "FLUSH")

    def stop(self) -> None:
        """Have it stand still (SIGSTOP): it takes connections and answers nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on after :meth:`stop`."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it at once (SIGKILL), and wait until it is gone."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start it at the same place, empty, after killing it if it runs."""
        self.kill()
        self._process = self._start()

    def replica_of(self, master: RedisServer | None) -> None:
        """Make it a replica of another server with a port; of none: make it a master."""
        where = ("127.0.0.1", str(master.port)) if master is not None else ("NO", "ONE")
        self.cli("REPLICAOF", *where)

    def close(self) -> None:
        """Kill it and remove all of it."""
        self.kill()
        shutil.rmtree(self.directory)

    def _start(self) -> subprocess.Popen[bytes]:
        settings = [
            ("port", "0" if self._scheme == "rediss" else str(self.port)),
            ("bind", "127.0.0.1 ::1"),
            ("unixsocket", self.socket),
            ("dir", str(self.directory)),
            ("logfile", str(self.directory / "log")),
            ("save", ""),
            ("appendonly", "no"),
            ("repl-diskless-sync-delay", "0"),
            *self._options,
        ]
        text = "".join(f'{name} "{value}"\n' if name != "bind" else f"{name} {value}\n" for name, value in settings)
        return launched(self.flavour, self.directory, text + (_ACL if self._acl else ""), self.socket)


_RIGHTS: Final = "resetchannels ~* &* +@all -@dangerous +info"
_ACL: Final = f'user default off\nuser {USER} on ">{PASSWORD}" {_RIGHTS}\n'


def launched(flavour: Flavour, directory: Path, settings: str, path: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a server with these settings; it is back when it takes connections at its socket."""
    file = directory / f"{flavour}.conf"
    file.write_text(settings, encoding="utf-8")
    Path(path).unlink(missing_ok=True)
    # It ends when this process does, however that ends.
    command = ["setpriv", "--pdeathsig", "KILL", f"{flavour}-server", str(file), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=directory)
    until = time.monotonic() + _START_TIME
    while not _answers(path):
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            if time.monotonic() < until:
                continue
        process.kill()
        assert process.stdout is not None
        log = directory / "log"
        said = process.stdout.read().decode() + (log.read_text() if log.exists() else "")
        raise RuntimeError(f"{flavour}-server did not start:\n{said}")
    return process


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("every port is taken")
