"""Bad input of every kind, from a device, while others talk (protocol §2.3, §2.6).

Each is answered as the protocol names it, nothing comes into the log, and nobody else's call is disturbed.
"""

from __future__ import annotations

import json
from itertools import product
from typing import Any, Final

from callnet.model import DeviceAddress
from harness.websocket import CONTINUATION, PING, TEXT
from tests.support.quiet import QuietTestCase
from tests.support.wires import Device

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")
PAD = DeviceAddress("13651884969", "pad")
ROOM = "0123456789abcdef" * 2
OTHERS = (DeviceAddress("13651884960", "one"), DeviceAddress("13651884961", "two"))

FRAMES: Final[dict[str, dict[str, str]]] = {
    "call": {"to_phone": PHONE.phone, "to_device_id": PHONE.device_id},
    "called_success": {"from_phone": PHONE.phone, "from_device_id": PHONE.device_id, "room_id": ROOM},
    "called_refuse": {"from_phone": PHONE.phone, "from_device_id": PHONE.device_id, "room_id": ROOM},
    "calling_hangup": {"notified_phone": PHONE.phone, "notified_device_id": PHONE.device_id, "room_id": ROOM},
}
NAMES: Final = ("phone", "device_id")
WRONG_TYPES: Final[tuple[object, ...]] = (None, True, 13651884967, 1.5, [], {}, [PHONE.phone], {"phone": PHONE.phone})
CONTROLS: Final = ("\0", "\n", "\r\n", "\t", "\x1f", "\x7f", "\x85", "\x9f")


class BadInputCase(QuietTestCase):
    """A device that misbehaves, and two others that are in a call and must not notice."""

    def setUp(self) -> None:
        """Let two devices talk; connect the one that misbehaves."""
        super().setUp()
        self.one, self.two = (self.world.device(*address) for address in OTHERS)
        self.room = self.talk(self.one, self.two, OTHERS[0], OTHERS[1])
        self.bad = self.world.device(*TV)
        self.secrets += [self.room, ROOM, PHONE.phone, TV.phone]

        self.addCleanup(self.assert_undisturbed)

    def assert_undisturbed(self) -> None:
        """The two are still in their call, and have heard nothing."""
        self.assertEqual(self.one.heard() + self.two.heard(), [])
        self.one.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)
        self.assertEqual(self.two.hears()["reason"], "hangup")

    def talk(self, caller: Device, callee: Device, from_: DeviceAddress, to: DeviceAddress) -> str:
        """Let one device call another, which accepts; answer the room."""
        caller.say("call", to_phone=to.phone, to_device_id=to.device_id)
        room = callee.hears()["room_id"]
        callee.say("called_success", from_phone=from_.phone, from_device_id=from_.device_id, room_id=room)
        caller.hears()
        assert isinstance(room, str)
        return room

    def again(self) -> None:
        """Reconnect: too many bad frames would close the socket."""
        self.bad.leave()
        self.bad = self.world.device(*TV)

    def assert_error(self, message: str) -> None:
        """The device is answered by an error with this message."""
        self.assertEqual(
            self.bad.hears(),
            {"type": "error", "errorCode": 2, "errorCodeName": "ERROR_CODE_DATA_INVALID", "message": message},
        )

    def assert_complaint(self, kind: str, field: str, complaint: str, frame: dict[str, Any]) -> None:
        """Assert that the device is told the error: by ``call_failed`` for a call, else by an error."""
        if kind != "call":
            self.assert_error(f"{kind}: {field} {complaint}")
            return
        answer = self.bad.hears()
        self.assertEqual(answer.pop("message"), f"call: {field} {complaint}")
        echo = {name: frame.get(name) if name != field else answer.get(name) for name in FRAMES["call"]}
        self.assertEqual(answer, {"type": "call_failed", "reason": "invalid", **echo})


class FieldTests(BadInputCase):
    """Something is wrong with one field, in every frame and every field."""

    def test_missing(self) -> None:
        """A field that is missing is named; a hang-up needs no room_id, and means the own call to that phone then."""
        for kind, fields in FRAMES.items():
            for name in fields:
                frame = {key: value for key, value in fields.items() if key != name}
                self.bad.say(kind, **frame)
                if (kind, name) == ("calling_hangup", "room_id"):
                    self.assertEqual(self.bad.heard(), [])
                else:
                    self.assert_complaint(kind, name, "is missing", {**frame, name: ""})

    def test_wrong_type(self) -> None:
        """A field that is no string is named; the `room_id` of a hang-up may be `null`, as if it were missing."""
        for kind, fields in FRAMES.items():
            self.again()
            for name in fields:
                for value in WRONG_TYPES:
                    frame = {**fields, name: value}
                    self.bad.say(kind, **frame)
                    if (kind, name, value) == ("calling_hangup", "room_id", None):
                        self.assertEqual(self.bad.heard(), [])
                    else:
                        self.assert_complaint(kind, name, "must be a string", {**frame, name: ""})

    def test_empty(self) -> None:
        """An empty name is an invalid call; in an answer or a hang-up names route nothing and may be empty."""
        for name in FRAMES["call"]:
            frame = {**FRAMES["call"], name: ""}
            self.bad.say("call", **frame)
            self.assert_complaint("call", name, "is empty", frame)
        self.bad.say("called_success", from_phone="", from_device_id="", room_id=ROOM)
        self.assertEqual(self.bad.hears()["reason"], "expired")
        self.bad.say("called_refuse", from_phone="", from_device_id="", room_id=ROOM)
        self.bad.say("calling_hangup", notified_phone="", notified_device_id="", room_id=ROOM)
        self.bad.say("calling_hangup", notified_phone="", notified_device_id="", room_id="")
        self.assertEqual(self.bad.heard(), [])

    def test_bad_room(self) -> None:
        """A malformed room is an error; a hang-up's may be empty."""
        rooms = (ROOM[1:], ROOM + "0", ROOM.upper(), ROOM + "\n", "x" * 32, "٠" * 32, " ", "8888", "x" * 9000)
        for kind in ("called_success", "called_refuse", "calling_hangup"):
            self.again()
            for room in rooms if kind == "calling_hangup" else ("", *rooms):
                self.bad.say(kind, **{**FRAMES[kind], "room_id": room})
                self.assert_error(f"{kind}: room_id must be 32 lowercase hex digits")

    def test_too_long(self) -> None:
        """A name that no phone and no device can have is an error, and is not sent back."""
        for kind, fields in FRAMES.items():
            for name, longest in zip(fields, (32, 50), strict=False):
                for length in (longest + 1, 9000):
                    frame = {**fields, name: "1" * length}
                    self.bad.say(kind, **frame)
                    self.assert_complaint(kind, name, f"is longer than {longest} characters", {**frame, name: ""})

    def test_ten_megabytes(self) -> None:
        """A field of 10 MB closes the socket with 1009, and is never looked at."""
        self.bad.say("call", to_phone="1" * 10_000_000, to_device_id="x")
        self.assertEqual(self.bad.close_code, 1009)
        self.assertEqual(self.bad.heard(), [])

    def test_control_characters(self) -> None:
        """Control characters in a name, escaped or not, are an error, and are not sent back."""
        for kind, fields in FRAMES.items():
            self.again()
            for name, control, escaped in product(list(fields)[:2], CONTROLS, (True, False)):
                frame = {**fields, name: f"1{control}2"}
                self.bad.say_raw(json.dumps({"type": kind, **frame}, ensure_ascii=escaped).encode())
                self.assert_complaint(kind, name, "has control characters", {**frame, name: ""})

    def test_lone_surrogate(self) -> None:
        """A half of a surrogate pair is in no text: the frame is no JSON."""
        for half in (b"\\ud83d", b"\\udcfa", b"\\udcfa\\ud83d", b"\\ud83dx"):
            self.bad.say_raw(b'{"type":"call","to_phone":"' + half + b'","to_device_id":"x"}')
            self.assert_error("the frame is not JSON")

    def test_odd_but_right(self) -> None:
        """Names of any script, a name like a word of the protocol, and unknown fields are all right."""
        for device_id in ("电视", "\U0001f4fa" * 50, "type", '"type"', "call", "\\", "a b", "\u200e", "\u2028"):
            self.bad.say("call", to_phone=PAD.phone, to_device_id=device_id)
            answer = self.bad.hears()
            self.assertEqual((answer["reason"], answer["to_device_id"]), ("offline", device_id))
        for extra in (b'[{"type":"call"}]', b"null", b"1" + b"0" * 5000, b"1e9999", b'{"\\u0074ype":[]}'):
            self.bad.say_raw(b'{"type":"call","to_phone":"13651884969","to_device_id":"pad","x":' + extra + b"}")
            self.assertEqual(self.bad.hears()["reason"], "offline")
        self.bad.say_raw(b'{"x\\n":1' + b"0" * 5000 + b',"type":"call","to_phone":"13651884969","to_device_id":"pad"}')
        self.assertEqual(self.bad.hears()["reason"], "offline")


class FrameTests(BadInputCase):
    """Something is wrong with the frame as a whole."""

    def test_no_json(self) -> None:
        """A frame that is not JSON is an error."""
        for payload in (
            b"",
            b" ",
            b"{",
            b"call",
            b"{'type':'call'}",
            b'{"type":"call"}{}',
            b'{"type":NaN}',
            b"\0",
            b"//",
        ):
            self.bad.say_raw(payload)
            self.assert_error("the frame is not JSON")
        self.bad.say_raw("\ufeff{}".encode())
        self.assert_error("the frame is not JSON")

    def test_no_object(self) -> None:
        """JSON that is no object is an error."""
        for payload in (b"null", b"[]", b'"call"', b"0", b'[{"type":"call"}]'):
            self.bad.say_raw(payload)
            self.assert_error("the frame must be a JSON object")

    def test_no_type(self) -> None:
        """An object without a type, or with one that is no string, is an error."""
        self.bad.say_raw(b'{"Type":"call"}')
        self.assert_error("type is missing")
        for value in WRONG_TYPES:
            self.bad.say_raw(json.dumps({"type": value}).encode())
            self.assert_error("type must be a string")

    def test_unknown_type(self) -> None:
        """An unknown type is an error, once; those of the server are unknown too."""
        for kind in ("", "Call", "call ", "called", "call_success", "calling_be_hangup", "error", "x" * 9000, "\0"):
            self.again()
            self.bad.say(kind, **FRAMES["call"])
            self.assert_error("unknown type")
            self.bad.say(kind)
            self.assertEqual(self.bad.heard(), [])

    def test_deep_nesting(self) -> None:
        """Nesting as deep as a frame allows is refused, wherever it is; how deep Python itself can look differs."""
        deep = b"[" * 8000
        for payload in (
            deep,
            b'{"x":' + deep,
            b'{"type":"call","to_phone":' + deep + b"]" * 8000 + b"}",
            b'{"x":' * 3000,
        ):
            self.bad.say_raw(payload)
            self.assertIn(self.bad.hears()["type"], ("error", "call_failed") if b"call" in payload else ("error",))

    def test_duplicate_keys(self) -> None:
        """The last of duplicate keys counts."""
        self.bad.say_raw(b'{"type":"call","to_phone":7,"to_phone":"13651884968","to_device_id":"x","to_device_id":"y"}')
        answer = self.bad.hears()
        self.assertEqual((answer["reason"], answer["to_phone"], answer["to_device_id"]), ("offline", PHONE.phone, "y"))

    def test_duplicate_type(self) -> None:
        """A type that stands twice is an error, also if both are the same or one is spelt in escapes."""
        rest = b',"to_phone":"13651884968","to_device_id":"x"}'
        for payload in (
            b'{"type":"call","type":"call"' + rest,
            b'{"type":"call","type":"x"' + rest,
            b'{"type":"x","type":"call"' + rest,
            b'{"type":"call","\\u0074ype":"called_success"' + rest,
            b'{"type":7,"type":"call"' + rest,
        ):
            self.bad.say_raw(payload)
            self.assert_error('duplicate key "type"')

    def test_invalid_utf8(self) -> None:
        """Invalid UTF-8 closes the socket with 1007, also in a field that nobody reads."""
        self.bad.say_raw(b'{"type":"call","to_phone":"13651884968","to_device_id":"x","y":"\xc0\xaf"}')
        self.assertEqual(self.bad.close_code, 1007)
        self.assertEqual(self.bad.heard(), [])

    def test_fragments(self) -> None:
        """A message in fragments, with a ping between them and cut within a character, is a message."""
        payload = '{"type":"call","to_phone":"13651884969","to_device_id":"电视"}'.encode()
        for byte in payload[:-1]:
            first = byte == payload[0]
            self.bad.wire.frame(TEXT if first else CONTINUATION, bytes((byte,)), fin=False)
        self.bad.wire.frame(PING, b"")
        self.bad.wire.frame(CONTINUATION, payload[-1:])
        self.world.settle()
        self.assertEqual(self.bad.hears()["to_device_id"], "电视")


class RoomOfOthersTests(BadInputCase):
    """Frames about a call that is not the sender's (protocol §2.3)."""

    def test_live_call_of_others(self) -> None:
        """Another's live call can be neither answered nor ended: each try is an error."""
        for kind, fields in list(FRAMES.items())[1:]:
            self.bad.say(kind, **{**fields, "room_id": self.room})
            self.assert_error(f"{kind}: room_id is of another's call")

    def test_ringing_call_of_others(self) -> None:
        """A call that still rings can be neither answered nor ended either."""
        caller, callee = self.world.device(*PHONE), self.world.device(*PAD)
        caller.say("call", to_phone=PAD.phone, to_device_id=PAD.device_id)
        room = callee.hears()["room_id"]
        for kind, fields in list(FRAMES.items())[1:]:
            self.bad.say(kind, **{**fields, "room_id": room})
            self.assert_error(f"{kind}: room_id is of another's call")
        self.assertEqual(caller.heard() + callee.heard(), [])

    def test_tries_count(self) -> None:
        """Trying again and again closes the socket with 4400."""
        for _ in range(121):
            self.bad.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)
        self.assertEqual(self.bad.close_code, 4400)

    def test_after_hanging_up(self) -> None:
        """Frames about a call after its end have no effect; only an acceptance is answered, as often as it comes."""
        phone = self.world.device(*PHONE)
        room = self.talk(self.bad, phone, TV, PHONE)
        self.bad.say("calling_hangup", **{**FRAMES["calling_hangup"], "room_id": room})
        self.assertEqual(phone.hears()["reason"], "hangup")
        for _ in range(150):
            for device in (self.bad, phone):
                device.say("calling_hangup", **{**FRAMES["calling_hangup"], "room_id": room})
                device.say("called_refuse", **{**FRAMES["called_refuse"], "room_id": room})
        self.assertEqual(self.bad.heard() + phone.heard(), [])
        for _ in range(150):
            phone.say("called_success", from_phone="x", from_device_id="y", room_id=room)
            self.assertEqual(
                phone.hears(),
                {
                    "type": "calling_be_hangup",
                    "fire_phone": "x",
                    "fire_device_id": "y",
                    "room_id": room,
                    "reason": "hangup",
                },
            )
        self.assertEqual(self.bad.heard(), [])

    def test_room_that_never_was(self) -> None:
        """A well-formed room that is not known: an acceptance is answered by ``expired``, the rest by nothing."""
        self.bad.say("calling_hangup", **FRAMES["calling_hangup"])
        self.bad.say("called_refuse", **FRAMES["called_refuse"])
        self.assertEqual(self.bad.heard(), [])
        self.bad.say("called_success", **FRAMES["called_success"])
        answer = self.bad.hears()
        self.assertEqual((answer["type"], answer["reason"], answer["room_id"]), ("calling_be_hangup", "expired", ROOM))
        self.assertEqual((answer["fire_phone"], answer["fire_device_id"]), PHONE)
