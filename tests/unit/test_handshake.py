"""Opening a device's socket, and the devices that may open one (protocol §2)."""

from __future__ import annotations

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.config.schema import SignalingSettings
from callnet.model import DeviceAddress
from callnet.ws.device_socket import SignalingFactory
from tests.support.quiet import QuietTestCase
from tests.support.unlimited import ALONE, NO_SERVERS, UNLIMITED
from tests.support.wires import Wire, World

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")


class HandshakeCase(QuietTestCase):
    """Handshakes with a good token, which must never be logged."""

    def setUp(self) -> None:
        """Make a token."""
        super().setUp()
        self.token = self.world.tokens.issue(TV)
        self.secrets += [self.token, self.token.rsplit(".", 1)[1]]

    def ask(self, path: str | None = None, method: str = "GET", **headers: str | None) -> Wire:
        """Ask for an upgrade; with a good token if nothing else is said."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.world.ask(path or f"/socket.io?token={self.token}", named, method=method)

    def assert_refused(self, wire: Wire, status: int) -> None:
        """The upgrade was refused, the connection is gone, nobody was connected, and nothing was said too much."""
        self.assertEqual(wire.status, status)
        self.assertTrue(wire.lost)
        self.assertEqual(self.world.signaling.sockets, {})
        self.assertNotIn(self.token, wire.head)
        self.assert_says_little(wire)

    def assert_says_little(self, wire: Wire) -> None:
        """Assert that the answer does not name the server's software."""
        for word in ("server:", "autobahn", "twisted"):
            self.assertNotIn(word, wire.head.lower())


class HandshakeTests(HandshakeCase):
    """Admission to a socket."""

    def test_accepted(self) -> None:
        """A good token opens a socket by either spelling of the path."""
        for path in ("/socket.io", "/socket.io/"):
            wire = self.ask(f"{path}?token={self.token}")
            self.assertEqual(wire.status, 101)
            self.assert_says_little(wire)
            self.assertIn("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", wire.head)

    def test_other_parameters(self) -> None:
        """Other parameters in the query do not matter."""
        self.assertEqual(self.ask(f"/socket.io?EIO=3&token={self.token}&transport=websocket").status, 101)

    def test_bearer(self) -> None:
        """A native client may send its token in the Authorization header instead."""
        for scheme in ("Bearer", "bearer"):
            self.assertEqual(self.ask("/socket.io", Authorization=f"{scheme} {self.token}").status, 101)

    def test_token_in_the_query_counts(self) -> None:
        """A token in the query goes before one in the header."""
        self.assert_refused(self.ask("/socket.io?token=x", Authorization=f"Bearer {self.token}"), 401)

    def test_no_token(self) -> None:
        """Without a token the answer is 401."""
        for path in ("/socket.io", "/socket.io?token", "/socket.io?token=", "/socket.io?Token=" + self.token):
            self.assert_refused(self.ask(path), 401)
        self.assert_refused(self.ask("/socket.io", Authorization=f"Basic {self.token}"), 401)

    def test_bad_token(self) -> None:
        """A malformed, forged or altered token is answered by 401."""
        forger = Tokens(KeyRing.of(Key.of(b"f" * 32)), 3600, self.world.clock.seconds)
        head, body, signature = self.token.split(".")
        none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
        for token in (
            "x",
            "%00",
            "%ff%fe",
            "%E4%BD%A0",
            "..",
            f"{head}.{body}.",
            f"{none}.{body}.",
            f"{head}.{body}.{signature[::-1]}",
            forger.issue(TV),
            self.token + "x",
            "x" * 4000,
        ):
            self.assert_refused(self.ask(f"/socket.io?token={token}"), 401)

    def test_expired_token(self) -> None:
        """An expired token opens nothing, and closes nothing that is open."""
        device = self.world.device(*TV)
        self.world.clock.advance(6 * 86400)
        self.world.settle()
        device.say("nothing")
        self.world.clock.advance(86400)
        self.assertEqual(self.ask().status, 401)
        device = self.world.device(*TV)
        device.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(device.hears()["reason"], "offline")

    def test_other_path(self) -> None:
        """Any other path is answered by 404, whatever the token."""
        for path in ("/", "/socket.io/x", "/socket.iox", "//socket.io", "/Socket.io", "/room", "*", "/%73ocket.io"):
            self.assert_refused(self.ask(f"{path}?token={self.token}"), 404)

    def test_draining(self) -> None:
        """A server that stops answers 503 and when to come again."""
        self.world.signaling.shut_down()
        wire = self.ask()
        self.assert_refused(wire, 503)
        self.assertIn("\r\nRetry-After: ", wire.head)

    def test_first_look(self) -> None:
        """So does a server that has not read the revoked tokens yet, whatever the client speaks."""
        self.world.revocations.as_of = None
        for offered in ({}, {"Sec-WebSocket-Protocol": "callnet.v2"}):
            wire = self.ask(**offered)
            self.assert_refused(wire, 503)
            self.assertIn("\r\nRetry-After: ", wire.head)
        self.world.revocations.as_of = 0.0
        self.assertEqual(self.ask().status, 101)

    def test_no_websocket(self) -> None:
        """A request that is not for a WebSocket of version 13 is refused by a status."""
        self.assert_refused(self.ask(Upgrade=None), 426)
        self.assert_refused(self.ask(Upgrade="h2c"), 400)
        self.assert_refused(self.ask(Connection="close"), 400)
        self.assert_refused(self.ask(Connection=None), 400)
        self.assert_refused(self.ask(Host=None), 400)
        self.assert_refused(self.ask(Host="callnet.test:http"), 400)
        self.assert_refused(self.ask(Sec_WebSocket_Key=None), 400)
        self.assert_refused(self.ask(Sec_WebSocket_Key="x"), 400)
        self.assert_refused(self.ask(Sec_WebSocket_Version=None), 400)
        self.assert_refused(self.ask(method="POST"), 405)

    def test_other_version(self) -> None:
        """Another version than 13 is refused, and 13 named (RFC 6455 §4.4)."""
        for version in ("8", "0", "14", "9" * 5000):
            wire = self.ask(Sec_WebSocket_Version=version)
            self.assert_refused(wire, 400)
        wire = self.ask(Sec_WebSocket_Version="8", Sec_WebSocket_Origin="https://callnet.test")
        self.assertIn("\r\nSec-WebSocket-Version: 13", wire.head)

    def test_no_http(self) -> None:
        """Bytes that are not HTTP are refused, and none of them is logged."""
        for text in ("\r\n", "x", "GET / HTTP/1.0", "GET http://[ HTTP/1.1\r\nHost: x", "GET / HTTP/1.1\r\n\xff: \x00"):
            wire = self.world.connect()
            wire.send(text.encode("latin-1") + b"\r\n\r\n")
            self.world.settle()
            self.assertGreaterEqual(wire.status or 0, 400)
            self.assertTrue(wire.lost)

    def test_compression_is_not_spoken(self) -> None:
        """Browsers offer compression; it is not taken up, and does no harm however it is offered."""
        for offer in (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=8",
            "permessage-deflate; server_max_window_bits=99",
            "permessage-bzip2; x",
            "x-webkit-deflate-frame",
            'foo; a="b',
        ):
            for connection in ("Upgrade", "Upgrade, keep-alive"):  # Autobahn reads the second
                wire = self.ask(Sec_WebSocket_Extensions=offer, Connection=connection)
                self.assertEqual(wire.status, 101)
                self.assertNotIn("Sec-WebSocket-Extensions", wire.head)
                wire.leave()

    def test_subprotocols(self) -> None:
        """Subprotocols that are not ours are not taken up."""
        wire = self.ask(Sec_WebSocket_Protocol="chat, superchat")
        self.assertEqual(wire.status, 101)
        self.assertNotIn("Sec-WebSocket-Protocol", wire.head)

    def test_too_long(self) -> None:
        """A handshake of more than 8 KiB is refused, at once or bit by bit; later bytes are not kept."""
        self.assert_refused(self.ask(Cookie="x" * 8192), 431)
        wire = self.world.connect()
        for _ in range(10):
            wire.send(b"x" * 1000)
            self.world.settle()
        self.assertEqual(wire.status, 431)

    def test_too_slow(self) -> None:
        """A handshake that takes longer than 10 s is dropped, however steadily its bytes drip in."""
        wire = self.world.connect()
        for _ in range(16):
            wire.send(b"x")
            self.world.advance(1)
        self.assertTrue(wire.lost)
        self.assertEqual(self.world.signaling.sockets, {})

    def test_leaving_in_the_middle(self) -> None:
        """A client that leaves before its handshake is whole leaves nothing behind."""
        wire = self.world.connect()
        wire.send(b"GET /socket.io?token=" + self.token.encode())
        self.world.settle()
        wire.leave()
        self.assertEqual(self.world.signaling.sockets, {})
        self.assertNotIn(TV, self.successResultOf(self.world.store.online([TV])))


class OriginTests(HandshakeCase):
    """Web pages that may open a socket."""

    def make_world(self) -> World:
        """Start a server whose operator allows two origins."""
        return World(allowed_origins=("https://phones.example.org", "https://Phones.example.com:8443/"))

    def test_allowed(self) -> None:
        """Pages of the allowed origins may, in any case of letters; WebViews that have no real origin always may."""
        origins = ("https://phones.example.org", "https://PHONES.example.com:8443", "null", "file:", "file://", None)
        for origin in origins:
            self.assertEqual(self.ask(Origin=origin).status, 101, origin)

    def test_refused(self) -> None:
        """Any other page is answered by 403, before its token is looked at."""
        for origin in (
            "https://evil.example",
            "http://phones.example.org",
            "https://phones.example.org:8443",
            "https://phones.example.org.evil.example",
            "https://phones.example.org@evil.example",
            "filesystem:https://evil.example/",
        ):
            wire = self.ask("/socket.io", Origin=origin)
            self.assertIn(wire.status, (400, 403), origin)
            self.assertTrue(wire.lost)
        self.assert_refused(self.ask(Origin="https://evil.example"), 403)

    def test_no_list(self) -> None:
        """Without a list every page may."""
        factory = SignalingFactory(
            self.world.rooms,
            self.world.tokens.verify,
            self.world.clock,
            UNLIMITED,
            ALONE,
            NO_SERVERS,
            SignalingSettings(),
        )
        wire = self.world.ask(f"/socket.io?token={self.token}", {"Origin": "https://evil.example"}, factory)
        self.assertEqual(wire.status, 101)
        wire.leave()
