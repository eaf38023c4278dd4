"""A server that sends back whatever it is sent, by callnet's own WebSocket: ``python -m acceptance.echo``.

It prints the port that it listens on, on 127.0.0.1, and serves until SIGTERM. Nothing of it is in the daemon.
"""

from __future__ import annotations

from typing import Any

from callnet.ws.factory import ServerSocketFactory
from callnet.ws.handshake import Opening
from callnet.ws.protocol import ServerSocket

LONGEST = 32 * 1024 * 1024
"""Bytes: the longest messages of the test suite have half of it."""


class Echo(ServerSocket):
    """One socket."""

    def admit(self, opening: Opening) -> None:  # noqa: ARG002
        """Let everybody in."""
        self.session = self

    def opened(self) -> None:
        """Wait."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Send a message back; other sockets of callnet take texts only."""
        if isBinary:
            self.sendMessage(payload, isBinary=True)
        else:
            super().onMessage(payload, isBinary)

    def received(self, payload: bytes) -> None:
        """Send a text back."""
        self.send(payload)

    def gone(self) -> None:
        """Forget it."""


def main() -> None:
    """Serve."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    factory = ServerSocketFactory(Echo, reactor, LONGEST, unread_max=2 * LONGEST)
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main()
