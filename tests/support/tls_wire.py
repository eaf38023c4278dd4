"""One TLS connection to a real factory, without a socket."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from callnet.ops.certificates import ServerTls, sign
from tests.support.http_wire import PEER
from tests.support.transport import Transport

_TLS: Final = ServerTls(sign(["callnet.test"], [], datetime(2026, 1, 1, tzinfo=UTC)))
_RECORD: Final = 16_000


class TlsWire:
    """The client's end of a connection.

    :param shakes_hands: whether it begins with the handshake, as it should.
    """

    def __init__(self, factory: IProtocolFactory, clock: Clock, shakes_hands: bool = True) -> None:
        self._clock = clock
        self._received = b""
        self._left = False
        self.transport = Transport(peerAddress=PEER)
        self.transport.protocol = TLSMemoryBIOFactory(_TLS, False, factory, clock).buildProtocol(PEER)
        self.transport.protocol.makeConnection(self.transport)
        self._tls = SSL.Connection(SSL.Context(SSL.TLS_METHOD), None)
        self._tls.set_connect_state()
        while shakes_hands and not self.closed:
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                self._exchange()
            else:
                self._exchange()
                return

    @property
    def closed(self) -> bool:
        """True if the server has closed the connection below TLS."""
        return self.transport.ended_by is not None

    def send(self, data: bytes) -> None:
        """Send some bytes, unless the server has closed the connection."""
        for place in range(0, len(data), _RECORD):
            if not self.closed:
                self._tls.send(data[place : place + _RECORD])
                self._exchange()

    def received(self) -> bytes:
        """All that the server has sent so far."""
        self._exchange()
        return self._received

    def leave(self) -> None:
        """Let the connection break."""
        if not self._left:
            self._left = True
            self.transport.protocol.connectionLost(Failure(ConnectionLost()))

    def _exchange(self) -> None:
        """Carry the pending bytes. The client does not answer the end of TLS."""
        with suppress(SSL.WantReadError):
            while not self.closed:
                self.transport.protocol.dataReceived(self._tls.bio_read(65536))
        self._clock.advance(0)
        data = self.transport.read()
        if data:
            self._tls.bio_write(data)
        with suppress(SSL.Error):
            while True:
                self._received += self._tls.recv(65536)
