"""HTTP that can be left open to the network."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import cast

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.address import IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from callnet.config.schema import HttpSettings, LimitSettings
from callnet.util.turn_budget import SECONDS
from callnet.web.http import PASSED_OVER, CappedSite
from tests.support.http_wire import PEER, HttpWire
from tests.support.tls_wire import TlsWire
from tests.support.transport import Transport

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
LIMIT = 100
LIMITS = HttpSettings(body_bytes=LIMIT, request_time=15, idle_time=60)


class Mirror(Resource):
    """Answers with the length of the request's body, or with this number of bytes; on request under ``wait``."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[Request] = []
        self.size = 0
        self.on_render: Callable[[], None] = lambda: None

    def render(self, request: Request) -> bytes | int:
        """Answer."""
        self.on_render()
        if request.path == b"/wait":
            self.waiting.append(request)
            return NOT_DONE_YET
        return b"x" * self.size or b"%d" % len(cast(BytesIO, request.content).read())


class Turns(Clock):
    """A clock by which the turns of a reactor can be told apart."""

    def turn(self) -> None:
        """Call all due functions, and none that these schedule."""
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class HttpTestCase(SynchronousTestCase):
    """A site that mirrors."""

    def setUp(self) -> None:
        """One site, and one connection to it."""
        self.clock = Turns()
        self.mirror = Mirror()
        self.site = CappedSite(self.mirror, self.clock, LIMITS)
        self.wire = HttpWire(self.site)

    def tearDown(self) -> None:
        """No timer is left when the connection is gone."""
        self.wire.leave()
        self.clock.advance(0)
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
        """A body that is said to be longer is answered with 413 before any of it has come, and not asked for."""
        self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 101\r\n\r\n")
        self.assert_too_large()
        self.assertEqual(self.wire.answers()[0].headers["connection"], "close")

    def test_ten_megabytes(self) -> None:
        """No more than 256 KiB of a body of 10 MB are read, none of which is kept; then the connection is aborted."""
        self.wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n")
        self.assert_goes_on_for_256_kib()
        self.assert_too_large()

    def assert_goes_on_for_256_kib(self) -> None:
        """Assert that another 256 KiB are read, so that the client sees its answer, and not more."""
        taken = 0
        while not self.wire.closed:
            self.wire.send(b"x" * 8192)
            taken += 8192
            self.assertLessEqual(taken, PASSED_OVER + 8192)
        self.assertGreater(taken, PASSED_OVER)
        self.assertEqual(self.wire._protocol._buffer, b"")

    def test_chunked(self) -> None:
        """A body in chunks, which does not say its length before, has the same limit: 413 as soon as it is too long."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.wire.send(head + b"32\r\n" + b"x" * 50 + b"\r\n32\r\n" + b"x" * 50 + b"\r\n0\r\n\r\n")
        self.assertEqual(self.wire.answers()[0].body, b"100")
        self.wire.leave()
        self.wire = HttpWire(self.site)
        self.wire.send(head)
        for _ in range(3):
            self.assertEqual(self.wire.answers(), [])
            self.wire.send(b"32\r\n" + b"x" * 50 + b"\r\n")
        self.assert_too_large()
        self.assert_goes_on_for_256_kib()

    def test_whole_and_too_long(self) -> None:
        """A body in chunks that comes at once and is too long leaves nothing to be read: the connection serves on."""
        head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.wire.send(head + b"C8\r\n" + b"x" * 200 + b"\r\n0\r\n\r\n" + GET)
        self.assert_too_large()
        self.clock.advance(0)
        self.assertEqual([answer.status for answer in self.wire.answers()], [413, 200])

    def test_refused_and_silent(self) -> None:
        """A refused client that sends no more is cut off after the time of a request."""
        self.wire.request("POST", "/", b"x" * (LIMIT + 1))
        self.clock.advance(LIMITS.request_time - 1)
        self.assertFalse(self.wire.closed)
        self.clock.advance(1)
        self.assertTrue(self.wire.closed)
        self.assertEqual(self.site.answers, {413: 1})

    def test_long_headers(self) -> None:
        """Headers that are longer than the limit together are answered with 431, which is counted."""
        self.site.limits = HttpSettings(header_bytes=2048)
        for length, status in ((1900, 200), (2100, 431)):
            wire = HttpWire(self.site)
            wire.send(b"POST / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * length + b"\r\n\r\n")
            self.assertEqual([answer.status for answer in wire.answers()], [status])
            wire.leave()
        self.assertEqual(self.site.answers, {200: 1, 431: 1})

    def test_header_without_end(self) -> None:
        """A line that never ends is answered with 431, and not read for ever."""
        self.wire.send(b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000)
        self.assertEqual([answer.status for answer in self.wire.answers()], [431])
        self.assert_goes_on_for_256_kib()

    def test_header_without_end_over_tls(self) -> None:
        """Over TLS too, where a connection is not closed before the other side agrees."""
        for begin, status in (
            (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431"),
            (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n", b"413"),
            (b"GET / HTTP/1.1\r\n:\r\n\r\n", b"400"),
            (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"200"),
        ):
            wire = TlsWire(self.site, self.clock)
            wire.send(begin)
            self.assertEqual(wire.received()[9:12], status)
            taken = 0
            while not wire.closed:
                wire.send(b"x" * 8192)
                taken += 8192
                self.assertLessEqual(taken, PASSED_OVER + 8192)
            wire.leave()

    def test_unknown_transfer_encoding(self) -> None:
        """A transfer encoding other than ``chunked`` does not show where the body ends: 400, and nothing else."""
        for value in (b"identity", b"Identity", b"gzip", b"chunked, identity", b""):
            wire = HttpWire(self.site)
            head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: " + value + b"\r\nX: y\r\n\r\n"
            wire.send(head + GET)
            self.clock.advance(0)
            self.assertEqual([answer.status for answer in wire.answers()], [400])
            self.assertTrue(wire.closed)

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
        self.assert_too_large()
        self.assertEqual(self.flushLoggedErrors(), [])


class PipelineTests(HttpTestCase):
    """Requests that are sent without waiting for answers."""

    def test_one_in_a_turn(self) -> None:
        """A connection has one request answered in a turn of the reactor, so that others have theirs meanwhile."""
        self.wire.send(GET * 3)
        for answered in (1, 2, 3):
            self.assertEqual(len(self.wire.answers()), answered)
            other = HttpWire(self.site)
            other.send(GET)
            self.assertEqual(len(other.answers()), 1)
            other.leave()
            self.clock.turn()

    def test_budget(self) -> None:
        """When connections have used up the time of a turn, the others wait for the next, and none of them twice."""
        self.mirror.on_render = lambda: self.clock.advance(SECONDS / 3)
        wires = [HttpWire(self.site) for _ in range(10)]
        for wire in wires:
            wire.send(GET * 2)
        for _ in range(20):
            self.clock.turn()
            counts = [len(wire.answers()) for wire in wires]
            self.assertLessEqual(max(counts) - min(counts), 1)
        self.assertEqual(counts, [2] * 10)
        for wire in wires:
            wire.leave()

    def test_gone_while_waiting(self) -> None:
        """A client that goes while its requests wait is forgotten, and they with it."""
        self.wire.send(GET * 3)
        self.wire.leave()
        self.clock.advance(0)
        self.clock.advance(0)
        self.assertEqual(self.site.answers, {200: 1})

    def test_later_answer(self) -> None:
        """A request that is sent while an answer is awaited is answered after it."""
        self.wire.send(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n" + GET * 2)
        self.wire.send(GET)
        self.assertEqual(self.wire.answers(), [])
        self.mirror.waiting[0].setHeader(b"content-length", b"0")
        self.mirror.waiting[0].finish()
        for answered in (1, 2, 3, 4):
            self.assertEqual(len(self.wire.answers()), answered)
            self.clock.turn()


class UnreadTests(HttpTestCase):
    """Clients that do not read their answers."""

    def setUp(self) -> None:
        """A connection over a transport that tells when the client does not read."""
        super().setUp()
        self.mirror.size = 17_000
        self.transport = Transport(peerAddress=PEER)
        self.channel = self.site.buildProtocol(PEER)
        self.channel.makeConnection(self.transport)

    def tearDown(self) -> None:
        """The connection goes."""
        self.channel.connectionLost(Failure(ConnectionLost()))
        super().tearDown()

    def send(self, data: bytes) -> None:
        """Send the part that the server reads."""
        for place in range(0, len(data), 8192):
            if self.transport.producerState == "producing" and not self.transport.ended_by:
                self.channel.dataReceived(data[place : place + 8192])
            self.clock.advance(0)

    def test_pipeline(self) -> None:
        """A client that pipelines requests and reads nothing is not read from, and one answer more is kept at most."""
        for _ in range(1000):
            self.send(GET * 100)
        self.assertEqual(self.transport.producerState, "paused")
        self.assertLess(len(self.transport.value()), 65_536 + 18_000)
        self.assertLess(len(self.channel._buffer), 2 * 8192)

    def test_reads_again(self) -> None:
        """When it reads, its earlier requests are answered, all of them and in order."""
        self.send(GET * 100)
        received = b""
        while True:
            read = self.transport.read()
            if not read:
                break
            received += read
            for _ in range(10):
                self.clock.advance(0)
        self.assertEqual(received.count(b"HTTP/1.1 200"), 100)
        self.assertEqual(self.transport.producerState, "producing")

    def test_too_much(self) -> None:
        """An answer of many pieces is cut off when more than 256 KiB wait."""
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        for _ in range(5):
            self.assertIsNone(self.transport.ended_by)
            self.mirror.waiting[0].write(b"x" * 80_000)
        self.assertIs(self.transport.ended_by, ConnectionAborted)

    def test_stall(self) -> None:
        """A client that reads nothing for the time that a connection may be idle is cut off, even within an answer."""
        self.channel.dataReceived(b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n")
        self.mirror.waiting[0].write(b"x" * 80_000)
        self.clock.advance(LIMITS.idle_time - 1)
        self.transport.read()
        self.clock.advance(LIMITS.idle_time)
        self.mirror.waiting[0].write(b"x" * 80_000)
        self.clock.advance(LIMITS.idle_time - 1)
        self.assertIsNone(self.transport.ended_by)
        self.clock.advance(1)
        self.assertIs(self.transport.ended_by, ConnectionAborted)
        self.assertEqual(self.site.answers, {})


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
        self.clock.advance(0)
        self.assertEqual(len(self.wire.answers()), 2)
        self.clock.advance(LIMITS.request_time)
        self.assertTrue(self.wire.closed)

    def test_idle(self) -> None:
        """A connection without requests is closed after some time, whether it ever had one or not."""
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


class CrowdTests(HttpTestCase):
    """Connections and requests are counted, by address and in all."""

    def limit(self, **limits: int) -> None:
        """Serve with these limits, and nobody there yet."""
        self.wire.leave()
        self.limits = LimitSettings(**limits)
        self.site = CappedSite(self.mirror, self.clock, LIMITS, None, self.limits)

    def statuses(self, count: int) -> list[int]:
        """The answers to this number of connections that stay open until all have theirs."""
        wires = [HttpWire(self.site) for _ in range(count)]
        for wire in wires:
            wire.send(GET)
        answers = [answer for wire in wires for answer in wire.answers()]
        for wire in wires:
            wire.leave()
        self.assertTrue(all(answer.status == 200 or "retry-after" in answer.headers for answer in answers))
        return [answer.status for answer in answers]

    def test_of_an_address(self) -> None:
        """A connection too many is answered 429 and closed; when others have gone, it is not too many."""
        self.limit(connections_of_an_address=3)
        self.assertEqual(self.statuses(5), [200, 200, 200, 429, 429])
        self.assertEqual((self.site.connections, self.site.refused), (0, {429: 2}))
        self.assertEqual(self.statuses(3), [200] * 3)

    def test_of_all(self) -> None:
        """The limit of all connections is answered 503, for every client."""
        self.limit(connections_of_a_process=2, connections_of_an_address=0)
        self.assertEqual(self.statuses(3), [200, 200, 503])
        self.assertEqual(self.site.refused, {503: 1})

    def test_requests(self) -> None:
        """A request too many is answered 429 with the seconds to wait, and ends its connection."""
        self.limit(requests_a_minute_from_an_address=6)
        wire = HttpWire(self.site)
        for _ in range(8):
            wire.send(GET)
        answers = wire.answers()
        self.assertEqual([answer.status for answer in answers], [200] * 6 + [429])
        self.assertEqual((answers[-1].headers["retry-after"], answers[-1].headers["connection"]), ("10", "close"))
        self.assertTrue(wire.closed)
        self.clock.advance(10)
        self.assertEqual(self.statuses(2), [200, 429])

    def status_for(self, host: str) -> int:
        """The status of a request from an address, on a connection of its own."""
        transport = Transport(peerAddress=IPv6Address("TCP", host, 1))
        transport.protocol = self.site.buildProtocol(None)
        transport.protocol.makeConnection(transport)
        transport.protocol.dataReceived(GET)
        transport.protocol.connectionLost(Failure(ConnectionLost()))
        return int(transport.value().split()[1])

    def test_network(self) -> None:
        """From an IPv6 /48 come ten times as many requests as from an address."""
        self.limit(requests_a_minute_from_an_address=1)
        found = [self.status_for(f"2001:db8:1:{number:x}::1") for number in range(12)]
        self.assertEqual(found, [200] * 10 + [429] * 2)
        self.assertEqual(self.status_for("2001:db8:2::1"), 200)

    def test_loopback(self) -> None:
        """Clients on this machine itself are not counted by address."""
        self.limit(connections_of_an_address=1, requests_a_minute_from_an_address=1)
        transports = []
        for _ in range(3):
            transport = Transport(peerAddress=IPv6Address("TCP", "::1", 1))
            transport.protocol = self.site.buildProtocol(None)
            transport.protocol.makeConnection(transport)
            transport.protocol.dataReceived(GET)
            self.assertIn(b" 200 ", transport.value())
            transports.append(transport)
        for transport in transports:
            transport.protocol.connectionLost(Failure(ConnectionLost()))

    def test_changed(self) -> None:
        """The limits may change while connections are there."""
        self.limit(connections_of_an_address=1)
        self.limits.connections_of_an_address = 2
        self.limits.requests_a_minute_from_an_address = 1
        self.site.changed()
        self.assertEqual(self.statuses(3), [200, 429, 429])
        self.assertEqual(self.site.refused, {429: 1})

    def test_half_made_handshakes(self) -> None:
        """Over TLS a connection counts from before its handshake; one too many is dropped."""
        self.limit(connections_of_an_address=3)
        wires = [TlsWire(self.site, self.clock, shakes_hands=False) for _ in range(5)]
        self.assertEqual([wire.closed for wire in wires], [False] * 3 + [True] * 2)
        self.assertEqual(self.site.refused, {429: 2})
        for wire in wires:
            wire.leave()
        self.assertEqual(self.site.connections, 0)

    def test_time_of_handshakes(self) -> None:
        """A handshake has a time of its own; after it the connection may be idle as others are."""
        stuck = TlsWire(self.site, self.clock, shakes_hands=False)
        fine = TlsWire(self.site, self.clock)
        self.clock.advance(LIMITS.handshake_time)
        self.assertEqual((stuck.closed, fine.closed), (True, False))
        self.clock.advance(LIMITS.idle_time - LIMITS.handshake_time - 1)
        self.assertFalse(fine.closed)
        self.clock.advance(1)
        self.assertTrue(fine.closed)
        for wire in (stuck, fine):
            wire.leave()


class LogTests(HttpTestCase):
    """The log has one line for each answer, and no secrets."""

    def lines(self, *requests: tuple[str, str]) -> list[str]:
        """The log of these requests."""
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
        """A client's request cannot forge lines of the log, nor fill it."""
        (line,) = self.lines(("GET", "/\x7f\xb0" + "x" * 5000))
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 200)

    def test_request_shows_no_query(self) -> None:
        """A request, which a library may log, is shown by its id alone."""
        self.wire.send(b"GET /wait?token=secret HTTP/1.1\r\nHost: a\r\n\r\n")
        (request,) = self.mirror.waiting
        self.assertRegex(repr(request), r"^<CappedRequest [0-9a-f]+-[0-9a-f]+>$")
        self.assertNotIn("secret", str(request))

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

    def test_after_another_request(self) -> None:
        """An upgrade that comes in one piece with a request before it is no different (R-L1)."""
        self.open(GET)

    def test_upgrade(self) -> None:
        """An upgraded connection stays open past all deadlines, and works."""
        self.open(b"")

    def open(self, before: bytes) -> None:
        """Send a handshake after the bytes before it, and let much time go by."""
        clock = Clock()
        received = []

        class Echo(WebSocketServerProtocol):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                received.append((payload, isBinary))

        factory = WebSocketServerFactory(reactor=clock)
        factory.protocol = Echo
        factory.setProtocolOptions(autoPingInterval=0, openHandshakeTimeout=0)
        factory.startFactory()
        root = Mirror()
        root.isLeaf = False
        root.putChild(b"", Mirror())
        root.putChild(b"socket.io", WebSocketResource(factory))
        site = CappedSite(root, clock)
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
        protocol.dataReceived(before + b"\r\n".join([*handshake, b"", b""]))
        clock.advance(0)
        self.assertIn(b"101 Switching Protocols", transport.value())
        self.assertEqual(site.connections, 0)
        for _ in range(100):
            clock.advance(LIMITS.idle_time)
        self.assertTrue(transport.connected)
        transport.protocol.dataReceived(b"\x81\x82\0\0\0\0hi")
        self.assertEqual(received, [(b"hi", False)])
