"""Ports of loopback on which a server that comes back finds itself free."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from typing import Final

_PORTS: Final = range(20000, 32000)
"""The kernel gives no connection a port of these by itself."""
_BLOCK: Final = 100
"""The number of ports of one process: far more than those of its servers, also of those that come back."""


def free_port() -> int:
    """A port of loopback on which nothing listens, and which no other process is given while this one lives."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """This number of such ports, at most 100, all different; nothing listens on them by UDP either."""
    _, ports = _own()
    free = list(islice(filter(_is_free, islice(ports, _BLOCK)), count))
    if len(free) < count:
        raise RuntimeError("the ports of this process are taken")
    return free


@cache
def _own() -> tuple[socket.socket, Iterator[int]]:
    """The socket whose abstract name claims the ports of this process, and an endless iterator of them."""
    firsts = _PORTS[::_BLOCK]
    for first in random.sample(firsts, len(firsts)):
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0callnet-ports-{first}")
        except OSError:
            claim.close()
            continue
        return claim, cycle(range(first, first + _BLOCK))
    raise RuntimeError("every block of ports is claimed")


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True
