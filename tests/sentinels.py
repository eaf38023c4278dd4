"""Real Sentinels for the tests, and a master with a replica for them to watch over."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.redis_server import Certificate, Flavour, RedisServer, command, free_port, launched, tls_settings

SERVICE: Final = "callnet"
DOWN_AFTER: Final = 1000
"""Milliseconds without an answer after which a Sentinel takes the master for dead."""
_REPLICATION_TIME: Final = 10_000
"""Milliseconds that a replica may take for its first copy."""


class Sentinels:
    """A master, a replica of it, and three Sentinels that know each other.

    :param certificate: all of them speak TLS, and only that.
    """

    def __init__(self, flavour: Flavour, *, certificate: Certificate | None = None) -> None:
        self._tls = certificate
        self.servers: Final = tuple(RedisServer(flavour, tcp=True, certificate=certificate) for _ in range(2))
        """The master of the beginning, then the replica."""
        master, replica = self.servers
        replica.replica_of(master)
        if master.cli("WAIT", "1", str(_REPLICATION_TIME)) != "1":
            raise RuntimeError("the replica does not replicate")
        self._ports = {free_port(): secrets.token_hex(20) for _ in range(3)}
        self._sentinels = [_Sentinel(flavour, self._settings(port)) for port in self._ports]

    def url(self) -> str:
        """The master, wherever it is, as the setting ``redis.url``."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis{'s' if self._tls else ''}+sentinel://{hosts}/{SERVICE}"

    def fail_over(self) -> None:
        """Have a Sentinel make the replica the master, though nothing is wrong; it answers when it has begun."""
        self._sentinels[0].cli("SENTINEL", "FAILOVER", SERVICE)

    def close(self) -> None:
        """Kill all of them and remove what they wrote."""
        for sentinel in self._sentinels:
            sentinel.close()
        for server in self.servers:
            server.close()

    def _settings(self, port: int) -> list[tuple[str, str]]:
        master, replica = self.servers
        others = [(other, name) for other, name in self._ports.items() if other != port]
        return [
            *(tls_settings(port, self._tls) if self._tls else [("port", str(port))]),
            ("bind", "127.0.0.1"),
            ("sentinel", f"myid {self._ports[port]}"),
            ("sentinel", f"monitor {SERVICE} 127.0.0.1 {master.port} 2"),
            ("sentinel", f"down-after-milliseconds {SERVICE} {DOWN_AFTER}"),
            ("sentinel", f"failover-timeout {SERVICE} 10000"),
            ("sentinel", f"known-replica {SERVICE} 127.0.0.1 {replica.port}"),
            *(("sentinel", f"known-sentinel {SERVICE} 127.0.0.1 {other} {name}") for other, name in others),
        ]


class _Sentinel:
    """One Sentinel and its directory."""

    def __init__(self, flavour: Flavour, settings: list[tuple[str, str]]) -> None:
        self._flavour = flavour
        self._directory = Path(tempfile.mkdtemp(prefix=f"callnet-{flavour}-sentinel-"))
        self._process, self._socket = launched(flavour, self._directory, settings, "--sentinel")

    def cli(self, *words: str) -> str:
        return command(self._flavour, self._socket, *words)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory)
