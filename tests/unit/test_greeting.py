"""The messages of a start: all addresses, and the next things to try."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.ops.listening import OpenListener
from callnet.ops.startup_banner import greeting
from callnet.util.net import lan_name


@implementer(IListeningPort)
class Port:
    """A port that is open at an address."""

    def __init__(self, address: IAddress) -> None:
        self._address = address

    def getHost(self) -> IAddress:
        """The address."""
        return self._address

    def startListening(self) -> None:
        """It is open."""

    def stopListening(self) -> None:
        """It stays so."""


def at(service: str, host: str, port: int, tls: bool = False) -> OpenListener:
    """A listener at a TCP address."""
    address = IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)
    return OpenListener(f"listeners.{service}[0]", tls, Port(address))


DEFAULTS = (at("account", "127.0.0.1", 8083), at("signaling", "127.0.0.1", 8082), at("site", "127.0.0.1", 8080, True))
ADMIN = at("admin", "127.0.0.1", 8084)


class UrlTests(SynchronousTestCase):
    """Where a listener is reached."""

    def test_an_address_is_shown_as_it_is(self) -> None:
        """An address is shown as it is, and TLS by the scheme."""
        self.assertEqual(at("account", "10.0.0.5", 8083).url("http"), "http://10.0.0.5:8083")
        self.assertEqual(at("signaling", "10.0.0.5", 8082, tls=True).url("ws"), "wss://10.0.0.5:8082")

    def test_one_of_ipv6_stands_in_brackets(self) -> None:
        """An address of IPv6 stands in brackets."""
        self.assertEqual(at("account", "::1", 8083).url("http"), "http://[::1]:8083")

    def test_for_all_addresses_stands_one_that_others_reach(self) -> None:
        """For all addresses stands the one by which other machines reach the host."""
        for host in ("0.0.0.0", "::"):  # noqa: S104
            self.assertEqual(at("account", host, 8083).url("http"), f"http://{lan_name()}:8083")

    def test_a_unix_socket_has_a_path(self) -> None:
        """A UNIX socket has a path."""
        self.assertEqual(
            OpenListener("listeners.account[0]", False, Port(UNIXAddress(b"/run/x"))).url("http"), "unix:/run/x"
        )


class GreetingTests(SynchronousTestCase):
    """The lines to show."""

    def greet(self, *listeners: OpenListener, **facts: Any) -> str:
        """The lines as one text."""
        usual = {"self_signed": None, "open_on_network": False, "without_secret": 0, "program": "twistd"}
        usual["on_terminal"] = False
        return "\n".join(greeting(listeners, "/", "/page", **{**usual, **facts}))

    def test_every_service_has_a_line(self) -> None:
        """Every service has a line, with the path that clients need."""
        text = self.greet(*DEFAULTS, ADMIN)
        self.assertIn("\n  accounts   http://127.0.0.1:8083\n", text)
        self.assertIn("\n  signaling  ws://127.0.0.1:8082/socket.io\n", text)
        self.assertIn("\n  page       https://localhost:8080/page\n", text)
        self.assertIn("\n  admin      http://127.0.0.1:8084/readyz\n", text)

    def test_the_phone_comes_first(self) -> None:
        """The phone comes first: it is the first thing that a person tries, and the first proposal."""
        text = self.greet(*DEFAULTS)
        self.assertIn("is ready.\n  phone      https://localhost:8080/\n", text)
        self.assertIn("Try it: open https://localhost:8080/", text)

    def test_the_phone_needs_no_certificate_on_this_machine(self) -> None:
        """A site without TLS on this machine comes before one with a certificate, and nowhere else."""
        text = self.greet(*DEFAULTS, at("site", "127.0.0.1", 8081))
        self.assertIn("is ready.\n  phone      http://localhost:8081/\n  phone      https://localhost:8080/\n", text)
        self.assertIn("Try it: open http://localhost:8081/", text)
        text = self.greet(at("site", "10.0.0.5", 8080, True), at("site", "10.0.0.5", 8081))
        self.assertIn("is ready.\n  phone      https://10.0.0.5:8080/\n", text)

    def test_others_in_the_network_scan_it(self) -> None:
        """On a terminal, the address for other machines is shown as a QR code, too."""
        site = at("site", "10.0.0.5", 8080, True)
        self.assertIn("open https://10.0.0.5:8080/ or scan", self.greet(site, on_terminal=True))
        self.assertIn("█▄▄▄█", self.greet(site, on_terminal=True))
        self.assertNotIn("█", self.greet(site))
        self.assertNotIn("█", self.greet(*DEFAULTS, on_terminal=True))

    def test_without_a_site_there_is_no_phone(self) -> None:
        """Without a site there is no phone."""
        self.assertNotIn("phone      ", self.greet(*DEFAULTS[:2]))

    def test_so_has_every_further_listener(self) -> None:
        """Every further listener of a service is named, too."""
        self.assertEqual(self.greet(*DEFAULTS, at("account", "::1", 1)).count("accounts "), 2)

    def test_the_devices_to_try_need_no_options(self) -> None:
        """The devices to try need no options where everything is where they look."""
        self.assertIn("--answer accept\n", self.greet(*DEFAULTS))

    def test_the_command_is_the_one_beside_twistd(self) -> None:
        """The command to try is the one beside the program that runs, by its path unless it is found without."""
        folder = self.mktemp()
        os.mkdir(folder)
        self.assertIn("\n  callnet device", self.greet(*DEFAULTS, program=f"{folder}/twistd"))
        with open(f"{folder}/callnet", "w", opener=lambda path, flags: os.open(path, flags, 0o700)):
            self.assertIn(f"\n  {folder}/callnet device", self.greet(*DEFAULTS, program=f"{folder}/twistd"))

    def test_what_devices_do_not_look_for_is_no_option(self) -> None:
        """The operator's listener is not among those for devices."""
        self.assertIn("--answer accept\n", self.greet(*DEFAULTS, at("admin", "127.0.0.1", 1)))

    def test_elsewhere_they_are_told_where(self) -> None:
        """Elsewhere they are told where: at the first listener of each service."""
        text = self.greet(at("account", "127.0.0.1", 1), at("account", "127.0.0.1", 2), *DEFAULTS[1:])
        self.assertIn("--answer accept --account-url http://127.0.0.1:1\n", text)

    def test_without_plain_listeners_no_devices_are_to_be_tried(self) -> None:
        """Without listeners of their own for accounts and signaling no devices are to be tried."""
        self.assertNotIn("callnet device", self.greet(DEFAULTS[2]))

    def test_a_certificate_of_its_own_is_named(self) -> None:
        """A certificate that callnet signed is named, so that clients can trust it."""
        self.assertIn("/state/self-signed.crt", self.greet(*DEFAULTS, self_signed="/state/self-signed.crt"))

    def test_devices_without_a_secret_are_warned_of(self) -> None:
        """Devices that anybody on the network could be are counted."""
        self.assertIn("3 devices have no secret", self.greet(*DEFAULTS, without_secret=3))
        self.assertNotIn("no secret", self.greet(*DEFAULTS))

    def test_open_enrolment_on_the_network_is_warned_of(self) -> None:
        """Open enrolment on the network is warned of."""
        self.assertIn("Enrolment is open", self.greet(*DEFAULTS, open_on_network=True))
        self.assertNotIn("Enrolment is open", self.greet(*DEFAULTS))
