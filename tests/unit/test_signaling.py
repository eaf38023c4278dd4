"""The messages of a device's session (protocol §2, §2.6)."""

from __future__ import annotations

from callnet.model import DeviceAddress
from harness.websocket import CLOSE, PING, PONG, TEXT
from tests.support.quiet import QuietTestCase

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")
ROOM = "0" * 32


class SessionTests(QuietTestCase):
    """The answers of a device's session."""

    def setUp(self) -> None:
        """Connect a television and a phone."""
        super().setUp()
        self.tv = self.world.device(*TV)
        self.phone = self.world.device(*PHONE)

    def test_error(self) -> None:
        """A frame that breaks the protocol is answered by an error with code, name and a message."""
        self.tv.say_raw(b"[]")
        self.assertEqual(
            self.tv.hears(),
            {
                "type": "error",
                "errorCode": 2,
                "errorCodeName": "ERROR_CODE_DATA_INVALID",
                "message": "the frame must be a JSON object",
            },
        )

    def test_unknown_type(self) -> None:
        """The first frame of an unknown type on a connection is answered, later ones are not, and none counts."""
        self.tv.say("heartbeat")
        self.assertEqual(self.tv.hears()["type"], "error")
        for _ in range(500):
            self.tv.say("heartbeat2")
        self.assertEqual(self.tv.heard(), [])
        self.assertTrue(self.tv.wire.open)
        again = self.world.device(*TV)
        again.say("heartbeat")
        self.assertEqual(again.hears()["type"], "error")

    def test_too_many_bad_frames(self) -> None:
        """120 bad frames in a minute are answered; one more closes the socket with 4400."""
        for _ in range(120):
            self.tv.say("call")
            self.assertEqual(self.tv.hears()["reason"], "invalid")
        self.assertTrue(self.tv.wire.open)
        self.tv.say_raw(b"")
        self.assertEqual(self.tv.close_code, 4400)
        self.assertTrue(self.phone.wire.open)

    def test_bad_frames_of_another_minute(self) -> None:
        """Bad frames that come more slowly close nothing."""
        for _ in range(5):
            for _ in range(100):
                self.tv.say_raw(b"{}")
            self.world.advance(60)
        self.assertEqual(len(self.tv.heard()), 500)
        self.assertTrue(self.tv.wire.open)

    def test_calls_that_fail_do_not_count(self) -> None:
        """A well-formed call that fails is no bad frame."""
        for _ in range(200):
            self.tv.say("call", to_phone="13651884969", to_device_id="x")
            self.assertEqual(self.tv.hears()["reason"], "offline")
        self.assertTrue(self.tv.wire.open)

    def test_many_frames_at_once(self) -> None:
        """Frames that come together, or one in many pieces, are taken one by one and in order."""
        call = b'{"type":"call","to_phone":"13651884969","to_device_id":"%d"}'
        for number in range(5):
            self.tv.wire.frame(TEXT, call % number)
        self.world.settle()
        self.assertEqual([message["to_device_id"] for message in self.tv.heard()], list("01234"))
        self.tv.wire.frame(TEXT, call % 5)
        for byte in self.tv.wire.take_unsent():
            self.tv.wire.send(bytes((byte,)))
            self.world.settle()
        self.assertEqual(self.tv.hears()["to_device_id"], "5")

    def test_pings_of_a_client(self) -> None:
        """A ping of a client is answered by the same bytes."""
        self.tv.wire.frame(PING, b"are you there?")
        self.world.settle()
        self.assertEqual([(f.opcode, f.payload) for f in self.tv.wire.frames], [(PONG, b"are you there?")])

    def test_client_closes(self) -> None:
        """A client that closes is answered by a close frame, then the connection ends."""
        self.tv.wire.answers_close = False
        self.tv.wire.frame(CLOSE, b"\x03\xe8bye")
        self.world.settle()
        self.assertEqual(self.tv.wire.frames[-1].opcode, CLOSE)
        self.assertTrue(self.tv.wire.lost)
        self.assertEqual(self.successResultOf(self.world.store.online([TV, PHONE])), {PHONE})


class LongNamesTests(QuietTestCase):
    """Messages to base clients stay under 512 bytes (protocol §2)."""

    caller = DeviceAddress("\U0001f4f1" * 32, "\U0001f4fa" * 50)
    callee = DeviceAddress("\U0001f4fb" * 32, "\\\U0001f4f7" * 25)

    def test_longest_names(self) -> None:
        """Every kind of message does, with the longest names that a token may hold."""
        one, two = self.world.device(*self.caller), self.world.device(*self.callee)
        call = {"to_phone": self.callee.phone, "to_device_id": self.callee.device_id}
        source = {"from_phone": self.caller.phone, "from_device_id": self.caller.device_id}

        one.say("call", **call)
        called = two.hears()
        self.assertEqual((called["from_phone"], called["from_device_id"]), self.caller)
        two.say("called_refuse", **source, room_id=called["room_id"])
        self.assertEqual(one.hears()["type"], "call_refuse")

        one.say("call", **call)
        room = two.hears()["room_id"]
        two.say("called_success", **source, room_id=room)
        success = one.hears()
        self.assertEqual((success["to_phone"], success["to_device_id"]), self.callee)
        one.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.assertEqual(two.hears()["type"], "calling_be_hangup")
        two.say("called_success", **source, room_id=ROOM)
        self.assertEqual(two.hears()["reason"], "expired")
        one.say("call", to_phone=self.caller.phone, to_device_id=self.callee.device_id)
        self.assertEqual(one.hears()["type"], "call_failed")
        one.say("call", to_phone=self.caller.phone, to_device_id=self.callee.device_id + "x")
        self.assertEqual(one.hears()["reason"], "invalid")

    def test_page_where_it_fits(self) -> None:
        """Names of real phones and the longest device ids leave room for the page's path."""
        one, two = self.world.device(TV.phone, "\U0001f4fa" * 50), self.world.device(*PHONE)
        one.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertIn("page", two.hears())
