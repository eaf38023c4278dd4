"""Limits of buffers for a client that does not read, before it is no longer read from.

The system keeps as much for a connection as fits into it, which it lets grow to megabytes, and Twisted another 64 KiB.
For frames of a few hundred bytes that is of no use, and five thousand clients that do not read would have it all.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import Any, Final

from twisted.protocols.policies import ProtocolWrapper

IN_THE_SYSTEM: Final = 8 * 1024
"""Bytes; Linux keeps twice as many with all that belongs to them (socket(7), ``SO_SNDBUF``)."""
IN_TWISTED: Final = 8 * 1024
"""Bytes; no more is read at a time either."""


def keep_little(transport: Any, in_the_system: int = IN_THE_SYSTEM) -> None:
    """Limit what is kept for a connection, whatever is spoken on it.

    :param in_the_system: bytes.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    with suppress(AttributeError, OSError):  # it is no socket, or gone
        transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, in_the_system)
        transport.bufferSize = IN_TWISTED
