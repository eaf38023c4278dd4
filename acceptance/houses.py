"""Houses with browsers in them, each behind a NAT of its own, and a host outside: for root only.

Every house is a network namespace for its router and one for the machine inside. Its router masquerades with a port
of its own for every destination (a symmetric NAT, RFC 4787's address- and port-dependent mapping), so nobody can reach
what is inside by an address that a STUN server has seen. The host has no way to the networks inside, either, and
coturn, which follows the sample of etc/, does not try.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import Struct

from acceptance.namespaces import NETWORKS, Cable, Namespace, Switch, ip
from tests.browser.stage import CHROMIUM

_streets: Final = count(1)

_MASQUERADE: Final = """
table ip nat {
    chain out {
        type nat hook postrouting priority srcnat
        oifname "OUTSIDE" masquerade fully-random
    }
}
"""


_NARROW: Final = """
table inet narrow {
    chain through {
        type filter hook forward priority filter
        oifname "OUTSIDE" meta l4proto udp limit rate over RATE kbytes/second burst RATE kbytes drop
    }
}
"""


_SHUT: Final = """
table inet narrow {
    chain through {
        type filter hook forward priority filter
        oifname "OUTSIDE" PASSES accept
        oifname "OUTSIDE" drop
    }
}
"""


# The server's own packets keep their ports: a relay is reached at those that it has told.
_FORWARD: Final = """
table ip forwarded {
    chain in {
        type nat hook prerouting priority dstnat
        ip daddr PUBLIC tcp dport { PORTS } dnat to SERVER
        ip daddr PUBLIC udp dport { PORTS, 49152-65535 } dnat to SERVER
    }
    chain out {
        type nat hook postrouting priority srcnat - 1
        oifname "OUTSIDE" ip saddr SERVER snat to PUBLIC
        oifname "inside" ip saddr NETWORK masquerade
    }
}
"""


class House:
    """A machine behind a router, and further ones. Its network inside is ``10.NUMBER.0.0/24``."""

    def __init__(self, tag: str, number: int, outside: Switch) -> None:
        self._outside = outside
        self._network = f"10.{number}.0"
        self._inside = f"{self._network}.2"
        self._tag = f"{tag}-{number}"
        self._further: list[Namespace] = []
        self.router: Final = Namespace(f"{tag}-router{number}")
        self.machine: Final = Namespace(f"{tag}-machine{number}")
        try:
            self.cable: Final = Cable(f"{tag}o{number}", self.router.name, outside)
            """The cable to the outside."""
            self._port = f"{tag}o{number}i"
            self.public = self.cable.address
            """The router's address outside."""
            self._wire()
        except BaseException:
            House.remove(self)
            raise

    @property
    def inside(self) -> str:
        """The machine's address inside."""
        return self._inside

    def _wire(self) -> None:
        router = self.router.name
        ip("-n", router, "link", "add", "inside", "type", "bridge")
        ip("-n", router, "address", "add", f"{self._network}.1/24", "dev", "inside")
        ip("-n", router, "link", "set", "inside", "up")
        self._plug_in(self.machine)
        self._take_inside(self._inside)
        self._run("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
        self._filter(_MASQUERADE)

    def _plug_in(self, machine: Namespace) -> None:
        port, router = f"port{len(self._further)}", self.router.name
        ip("-n", router, "link", "add", port, "type", "veth", "peer", "name", "home", "netns", machine.name)
        ip("-n", router, "link", "set", port, "master", "inside", "up")
        ip("-n", machine.name, "link", "set", "home", "up")

    def further_machine(self) -> tuple[Namespace, str]:
        """One more machine, and its address inside."""
        machine = Namespace(f"{self._tag}-further{len(self._further)}")
        self._further.append(machine)
        self._plug_in(machine)
        address = f"{self._network}.{200 + len(self._further)}"
        ip("-n", machine.name, "address", "add", f"{address}/24", "dev", "home")
        ip("-n", machine.name, "route", "replace", "default", "via", f"{self._network}.1")
        return machine, address

    def forward(self, ports: Sequence[int], server: str) -> None:
        """Forward ports, and those of a relay, to a machine inside: also what comes from inside ("hairpin")."""
        rules = _FORWARD.replace("PORTS", ", ".join(map(str, ports))).replace("SERVER", server)
        self._filter(rules.replace("PUBLIC", self.public).replace("NETWORK", f"{self._network}.0/24"))

    def _filter(self, rules: str) -> None:
        self._run("nft", "--file", "-", text=rules.replace("OUTSIDE", self._port))

    def _run(self, *command: str, text: str = "") -> None:
        subprocess.run([*self.router.command, *command], check=True, input=text, text=True)

    def _take_inside(self, address: str) -> None:
        self._inside = address
        ip("-n", self.machine.name, "address", "add", f"{address}/24", "dev", "home")
        ip("-n", self.machine.name, "route", "replace", "default", "via", f"{self._network}.1")

    def change_outside(self) -> None:
        """The router gets another address, as from a provider in the night. Nobody inside is told."""
        self.public = self._outside.next_address()
        ip("-n", self.router.name, "address", "flush", "dev", self._port, "scope", "global")
        ip("-n", self.router.name, "address", "add", f"{self.public}/24", "dev", self._port)

    def change_inside(self) -> None:
        """The machine gets another address, as in another wireless network."""
        ip("-n", self.machine.name, "address", "flush", "dev", "home", "scope", "global")
        last = int(self._inside.rpartition(".")[2])
        self._take_inside(f"{self._network}.{last + 1}")

    def narrow(self, kilobytes: int) -> None:
        """Let only this many kilobytes a second out by UDP; the rest is lost."""
        self._filter(_NARROW.replace("RATE", str(kilobytes)))

    def shut(self, passes: str) -> None:
        """Let nothing out but what an expression of nftables allows, such as ``tcp dport 443``."""
        self._filter(_SHUT.replace("PASSES", passes))

    def widen(self) -> None:
        """Let everything out again."""
        self._run("nft", "delete", "table", "inet", "narrow")

    def browser(self, folder: Path, machine: Namespace | None = None) -> str:
        """A program that is the browser of the machine inside, or of a further one."""
        there = machine or self.machine
        path = folder / f"{there.name}-browser"
        path.write_text(f'#!/bin/sh\nexec {" ".join(there.command)} {CHROMIUM} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def remove(self) -> None:
        """Take it away."""
        for namespace in (*self._further, self.machine, self.router):
            with suppress(subprocess.CalledProcessError):
                namespace.remove()


class Street(Struct, frozen=True):
    """The outside network."""

    host: Namespace
    address: str
    """The host's."""
    houses: Sequence[House]
    outside: Switch
    tag: str
    """The beginning of the names of everything here."""


@contextmanager
def street(number: int = os.getpid() % 254, networks: str = NETWORKS) -> Iterator[Street]:
    """A host and two houses, until the block ends.

    :param number: of the network outside, among these.
    """
    tag = f"ch{os.getpid() % 100000}-{next(_streets)}"  # a cable of the one before may still be there
    made: list[Switch | Namespace | House] = []
    try:
        outside = Switch(f"{tag}s", number, networks)
        made.append(outside)
        host = Namespace(f"{tag}-host")
        made.append(host)
        cable = Cable(f"{tag}h", host.name, outside)
        houses = []
        for number in (1, 2):
            houses.append(House(tag, number, outside))
            made.append(houses[-1])
        yield Street(host, cable.address, houses, outside, tag)
    finally:
        for one in reversed(made):
            with suppress(subprocess.CalledProcessError):
                one.remove()
