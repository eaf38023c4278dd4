"""Opening the listeners: on the real reactor, since it alone knows busy ports."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from typing import Any, Final, cast

from twisted.internet import reactor as installed
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from callnet.config.schema import Listener, ListenerSettings, SiteListener
from callnet.errors import StartError
from callnet.ops.certificates import ServerTls, sign
from callnet.ops.listening import OpenListener, close_all, hold, let_go, open_all

FREE: Final = "tcp:0:interface=127.0.0.1"

reactor: Any = installed


class Hello(Protocol):
    """Says hello and goodbye."""

    def connectionMade(self) -> None:
        """Say both."""
        assert self.transport is not None
        self.transport.write(b"hello")
        self.transport.loseConnection()


class ListeningTestCase(TestCase):
    """Opens listeners."""

    def open(self, *endpoints: str) -> list[OpenListener]:
        """Open these for the site, after one for each of the other services."""
        settings = ListenerSettings(
            account=(Listener(FREE),),
            signaling=(Listener(FREE),),
            admin=(),
            site=tuple(SiteListener(endpoint, tls=False) for endpoint in endpoints),
        )
        return self.open_settings(settings)

    def open_settings(self, settings: ListenerSettings, **sockets: Any) -> list[OpenListener]:
        """Open the listeners of these services; who connects is sent the word hello."""
        factories = {service: Factory.forProtocol(Hello) for service in ("account", "signaling", "site")}
        tls = ServerTls(sign(["localhost"], [], datetime.now(UTC)))
        listeners = list(open_all(reactor, settings.keyed(), factories, tls, **sockets))
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

    async def test_both_families(self) -> None:
        """One of IPv6 takes connections of IPv4 too, and those alone where there is no IPv6."""
        await self.check_families("127.0.0.1", "::1")
        self.patch(socket, "has_dualstack_ipv6", lambda: False)
        await self.check_families("127.0.0.1")

    async def check_families(self, *hosts: str) -> None:
        """Connect to one from each of these."""
        *_, site = self.open("tcp6:0")
        port = cast(Any, site.port).getHost().port
        for host in hosts:
            with socket.create_connection((host, port)) as client:
                self.assertEqual(b"hello", await deferToThread(client.recv, 5))

    def test_busy_port_of_both(self) -> None:
        """A port that another program has is said to be so."""
        *_, site = self.open("tcp6:0")
        port = cast(Any, site.port).getHost().port
        error = self.assertRaises(StartError, self.open, f"tcp6:{port}")
        self.assertRegex(str(error), f"^listeners.site.0..endpoint 'tcp6:{port}': Address already in use")


class SharedTests(ListeningTestCase):
    """Sockets that several processes take connections from. Here they are two listeners of one process."""

    def shared(self, endpoint: str) -> tuple[list[OpenListener], list[OpenListener]]:
        """A listener whose socket is held, and another that takes connections from the same socket."""
        settings = ListenerSettings(account=(Listener(endpoint),), signaling=(), site=(), admin=())
        held = self.open_settings(settings)
        sockets = {key: os.dup(descriptor) for key, descriptor in hold(held).items()}
        return held, self.open_settings(settings, sockets=sockets)

    def connect(self, listener: OpenListener) -> socket.socket:
        """Connect to a listener."""
        url = listener.url("http")
        family, address = (
            (socket.AF_UNIX, url.removeprefix("unix:"))
            if url.startswith("unix:")
            else (socket.AF_INET, ("127.0.0.1", int(url.rpartition(":")[2])))
        )
        client = socket.socket(family)
        self.addCleanup(client.close)
        client.connect(address)
        return client

    async def greeting_of(self, client: socket.socket) -> bytes:
        """The bytes that a connection is sent first."""
        return cast(bytes, await deferToThread(client.recv, 5))

    async def check_life(self, endpoint: str) -> None:
        """Have connections wait while nobody takes them; end in order."""
        held, taking = self.shared(endpoint)
        self.assertEqual(held[0].url("http"), taking[0].url("http"))
        self.assertEqual(await self.greeting_of(self.connect(held[0])), b"hello")
        await close_all(taking)
        waiting = self.connect(held[0])
        again = self.open_settings(
            ListenerSettings(account=(Listener(endpoint),), signaling=(), site=(), admin=()),
            sockets={held[0].key: os.dup(cast(Any, held[0].port).fileno())},
        )
        self.assertEqual(await self.greeting_of(waiting), b"hello")
        await let_go(held)
        await close_all(again)

    async def test_tcp(self) -> None:
        """Connections wait while nobody accepts them, and any process that accepts gets them."""
        await self.check_life(FREE)

    async def test_unix(self) -> None:
        """The same holds of UNIX sockets, whose path lasts as long as the socket is held."""
        path = self.mktemp()
        await self.check_life(f"unix:{path}:mode=600")
        self.assertFalse(os.path.exists(path))

    async def test_what_was_held_may_be_let_go_first(self) -> None:
        """A socket that was held may be let go while another process still takes connections from it."""
        held, taking = self.shared(FREE)
        await let_go(held)
        self.assertEqual(await self.greeting_of(self.connect(taking[0])), b"hello")

    async def test_no_line_of_the_log_holds_what_is_no_text(self) -> None:
        """The log has no NUL in it, which stands for a path that is not ours to remove."""
        with capturedLogs() as events:
            held, taking = self.shared(f"unix:{self.mktemp()}")
            await close_all(taking)
            await let_go(held)
        self.assertNotIn("\0", "".join(str(formatEvent(event)) for event in events))

    async def test_the_mode_of_a_path_stays(self) -> None:
        """The mode of a path is that which it was opened with."""
        path = self.mktemp()
        self.shared(f"unix:{path}:mode=600")
        self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)

    def test_services_without_a_factory_stay_closed(self) -> None:
        """The listeners of a service that nothing serves here are left alone."""
        tls = ServerTls(sign(["localhost"], [], datetime.now(UTC)))
        listeners = open_all(reactor, ListenerSettings().keyed(), {}, tls)
        self.assertEqual(listeners, [])

    def test_a_descriptor_that_is_no_socket(self) -> None:
        """A descriptor that is no socket is told with the key of its listener."""
        settings = ListenerSettings(account=(Listener(FREE),), signaling=(), site=(), admin=())
        descriptor = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        refused = self.assertRaises(
            StartError, self.open_settings, settings, sockets={"listeners.account[0]": descriptor}
        )
        self.assertEqual(str(refused), f"listeners.account[0].endpoint {FREE!r}: Socket operation on non-socket")


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
            self.assertEqual(
                self.refusal(f"systemd:domain=INET:{name}"),
                "systemd passed no such socket; check FileDescriptorName= in the socket unit",
            )

    def test_what_twisted_does_not_understand(self) -> None:
        """So is an endpoint that Twisted does not understand."""
        self.assertIn("color", self.refusal("tcp:0:interface=127.0.0.1:color=red"))
