"""Real Sentinels for the tests, and a master with a replica for them to watch over."""

from __future__ import annotations

import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import quote

from harness.ports import free_ports
from harness.redis_server import Certificate, Flavour, RedisServer, command, launched, tls_settings

SERVICE: Final = "callnet"
DOWN_AFTER: Final = 1000
"""Milliseconds without an answer after which a Sentinel takes the master for dead."""
_REPLICATION_TIME: Final = 10_000
"""Milliseconds that a replica may take for its first copy."""


class Sentinels:
    """A master, a replica of it, and three Sentinels that know each other.

    :param certificate: all of them speak TLS, and only that.
    :param password: what the Sentinels ask for; Redis itself does not.
    """

    def __init__(self, flavour: Flavour, *, certificate: Certificate | None = None, password: str = "") -> None:
        self._tls = certificate
        self._password = password
        self.servers: Final = tuple(RedisServer(flavour, tcp=True, certificate=certificate) for _ in range(2))
        """The master of the beginning, then the replica."""
        master, replica = self.servers
        replica.replica_of(master)
        if master.cli("WAIT", "1", str(_REPLICATION_TIME)) != "1":
            raise RuntimeError("the replica does not replicate")
        self._ports = {port: secrets.token_hex(20) for port in free_ports(3)}
        self._sentinels = [_Sentinel(flavour, self._settings(port)) for port in self._ports]

    def url(self) -> str:
        """The master, wherever it is, as the setting ``redis.url``."""
        query = f"?sentinel_password={quote(self._password)}" if self._password else ""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        return f"redis{'s' if self._tls else ''}+sentinel://{hosts}/{SERVICE}{query}"

    def fail_over(self) -> None:
        """Have a Sentinel make the replica the master, though nothing is wrong; it answers when it has begun."""
        self._sentinels[0].cli("SENTINEL", "FAILOVER", SERVICE)

    def master_port(self) -> int:
        """Where the master is, as the first of them says."""
        return int(self._sentinels[0].cli("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE).split()[1])

    def told(self) -> str:
        """The Sentinels' view of the master and of its replicas, for people to read."""
        asked = (("SENTINEL", subject, SERVICE) for subject in ("MASTER", "REPLICAS"))
        return "\n\n".join(one.cli(*words) for words in asked for one in self._sentinels)

    def stop(self, *which: int) -> None:
        """Have Sentinels stand still (SIGSTOP), of the three."""
        for number in which:
            self._sentinels[number].signal(signal.SIGSTOP)

    def resume(self, *which: int) -> None:
        """Have them go on after :meth:`stop`."""
        for number in which:
            self._sentinels[number].signal(signal.SIGCONT)

    def restart(self, which: int) -> None:
        """Have one begin again with what it knew first: the master of the beginning."""
        self._sentinels[which].restart()

    def close(self) -> None:
        """Kill all of them and remove their files."""
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
            ("sentinel", f"failover-timeout {SERVICE} 3000"),
            ("sentinel", f"known-replica {SERVICE} 127.0.0.1 {replica.port}"),
            *([("requirepass", self._password)] if self._password else []),
            *(("sentinel", f"known-sentinel {SERVICE} 127.0.0.1 {other} {name}") for other, name in others),
        ]


class _Sentinel:
    """One Sentinel and its directory."""

    def __init__(self, flavour: Flavour, settings: list[tuple[str, str]]) -> None:
        self._flavour = flavour
        self._settings = settings
        self._directory = Path(tempfile.mkdtemp(prefix=f"callnet-{flavour}-sentinel-"))
        self._process, self._socket = self._start()

    def cli(self, *words: str) -> str:
        return command(self._flavour, self._socket, *words)

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def restart(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process, _ = self._start()

    def _start(self) -> tuple[subprocess.Popen[bytes], str]:
        return launched(self._flavour, self._directory, self._settings, is_sentinel=True)

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._directory)
