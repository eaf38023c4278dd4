"""Short paths through Twisted, and the one switch of all short paths.

Where most of the time went, callnet has a way of its own beside the general one of its libraries: it reads
and writes short frames, reads plain handshakes, and hands what is written to the system at once. With
``CALLNET_SHORT_PATH=off`` in the environment everything goes the general way. Nothing else changes, which is
what the tests that compare both are for.

**Direct writes.** Twisted keeps what is written until the reactor's next turn finds the connection writable. For a
short frame on an idle connection that means two more system calls and a turn. :func:`write` sends it there and then if
nothing else waits to be sent, and leaves what the system does not take to the transport, which knows about
producers, closing and errors. Over TLS Twisted collects small writes for a turn, and only then writes them as above.
:func:`write` encrypts what it is given there and then, too, if nothing waits on either side of the encryption.

**Shorter turns.** Around each event Twisted sets up a context that names its owner, for log messages of a kind that
callnet does not write. That takes as long as handling a short frame itself. :func:`shorten` makes a reactor call the
handlers only.

Twisted's stable API neither tells whether anything waits nor lets a reactor be changed. So this is done only for
versions of Twisted that it was tested with, on known kinds of transports and reactors, and in no other module.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet import tcp, unix
from twisted.internet.epollreactor import EPollReactor
from twisted.protocols.tls import BufferingTLSTransport

import twisted
from callnet.util.logger import Logger

log = Logger()

ON: Final = os.environ.get("CALLNET_SHORT_PATH", "on") != "off"
"""True unless everything is to go the general way."""

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
write: Final = choose(twisted.__version__, ON)
"""Write to a stream transport of Twisted, as its own ``write`` would, and at once where that is possible."""


def shorten(reactor: Any) -> None:
    """Shorten the turns of a reactor, if it is one of those that are known."""
    if ON and IS_TRIED and type(reactor) is EPollReactor:
        reactor.doIteration = partial(_turn, reactor)  # type: ignore[method-assign]


def _turn(reactor: Any, timeout: float | None) -> None:
    """Wait for events, at most ``timeout`` seconds, and handle them."""
    selectables = reactor._selectables  # noqa: SLF001
    handle = reactor._doReadOrWrite  # noqa: SLF001
    try:
        events = reactor._poller.poll(-1 if timeout is None else timeout, len(selectables))  # noqa: SLF001
    except InterruptedError:
        return
    for descriptor, event in events:
        selectable = selectables.get(descriptor)
        if selectable is not None:
            try:
                handle(selectable, descriptor, event)
            except Exception:  # noqa: BLE001  the next event has nothing to do with it
                log.failure("failed to handle a reactor event")
