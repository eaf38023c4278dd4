"""The sample of etc/ for coturn, with the real one: its users, its peers, and callnet's credentials."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.config.load import load
from callnet.config.schema import LimitSettings
from callnet.frames.ice import IceServer, turn_server
from callnet.ops.ice import IceServers, TurnSecret
from callnet.ops.limits import LimitsAlone
from harness.coturn import LOOPBACK, SAMPLE, Coturn
from tests.support.turn_case import SECRET
from tests.support.turn_client import TurnClient

OTHER: Final = "another-secret-of-the-same-server"
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
QUOTA_REACHED: Final = 486

INSIDE: Final = (
    "0.0.0.0",  # noqa: S104
    "0.255.255.255",
    "10.0.0.0",
    "10.255.255.255",
    "100.64.0.0",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.0",
    "172.31.255.255",
    "192.0.0.170",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
)
INSIDE_6: Final = (
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b:1::a00:1",
    "100::1",
    "2001::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
    "2002:a00:1::1",
    "3fff::1",
    "3fff:fff:ffff::1",
    "5f00::1",
    "fc00::1",
    "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    "fe80::1",
    "febf:ffff::1",
    "fec0::1",
    "ff02::1",
)
OUTSIDE: Final = ("1.0.0.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.0")
OUTSIDE_6: Final = ("2001:200::1", "2001:dc7::1", "2003::1", "2400::1", "2606:4700::1111", "2a00::1", "3ffe::1")


class CoturnCase(SynchronousTestCase):
    """A server with the sample's settings."""

    def begin(self, coturn: Coturn) -> Coturn:
        """Have one that was started go when the test is over."""
        self.addCleanup(coturn.close)
        return coturn

    def client(self, coturn: Coturn, server: IceServer, address: str | None = None) -> TurnClient:
        """A client with these credentials."""
        client = TurnClient((address or coturn.address, coturn.port), server.username, server.credential)
        self.addCleanup(client.close)
        return client

    def credentials(self, secret: str = SECRET, good_for: int = 60, name: str = "x") -> IceServer:
        """Credentials as callnet makes them."""
        return turn_server((), secret, int(time.time()) + good_for, name)


class CredentialsTests(CoturnCase):
    """The users that it serves."""

    def setUp(self) -> None:
        """A server that accepts two secrets."""
        self.server = self.begin(Coturn(SECRET, OTHER))

    def allocates(self, server: IceServer) -> int:
        """Ask with these credentials; the error code, or 0."""
        return self.client(self.server, server).allocate()

    def test_what_callnet_hands_out(self) -> None:
        """The credentials that callnet gives to a device, and to the page of a call, are valid."""
        path = self.mktemp()
        urls = ", ".join(f'"{url}"' for url in self.server.urls)
        Path(path).write_text(f'turn.urls = [{urls}]\nturn.secret = "{SECRET}"', encoding="utf-8")
        settings = load(path, {})
        ice = IceServers(
            settings.turn, TurnSecret(settings.turn.secret), LimitSettings(), LimitsAlone(time.time), time.time
        )
        for server in (*ice.for_device(None).ice_servers, *ice.for_call(None, 1.0).servers):
            self.assertEqual(0, self.allocates(server))

    def test_both_secrets(self) -> None:
        """Credentials by either of two secrets are good."""
        for secret in (SECRET, OTHER):
            self.assertEqual(0, self.allocates(self.credentials(secret)))

    def test_wrong(self) -> None:
        """Credentials by another secret, with another time or name, or none, are refused."""
        good = self.credentials()
        at, _, name = good.username.partition(":")
        for server in (
            self.credentials("z" * 32),
            IceServer((), f"{int(at) + 1}:{name}", good.credential),
            IceServer((), f"{at}:y", good.credential),
            IceServer((), at, good.credential),
            IceServer((), name, good.credential),
            IceServer((), good.username, ""),
            IceServer((), "", ""),
        ):
            self.assertEqual(UNAUTHORIZED, self.allocates(server))
        self.assertEqual(0, self.allocates(good))

    def test_expired(self) -> None:
        """When they have expired, even if it is a second ago, nothing is given for them any more."""
        for good_for in (-2, -86400):
            self.assertEqual(UNAUTHORIZED, self.allocates(self.credentials(good_for=good_for)))

    def test_expired_in_use(self) -> None:
        """Allocations made with credentials go on when these expire."""
        server = self.credentials(good_for=8)
        client = self.client(self.server, server)
        self.assertEqual(0, client.allocate())
        time.sleep(max(0.0, int(server.username.partition(":")[0]) + 1.1 - time.time()))  # its clock is the system's
        self.assertEqual(UNAUTHORIZED, self.allocates(server))
        self.assertEqual((0, 0), (client.refresh(), client.permit(OUTSIDE[0])))

    def test_rotation(self) -> None:
        """A secret comes and one goes while the server runs: allocations with the old one stay."""
        old = self.credentials(OTHER)
        client = self.client(self.server, old)
        self.assertEqual(0, client.allocate())
        new = "the-secret-that-comes-after-both-"
        self.assertEqual(UNAUTHORIZED, self.allocates(self.credentials(new)))
        self.server.add_secret(new)
        self.assertEqual([0, 0], [self.allocates(self.credentials(secret)) for secret in (new, OTHER)])
        self.server.remove_secret(OTHER)
        self.assertEqual(frozenset({SECRET, new}), self.server.secrets)
        self.assertEqual(UNAUTHORIZED, self.allocates(old))
        self.assertEqual((0, 0), (client.refresh(), client.permit(OUTSIDE[0])))

    def test_stun(self) -> None:
        """Anybody may ask for their address."""
        self.assertIsNotNone(self.client(self.server, IceServer(())).bind())

    def test_log(self) -> None:
        """It logs refused users, and no others, and nothing secret."""
        good, bad = self.credentials(), self.credentials("z" * 32, name="y")
        self.allocates(good), self.allocates(bad)
        for secret in (good.username, good.credential, bad.credential, SECRET, OTHER):
            self.assertNotIn(secret, self.server.log())

    def test_tls(self) -> None:
        """It speaks TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection((self.server.address, self.server.tls_port)) as plain,
            context.wrap_socket(plain) as secure,
        ):
            self.assertIn(secure.version(), ("TLSv1.2", "TLSv1.3"))

    def test_again(self) -> None:
        """It can be stopped and started again at the same place."""
        self.server.stop()
        self.server.start()
        self.assertEqual(0, self.allocates(self.credentials()))


class PeersTests(CoturnCase):
    """The peers that it relays to."""

    def test_inside(self) -> None:
        """Nothing is relayed to an address that is not global, IPv4 or IPv6."""
        server = self.begin(Coturn(SECRET, addresses=("127.0.0.1", "::1")))
        client = self.client(server, self.credentials())
        self.assertEqual(0, client.allocate())
        self.assertEqual([], [peer for peer in INSIDE if client.permit(peer) != FORBIDDEN])
        self.assertEqual([], [peer for peer in OUTSIDE if client.permit(peer)])

        client = self.client(server, self.credentials(), "::1")
        self.assertEqual(0, client.allocate_ipv6())
        self.assertEqual([], [peer for peer in INSIDE_6 if client.permit(peer) != FORBIDDEN])
        self.assertEqual([], [peer for peer in OUTSIDE_6 if client.permit(peer)])

    def test_allowed(self) -> None:
        """For other tests loopback can be allowed, and nothing else is by that."""
        client = self.client(self.begin(Coturn(SECRET, peers=LOOPBACK)), self.credentials())
        self.assertEqual(0, client.allocate())
        self.assertEqual([0, FORBIDDEN], [client.permit(peer) for peer in ("127.0.0.1", "10.0.0.1")])


class QuotaTests(CoturnCase):
    """The quotas."""

    def test_user(self) -> None:
        """The number of allocations of a user is limited; another one has its own."""
        server = self.begin(Coturn(SECRET, settings=[("user-quota", "3")]))
        codes = [self.client(server, self.credentials()).allocate() for _ in range(5)]
        self.assertEqual([0, 0, 0, QUOTA_REACHED, QUOTA_REACHED], codes)
        self.assertEqual(0, self.client(server, self.credentials(name="y")).allocate())

    def test_all(self) -> None:
        """The number of allocations of all users together is limited."""
        server = self.begin(Coturn(SECRET, settings=[("total-quota", "3")]))
        codes = [self.client(server, self.credentials(name=str(number))).allocate() for number in range(5)]
        self.assertEqual([0, 0, 0, QUOTA_REACHED, QUOTA_REACHED], codes)


class SampleTests(SynchronousTestCase):
    """The sample itself."""

    def test_no_secret(self) -> None:
        """It comes with no secret that anybody could know."""
        settings = [line for line in SAMPLE.read_text(encoding="utf-8").splitlines() if line and line[0] != "#"]
        self.assertIn("use-auth-secret", settings)
        self.assertEqual([], [line for line in settings if "secret=" in line or line.startswith("user=")])
