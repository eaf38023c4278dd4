"""A client of TURN over UDP, to test the users that a server accepts and the peers that it relays to (RFC 8656)."""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import Final

from callnet.doctor.stun import LIFETIME, REFRESH, Datagrams, StunClient
from callnet.frames.stun import COOKIE

PERMIT: Final = 0x008

_PEER: Final = 0x0012
_FAMILY: Final = 0x0017
_PORT: Final = 9
"""A peer's: permissions are for all ports."""
_TRIES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)


class TurnClient(StunClient):
    """One client, from a port of its own, by which a server identifies an allocation.

    :param server: the address and port of the server.
    """

    def __init__(self, server: tuple[str, int], username: str = "", password: str = "") -> None:
        super().__init__(Datagrams(*server, _TRIES), username, password)

    def allocate_ipv6(self) -> int:
        """Ask for an address of IPv6 that is relayed from."""
        return self.allocate((_FAMILY, b"\2\0\0\0"))

    def refresh(self) -> int:
        """Ask for more time for it."""
        return self.request(REFRESH, lambda: [(LIFETIME, struct.pack("!I", 600))])

    def permit(self, peer: str) -> int:
        """Ask that bytes from and to a peer be relayed."""
        return self.request(PERMIT, lambda: [(_PEER, self._masked(peer))])

    def _masked(self, peer: str) -> bytes:
        """An address as XOR-PEER-ADDRESS has it, which depends on the transaction."""
        address = ip_address(peer)
        mask = (struct.pack("!I", COOKIE) + self.transaction)[: len(address.packed)]
        masked = bytes(one ^ other for one, other in zip(address.packed, mask, strict=True))
        family = 1 if address.version == 4 else 2
        return struct.pack("!BBH", 0, family, _PORT ^ (COOKIE >> 16)) + masked
