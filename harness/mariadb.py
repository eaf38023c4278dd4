"""A real MariaDB for the tests: started when the first asks for it, stopped when the run ends.

It is a server of its own, in a directory of its own, reached by a Unix socket there and by nothing else; one that the
machine may run is never touched. It ends even if the test run is killed.
"""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Engine, NullPool, create_engine, text

from harness import own_servers

_UNPRIVILEGED: Final = "nobody"
ROOT: Final = "root"
"""MariaDB's own, who needs no password in the servers of the tests."""

_OF_ACCOUNT: Final = "REFERENCES account_data (phone) ON DELETE CASCADE ON UPDATE CASCADE"
SEED_TABLES: Final = (
    "CREATE TABLE account_data (id BIGINT AUTO_INCREMENT PRIMARY KEY, phone VARCHAR(11) NOT NULL UNIQUE)",
    f"""CREATE TABLE account_device (phone VARCHAR(11) NOT NULL, device_id VARCHAR(50) NOT NULL,
        PRIMARY KEY (phone, device_id), FOREIGN KEY (phone) {_OF_ACCOUNT})""",
    f"""CREATE TABLE contact_person (phone VARCHAR(11) NOT NULL, contact_phone VARCHAR(11) NOT NULL,
        PRIMARY KEY (phone, contact_phone),
        FOREIGN KEY (phone) {_OF_ACCOUNT}, FOREIGN KEY (contact_phone) {_OF_ACCOUNT})""",
)
"""The tables of the seed's server, as its program makes them."""

_shared: Server | None = None


def new_database() -> SeedDatabase:
    """Make an empty database on the server that the tests share; it goes when the test run ends."""
    global _shared  # noqa: PLW0603  one server for the whole run
    if _shared is None:
        _shared = Server()
        atexit.register(_shared.remove)
    return _shared.new_database()


class SeedDatabase:
    """A database of the seed's server."""

    def __init__(self, socket: Path, name: str) -> None:
        self._url = URL.create("mysql+pymysql", ROOT, database=name, query={"unix_socket": str(socket)})
        self.name: Final = name
        self._engine: Final[Engine] = create_engine(self._url, poolclass=NullPool)

    def url(self, user: str = ROOT, password: str | None = None) -> str:
        """As an operator names it."""
        url = self._url.set(drivername="mysql", username=user, password=password)
        return url.render_as_string(hide_password=False)

    def run(self, *statements: str) -> None:
        """Run statements, each a transaction of its own."""
        for statement in statements:
            with self._engine.begin() as connection:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def put(self, table: str, rows: Iterable[Mapping[str, object]], strict: bool = True) -> None:
        """Insert rows.

        :param strict: whether their foreign keys must lead somewhere.
        """
        given = list(rows)
        columns = ", ".join(given[0])
        values = ", ".join(f":{name}" for name in given[0])
        with self._engine.begin() as connection:
            connection.exec_driver_sql(f"SET SESSION foreign_key_checks = {int(strict)}")
            connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), given)  # noqa: S608

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows that a statement selects."""
        with self._engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(statement)]


class Server:
    """One running server and its directory."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="callnet-mariadb-"))
        self._names = (f"seed_{number}" for number in itertools.count())
        self._prefix = own_servers.prefix(self._directory, _UNPRIVILEGED, "KILL")
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={self._data}", "--skip-test-db"]
        options = ["--auth-root-authentication-method=normal", "--skip-name-resolve", "--skip-log-bin"]
        done = subprocess.run([*self._prefix, *install, *options], capture_output=True, text=True, cwd="/", check=False)
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db failed:\n{done.stdout}{done.stderr}")
        self._start()

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._directory / "socket"

    def new_database(self) -> SeedDatabase:
        """Make an empty database, with the character set of the seed's."""
        name = next(self._names)
        server = SeedDatabase(self.socket, "")
        server.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci")
        return SeedDatabase(self.socket, name)

    def remove(self) -> None:
        """Stop it and remove all of it."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()
        shutil.rmtree(self._directory)

    def _start(self) -> None:
        options = {
            "datadir": self._data,
            "socket": self.socket,
            "pid-file": self._directory / "pid",
            "innodb-buffer-pool-size": "64M",
            "innodb-flush-log-at-trx-commit": "0",
            "tmpdir": self._directory,
            "log-warnings": "0",  # nobody reads its output after the start
        }
        settings = [f"--{name}={value}" for name, value in options.items()]
        command = [*self._prefix, "mariadbd", "--no-defaults", "--skip-networking", "--skip-name-resolve", *settings]
        environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
        self._process = own_servers.start(command, "ready for connections", environment)
