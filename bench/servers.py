"""The servers that are measured: callnet as the daemon that it is, alone and as many, and the references."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Final, Protocol

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from bench.devices import KEY, LoadError
from callnet.operations.certificates import sign
from tests.redis_server import RedisServer, free_port, free_ports

ROOT: Final = Path(__file__).parent.parent

START_LIMIT: Final = 60.0
"""Seconds within which a server must serve."""

SETTINGS: Final = ROOT / "bench" / "callnet.toml"
"""How callnet is run."""

_TWISTD: Final = str(Path(sys.executable).with_name("twistd"))

_QUIET: Final = 5.5
"""Seconds after which nodes believe that they know all that an empty Redis does not."""

_SHOWN: Final = 4000
"""Characters of a server's log that are shown if it fails."""

_SERVICES: Final = ("account", "signaling", "site", "admin")


class Server(Struct, frozen=True):
    """A server that runs, be it in one process or in many."""

    nodes: Sequence[int]
    """The processes that serve."""
    ports: Sequence[Mapping[str, int]]
    """``signaling``, and with callnet all others: for each of its machines, so to speak."""
    store: int | None = None
    """The process of Redis."""
    tls: bool = False
    """Whether devices reach it over TLS."""
    settled_at: float = 0.0
    """When rooms that nobody has heard of may be made up, by ``time.monotonic``."""
    folder: Path | None = None
    """Where callnet has what it needs: ``state``, for one."""

    def cpu(self) -> float:
        """Seconds of CPU that its nodes have used, all threads together."""
        return sum(_cpu(pid) for pid in self.nodes)

    def store_cpu(self) -> float:
        """The same of Redis; NaN if there is none."""
        return float("nan") if self.store is None else _cpu(self.store)

    def memory(self) -> int:
        """The proportional set size of its nodes, in KiB."""
        return sum(_memory(pid) for pid in self.nodes)

    def ports_of(self, service: str) -> Sequence[int]:
        """Where this service is, on each machine."""
        return [ports[service] for ports in self.ports]


class Contender(Protocol):
    """A kind of server."""

    @property
    def name(self) -> str:
        """What it is called in the tables."""

    @property
    def tls(self) -> bool:
        """Whether devices reach it over TLS."""

    def running(self, core: int) -> AbstractContextManager[Server]:
        """Run it on one core until the block ends.

        :raises LoadError: it does not serve.
        """


class Reference(Struct, frozen=True):
    """A server to compare with."""

    name: str
    interpreter: str
    script: str
    tls: bool = False

    @contextmanager
    def running(self, core: int) -> Iterator[Server]:
        """See :class:`Contender`."""
        port = free_port()
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callnet-bench-")))
            log = folder / "log"
            command = [self.interpreter, self.script, str(port), KEY.decode()]
            if self.tls:
                command.append(_write_certificate(folder))
            process = stack.enter_context(_process(core, log, *command))
            _wait(process, lambda: "ready" in log.read_text(errors="replace"))
            yield Server([process.pid], [{"signaling": port}], tls=self.tls)


class Callnet(Struct, frozen=True):
    """callnet in one of the ways in which it can be run: in one process, or in several that meet over Redis."""

    name: str
    machines: int = 1
    workers: int = 1
    """On each machine."""
    redis: bool = False
    tls: bool = False
    program: tuple[str, ...] = ()
    """What is run in place of twistd, for Python; ``{folder}`` is put in."""

    @contextmanager
    def running(self, core: int) -> Iterator[Server]:
        """See :class:`Contender`."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="callnet-bench-")))
            store = RedisServer("redis") if self.redis else None
            if store is not None:
                stack.callback(store.close)
            (folder / "signing.key").touch(0o600)
            (folder / "signing.key").write_bytes(KEY)
            free = iter(free_ports(len(_SERVICES) * self.machines))
            ports = [{service: next(free) for service in _SERVICES} for _ in range(self.machines)]
            parents = [
                stack.enter_context(self._machine(core, folder, number, of_machine, store))
                for number, of_machine in enumerate(ports)
            ]
            nodes = [node for parent in parents for node in (_children(parent) if self.workers > 1 else [parent])]
            yield Server(
                nodes, ports, None if store is None else store.pid, self.tls, time.monotonic() + _QUIET, folder
            )

    @contextmanager
    def _machine(
        self, core: int, folder: Path, number: int, ports: Mapping[str, int], store: RedisServer | None
    ) -> Iterator[int]:
        redis = "" if store is None else store.socket_url()
        config, log = folder / f"callnet{number}.toml", folder / f"log{number}"
        tls = str(self.tls).lower()
        settings = Template(SETTINGS.read_text()).substitute(
            folder=folder, workers=self.workers, redis=redis, tls=tls, **ports
        )
        config.write_text(settings)
        program = [word.format(folder=folder) for word in self.program or (_TWISTD,)]
        twistd = (*program, "--nodaemon", "--pidfile=", "callnet", "--config", str(config))
        with _process(core, log, sys.executable, *twistd) as process:
            _wait(process, lambda: _is_ready(ports["admin"]))
            yield process.pid


ALONE: Final = Callnet("callnet")
WAYS: Final = (
    ALONE,
    Callnet("Redis", redis=True),
    Callnet("2 nodes", machines=2, redis=True),
    Callnet("2 workers", workers=2, redis=True),
)
"""The ways to run callnet."""
OVER_TLS: Final = Callnet("callnet over TLS", tls=True)


def references(folder: Path) -> Sequence[Reference]:
    """The references that are there and can run."""
    found = []
    autobahn = folder / "reference_autobahn.py"
    if autobahn.exists():
        found.append(Reference("Autobahn", sys.executable, str(autobahn)))
    node, script = shutil.which("node"), folder / "reference_node.js"
    if node and script.exists() and _has_ws(node, script.parent):
        found += [Reference("Node", node, str(script)), Reference("Node over TLS", node, str(script), tls=True)]
    return found


def _write_certificate(folder: Path) -> str:
    """Make a certificate as callnet makes its own; answers with the path of both files without their ends."""
    made = sign(["127.0.0.1"], [], dt.datetime.now(dt.UTC))
    prefix = folder / "reference"
    prefix.with_suffix(".crt").write_bytes(made.chain[0].public_bytes(Encoding.PEM))
    prefix.with_suffix(".key").write_bytes(made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(prefix)


def _has_ws(node: str, folder: Path) -> bool:
    found = subprocess.run([node, "-e", "require('ws')"], cwd=folder, capture_output=True, check=False)
    return found.returncode == 0


@contextmanager
def _process(core: int, log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["taskset", "--cpu-list", str(core), *command],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "CALLNET_SIGNING_KEY": ""},
        )
    try:
        yield process
    except LoadError as error:
        _end(process)
        raise LoadError(f"{error}\n{log.name}: {log.read_text(errors='replace')[-_SHOWN:]}") from error
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(START_LIMIT)


def _wait(process: subprocess.Popen[bytes], is_ready: Callable[[], bool]) -> None:
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until and process.poll() is None:
        if is_ready():
            return
        time.sleep(0.05)
    raise LoadError("the server does not serve")


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=START_LIMIT) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def _children(parent: int) -> Sequence[int]:
    return [int(child) for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _cpu(pid: int) -> float:
    tasks = Path(f"/proc/{pid}/task")
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9


def _memory(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise LoadError("no memory is used at all")
