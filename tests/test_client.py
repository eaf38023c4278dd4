"""The client's device against a server that does what the test says, over wires in memory."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter

from callnet.client import (
    CallAnswer,
    CallWithdrawn,
    CloseReason,
    ConnectionClosed,
    Device,
    Frame,
    Unreachable,
    UpgradeRefused,
    connect,
)
from callnet.client.frames import parse_frame
from callnet.client.socket import CLOSE_TIMEOUT, OPEN_TIMEOUT
from callnet.model import DeviceAddress
from tests.client_case import PORT, ClientCase, ScriptedServer

FRIEND = DeviceAddress("13651884968", "phone1")
ROOM = "0123456789abcdef0123456789abcdef"
CALL = {"type": "call", "to_phone": FRIEND.phone, "to_device_id": FRIEND.device_id}


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
        self.assertEqual(401, error.status)
        self.assertIn("401", str(error))

    def test_nobody_listens(self) -> None:
        """A port that refuses connections is an error of the client's own, in one line."""
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", PORT)
        connected = connect("ws://callnet.test", "token", self.reactor, endpoint=endpoint)
        ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError(string="nobody is there")))
        error = self.failureResultOf(connected, Unreachable).value
        self.assertIn("nobody is there", str(error))
        self.assertFalse(error.is_untrusted)

    def test_connection_lost_during_the_handshake(self) -> None:
        """A server that drops the connection instead of an answer could not be reached."""
        self.listen(Factory.forProtocol(_Dropping))
        self.failureResultOf(self.connect("a.b.c"), Unreachable)

    def test_silent_server(self) -> None:
        """A server that never answers the handshake is given up after a while."""
        self.listen(Factory.forProtocol(Protocol))
        connected = self.connect("a.b.c")
        self.reactor.advance(OPEN_TIMEOUT - 1)
        self.assertNoResult(connected)
        self.reactor.advance(1)
        self.failureResultOf(connected, Unreachable)
        self.settle()


class DeviceCase(ClientCase):
    """A device that is connected."""

    def setUp(self) -> None:
        """Connect it."""
        super().setUp()
        self.server = ScriptedServer()
        self.listen(self.server)
        self.frames: list[Frame] = []
        self.sent: list[bytes] = []
        self.device: Device = self.successResultOf(self.connect("token", self.frames.append, self.sent.append))

    def said(self) -> list[dict[str, Any]]:
        """What the server has heard since this was last asked."""
        self.settle()
        heard, self.server.heard = self.server.heard, []
        return [json.loads(payload) for payload in heard]

    def say(self, kind: str, **fields: Any) -> None:
        """Let the server say something, and the device hear it."""
        self.server.say(kind, **fields)
        self.settle()


class CallTests(DeviceCase):
    """Calling."""

    def test_call_that_is_accepted(self) -> None:
        """The answer names the room and who answered, and has the whole frame with what is not known here."""
        answer = self.device.call(*FRIEND)
        self.assertEqual([CALL], self.said())
        self.assertNoResult(answer)
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM, new=[1])
        result = self.successResultOf(answer)
        self.assertEqual((True, FRIEND, ROOM), (result.accepted, result.to, result.room_id))
        self.assertEqual([1], result.frame.fields["new"])

    def test_call_that_is_refused_or_fails(self) -> None:
        """A refusal and a failure are answers like any other, with their reasons."""
        for kind, reason in (("call_refuse", "refused"), ("call_failed", "offline"), ("call_failed", "")):
            answer = self.device.call(*FRIEND)
            self.say(
                kind, to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, **({"reason": reason} if reason else {})
            )
            result: CallAnswer = self.successResultOf(answer)
            self.assertEqual(
                (False, kind, reason, ""), (result.accepted, result.outcome, result.reason, result.room_id)
            )

    def test_call_to_every_device_is_answered_by_one(self) -> None:
        """Whoever answers a call to ``*`` answers it."""
        answer = self.device.call(FRIEND.phone, "*")
        self.say("call_success", to_phone=FRIEND.phone, to_device_id="tv", room_id=ROOM)
        self.assertEqual(DeviceAddress(FRIEND.phone, "tv"), self.successResultOf(answer).to)

    def test_call_to_nobody_is_answered_without_an_address(self) -> None:
        """The server does not give back an address that it cannot accept; the answer is ours all the same."""
        answer = self.device.call("", "")
        self.say("call_failed", to_phone="", to_device_id="", reason="invalid")
        self.assertEqual("invalid", self.successResultOf(answer).reason)

    def test_answer_to_another_call_is_not_ours(self) -> None:
        """An answer to an earlier call, which crossed the present one, is for the listener alone."""
        answer = self.device.call(*FRIEND)
        self.say("call_success", to_phone="13651884969", to_device_id="pad", room_id=ROOM)
        self.assertNoResult(answer)
        self.assertEqual(["call_success"], [frame.type for frame in self.frames])

    def test_same_call_again(self) -> None:
        """An impatient second call to the same device is sent, and both wait for the one answer."""
        first, second = self.device.call(*FRIEND), self.device.call(*FRIEND)
        self.assertEqual([CALL, CALL], self.said())
        self.say("call_refuse", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id)
        self.assertEqual(self.successResultOf(first), self.successResultOf(second))

    def test_call_to_someone_else_withdraws_the_first(self) -> None:
        """The server never answers a call that its caller left for another, so the client does."""
        first = self.device.call(*FRIEND)
        second = self.device.call("13651884969", "pad")
        self.failureResultOf(first, CallWithdrawn)
        self.assertNoResult(second)

    def test_cancelling(self) -> None:
        """A base caller cancels with an empty room, since it knows none yet (protocol §2.3)."""
        answer = self.device.call(*FRIEND)
        self.device.cancel()
        self.failureResultOf(answer, CallWithdrawn)
        notified = {"notified_phone": FRIEND.phone, "notified_device_id": FRIEND.device_id}
        self.assertEqual([CALL, {"type": "calling_hangup", **notified, "room_id": ""}], self.said())
        self.device.cancel()
        self.assertEqual([], self.said())

    def test_connection_lost_while_it_rings(self) -> None:
        """A call that can no longer be answered fails with why the connection is gone."""
        answer = self.device.call(*FRIEND)
        self.server.socket.sendClose(4409, "connected elsewhere")
        self.settle()
        error = self.failureResultOf(answer, ConnectionClosed).value
        self.assertEqual(CloseReason(4409, "connected elsewhere"), error.close)


class AnswerTests(DeviceCase):
    """Being called, and hanging up."""

    def test_accepting_and_refusing(self) -> None:
        """An answer names the caller and the room of the ``called`` frame."""
        self.say("called", from_phone=FRIEND.phone, from_device_id=FRIEND.device_id, room_id=ROOM)
        (called,) = self.frames
        self.assertEqual(("called", FRIEND, ROOM), (called.type, called.sender, called.room_id))
        self.device.accept(called)
        self.device.refuse(called)
        answer = {"from_phone": FRIEND.phone, "from_device_id": FRIEND.device_id, "room_id": ROOM}
        self.assertEqual([{"type": "called_success", **answer}, {"type": "called_refuse", **answer}], self.said())

    def test_hanging_up(self) -> None:
        """A hang-up names the other party and the room."""
        self.device.hang_up(FRIEND, ROOM)
        notified = {"notified_phone": FRIEND.phone, "notified_device_id": FRIEND.device_id}
        self.assertEqual([{"type": "calling_hangup", **notified, "room_id": ROOM}], self.said())

    def test_being_hung_up(self) -> None:
        """The sender of ``calling_be_hangup`` is who hung up."""
        self.say("calling_be_hangup", fire_phone=FRIEND.phone, fire_device_id=FRIEND.device_id, room_id=ROOM)
        self.assertEqual([FRIEND], [frame.sender for frame in self.frames])

    def test_everything_that_goes_out_is_shown(self) -> None:
        """Whoever asked for it sees each frame that is sent, as it is sent."""
        self.device.send_raw(b"[]")
        self.device.hang_up(FRIEND, ROOM)
        self.settle()
        self.assertEqual(self.server.heard, self.sent)
        self.assertEqual(b"[]", self.sent[0])


class FrameTests(DeviceCase):
    """Reading whatever a server sends."""

    def test_frames_come_as_they_are(self) -> None:
        """The listener gets every frame, with every field and every byte."""
        raw = b'{"type": "tomorrow", "room_id": 7,  "more": {"a": null}}'
        self.server.say_raw(raw)
        self.settle()
        (frame,) = self.frames
        self.assertEqual((raw, "tomorrow", {"a": None}), (frame.raw, frame.type, frame.fields["more"]))
        self.assertEqual("", frame.room_id)

    def test_frames_that_are_no_messages(self) -> None:
        """What is not an object with a ``type`` is a frame of no type; nothing breaks."""
        for raw in (b"", b"[1]", b"{", b'{"type":1}', b"\xff", b'{"a":' + b"[" * 100000):
            frame = parse_frame(raw)
            self.assertEqual((raw, ""), (frame.raw, frame.type))


class ClosingTests(DeviceCase):
    """The end of a connection."""

    def test_closing_in_form(self) -> None:
        """The closing handshake is done, and everyone who asked is told the same."""
        mourner = self.device.when_closed()
        closed = self.device.close()
        self.settle()
        self.assertEqual(CloseReason(1000, ""), self.successResultOf(closed))
        self.assertEqual(self.successResultOf(mourner), self.successResultOf(self.device.when_closed()))

    def test_nothing_can_be_said_on_a_closed_connection(self) -> None:
        """To speak while it closes, or later, is an error; to close it again is not."""
        self.device.close()
        with self.assertRaises(ConnectionClosed):
            self.device.hang_up(FRIEND, ROOM)
        self.settle()
        with self.assertRaises(ConnectionClosed):
            self.device.call(*FRIEND)
        self.successResultOf(self.device.close())
        self.successResultOf(self.device.abort())

    def test_server_that_does_not_answer_the_close(self) -> None:
        """A server that is gone does not keep the client waiting for ever."""
        self.server.answers_close = False
        closed = self.device.close()
        self.settle()
        self.assertNoResult(closed)
        self.reactor.advance(CLOSE_TIMEOUT)
        self.settle()
        self.assertEqual(CloseReason(1006, ""), self.successResultOf(closed))

    def test_cutting(self) -> None:
        """A connection can be cut, as a dead battery would."""
        closed = self.device.abort()
        self.settle()
        self.assertEqual(1006, self.successResultOf(closed).code)

    def test_server_closes(self) -> None:
        """The server's code and words are kept, also those that are not everyone's to send."""
        closed = self.device.when_closed()
        self.server.socket.sendCloseFrame(1001, b"server going away")
        self.settle()
        self.assertEqual(CloseReason(1001, "server going away"), self.successResultOf(closed))
