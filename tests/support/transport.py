"""The server's end of a connection in memory."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.testing import StringTransport

_BUFFER: Final = 65536


class Transport(StringTransport):
    """The server's end of a wire. As with a real one, a connection ends later than it is closed."""

    protocol: Any
    is_full = False
    has_no_delay = False
    ended_by: type[Exception] | None = None

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Let small writes wait for nothing, or for acknowledgements."""
        self.has_no_delay = enabled

    def write(self, data: bytes) -> None:
        """Take bytes for the client; if it does not read, tell their producer."""
        if self.ended_by is ConnectionAborted:
            return
        super().write(data)  # type: ignore[no-untyped-call]
        if len(self.value()) > _BUFFER and not self.is_full and self.producer is not None:
            self.is_full = True
            self.producer.pauseProducing()

    def read(self) -> bytes:
        """Let the client read all that was written."""
        data: bytes = self.value()
        self.clear()
        if self.is_full and self.producer is not None:
            self.is_full = False
            self.producer.resumeProducing()
        return data

    def loseConnection(self) -> None:
        """Close, after all that was written has gone out."""
        self.disconnecting = True
        self.ended_by = self.ended_by or ConnectionDone

    def abortConnection(self) -> None:
        """Close at once."""
        self.disconnecting = True
        self.ended_by = ConnectionAborted

    def unregisterProducer(self) -> None:
        """Forget the producer; a real transport does not mind if there is none."""
        self.producer = self.streaming = None

    def resumeProducing(self) -> None:
        """Read again; a real transport does not mind if it is closing."""
        self.producerState = "producing"

    def pauseProducing(self) -> None:
        """Stop reading for now."""
        self.producerState = "paused"
