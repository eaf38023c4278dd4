"""The servers that are measured: callnet as the daemon that it is, alone and as many, and the references."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from string import Template
from typing import Final, Protocol

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from msgspec import Struct

from bench.devices import KEY, LoadError
from callnet.ops.certificates import sign
from harness import ROOT
from harness.daemon import OPTIONS, START_LIMIT, TWISTD, Daemon, wait_for
from harness.own_servers import stop
from harness.ports import free_port
from harness.redis_server import RedisServer
from harness.websocket import Refused

SETTINGS: Final = ROOT / "bench" / "callnet.toml"
"""The settings of callnet."""

_QUIET: Final = 5.5
"""Seconds after which nodes believe that they know all that an empty Redis does not."""

_SHOWN: Final = 4000
"""Characters of a server's log that are shown if it fails."""


class Server(Struct, frozen=True):
    """A server that runs, in one process or in many."""

    nodes: Sequence[int]
    """The processes that serve."""
    ports: Sequence[Mapping[str, int]]
    """``signaling``, and with callnet all others: for each of its machines, so to speak."""
    store: int | None = None
    """The process of Redis."""
    tls: bool = False
    """True if devices reach it over TLS."""
    settled_at: float = 0.0
    """When rooms that nobody has heard of may be made up, by ``time.monotonic``."""
    folder: Path | None = None
    """The folder with callnet's files: ``state``, for one."""

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
        """Its name in the tables."""

    @property
    def tls(self) -> bool:
        """True if devices reach it over TLS."""

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
            command = [*_on(core), self.interpreter, self.script, str(port), KEY.decode()]
            if self.tls:
                command.append(_write_certificate(folder))
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT
                )
            stack.callback(stop, process)
            stack.enter_context(_shown(log))
            with _failing():
                wait_for(lambda: _says_ready(process, log), START_LIMIT, "the server")
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
    """The program in place of twistd, for Python; ``{folder}`` is put in."""

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
            parents = [
                stack.enter_context(self._machine(core, folder, number, store)) for number in range(self.machines)
            ]
            pids = [parent.pid for parent in parents]
            nodes = [node for pid in pids for node in (_children(pid) if self.workers > 1 else [pid])]
            ports = [parent.ports for parent in parents]
            yield Server(
                nodes, ports, None if store is None else store.pid, self.tls, time.monotonic() + _QUIET, folder
            )

    @contextmanager
    def _machine(self, core: int, folder: Path, number: int, store: RedisServer | None) -> Iterator[Daemon]:
        redis = "" if store is None else store.socket_url()
        tls = str(self.tls).lower()
        settings = Template(SETTINGS.read_text()).substitute(folder=folder, workers=self.workers, redis=redis, tls=tls)
        program = [word.format(folder=folder) for word in self.program or TWISTD[:1]]
        command = (*_on(core), sys.executable, *program, *OPTIONS)
        daemon = Daemon(folder / f"machine{number}", settings, command, listeners="", state_dir=folder / "state")
        try:
            with _shown(daemon.log_file):
                with _failing():
                    daemon.start()
                    wait_for(lambda: _is_ready(daemon.ports["admin"]), START_LIMIT, "readiness")
                yield daemon
        finally:
            daemon.stop(START_LIMIT)


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


def _on(core: int) -> Sequence[str]:
    """Whatever is put after this command runs on one core."""
    return "taskset", "--cpu-list", str(core)


@contextmanager
def _shown(log: Path) -> Iterator[None]:
    """Show the end of a server's log if the load goes wrong."""
    try:
        yield
    except (LoadError, Refused, ValueError) as error:
        raise LoadError(f"{error}\n{log.name}: {log.read_text(errors='replace')[-_SHOWN:]}") from error


@contextmanager
def _failing() -> Iterator[None]:
    """Have a server that does not serve be a :class:`LoadError`."""
    try:
        yield
    except (ChildProcessError, TimeoutError) as error:
        raise LoadError(f"the server does not serve: {error}") from error


def _says_ready(process: subprocess.Popen[bytes], log: Path) -> bool:
    if process.poll() is not None:
        raise ChildProcessError(f"it ended with {process.returncode}")
    return "ready" in log.read_text(errors="replace")


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
