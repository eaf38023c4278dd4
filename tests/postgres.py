"""A real PostgreSQL for the tests: started when the first asks for it, stopped when the run ends.

It is a server of its own, in a directory of its own, reached by a Unix socket there; one that the
machine may run is never touched. It ends even if the test run is killed.
"""

from __future__ import annotations

import atexit
import itertools
import os
import pwd
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg

_INSTALLATIONS = Path("/usr/lib/postgresql")
_USER = "postgres"
_names = (f"test_{number}" for number in itertools.count())
_server: _Server | None = None


def new_database_url() -> str:
    """Make an empty database; it goes when the test run ends."""
    global _server  # noqa: PLW0603  one server for the whole run
    if _server is None:
        _server = _Server(_newest_binaries())
        atexit.register(_server.stop)
    name = next(_names)
    with psycopg.connect(_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return _server.url(name)


def terminate_connections() -> None:
    """Have the server cut every connection, as it does when an administrator restarts it."""
    assert _server is not None
    with psycopg.connect(_server.dsn("postgres"), autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'test_%'")


class _Server:
    """One running server and its directory."""

    def __init__(self, binaries: Path) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="callnet-pg-"))
        self._prefix = ["setpriv", "--pdeathsig", "QUIT"]  # it ends when this process does, however that ends
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam(_USER)
            os.chown(self._directory, user.pw_uid, user.pw_gid)
            self._prefix += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        data = self._directory / "data"
        initdb: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            _USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-sync",
        ]
        # A locale whose order is not that of code points shows what relies on the default collation.
        locale = ["--locale-provider=icu", "--icu-locale=und", "--locale=C"]
        subprocess.run([*self._prefix, *initdb, *locale], check=True, stdout=subprocess.DEVNULL, cwd="/")
        self._process = self._start(binaries, data)

    def dsn(self, name: str) -> str:
        """How psycopg reaches a database of this server."""
        return f"host={self._directory} user={_USER} dbname={name}"

    def url(self, name: str) -> str:
        """The same as the setting ``database.url``."""
        return f"postgresql://{_USER}@/{name}?host={self._directory}"

    def stop(self) -> None:
        """Stop the server at once and remove all of it."""
        self._process.terminate()
        self._process.communicate()
        shutil.rmtree(self._directory)

    def _start(self, binaries: Path, data: Path) -> subprocess.Popen[str]:
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._directory),
            "fsync": "off",
            "max_connections": "50",
            "shared_buffers": "16MB",
        }
        settings = [text for name, value in options.items() for text in ("-c", f"{name}={value}")]
        process = subprocess.Popen(
            [*self._prefix, binaries / "postgres", "-D", data, *settings],
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
        )
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if "ready to accept connections" in line:
                return process
        raise RuntimeError("PostgreSQL did not start:\n" + "".join(said))


def _newest_binaries() -> Path:
    found = [
        directory
        for directory in _INSTALLATIONS.glob("*/bin")
        if re.fullmatch("[0-9]+", directory.parent.name) and (directory / "postgres").exists()
    ]
    if not found:
        raise RuntimeError(f"these tests need PostgreSQL (Debian: apt install postgresql); {_INSTALLATIONS} has none")
    return max(found, key=lambda directory: int(directory.parent.name))
