"""A real coturn for the tests, by ``etc/turnserver.conf`` with ports, addresses and files of the test's own.

Whatever else the sample says holds: so it is the sample that is tested. The server ends even if the test run is killed.
"""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from callnet.ops.certificates import sign
from harness import ROOT
from harness.own_servers import await_ready
from harness.ports import free_ports

SAMPLE: Final = ROOT / "etc" / "turnserver.conf"
REALM: Final = "turn.example.org"
"""As the sample has it."""
LOOPBACK: Final = ("127.0.0.0-127.255.255.255", "::1")
"""As ``peers``: the needs of two clients on this machine that use nothing but relays."""

_SCHEMA: Final = Path("/usr/share/coturn/schema.sql")


class Coturn:
    """One server, which runs from the start until it is closed.

    :param secrets: those that it accepts.
    :param addresses: those that it listens on and relays from. The first is in its URIs.
    :param peers: addresses, or ranges of them, to which it relays though the sample forbids it.
    :param settings: further lines of its file; of a setting that the sample has they replace all.
    :param within: what its command begins with, such as ``("ip", "netns", "exec", "street")``.
    :param is_proxied: it takes connections of TCP at ``proxy_port`` alone, with PROXY headers, and none of TLS.
    """

    def __init__(
        self,
        *secrets: str,
        addresses: Sequence[str] = ("127.0.0.1",),
        peers: Sequence[str] = (),
        settings: Sequence[tuple[str, str]] = (),
        within: Sequence[str] = (),
        is_proxied: bool = False,
    ) -> None:
        self.address: Final = addresses[0]
        self._addresses = addresses
        self.port, self.tls_port, self.proxy_port = free_ports(3)
        self._is_proxied = is_proxied
        self._within = within
        self._directory = Path(tempfile.mkdtemp(prefix="callnet-coturn-"))
        self._file, self._log, self._database = (self._directory / name for name in ("conf", "log", "turndb"))
        with closing(sqlite3.connect(self._database)) as database:
            database.executescript(_SCHEMA.read_text(encoding="utf-8"))
        certificate, key = self._sign(addresses)
        own = [
            ("listening-port", str(self.port)),
            ("tls-listening-port", str(self.tls_port)),
            *([("tcp-proxy-port", str(self.proxy_port))] if is_proxied else []),
            *(("listening-ip", address) for address in addresses),
            *(("relay-ip", address) for address in addresses),
            ("userdb", str(self._database)),
            ("cert", certificate),
            ("pkey", key),
            ("pidfile", str(self._directory / "pid")),
            ("log-file", str(self._log)),
            ("simple-log", ""),
            *([("allow-loopback-peers", "")] if any(peer in LOOPBACK for peer in peers) else []),
            *(("allowed-peer-ip", peer) for peer in peers),
            *settings,
        ]
        self._file.write_text("\n".join(_changed(SAMPLE.read_text(encoding="utf-8"), own)), encoding="utf-8")
        for secret in secrets:
            self.add_secret(secret)
        self._process = self._launched()

    @property
    def urls(self) -> tuple[str, ...]:
        """It as the setting ``turn.urls``: over UDP and TCP. A browser would not believe its certificate."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return tuple(f"turn:{host}:{self.port}?transport={transport}" for transport in ("udp", "tcp"))

    @property
    def stun(self) -> tuple[str, ...]:
        """It as the setting ``turn.stun``."""
        return (self.urls[0].replace("turn:", "stun:").partition("?")[0],)

    @property
    def secrets(self) -> frozenset[str]:
        """Those that it accepts now."""
        with closing(sqlite3.connect(self._database)) as database:
            return frozenset(value for (value,) in database.execute("SELECT value FROM turn_secret"))

    def add_secret(self, secret: str) -> None:
        """Have it accept one more from now on, as ``turnadmin --set-secret`` does."""
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute("INSERT INTO turn_secret (realm, value) VALUES (?, ?)", (REALM, secret))

    def remove_secret(self, secret: str) -> None:
        """Have it stop accepting a secret, as ``turnadmin --delete-secret`` does."""
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute("DELETE FROM turn_secret WHERE value = ?", (secret,))

    def log(self) -> str:
        """Its log."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def stop(self) -> None:
        """Kill it, and wait until it is gone; nothing is relayed any more."""
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it at the same place after :meth:`stop`."""
        self._process = self._launched()

    def close(self) -> None:
        """Kill it and remove all of it."""
        self.stop()
        shutil.rmtree(self._directory)

    def _sign(self, addresses: Sequence[str]) -> tuple[str, str]:
        pair = sign([REALM], [ip_address(address) for address in addresses], datetime.now(UTC))
        certificate, key = self._directory / "cert", self._directory / "key"
        certificate.write_bytes(pair.chain[0].public_bytes(Encoding.PEM))
        key.write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(certificate), str(key)

    def _launched(self) -> subprocess.Popen[bytes]:
        # It ends when this process does, however that ends.
        line = [*self._within, "setpriv", "--pdeathsig", "KILL", "turnserver", "-c", str(self._file)]
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._directory)
        await_ready(process, lambda: all(self._is_bound(process.pid, address) for address in self._addresses), self.log)
        return process

    def _is_bound(self, pid: int, address: str) -> bool:
        """True if it listens on UDP and TCP at an address."""
        tcp = self.proxy_port if self._is_proxied else self.port
        return _is_bound(pid, address, self.port, "udp") and _is_bound(pid, address, tcp, "tcp")


def _is_bound(pid: int, address: str, port: int, kind: str) -> bool:
    """True if somebody listens at an address, in the network of a process (proc_pid_net(5)).

    :param kind: ``udp`` or ``tcp``.
    """
    packed = ip_address(address).packed
    words = [packed[at : at + 4][::-1] for at in range(0, len(packed), 4)]
    family = "6" if ":" in address else ""
    try:
        table = Path(f"/proc/{pid}/net/{kind}{family}").read_text("ascii")
        return f"{b''.join(words).hex().upper()}:{port:04X} " in table
    except OSError:
        return False  # the process is gone


def _changed(sample: str, own: Sequence[tuple[str, str]]) -> Iterator[str]:
    """The lines of the sample that are no comments, with these settings in the place of those of the same name."""
    names = {name for name, _ in own} | {"syslog"}
    for line in sample.splitlines():
        if line and not line.startswith("#") and line.partition("=")[0] not in names:
            yield line
    for name, value in own:
        yield f"{name}={value}" if value else name
