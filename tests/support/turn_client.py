"""A client of TURN over UDP, to test the users that a server accepts and the peers that it relays to (RFC 8656)."""

from __future__ import annotations

import struct
from typing import Final

from callnet.doctor.stun import LIFETIME, REFRESH, Datagrams, StunClient

_FAMILY: Final = 0x0017
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
