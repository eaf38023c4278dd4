"""Obstacles to the start of a relay, found before it is tried: coturn's own words would be lost in its log."""

from __future__ import annotations

import errno
import shutil
import socket
from contextlib import ExitStack, closing
from typing import Final, Literal, TypeAlias

from callnet.config.schema import SupervisedSettings

Cause: TypeAlias = Literal["no_program", "port_in_use", "cannot_listen"]

_ANY: Final = ("0.0.0.0", "::")  # noqa: S104
_NOT_ANYWHERE: Final = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class Obstacle(Exception):
    """The relay cannot be started."""

    def __init__(self, cause: Cause, text: str) -> None:
        super().__init__(text)
        self.cause: Final = cause


def find_obstacle(settings: SupervisedSettings, is_proxied: bool) -> None:
    """Look whether the program is there and its ports are free.

    coturn does not notice another one of this user on its ports: they share them, and each gets some of the clients.

    :param is_proxied: connections are handed over to it, and it takes no others.
    :raises Obstacle: it is not so.
    """
    find_program(settings)
    with ExitStack() as trials:
        for address in settings.listening_addresses or _ANY:
            _try_to_bind(trials, address, settings.port, socket.SOCK_DGRAM)
            for port in () if is_proxied else filter(None, (settings.port, settings.tls_port)):
                _try_to_bind(trials, address, port, socket.SOCK_STREAM)
        if is_proxied:
            _try_to_bind(trials, "127.0.0.1", settings.proxy_port, socket.SOCK_STREAM)


def find_program(settings: SupervisedSettings) -> None:
    """Look whether the program is there.

    :raises Obstacle: it is not.
    """
    if shutil.which(settings.program) is None:
        raise Obstacle(
            "no_program", f"no program {settings.program}; install coturn, or correct turn.supervised.program"
        )


def _try_to_bind(trials: ExitStack, address: str, port: int, kind: socket.SocketKind) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        trial = trials.enter_context(closing(socket.socket(family, kind)))
        if family == socket.AF_INET6:
            trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        trial.bind((address, port))
    except OSError as error:
        if address in _ANY and error.errno in _NOT_ANYWHERE:
            return  # this machine does without this family
        if error.errno == errno.EADDRINUSE:
            raise Obstacle("port_in_use", f"port {port} is in use by another program") from None
        raise Obstacle("cannot_listen", f"cannot listen on port {port}: {error.strerror}") from None
