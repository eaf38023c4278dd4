"""Opening the listeners: on the real reactor, since it alone knows what is busy."""

from __future__ import annotations

import socket
from datetime import UTC, datetime
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from callnet.config import Listener, ListenerSettings, SiteListener
from callnet.errors import StartError
from callnet.operations.certificates import ServerTls, server_context, sign
from callnet.operations.listening import OpenListener, close_all, open_all

FREE: Final = "tcp:0:interface=127.0.0.1"

reactor: Any = installed


class ListeningTestCase(TestCase):
    """Opens listeners."""

    def open(self, *endpoints: str) -> list[OpenListener]:
        """Open these for the site, after one for each of the other services."""
        settings = ListenerSettings(
            account=(Listener(FREE),),
            signaling=(Listener(FREE),),
            site=tuple(SiteListener(endpoint, tls=False) for endpoint in endpoints),
        )
        factories = {service: Factory.forProtocol(Protocol) for service in ("account", "signaling", "site")}
        tls = ServerTls(server_context(sign(["localhost"], [], datetime.now(UTC))))
        listeners = list(open_all(reactor, settings, factories, tls))
        self.addCleanup(close_all, listeners)
        return listeners


class OpenTests(ListeningTestCase):
    """Listeners that can be opened."""

    def test_the_kernel_may_choose_the_port(self) -> None:
        """The kernel may choose the port, which the URL then has."""
        account, signaling, site = self.open(FREE)
        self.assertEqual([each.service for each in (account, signaling, site)], ["account", "signaling", "site"])
        ports = [int(each.url("http").rpartition(":")[2]) for each in (account, signaling, site)]
        self.assertEqual(len(set(ports) - {0}), 3)

    async def test_they_take_connections(self) -> None:
        """They take connections until they are closed."""
        listeners = self.open(FREE)
        port = int(listeners[0].url("http").rpartition(":")[2])
        socket.create_connection(("127.0.0.1", port)).close()
        await close_all(listeners)
        self.assertRaises(OSError, socket.create_connection, ("127.0.0.1", port))

    def test_several_may_serve_one_service(self) -> None:
        """Several may serve one service, of IPv6 and of UNIX too."""
        path = self.mktemp()
        *_, ipv6, unix = self.open("tcp6:0:interface=\\:\\:1", f"unix:{path}")
        self.assertRegex(ipv6.url("http"), r"^http://\[::1\]:[0-9]+$")
        self.assertEqual(unix.url("http"), f"unix:{path}")


class RefusalTests(ListeningTestCase):
    """Listeners that cannot be opened. None is left open then, or the reactor would not be clean."""

    def refusal(self, endpoint: str) -> str:
        """Why this one cannot be opened, after others that can."""
        error = str(self.assertRaises(StartError, self.open, FREE, endpoint))
        self.assertTrue(error.startswith(f"listeners.site[1].endpoint {endpoint!r}: "), error)
        return error.removeprefix(f"listeners.site[1].endpoint {endpoint!r}: ")

    def test_a_busy_port(self) -> None:
        """A busy port is named with its setting."""
        busy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(busy.close)
        port = busy.getsockname()[1]
        self.assertEqual(self.refusal(f"tcp:{port}:interface=127.0.0.1"), "Address already in use")

    def test_an_address_of_another_host(self) -> None:
        """So is an address that this host does not have."""
        self.assertEqual(self.refusal("tcp:0:interface=203.0.113.1"), "Cannot assign requested address")

    def test_a_path_in_a_folder_that_is_not_there(self) -> None:
        """So is a path in a folder that is not there."""
        self.assertEqual(self.refusal("unix:/nowhere/socket"), "No such file or directory")

    def test_a_socket_that_systemd_did_not_hand_over(self) -> None:
        """So is a socket that systemd did not hand over."""
        for name in ("name=x", "index=0"):
            self.assertEqual(self.refusal(f"systemd:domain=INET:{name}"), "systemd has handed over no such socket")

    def test_what_twisted_does_not_understand(self) -> None:
        """So is what Twisted does not understand."""
        self.assertIn("color", self.refusal("tcp:0:interface=127.0.0.1:color=red"))
