"""One WebSocket of the client's against a scripted server, over wires in memory."""

from __future__ import annotations

import json

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter

from callnet.model import DeviceAddress
from callnet_client import CloseReason, Connection, ConnectionClosed, Unreachable, UpgradeRefused, frames, parse_frame
from callnet_client.errors import retry_after
from callnet_client.socket import CLOSE_TIMEOUT, OPEN_TIMEOUT
from tests.support.client_case import ClientCase, ScriptedServer

FRIEND = DeviceAddress("13651884968", "phone1")


class _Dropping(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class ConnectTests(ClientCase):
    """Opening the WebSocket."""

    def test_token_goes_in_the_query(self) -> None:
        """The token is sent as the seed says, and escaped: it may be anything that a test makes up."""
        server = ScriptedServer()
        self.listen(server)
        self.successResultOf(self.connect("a+b&c"))
        (request,) = server.requests
        self.assertEqual(("/socket.io", ["a+b&c"]), (request.path, request.params["token"]))

    def test_refused_upgrade_tells_its_status(self) -> None:
        """An HTTP error instead of an upgrade is an error with its status."""
        server = ScriptedServer()
        server.refusal = 401
        self.listen(server)
        error = self.failureResultOf(self.connect("a.b.c"), UpgradeRefused).value
        self.assertEqual((401, None), (error.status, error.retry_after))
        self.assertIn("401", str(error))

    def test_when_to_come_again(self) -> None:
        """A server that is full says when to come again, in seconds."""
        server = ScriptedServer()
        server.refusal = 503
        server.retry_after = "7"
        self.listen(server)
        self.assertEqual(7, self.failureResultOf(self.connect("a.b.c"), UpgradeRefused).value.retry_after)
        for odd in ("", "-1", "soon", "Fri, 27 Nov 2026 01:00:00 GMT", "1.5"):
            self.assertIsNone(retry_after(odd))

    def test_nobody_listens(self) -> None:
        """A port that refuses connections is an error of the client's own, in one line."""
        connected = self.server_of().connect("token", print)
        ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError(string="nobody is there")))
        error = self.failureResultOf(connected, Unreachable).value
        self.assertIn("nobody is there", str(error))
        self.assertFalse(error.is_untrusted)

    def test_connection_lost_during_the_handshake(self) -> None:
        """A server that drops the connection instead of an answer could not be reached."""
        self.listen(Factory.forProtocol(_Dropping))
        self.failureResultOf(self.connect("a.b.c"), Unreachable)

    def test_silent_server(self) -> None:
        """A server that never answers the handshake is given up after some time."""
        self.listen(Factory.forProtocol(Protocol))
        connected = self.connect("a.b.c")
        self.reactor.advance(OPEN_TIMEOUT - 1)
        self.assertNoResult(connected)
        self.reactor.advance(1)
        self.failureResultOf(connected, Unreachable)
        self.settle()


class ConnectionCase(ClientCase):
    """A connection that is open."""

    def setUp(self) -> None:
        """Open it."""
        super().setUp()
        self.server = ScriptedServer()
        self.listen(self.server)
        self.received: list[bytes] = []
        self.watched: list[tuple[bytes, bool]] = []
        self.connection: Connection = self.successResultOf(
            self.connect(
                "token", self.received.append, lambda payload, is_sent: self.watched.append((payload, is_sent))
            )
        )


class FrameTests(ConnectionCase):
    """Reading whatever a server sends."""

    def test_frames_come_as_they_are(self) -> None:
        """Every frame is handed on with every field and every byte."""
        raw = b'{"type": "tomorrow", "room_id": 7,  "more": {"a": null}}'
        self.server.say_raw(raw)
        self.settle()
        (payload,) = self.received
        frame = parse_frame(payload)
        self.assertEqual((raw, "tomorrow", {"a": None}), (frame.raw, frame.type, frame.fields["more"]))
        self.assertEqual("", frame.room_id)

    def test_sending(self) -> None:
        """A request is sent as JSON without unset fields, and any bytes are sent unchanged."""
        self.connection.send(frames.Call(to_phone=FRIEND.phone, to_device_id=FRIEND.device_id))
        self.connection.send_raw(b"[]")
        self.settle()
        call = {"type": "call", "to_phone": FRIEND.phone, "to_device_id": FRIEND.device_id}
        self.assertEqual([call, []], [json.loads(payload) for payload in self.server.heard])

    def test_watching(self) -> None:
        """A watcher sees each frame in either direction."""
        self.connection.send_raw(b"[]")
        self.settle()
        self.server.say_raw(b"{}")
        self.settle()
        self.assertEqual([(b"[]", True), (b"{}", False)], self.watched)

    def test_pings(self) -> None:
        """A server shows that it lives by a pong."""
        answers: list[None] = []
        self.connection.ping(lambda: answers.append(None))
        self.assertEqual([], answers)
        self.settle()
        self.assertEqual([None], answers)

    def test_numbers(self) -> None:
        """Numbers are seconds: invalid or negative ones are absent, and those that no timer holds are a long time."""
        for text, number in (("1", 1.0), ("1.5", 1.5), ("-1", None), ("true", None), ('"1"', None), ("1e300", 1e9)):
            self.assertEqual(number, parse_frame(b'{"n": %s}' % text.encode()).number("n"), text)

    def test_frames_that_are_no_messages(self) -> None:
        """A payload that is not an object with a ``type`` is a frame of no type; nothing breaks."""
        for raw in (b"", b"[1]", b"{", b'{"type":1}', b"\xff", b'{"a":' + b"[" * 100000):
            frame = parse_frame(raw)
            self.assertEqual((raw, ""), (frame.raw, frame.type))


class ClosingTests(ConnectionCase):
    """The end of a connection."""

    def test_closing_in_form(self) -> None:
        """The closing handshake is done, and everyone who asked is told the same."""
        mourner, other = self.connection.when_closed(), self.connection.when_closed()
        other.cancel()
        self.failureResultOf(other, CancelledError)
        closed = self.connection.close()
        self.settle()
        self.assertEqual(CloseReason(1000, ""), self.successResultOf(closed))
        self.assertEqual(self.successResultOf(mourner), self.successResultOf(self.connection.when_closed()))

    def test_nothing_can_be_said_on_a_closed_connection(self) -> None:
        """Sending while it closes, or later, is an error; closing it again is not."""
        self.connection.close()
        with self.assertRaises(ConnectionClosed):
            self.connection.send_raw(b"{}")
        self.settle()
        with self.assertRaises(ConnectionClosed) as caught:
            self.connection.send_raw(b"{}")
        self.assertEqual(1000, caught.exception.close.code)
        self.successResultOf(self.connection.close())
        self.successResultOf(self.connection.abort())

    def test_server_that_does_not_answer_the_close(self) -> None:
        """A server that is gone does not keep the client waiting for ever."""
        self.server.answers_close = False
        closed = self.connection.close()
        self.settle()
        self.assertNoResult(closed)
        self.reactor.advance(CLOSE_TIMEOUT)
        self.settle()
        self.assertEqual(CloseReason(1006, ""), self.successResultOf(closed))

    def test_cutting(self) -> None:
        """A connection can be cut, as a dead battery would."""
        closed = self.connection.abort()
        self.settle()
        self.assertEqual(1006, self.successResultOf(closed).code)

    def test_server_closes(self) -> None:
        """The server's code and words are kept, also those that are not everyone's to send."""
        closed = self.connection.when_closed()
        self.server.socket.sendCloseFrame(1001, b"server going away")
        self.settle()
        self.assertEqual(CloseReason(1001, "server going away"), self.successResultOf(closed))
