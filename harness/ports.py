"""Ports of loopback on which a server that comes back finds itself free."""

from __future__ import annotations

import itertools
import random
import socket
from typing import Final

_PORTS: Final = range(20000, 32000)
"""The kernel gives no connection a port of these by itself."""


def free_port() -> int:
    """A port of loopback on which nothing listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """This number of ports, all different; nothing listens on them by UDP either."""
    free = list(itertools.islice(filter(_is_free, random.sample(_PORTS, len(_PORTS))), count))
    if len(free) < count:
        raise RuntimeError("every port is taken")
    return free


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
