"""The servers by which clients reach each other: credentials, addresses, and who gets how many."""

from __future__ import annotations

from math import inf
from typing import Any, Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import LimitSettings, RelaySettings, TurnSettings
from callnet.errors import RateLimited
from callnet.frames.ice import IceServer, is_secret, is_stun_uri, is_turn_uri, turn_server
from callnet.ops.ice import IceServers, TurnSecret
from callnet.ops.limits import LimitsAlone
from tests.support.turn_case import HOUR, SECRET, STUN, TURN, TURN_URIS, expiry, password

NOW: Final = 1_700_000_000.75
SITE: Final = "192.0.2.7"


def as_told(servers: object) -> Any:
    """The servers as a client reads them."""
    return msgspec.json.decode(msgspec.json.encode(servers))


class CredentialTests(SynchronousTestCase):
    """The credentials that a TURN server accepts."""

    def test_vector(self) -> None:
        """The user name is the time of expiry and a name, the password its HMAC-SHA1 (this one as OpenSSL makes it)."""
        server = turn_server(TURN_URIS, SECRET, 1_700_000_000, "0123456789abcdef01234567")
        self.assertEqual(
            IceServer(TURN_URIS, "1700000000:0123456789abcdef01234567", "0uriOHSXwWuV5gEP3PWtMd2Llps="), server
        )

    @given(
        st.integers(0, 2**33),
        st.from_regex("[0-9a-f]{1,40}", fullmatch=True),
        st.from_regex("[!-~]{32,127}", fullmatch=True),
    )
    def test_any(self, expires_at: int, name: str, secret: str) -> None:
        """Whatever the input: the time is before the first colon."""
        server = turn_server(TURN_URIS, secret, expires_at, name)
        self.assertEqual((str(expires_at), ":", name), server.username.partition(":"))
        self.assertEqual(password(server.username, secret), server.credential)

    def test_json(self) -> None:
        """They are told as browsers take them: a server without credentials names none."""
        self.assertEqual({"urls": ["stun:a"]}, as_told(IceServer(["stun:a"])))
        told = as_told(turn_server(["turn:a"], SECRET, 1, "x"))
        self.assertEqual(["urls", "username", "credential"], list(told))

    def test_secrets(self) -> None:
        """A secret has 32 to 127 characters, of ASCII and without blanks."""
        for secret in ("x" * 32, "x" * 127, "!~#=" * 20):
            self.assertTrue(is_secret(secret))
        for secret in ("", "x" * 31, "x" * 128, "x" * 32 + "\n", "x " * 20, "é" * 40, "x" * 40 + "\0"):
            self.assertFalse(is_secret(secret), secret)


class UriTests(SynchronousTestCase):
    """The addresses of servers: one that is wrong, and a browser opens no connection at all."""

    def test_hosts(self) -> None:
        """A host is a name or an address, perhaps with a port."""
        for host in ("turn.example.org", "a", "a-1.b2", "192.0.2.1", "[2001:db8::1]", "[::ffff:192.0.2.1]", "x" * 63):
            for port in ("", ":1", ":3478", ":65535"):
                for scheme, is_uri in (("stun", is_stun_uri), ("turn", is_turn_uri)):
                    for secure in ("", "s"):
                        self.assertTrue(is_uri(f"{scheme}{secure}:{host}{port}"), host + port)

    def test_wrong_hosts(self) -> None:
        """Whatever else stands there is none."""
        for host in (
            "",
            ":3478",
            "a:",
            "a:0",
            "a:65536",
            "a:123456",
            "a:x",
            "//a",
            "a/",
            "a b",
            "a\n",
            "-a.org",
            "a-.org",
            "a..org",
            "a.org.",
            ".a",
            "é.org",
            "a_b",
            "user@a",
            "x" * 64,
            "a." * 127 + "a",
            "256.0.0.1",
            "1.2.3",
            "7",
            "a.7",
            "2001:db8::1",
            "[2001:db8::1",
            "[::1%lo]",
            "[192.0.2.1]",
            "[]",
            "a?transport=sctp",
            "a?transport=",
            "a?transport=UDP",
            "a?",
            "a#x",
        ):
            self.assertFalse(is_stun_uri(f"stun:{host}"), host)
            self.assertFalse(is_turn_uri(f"turn:{host}"), host)

    def test_transports(self) -> None:
        """TURN may name a transport, STUN may not (RFC 7064, RFC 7065)."""
        for transport in ("udp", "tcp"):
            self.assertTrue(is_turn_uri(f"turn:a:1?transport={transport}"))
            self.assertTrue(is_turn_uri(f"turns:[::1]?transport={transport}"))
            self.assertFalse(is_stun_uri(f"stun:a:1?transport={transport}"))

    def test_schemes(self) -> None:
        """One is not taken for the other."""
        for uri in ("stun:a", "stuns:a", "turnss:a", "TURN:a", "http:a", "a", ""):
            self.assertFalse(is_turn_uri(uri))
        for uri in ("turn:a", "turns:a", "stunss:a", "STUN:a", "https:a", "a", ""):
            self.assertFalse(is_stun_uri(uri))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """Any text can be asked about."""
        for uri in (text, f"stun:{text}", f"turn:{text}", f"turn:[{text}]"):
            self.assertFalse(is_stun_uri(uri) and is_turn_uri(uri))


class IceServersTests(SynchronousTestCase):
    """The servers for each client. An address gets two credentials a minute."""

    def setUp(self) -> None:
        """Begin at some time."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.secret = TurnSecret(SECRET)
        self.ice = self.servers(TURN)

    def servers(self, settings: TurnSettings) -> IceServers:
        """The source of servers with these settings."""
        limits = LimitSettings(turn_credentials_a_minute_from_an_address=2)
        return IceServers(settings, self.secret, limits, LimitsAlone(self.clock.seconds), self.clock.seconds)

    def expiry(self, servers: object, secret: str = SECRET) -> int | None:
        """The expiry of the credentials."""
        return expiry(as_told(servers), secret)

    def test_device(self) -> None:
        """A device gets credentials for as long as is set."""
        offer = self.ice.for_device(SITE)
        self.assertEqual(HOUR, offer.expires_in)
        self.assertEqual(int(NOW) + HOUR, self.expiry(offer.ice_servers))
        self.assertEqual(int(NOW) + HOUR, self.expiry(self.ice.for_newcomer(SITE)))

    def test_network(self) -> None:
        """To an IPv6 /48 go ten times as many as to an address; devices and pages have them together."""
        for number in range(10):
            site = f"2001:db8:1:{number:x}::/64"
            self.ice.for_device(site)
            self.assertIsNotNone(self.expiry(self.ice.for_call(site, inf).servers))
        self.assertRaises(RateLimited, self.ice.for_device, "2001:db8:1:ffff::/64")
        self.ice.for_device("2001:db8:2::/64")
        self.clock.advance(3)
        self.ice.for_device("2001:db8:1:ffff::/64")

    def test_names(self) -> None:
        """Each time they are in another name: a server has a quota for each."""
        names = {self.ice.for_device(None).ice_servers[1].username for _ in range(50)}
        self.assertEqual(50, len(names))

    def test_call(self) -> None:
        """In a call they are good until it has to end, or for as long as is set; then there are others in time."""
        for seconds, lasts, good_for in (
            (10.0, 10, inf),
            (10.9, 10, inf),
            (3600.0, 3600, inf),
            (3601.0, 3600, 1800.0),
            (1e9, 3600, 1800.0),
        ):
            told = self.ice.for_call(None, seconds)
            self.assertEqual(int(NOW) + lasts, self.expiry(told.servers))
            self.assertEqual(good_for, told.good_for, seconds)

    @given(st.floats(-1e6, 1e9))
    def test_never_longer_than_the_call(self, seconds: float) -> None:
        """However long a call may last still: credentials do not last longer."""
        until = self.expiry(self.ice.for_call(None, seconds).servers)
        if until is not None:
            self.assertLessEqual(until - NOW, min(seconds, HOUR))
        else:
            self.assertLess(seconds, 1)

    def test_call_that_is_about_to_end(self) -> None:
        """A call that must end at once needs none."""
        for seconds in (0.9, 0.0, -7.0):
            self.assertIsNone(self.expiry(self.ice.for_call(SITE, seconds).servers))
        self.assertEqual({"device": 0, "page": 0}, self.ice.given)

    def test_made_up_room(self) -> None:
        """In a room that was made up by hand there is STUN alone, unless the operator wants more."""
        self.assertIsNone(self.expiry(self.ice.for_made_up_room(SITE).servers))
        generous = self.servers(msgspec.structs.replace(TURN, adhoc=True))
        told = generous.for_made_up_room(SITE)
        self.assertEqual((int(NOW) + HOUR, HOUR / 2), (self.expiry(told.servers), told.good_for))

    def test_limit(self) -> None:
        """An address that had too many is told when to ask again, or of STUN alone, for every client there."""
        self.ice.for_device(SITE)
        self.ice.for_call(SITE, 100.0)
        self.assertEqual(30, self.assertRaises(RateLimited, self.ice.for_device, SITE).retry_after)
        self.assertIsNone(self.expiry(self.ice.for_newcomer(SITE)))
        told = self.ice.for_call(SITE, 100.0)
        self.assertIsNone(self.expiry(told.servers))
        self.assertAlmostEqual(30, told.good_for)
        self.assertIsNotNone(self.expiry(self.ice.for_newcomer("192.0.2.8")))
        self.assertIsNotNone(self.expiry(self.ice.for_newcomer(None)))
        self.assertEqual(({"device": 3, "page": 1}, {"device": 2, "page": 1}), (self.ice.given, self.ice.refused))
        self.clock.advance(30)
        self.assertIsNotNone(self.expiry(self.ice.for_call(SITE, 100.0).servers))

    def test_another_secret(self) -> None:
        """A new secret makes all later credentials."""
        self.secret.value = "y" * 40
        self.assertIsNotNone(self.expiry(self.ice.for_newcomer(SITE), "y" * 40))

    def test_relays_change(self) -> None:
        """After a reload clients are told of the relays that there are then."""
        settings = msgspec.structs.replace(TURN, urls=(), stun=(), relays=(RelaySettings(("turn:a.example",)),))
        ice = self.servers(settings)
        settings.relays = (RelaySettings(("turn:b.example",), ("stun:b.example",)),)
        ice.changed()
        stun, turn = ice.for_newcomer(SITE)
        self.assertEqual((["stun:b.example"], ["turn:b.example"]), (stun.urls, turn.urls))
        settings.relays = ()
        ice.changed()
        self.assertEqual([], as_told(ice.for_newcomer(SITE)))

    def test_no_turn(self) -> None:
        """Without a TURN server nothing is counted, and everybody gets STUN, if there is that."""
        for stun in ((), TURN.stun):
            ice = self.servers(TurnSettings(stun=stun, adhoc=True))
            for _ in range(5):
                for told in (
                    ice.for_device(SITE).ice_servers,
                    ice.for_newcomer(SITE),
                    ice.for_call(SITE, 100.0).servers,
                    ice.for_made_up_room(SITE).servers,
                ):
                    self.assertEqual(STUN if stun else [], as_told(told))
            self.assertEqual(inf, ice.for_call(SITE, 1e6).good_for)
            self.assertEqual(({"device": 0, "page": 0}, {"device": 0, "page": 0}), (ice.given, ice.refused))
