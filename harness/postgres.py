"""A real PostgreSQL for the tests: started when the first asks for it, stopped when the run ends.

It is a server of its own, in a directory of its own, reached by a Unix socket there; one that the
machine may run is never touched. It ends even if the test run is killed.
"""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

import psycopg

from harness import own_servers

_INSTALLATIONS = Path("/usr/lib/postgresql")
_USER = "postgres"
_shared: Server | None = None


def new_database_url() -> str:
    """Make a database on the server that the tests share, see :meth:`Server.new_database_url`."""
    global _shared  # noqa: PLW0603  one server for the whole run
    if _shared is None:
        _shared = Server()
        atexit.register(_shared.remove)
    return _shared.new_database_url()


def terminate_connections() -> None:
    """Have the shared server cut every connection, as it does when an administrator restarts it."""
    assert _shared is not None
    with _shared.connect("postgres") as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")


class Server:
    """One running server and its directory."""

    def __init__(self) -> None:
        self._binaries = _newest_binaries()
        self._directory = Path(tempfile.mkdtemp(prefix="callnet-pg-"))
        self._names = (f"test_{number}" for number in itertools.count())
        self._prefix = own_servers.prefix(self._directory, _USER, "QUIT")
        initdb: list[str | Path] = [
            self._binaries / "initdb",
            "-D",
            self._data,
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        # A locale whose order is not that of code points reveals code that relies on the default collation.
        locale = ["--locale-provider=icu", "--icu-locale=und", "--locale=C"]
        subprocess.run([*self._prefix, *initdb, *locale], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self.start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def new_database_url(self) -> str:
        """Make an empty database; it is told as the setting ``database.url`` tells it."""
        name = next(self._names)
        with self.connect("postgres") as connection:
            # Without fsync a copy of the files takes half as long as one by the log.
            connection.execute(f'CREATE DATABASE "{name}" STRATEGY file_copy'.encode())
        return f"postgresql://{_USER}@/{name}?host={self._directory}"

    def connect(self, name: str) -> psycopg.Connection[tuple[object, ...]]:
        """Connect to a database, without transactions."""
        dsn = f"host={self._directory} user={_USER} dbname={name}"
        return psycopg.connect(dsn, autocommit=True)

    def start(self) -> None:
        """Start it, or start it again."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            "fsync": "off",
            "max_connections": "50",
            "shared_buffers": "16MB",
        }
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        command: list[str | Path] = [*self._prefix, self._binaries / "postgres", "-D", self._data, *settings]
        self._process = own_servers.start(command, "ready to accept connections")

    def crash(self) -> None:
        """Stop it at once, as if it had crashed; nothing of its data is lost."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.communicate()

    def pause(self) -> None:
        """Let it hang: it answers nobody, and keeps every connection."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        """Stop it at once and remove all of it."""
        if self._process.poll() is None:
            self.resume()
            self.crash()
        shutil.rmtree(self._directory)

    def _signal(self, number: signal.Signals) -> None:
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for pid in (self._process.pid, *map(int, children.split())):
            with suppress(ProcessLookupError):  # a child may have ended meanwhile
                os.kill(pid, number)


def _newest_binaries() -> Path:
    found = [
        directory
        for directory in _INSTALLATIONS.glob("*/bin")
        if re.fullmatch("[0-9]+", directory.parent.name) and (directory / "postgres").exists()
    ]
    if not found:
        raise RuntimeError(f"these tests need PostgreSQL (Debian: apt install postgresql); {_INSTALLATIONS} has none")
    return max(found, key=lambda directory: int(directory.parent.name))
