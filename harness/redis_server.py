"""Real Redis and Valkey servers for the tests, each in a directory of its own, never one that the machine may run.

They keep nothing on disk, and end even if the test run is killed. A test that only needs *a* server takes
:func:`shared` and a :func:`new_prefix`; one that stops or kills it makes its own.
"""

from __future__ import annotations

import atexit
import itertools
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from harness.own_servers import start
from harness.ports import free_port

Flavour = Literal["redis", "valkey"]
Certificate = tuple[str, str]
"""The PEM files with a certificate and with its key."""

USER: Final = "callnet"
PASSWORD: Final = "a+:@%41?#ü"
"""The password of a server with ``acl``: much of it is written otherwise in an URL."""
_RIGHTS: Final = "resetchannels ~* &* +@all -@dangerous +info"
"""The only rights that callnet needs."""

_shared: dict[Flavour, RedisServer] = {}
_prefixes = (f"test{number}:" for number in itertools.count())


def shared(flavour: Flavour) -> RedisServer:
    """The server of this run: started when the first asks for it, stopped when the run ends."""
    if flavour not in _shared:
        _shared[flavour] = server = RedisServer(flavour)
        atexit.register(server.close)
    return _shared[flavour]


def new_prefix() -> str:
    """The prefix of the keys of one test."""
    return next(_prefixes)


class RedisServer:
    """One server, which runs from the start.

    :param tcp: it listens on a free port of loopback, IPv4 and IPv6; without it there is only a Unix socket.
    :param certificate: its port speaks TLS, and only that.
    :param acl: it asks for :data:`USER` and :data:`PASSWORD`, by which one may do no more than callnet needs.
    :param settings: more of what may stand in ``redis.conf``, such as ``("maxclients", "10")``.
    """

    def __init__(
        self,
        flavour: Flavour,
        *,
        tcp: bool = False,
        certificate: Certificate | None = None,
        acl: bool = False,
        settings: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.flavour: Final = flavour
        self.port: Final = free_port() if tcp or certificate else 0
        """0: it has none."""
        self._scheme = "rediss" if certificate else "redis"
        self._login = f"{USER}:{quote(PASSWORD, safe='')}@" if acl else ""
        self._directory = Path(tempfile.mkdtemp(prefix=f"callnet-{flavour}-"))
        self._settings = [
            *(tls_settings(self.port, certificate) if certificate else [("port", str(self.port))]),
            ("bind", "127.0.0.1 ::1"),
            ("save", '""'),
            ("repl-diskless-sync-delay", "0"),
            *([("user", "default off"), ("user", f'{USER} on ">{PASSWORD}" {_RIGHTS}')] if acl else []),
            ("user", f"{_ADMINISTRATOR} on nopass ~* &* +@all"),
            *settings,
        ]
        self._process, self._socket = self._start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def url(self, host: str = "127.0.0.1") -> str:
        """The server as the setting ``redis.url``: its port if it has one, else its socket."""
        return f"{self._scheme}://{self._login}{host}:{self.port}" if self.port else self.socket_url()

    def socket_url(self) -> str:
        """The same by its socket, which it always has."""
        return f"unix://{self._login}{self._socket}"

    def cli(self, *words: str) -> str:
        """Give a command as an administrator; the answer is as ``redis-cli`` writes it to a pipe."""
        return command(self.flavour, self._socket, "--user", _ADMINISTRATOR, "--pass", "-", *words)

    def flush(self) -> None:
        """Have it forget all keys and scripts."""
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
        """Start it at the same place, empty; it is killed first if it runs."""
        self.kill()
        self._process, _ = self._start()

    def replica_of(self, master: RedisServer | None) -> None:
        """Make it a replica of a server that has a port; of none: make it a master."""
        where = ("127.0.0.1", str(master.port)) if master is not None else ("NO", "ONE")
        self.cli("REPLICAOF", *where)

    def close(self) -> None:
        """Kill it and remove all of it."""
        self.kill()
        shutil.rmtree(self._directory)

    def _start(self) -> tuple[subprocess.Popen[bytes], str]:
        return launched(self.flavour, self._directory, self._settings)


_ADMINISTRATOR: Final = "administrator"


def tls_settings(port: int, certificate: Certificate) -> list[tuple[str, str]]:
    """Settings for a server that speaks only TLS on a port, and to the servers that it connects to itself."""
    file, key = certificate
    return [
        ("port", "0"),
        ("tls-port", str(port)),
        ("tls-cert-file", file),
        ("tls-key-file", key),
        ("tls-ca-cert-file", file),
        ("tls-auth-clients", "no"),
        ("tls-replication", "yes"),
    ]


def command(flavour: Flavour, path: str, *words: str) -> str:
    """Give a command to the server with this socket."""
    line = [f"{flavour}-cli", "-s", path, "--no-auth-warning", *words]
    return subprocess.run(line, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def launched(
    flavour: Flavour, directory: Path, settings: Sequence[tuple[str, str]], *, is_sentinel: bool = False
) -> tuple[subprocess.Popen[bytes], str]:
    """Start a server; it and its socket are back when it takes connections there."""
    path, file = directory / "socket", directory / "conf"
    path.unlink(missing_ok=True)
    everything = (*settings, ("unixsocket", str(path)), ("dir", str(directory)))
    file.write_text("".join(f"{name} {value}\n" for name, value in everything), encoding="utf-8")
    # It ends when this process does, however that ends.
    line = ["setpriv", "--pdeathsig", "KILL", f"{flavour}-server", str(file), *(["--sentinel"] if is_sentinel else [])]
    return start(line, "Sentinel ID is" if is_sentinel else "to accept connections"), str(path)
