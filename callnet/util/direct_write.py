"""Direct writes to a connection.

Twisted keeps what is written until the reactor's next turn finds the connection writable. For a short frame
on an idle connection that means two more system calls and a turn. :func:`write` sends it there and then if
nothing else waits to be sent, and leaves what the system does not take to the transport, which knows about
producers, closing and errors.

Over TLS Twisted collects small writes for a turn, and only then writes them as above. :func:`write` encrypts what
it is given there and then, too, if nothing waits on either side of the encryption.

Twisted's stable API does not tell whether anything waits. So this is done only for versions of Twisted that it was
tested with, on known kinds of transports, and in no other module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet import tcp, unix
from twisted.protocols.tls import BufferingTLSTransport

import twisted
from callnet.util import short_path

TRIED_WITH: Final = frozenset({"26.10.0"})
"""Versions of Twisted whose transports are as :func:`_write_at_once` takes them to be."""

_PLAIN: Final = frozenset({tcp.Server, tcp.Client, unix.Client})
_RECORD: Final = 8192
"""Longer messages over TLS are left to Twisted: they must be cut into records."""


def _write(transport: Any, data: bytes) -> None:
    transport.write(data)


def _write_at_once(transport: Any, data: bytes) -> None:
    kind = type(transport)
    if kind in _PLAIN:
        if (
            transport.connected
            and not transport._tempDataBuffer  # noqa: SLF001
            and not transport.dataBuffer
            and not transport.disconnecting
            and not transport._aborting  # noqa: SLF001
            and not transport._writeDisconnecting  # noqa: SLF001
        ):
            try:
                sent = transport.socket.send(data)
            except OSError:  # it is full, or broken: the transport will find out and do what is right
                sent = 0
            if sent == len(data):
                return
            data = data[sent:]
    elif kind is BufferingTLSTransport and len(data) <= _RECORD and _encrypts_at_once(transport):
        connection = transport.getHandle()
        try:
            connection.send(data)
        except SSL.Error:  # the transport will come to the same, and do what is right
            transport.write(data)
        else:
            _write_at_once(transport.transport, connection.bio_read(4 * _RECORD))
        return
    transport.write(data)


def _encrypts_at_once(transport: Any) -> bool:
    return (
        transport._handshakeDone  # noqa: SLF001
        and not transport.disconnecting
        and not transport._aborted  # noqa: SLF001
        and not transport._lostTLSConnection  # noqa: SLF001
        and not transport._appSendBuffer  # noqa: SLF001
        and not transport._aggregator._buffer  # noqa: SLF001
    )


def choose(version: str, wanted: bool) -> Callable[[Any, bytes], None]:
    """The way to write with a version of Twisted: directly if that is wanted and the version is known."""
    return _write_at_once if wanted and version in TRIED_WITH else _write


IS_TRIED: Final = twisted.__version__ in TRIED_WITH
write: Final = choose(twisted.__version__, short_path.ON)
"""Write to a stream transport of Twisted, as its own ``write`` would, and at once where that is possible."""
