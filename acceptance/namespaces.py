"""Network namespaces with links between them that can be pulled and put back, like cables. For root only."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

NETWORKS: Final = "198.18"
"""RFC 2544: of no use to anyone but for tests."""
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_HERE: Final = Path("/proc/thread-self/ns/net")


def ip(*words: str) -> None:
    """Run ``ip``."""
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


class Switch:
    """A network: a bridge in this namespace, with an address of this namespace's own."""

    def __init__(self, name: str, number: int, networks: str = NETWORKS) -> None:
        self.name: Final = name
        self._network = f"{networks}.{number}"
        self._used = 1
        ip("link", "add", name, "type", "bridge")
        ip("address", "add", f"{self._network}.1/24", "dev", name)
        ip("link", "set", name, "up")

    def next_address(self) -> str:
        """An address that nobody has yet."""
        self._used += 1
        return f"{self._network}.{self._used}"

    def remove(self) -> None:
        """Take it away."""
        ip("link", "delete", self.name)


class Cable:
    """The connection of a namespace with a switch."""

    def __init__(self, name: str, namespace: str, switch: Switch) -> None:
        self.address: Final = switch.next_address()
        self._name = name
        inside = f"{name}i"
        ip("link", "add", name, "type", "veth", "peer", "name", inside, "netns", namespace)
        ip("link", "set", name, "master", switch.name, "up")
        ip("-n", namespace, "address", "add", f"{self.address}/24", "dev", inside)
        ip("-n", namespace, "link", "set", inside, "up")

    def pull(self) -> None:
        """Nothing passes any more, and nobody is told."""
        ip("link", "set", self._name, "down")

    def put_back(self) -> None:
        """Everything passes again."""
        ip("link", "set", self._name, "up")


class Namespace:
    """A machine of its own, as far as the network goes."""

    def __init__(self, name: str) -> None:
        self.name: Final = name
        ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")

    @property
    def command(self) -> tuple[str, ...]:
        """The command that runs a command in there."""
        return ("ip", "netns", "exec", self.name)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Processes that are started in this block live there."""
        with _HERE.open("rb") as before, Path(f"/run/netns/{self.name}").open("rb") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def remove(self) -> None:
        """Take it away, with the cables that end in it."""
        ip("netns", "delete", self.name)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextmanager
def machine_room() -> Iterator[tuple[dict[str, Switch], dict[str, Namespace]]]:
    """Two switches, ``front`` and ``back``, and namespaces ``redis``, ``node0`` and ``node1``, without cables."""
    tag = f"cn{os.getpid() % 100000}"
    made: list[Switch | Namespace] = []
    try:
        switches, namespaces = {}, {}
        for number, name in enumerate(("front", "back")):
            switches[name] = Switch(f"{tag}{name[0]}", 2 * (os.getpid() % 127) + number)
            made.append(switches[name])
        for name in ("redis", "node0", "node1"):
            namespaces[name] = Namespace(f"{tag}-{name}")
            made.append(namespaces[name])
        yield switches, namespaces
    finally:
        for one in reversed(made):
            with suppress(subprocess.CalledProcessError):
                one.remove()
