"""An ACME server for the tests: pebble, which validates as Let's Encrypt does, and the name server that it asks."""

from __future__ import annotations

import json
import shlex
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from callnet.ops.certificates import sign, to_pem
from harness.own_servers import await_ready, stop
from harness.ports import free_ports

_HOST: Final = "127.0.0.1"
_NAMES: Final = (
    "pebble-challtestsrv -dns01 {host}:{names} -management {host}:{management} -defaultIPv4 {host} -defaultIPv6 ''"
    " -http01 '' -https01 '' -tlsalpn01 '' -doh ''"
)
"""The name server: every name is that of this machine."""
_QUICK: Final = ("env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "setpriv", "--pdeathsig", "KILL")
"""It neither waits nor refuses by chance, and ends when this process does."""


class Pebble:
    """One server, which runs from the start until it is stopped, and may be started again.

    :param http: the port that stands for 80, where it validates ``http-01``.
    :param tls: the port that stands for 443, where it validates ``tls-alpn-01``.
    """

    def __init__(self, http: int, tls: int) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="callnet-pebble-"))
        self.authority: Final = self._folder / "authority"
        """The certificate by which its directory is to be believed, in a PEM file."""
        port, self._management, self._names, names_management = free_ports(4)
        self.directory: Final = f"https://localhost:{port}/dir"
        own, config = self._folder / "own", self._folder / "config"
        pair = sign(["localhost"], [ip_address(_HOST)], datetime.now(UTC))
        own.write_bytes(to_pem(pair))
        self.authority.write_bytes(to_pem(pair).partition(b"-----END PRIVATE KEY-----\n")[2])
        settings = {
            "listenAddress": f"{_HOST}:{port}",
            "managementListenAddress": f"{_HOST}:{self._management}",
            "certificate": str(own),
            "privateKey": str(own),
            "httpPort": http,
            "tlsPort": tls,
        }
        config.write_text(json.dumps({"pebble": settings}))
        self._commands = (
            shlex.split(_NAMES.format(host=_HOST, names=self._names, management=names_management)),
            ["pebble", "-config", str(config), "-dnsserver", f"{_HOST}:{self._names}"],
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and wait until it serves."""
        log = self._folder / "log"
        with log.open("wb") as output:
            for command in self._commands:
                line = [*_QUICK, *command]
                self._processes.append(
                    subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
                )
        await_ready(self._processes[-1], self._serves, lambda: log.read_text(errors="replace"))

    def _serves(self) -> bool:
        try:
            self.root()
        except OSError:
            return False
        return True

    def root(self) -> str:
        """The certificate that signs all others, in PEM. Each start has another one."""
        trusting = ssl.create_default_context(cafile=str(self.authority))
        with urllib.request.urlopen(f"https://localhost:{self._management}/roots/0", context=trusting) as answer:
            found: bytes = answer.read()
        return found.decode("ascii")

    def stop(self) -> None:
        """End it."""
        while self._processes:
            stop(self._processes.pop())

    def close(self) -> None:
        """End it and remove all of it."""
        self.stop()
        shutil.rmtree(self._folder)
