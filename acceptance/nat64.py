"""A house that has IPv6 alone, and a router with NAT64 (RFC 6146): Debian's ``tayga`` and a masquerade."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from acceptance.houses import House, Street
from acceptance.namespaces import ip
from harness.daemon import wait_for

PREFIX: Final = IPv6Address("2001:db8:64::")
"""Of the network's own: by the well-known one, 64:ff9b::, networks for tests are not reached (RFC 6052 §3.1)."""
START_LIMIT: Final = 30.0
"""Seconds within which the router translates."""

_NETWORK: Final = "2001:db8:6"
_POOL: Final = "192.168.255"
_CONFIGURATION: Final = f"""tun-device nat64
ipv4-addr {_POOL}.1
prefix {PREFIX}/96
dynamic-pool {_POOL}.0/24
"""


def translated(address: str) -> str:
    """The address by which such a house reaches one of IPv4, as DNS64 has it (RFC 6052 §2.2)."""
    return str(IPv6Address(int(PREFIX) | int(IPv4Address(address))))


class HouseOfIPv6(House):
    """A house whose machine has no address of IPv4."""

    def __init__(self, places: Street, folder: Path) -> None:
        super().__init__(places.tag, len(places.houses) + 1, places.outside)
        try:
            self._translator = self._translate(folder / "tayga.conf")
        except BaseException:
            super().remove()
            raise

    def _translate(self, file: Path) -> subprocess.Popen[bytes]:
        """Take IPv4 away, and start the NAT64, whose configuration is written to ``file``."""
        file.write_text(_CONFIGURATION)
        for name, prefix in (("home", f"{_NETWORK}::2/64"), ("inside", f"{_NETWORK}::1/64")):
            there = self.machine.name if name == "home" else self.router.name
            ip("-n", there, "-4", "address", "flush", "dev", name)
            ip("-n", there, "address", "add", prefix, "dev", name, "nodad")
        ip("-n", self.machine.name, "route", "add", "default", "via", f"{_NETWORK}::1")
        self._run("sysctl", "--quiet", "--write", "net.ipv6.conf.all.forwarding=1")
        tayga = ("tayga", "--config", str(file))
        self._run(*tayga, "--mktun")
        for words in (
            ("link", "set", "nat64", "up"),
            ("route", "add", f"{_POOL}.0/24", "dev", "nat64"),
            ("route", "add", f"{PREFIX}/96", "dev", "nat64"),
        ):
            ip("-n", self.router.name, *words)
        line = [*self.router.command, "setpriv", "--pdeathsig", "KILL", *tayga, "--nodetach"]
        return subprocess.Popen(line, stdin=subprocess.DEVNULL)

    def reaches(self, address: str) -> bool:
        """True if a host of IPv4 answers, which listens at no port 9."""
        with self.machine.entered(), socket.socket(socket.AF_INET6) as trial:
            trial.settimeout(1.0)
            try:
                trial.connect((translated(address), 9))
            except ConnectionRefusedError:
                return True
            except OSError:
                return False
        return True

    def remove(self) -> None:
        """Take it away."""
        self._translator.kill()
        self._translator.wait()
        super().remove()


@contextmanager
def house_of_ipv6(places: Street, folder: Path) -> Iterator[HouseOfIPv6]:
    """One more house on the street, which reaches its host, until the block ends."""
    house = HouseOfIPv6(places, folder)
    try:
        wait_for(lambda: house.reaches(places.address), START_LIMIT, "the NAT64")
        yield house
    finally:
        house.remove()
