"""The machine that is set up: its files and commands, facts about it, and their checks before anything is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from callnet.doctor import stun
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.machine import is_synchronised
from callnet.doctor.network import examine_name, own_addresses, owner_of, resolve
from callnet.errors import CallnetError

USER: Final = "callnet"
_LAST_WORDS: Final = 400
"""Characters of a command's output that an error repeats."""


class SetupError(CallnetError):
    """A step failed: the cause, and what to do."""


class System(Struct, frozen=True):
    """A machine.

    :param root: the folder that holds its files; ``/`` but in tests.
    :param prefix: the virtual environment of callnet, as the machine names it.
    :param source: the folder with callnet's own units, which a clone brings; the package has put them in place.
    :param environ: the environment of its commands; ``PATH`` finds them. Settings of callnet's in it are root's, and
        are left out: those of the service are in ``/etc/callnet/secrets``.
    """

    root: Path = Path("/")
    prefix: Path = Path(sys.prefix)
    source: Path = Path(sys.prefix).parent / "etc"
    environ: Mapping[str, str] = field(default_factory=lambda: {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)

    def path(self, name: str) -> Path:
        """The place of a file that the machine knows by an absolute path."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """The content of a file; ``None``: there is none.

        :raises SetupError: it cannot be read.
        """
        try:
            return self.path(name).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise SetupError(f"{name}: cannot be read: {error}") from None

    def has(self, *command: str) -> bool:
        """Tell whether a command succeeds."""
        return self._ran(command, self._plain()).returncode == 0

    def do(self, *command: str) -> str:
        """Run a command; returns its output.

        :raises SetupError: it failed.
        """
        return self._done(command, self._plain())

    def _done(self, command: Sequence[str], environ: Mapping[str, str]) -> str:
        ran = self._ran(command, environ)
        if ran.returncode:
            said = (ran.stderr.strip() or ran.stdout.strip())[-_LAST_WORDS:]
            raise SetupError(f"{' '.join(command)}: exit status {ran.returncode}\n{said}")
        return ran.stdout

    def callnet(self, *arguments: str) -> str:
        """Run a command of callnet's as the user of the service, with its settings; returns its output.

        :raises SetupError: it failed.
        """
        lines = (self.text("/etc/callnet/secrets") or "").splitlines()
        secrets = dict(line.split("=", 1) for line in lines if line.startswith("CALLNET_") and "=" in line)
        settings = self.path("/etc/callnet/callnet.toml")
        command = (
            *self.as_user(),
            "env",
            f"CALLNET_CONFIG={settings if settings.exists() else ''}",
            f"STATE_DIRECTORY={self.path('/var/lib/callnet')}",
            str(self.prefix / "bin" / "callnet"),
            *arguments,
        )
        return self._done(command, {**self._plain(), **secrets})

    def as_user(self) -> Sequence[str]:
        """The beginning of a command that is run as the user of the service."""
        return ("runuser", "-u", USER, "--")

    def _plain(self) -> Mapping[str, str]:
        return {name: value for name, value in self.environ.items() if not name.startswith("CALLNET_")}

    def _ran(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")


SITE_PORT: Final = 443
CHALLENGE_PORT: Final = 80
RELAY_PORT: Final = 3478
PORTS: Final = (("tcp", CHALLENGE_PORT), ("tcp", SITE_PORT), ("udp", RELAY_PORT), ("tcp", RELAY_PORT))


class Facts(Struct, frozen=True):
    """The state of a machine."""

    addresses: Sequence[str]
    """Its own, but for loopback."""
    resolved: Mapping[str, Sequence[str]]
    """The addresses of each name, as this machine resolves it."""
    taken: Mapping[str, str]
    """The program that has a port, such as ``"tcp 443"``; ports that are free are left out."""
    seen_as: str
    """The address that a STUN server sees; empty: none was asked."""
    is_debian: bool
    has_systemd: bool
    is_clock_set: bool


def gather(system: System, names: Sequence[str], stun_uri: str = "") -> Facts:
    """Look at a machine. Nothing is changed.

    :param stun_uri: a STUN server to ask for the public address; empty: none.
    """
    taken = {
        f"{kind} {port}": owner
        for kind, port in PORTS
        if (owner := owner_of(kind, port, system.path("/proc"))) is not None
    }
    resolved = {name: resolve(name) for name in names}
    return Facts(
        own_addresses(chain(*resolved.values())),
        resolved,
        taken,
        seen_as(stun_uri) if stun_uri else "",
        system.path("/etc/debian_version").exists(),
        system.path("/run/systemd/system").is_dir(),
        is_synchronised(),
    )


def seen_as(uri: str) -> str:
    """The address that a STUN server sees; empty: it does not answer."""
    try:
        return stun.bind(uri) or ""
    except OSError:
        return ""


_OWN: Final = frozenset(("callnet", "twistd"))
_RELAY: Final = "turnserver"
_FORWARDED: Final = f"TCP {CHALLENGE_PORT}, {SITE_PORT} and {RELAY_PORT}, UDP {RELAY_PORT} and 49152-65535"


def check(facts: Facts, has_relay: bool) -> Iterator[Finding]:
    """All checks. A finding that is bad is in the way of callnet.

    :param has_relay: setup has installed the relay, whose own service Debian starts until setup stops it.
    """
    for name, found in facts.resolved.items():
        yield examine_name(name, found, facts.addresses, _FORWARDED, facts.seen_as)
    # callnet that runs has started its relay.
    own = _OWN | {_RELAY} if has_relay or _OWN & set(facts.taken.values()) else _OWN
    for kind, port in PORTS:
        yield _port(kind, port, facts.taken.get(f"{kind} {port}"), own)
    if facts.is_clock_set:
        yield good("clock", "synchronised")
    else:
        yield doubt(
            "clock", "not synchronised", "certificates and relays depend on it: apt-get install systemd-timesyncd"
        )


def _port(kind: str, port: int, owner: str | None, own: Collection[str]) -> Finding:
    about = f"port {kind} {port}"
    if owner is None:
        return good(about, "free")
    if owner in own:
        return good(about, f"in use by {owner}")
    shown = f"ss -{kind[0]}lnp 'sport = :{port}' shows it"
    return bad(about, f"in use by {owner}", f"stop its service (systemctl disable --now ...); {shown}")
