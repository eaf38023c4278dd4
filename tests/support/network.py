"""A network for a test alone, with an address that is not loopback: media does not go over loopback addresses."""

from __future__ import annotations

import itertools
import os
import subprocess
from typing import Final

from acceptance.namespaces import NETWORKS, Namespace, ip

_numbers = itertools.count()


class Network(Namespace):
    """A namespace in which processes reach each other at ``127.0.0.1`` and at ``address``. For root only."""

    def __init__(self) -> None:
        number = next(_numbers)
        super().__init__(f"cn{os.getpid()}n{number}")
        self.address: Final = f"{NETWORKS}.{number % 256}.1"
        # An interface of its own kind for this, dummy, is not in every kernel.
        ip("-n", self.name, "link", "add", "media", "type", "veth", "peer", "name", "nowhere")
        ip("-n", self.name, "address", "add", f"{self.address}/24", "dev", "media")
        for name in ("nowhere", "media"):
            # An address that comes by itself a second later is a change of the network to Chromium.
            ip("-n", self.name, "link", "set", name, "addrgenmode", "none", "up")

    def block_media(self, but: str = "0") -> None:
        """Let no datagram pass any more.

        :param but: ports from and to which they do, as nft(8) lists them.
        """
        self._nft("add", "table", "ip", "callnet")
        self._nft("add", "chain", "ip", "callnet", "input", "{ type filter hook input priority 0; }")
        ports = f"!= {{ {but} }}"
        self._nft("add", "rule", "ip", "callnet", "input", f"udp sport {ports} udp dport {ports} drop")

    def let_media_pass(self) -> None:
        """Let everything pass again."""
        self._nft("delete", "table", "ip", "callnet")

    def _nft(self, *words: str) -> None:
        subprocess.run([*self.command, "nft", *words], check=True, stdin=subprocess.DEVNULL)
