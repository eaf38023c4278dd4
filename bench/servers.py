"""The servers that are measured: callnet as the daemon that it is, and the references."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.devices import KEY, LoadError

ROOT: Final = Path(__file__).parent.parent

START_LIMIT: Final = 60.0
"""Seconds within which a server must serve."""

_SETTINGS: Final = """
state_dir = "{folder}/state"
tokens.signing_key_file = "{folder}/signing.key"
listeners.account = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]
listeners.signaling = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]
listeners.site = []
listeners.admin = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]
"""

_PORTS: Final = {
    "account": re.compile(r"\bhttp://[^\s/]+:([0-9]+)"),
    "signaling": re.compile(r"\bws://[^\s/]+:([0-9]+)"),
}


class Server(Struct, frozen=True):
    """A server that runs."""

    pid: int
    ports: Mapping[str, int]
    """``signaling``, and with callnet ``account``."""

    def cpu(self) -> float:
        """Seconds of CPU that it has used, all threads together."""
        tasks = Path(f"/proc/{self.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir()) / 1e9

    def memory(self) -> int:
        """Its proportional set size, in KiB."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return int(re.findall(r"^Pss:\s+([0-9]+)", rollup, re.MULTILINE)[0])


class Contender(Struct, frozen=True):
    """A kind of server. ``script`` is empty for callnet."""

    name: str
    interpreter: str
    script: str = ""

    @contextmanager
    def running(self, core: int) -> Iterator[Server]:
        """Run it on one core until the block ends.

        :raises LoadError: it does not serve.
        """
        with tempfile.TemporaryDirectory(prefix="callnet-bench-") as name:
            folder = Path(name)
            command, ports = self._prepare(folder)
            with (folder / "log").open("wb") as log:
                process = subprocess.Popen(
                    ["taskset", "--cpu-list", str(core), *command],
                    cwd=ROOT,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "CALLNET_SIGNING_KEY": ""},
                )
            try:
                yield Server(process.pid, _wait(process, folder / "log", ports))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(START_LIMIT)

    def _prepare(self, folder: Path) -> tuple[Sequence[str], Mapping[str, int]]:
        """The command, and the ports if it does not choose them itself."""
        if self.script:
            port = _free_port()
            return (self.interpreter, self.script, str(port), KEY.decode()), {"signaling": port}
        (folder / "callnet.toml").write_text(_SETTINGS.format(folder=folder))
        (folder / "signing.key").touch(0o600)
        (folder / "signing.key").write_bytes(KEY)
        twistd = (str(Path(self.interpreter).with_name("twistd")), "--nodaemon", "--pidfile=", "callnet")
        return (self.interpreter, *twistd, "--config", str(folder / "callnet.toml")), {}


def contenders(references: Path) -> Sequence[Contender]:
    """callnet, and the references that are there and can run."""
    found = [Contender("callnet", sys.executable)]
    autobahn = references / "reference_autobahn.py"
    if autobahn.exists():
        found.append(Contender("Autobahn", sys.executable, str(autobahn)))
    node, script = shutil.which("node"), references / "reference_node.js"
    if node and script.exists() and _has_ws(node, script.parent):
        found.append(Contender("Node", node, str(script)))
    return found


def _has_ws(node: str, folder: Path) -> bool:
    found = subprocess.run([node, "-e", "require('ws')"], cwd=folder, capture_output=True, check=False)
    return found.returncode == 0


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], log: Path, ports: Mapping[str, int]) -> Mapping[str, int]:
    """Wait until it says that it serves, and where."""
    until = time.monotonic() + START_LIMIT
    while time.monotonic() < until and process.poll() is None:
        text = log.read_text(errors="replace")
        if ports:
            if "ready" in text:
                return ports
        else:
            printed = {name: int(found[1]) for name, url in _PORTS.items() if (found := url.search(text))}
            if len(printed) == len(_PORTS):
                return printed
        time.sleep(0.05)
    raise LoadError(f"the server does not serve: {log.read_text(errors='replace')[-2000:]}")
