"""A WebSocket over TLS that stays open, by the bytes."""

from __future__ import annotations

import socket
import ssl

from harness.base_protocol import socket_path
from harness.websocket import PING, PONG, Frame, FrameReader, client_frame
from harness.wire import HOST, upgrade


def connect(port: int) -> ssl.SSLSocket:
    """Connect to any server, whatever its name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection((HOST, port), 30)
    return context.wrap_socket(plain)


class Line:
    """The WebSocket of one device over TLS."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = connect(port)
        self._reader = FrameReader()
        upgrade(self._socket, socket_path(token), "localhost")

    def answers(self) -> bool:
        """Send a ping; tell whether the pong comes, after pings of the server's at the most."""
        try:
            self._socket.sendall(client_frame(PING))
            while data := self._socket.recv(4096):
                for frame in self._reader.feed(data):
                    if frame.opcode != PING:
                        return frame == Frame(PONG, b"")
        except OSError:
            pass
        return False

    def close(self) -> None:
        """Leave."""
        self._socket.close()
