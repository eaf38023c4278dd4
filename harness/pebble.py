"""An ACME server for the tests: pebble, which validates as Let's Encrypt does, and the name server that it asks."""

from __future__ import annotations

import json
import shlex
import shutil
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from callnet.ops.certificates import sign, to_pem
from harness.own_servers import await_ready, stop
from harness.ports import free_ports

_HOST: Final = "127.0.0.1"
_NAMES: Final = (
    "pebble-challtestsrv -dns01 {host}:{names} -management {host}:{management} -defaultIPv4 {site} -defaultIPv6 ''"
    " -http01 '' -https01 '' -tlsalpn01 '' -doh ''"
)
"""The name server: every name is that of one machine."""
_QUICK: Final = ("env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "setpriv", "--pdeathsig", "KILL")
"""It neither waits nor refuses by chance, and ends when this process does."""


class Pebble:
    """One server, which runs from the start until it is stopped, and may be started again.

    :param http: the port that stands for 80, where it validates ``http-01``.
    :param tls: the port that stands for 443, where it validates ``tls-alpn-01``.
    :param address: where it serves.
    :param site: the address to which every name leads; empty: its own.
    :param within: what its commands begin with, such as ``("ip", "netns", "exec", "street")``.
    """

    def __init__(self, http: int, tls: int, address: str = _HOST, site: str = "", within: Sequence[str] = ()) -> None:
        self._address = address
        self._within = within
        self._folder = Path(tempfile.mkdtemp(prefix="callnet-pebble-"))
        self.authority: Final = self._folder / "authority"
        """The certificate by which its directory is to be believed, in a PEM file."""
        port, self._management, self._names, names_management = free_ports(4)
        self.directory: Final = f"https://{address}:{port}/dir"
        own, config = self._folder / "own", self._folder / "config"
        pair = sign(["localhost"], [ip_address(address)], datetime.now(UTC))
        own.write_bytes(to_pem(pair))
        self.authority.write_bytes(to_pem(pair).partition(b"-----END PRIVATE KEY-----\n")[2])
        settings = {
            "listenAddress": f"{address}:{port}",
            "managementListenAddress": f"{address}:{self._management}",
            "certificate": str(own),
            "privateKey": str(own),
            "httpPort": http,
            "tlsPort": tls,
        }
        config.write_text(json.dumps({"pebble": settings}))
        self._commands = (
            shlex.split(
                _NAMES.format(host=address, names=self._names, management=names_management, site=site or address)
            ),
            ["pebble", "-config", str(config), "-dnsserver", f"{address}:{self._names}"],
        )
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it, and wait until it serves."""
        log = self._folder / "log"
        with log.open("wb") as output:
            for command in self._commands:
                line = [*self._within, *_QUICK, *command]
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
        with urllib.request.urlopen(f"https://{self._address}:{self._management}/roots/0", context=trusting) as answer:
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
