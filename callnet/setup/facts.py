"""Facts about a machine, each gathered by a small function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from msgspec import Struct

from callnet.doctor import stun
from callnet.doctor.machine import is_synchronised
from callnet.doctor.network import own_addresses, owner_of, resolve
from callnet.setup.system import System


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


def gather(system: System, names: Sequence[str], ports: Sequence[tuple[str, int]], stun_uri: str = "") -> Facts:
    """Look at a machine. Nothing is changed.

    :param ports: ``("tcp", 443)`` and so on.
    :param stun_uri: a STUN server to ask for the public address; empty: none.
    """
    taken = {
        f"{kind} {port}": owner
        for kind, port in ports
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
