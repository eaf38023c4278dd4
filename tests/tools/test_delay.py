"""The proxy that delays all bytes."""

from __future__ import annotations

import socket
import threading
import time
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness.delay import delaying_proxy

DELAY: Final = 0.02


class DelayTests(SynchronousTestCase):
    """A client, the proxy, and a server that sends back what it gets."""

    def test_delay(self) -> None:
        """The bytes come back whole and in order after twice the delay, and an end is passed on."""
        with socket.create_server(("127.0.0.1", 0)) as server:

            def echo() -> None:
                connection, _ = server.accept()
                with connection:
                    while data := connection.recv(1024):
                        connection.sendall(data)

            thread = threading.Thread(target=echo)
            thread.start()
            with (
                delaying_proxy(server.getsockname()[1], DELAY) as port,
                socket.create_connection(("127.0.0.1", port)) as client,
            ):
                began = time.monotonic()
                sent = [b"%d," % number for number in range(100)]
                for part in sent:
                    client.sendall(part)
                client.shutdown(socket.SHUT_WR)
                found = b"".join(iter(lambda: client.recv(1024), b""))
                took = time.monotonic() - began
            thread.join()
        self.assertEqual(found, b"".join(sent))
        self.assertGreaterEqual(took, 2 * DELAY)
