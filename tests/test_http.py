"""HTTP that can be left open to the network."""

from __future__ import annotations

from io import BytesIO
from typing import cast

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from callnet.config import HttpSettings
from callnet.web.http import CappedSite
from tests.http_wire import PEER, HttpWire

LIMIT = 100
LIMITS = HttpSettings(body_bytes=LIMIT, request_time=15, idle_time=60)


class Mirror(Resource):
    """Answers with the length of the request's body; under ``wait`` it answers when it is told to."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[Request] = []

    def render(self, request: Request) -> bytes | int:
        """Answer."""
        if request.path == b"/wait":
            self.waiting.append(request)
            return NOT_DONE_YET
        return b"%d" % len(cast(BytesIO, request.content).read())


class HttpTestCase(SynchronousTestCase):
    """A site that mirrors."""

    def setUp(self) -> None:
        """One site, and one connection to it."""
        self.clock = Clock()
        self.mirror = Mirror()
        self.site = CappedSite(self.mirror, self.clock, LIMITS)
        self.wire = HttpWire(self.site)

    def tearDown(self) -> None:
        """No timer is left when the connection is gone."""
        self.wire.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class BodyTests(HttpTestCase):
    """Bodies have a limit."""

    def assert_too_large(self) -> None:
        """The only answer so far is a 413 in the envelope of the account service."""
        (answer,) = self.wire.answers()
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.json()["errorCode"], 2)

    def test_up_to_the_limit(self) -> None:
        """A body as long as the limit is taken."""
        self.assertEqual(self.wire.request("POST", "/", b"x" * LIMIT).body, b"100")

    def test_declared_too_long(self) -> None:
        """A body that is longer is read to its end, not kept, and answered with 413."""
        self.wire.request("POST", "/", b"x" * (LIMIT + 1))
        self.assert_too_large()

    def test_ten_megabytes(self) -> None:
        """Of a body of 10 MB nothing is kept while it arrives, and the connection serves on."""
        self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        for _ in range(100):
            self.wire.send(b"x" * 100_000)
            (request,) = self.wire._protocol.requests or [None]
            self.assertTrue(request is None or request.content.getbuffer().nbytes == 0)
        self.assert_too_large()
        self.assertEqual(self.wire.request("POST", "/", b"abc").body, b"3")

    def test_chunked(self) -> None:
        """A body in chunks, which does not say its length before, has the same limit."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.wire.send(head + b"32\r\n" + b"x" * 50 + b"\r\n32\r\n" + b"x" * 50 + b"\r\n0\r\n\r\n")
        self.assertEqual(self.wire.answers()[0].body, b"100")
        self.wire.leave()
        self.wire = HttpWire(self.site)
        self.wire.send(head)
        for _ in range(1000):
            self.wire.send(b"32\r\n" + b"x" * 50 + b"\r\n")
        self.assertEqual(self.wire._protocol.requests[0].content.getbuffer().nbytes, 0)
        self.wire.send(b"0\r\n\r\n")
        self.assert_too_large()

    def test_long_headers(self) -> None:
        """Headers that are longer than the limit together are answered with 400, which is counted."""
        self.site.limits = HttpSettings(header_bytes=2048)
        for length, status in ((1900, 200), (2100, 400)):
            wire = HttpWire(self.site)
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * length + b"\r\n\r\n")
            self.assertEqual([answer.status for answer in wire.answers()], [status])
            wire.leave()
        self.assertEqual(self.site.answers, {200: 1, 400: 1})

    def test_form_is_not_parsed(self) -> None:
        """A body that says it is a form is a body like any other."""
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "multipart/form-data"):
            answer = self.wire.request("POST", "/", b"a=b&c=%00\xff", f"Content-Type: {kind}")
            self.assertEqual((answer.status, answer.body), (200, b"10"))

    def test_absurd_lengths(self) -> None:
        """A length that is no number, or has thousands of digits, ends the connection without a traceback."""
        for length in (b"9" * 5000, b"-1", b"+1", b"1e3", "١".encode(), b""):
            wire = HttpWire(self.site)
            wire.send(b"POST / HTTP/1.1\r\nContent-Length: " + length + b"\r\nHost: a\r\n\r\n")
            self.assertEqual(wire.answers()[0].status, 400)
            wire.leave()
        self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + b"9" * 100 + b"\r\n\r\nabc")
        self.assertEqual(self.wire.answers(), [])
        self.assertEqual(self.flushLoggedErrors(), [])


class DeadlineTests(HttpTestCase):
    """Requests have a deadline, and connections too."""

    def drip(self, data: bytes) -> None:
        """Send bytes one by one, five seconds apart, until the server hangs up."""
        for place in range(len(data)):
            self.wire.send(data[place : place + 1])
            self.clock.advance(5)

    def test_slow_headers(self) -> None:
        """Headers that drip in are cut off at the deadline."""
        self.drip(b"POST / HTTP/1.1\r\nHost: callnet.test\r\n")
        self.assertTrue(self.wire.closed)
        self.assertEqual(self.site.answers, {408: 1})
        self.assertLess(self.clock.seconds(), 300)
        self.assertEqual(self.wire.received(), b"")

    def test_slow_body(self) -> None:
        """A body that drips in is cut off at the same deadline, however short the limit keeps it."""
        self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
        self.clock.advance(LIMITS.request_time - 1)
        self.wire.send(b"x")
        self.assertFalse(self.wire.closed)
        self.clock.advance(1)
        self.assertTrue(self.wire.closed)

    def test_deadline_is_each_request_s_own(self) -> None:
        """Every request on a connection has all the time."""
        for _ in range(5):
            self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n")
            self.clock.advance(LIMITS.request_time - 1)
            self.wire.send(b"x")
        self.assertEqual([answer.body for answer in self.wire.answers()], [b"1"] * 5)

    def test_pipelined(self) -> None:
        """Requests that are sent at once are answered in turn, and the rest of one has its deadline."""
        self.wire.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HT")
        self.assertEqual(len(self.wire.answers()), 2)
        self.clock.advance(LIMITS.request_time)
        self.assertTrue(self.wire.closed)

    def test_idle(self) -> None:
        """A connection that asks nothing is closed after a while, whether it ever asked or not."""
        self.wire.request("GET", "/")
        for wire in (self.wire, HttpWire(self.site)):
            start = self.clock.seconds()
            while not wire.closed:
                self.clock.advance(1)
            self.assertLessEqual(self.clock.seconds() - start, LIMITS.idle_time)

    def test_slow_answer(self) -> None:
        """While the server works on an answer nothing is cut off."""
        self.wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.clock.advance(1000)
        self.assertFalse(self.wire.closed)
        self.mirror.waiting[0].setHeader(b"content-length", b"0")
        self.mirror.waiting[0].finish()
        self.assertEqual(self.wire.answers()[0].status, 200)


class LogTests(HttpTestCase):
    """The log has one line for each answer, and no secrets."""

    def lines(self, *requests: tuple[str, str]) -> list[str]:
        """What is logged of these requests."""
        with capturedLogs() as events:
            for method, path in requests:
                self.wire.request(method, path, b"", "Referer: https://x/?room_id=s3cret", "User-Agent: s3cret")
        self.assertEqual({event["log_level"].name for event in events}, {"info"})
        return [formatEvent(event) for event in events]

    def test_no_query(self) -> None:
        """A line has the peer, the method, the path without its query, the status, the length and the id."""
        [line] = self.lines(("GET", "/a?token=s3cret"))
        self.assertRegex(line, "^192[.]0[.]2[.]7 GET /a 200 1 [0-9a-f]{8}-[0-9a-f]+$")

    def test_id(self) -> None:
        """An answer has the id of its line, and no other answer has it."""
        with capturedLogs() as events:
            ids = [self.wire.request("GET", "/a").headers["x-request-id"] for _ in range(3)]
        self.assertEqual(ids, [event["request"] for event in events])
        self.assertEqual(3, len(set(ids)))

    def test_no_control_characters(self) -> None:
        """What a client sends cannot make up lines of the log, nor fill it."""
        (line,) = self.lines(("GET", "/\x7f\xb0" + "x" * 5000))
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 200)

    def test_too_large_is_logged(self) -> None:
        """A refused body has its line too."""
        with capturedLogs() as events:
            self.wire.request("POST", "/a", b"x" * 1000)
        self.assertIn("POST /a 413", formatEvent(events[0]))

    def test_version_is_not_shown(self) -> None:
        """An answer does not tell which software it comes from."""
        self.assertNotIn("server", self.wire.request("GET", "/").headers)


class WebSocketTests(SynchronousTestCase):
    """A WebSocket can be opened through the site."""

    def test_upgrade(self) -> None:
        """An upgraded connection stays open past all deadlines, and works."""
        clock = Clock()
        received = []

        class Echo(WebSocketServerProtocol):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                received.append((payload, isBinary))

        factory = WebSocketServerFactory(reactor=clock)
        factory.protocol = Echo
        factory.setProtocolOptions(autoPingInterval=0, openHandshakeTimeout=0)
        factory.startFactory()
        site = CappedSite(WebSocketResource(factory), clock)
        protocol = site.buildProtocol(PEER)
        transport = StringTransportWithDisconnection(peerAddress=PEER)
        transport.protocol = protocol
        protocol.makeConnection(transport)
        handshake = [
            b"GET /socket.io?token=x HTTP/1.1",
            b"Host: callnet.test",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
        ]
        protocol.dataReceived(b"\r\n".join([*handshake, b"", b""]))
        self.assertIn(b"101 Switching Protocols", transport.value())
        for _ in range(100):
            clock.advance(LIMITS.idle_time)
        self.assertTrue(transport.connected)
        transport.protocol.dataReceived(b"\x81\x82\0\0\0\0hi")
        self.assertEqual(received, [(b"hi", False)])
