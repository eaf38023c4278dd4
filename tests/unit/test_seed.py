"""The seed's interface description, section by section and frame by frame: the contract for devices in the field.

Answers may have more fields than the seed names, never fewer, and never a type that it does not name.
"""

from __future__ import annotations

import json
import re
from typing import Any

from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.web.http import CappedSite
from tests.support.account_fixture import ServiceFixture
from tests.support.http_wire import HttpWire
from tests.support.quiet import QuietTestCase
from tests.support.wires import ANSWERED, Device

TV = {"phone": "13651884967", "device_id": "tv888"}
PHONE = {"phone": "13651884968", "device_id": "phone1"}
OTHER = {"phone": "13651884969", "device_id": "pad"}

ROOM_ID = re.compile(r"[0-9a-f]{32}")
SAMPLE_TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
    "eyJ1c2VyTmFtZSI6IjEzNjUxODg0OTY3dHY4ODgiLCJpcCI6IiIsImV4cCI6MTYxNDU2OTg3Nn0."
    "QOfS6GUFFl8aQaam75tLwBbvKz88Wp5KY1jCGka96Cg"
)


class SeedTestCase(QuietTestCase):
    """Devices that know the seed, and nothing else, at a whole server."""

    phone_format = "cn-mobile"

    def setUp(self) -> None:
        """Start the account service (8083) and the media signaling service (8082)."""
        super().setUp()
        fixture = ServiceFixture(world=self.world, phone_format=self.phone_format)
        self.addCleanup(fixture.database.close)
        self.database = fixture.database
        self.accounts = CappedSite(
            fixture.api(),
            self.world.clock,
        )

    def post(self, path: str, **fields: object) -> dict[str, Any]:
        """``POST path HTTP/1.1``, ``Content-Type: application/json``; answer the JSON of the response."""
        wire = HttpWire(self.accounts)
        answer = wire.request("POST", path, json.dumps(fields).encode(), "Content-Type: application/json")
        wire.leave()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "application/json")
        body = answer.json()
        self.assertIs(type(body["errorCode"]), int)
        self.assertIs(type(body["errorCodeName"]), str)
        self.assertIs(type(body["message"]), str)
        assert isinstance(body, dict)
        return body

    def login(self, who: dict[str, str]) -> str:
        """Log a device in; answer its token."""
        token = self.post("/account/login", **who)["token"]
        assert isinstance(token, str)
        return token

    def connect(self, who: dict[str, str]) -> Device:
        """``ws://HOST:8082/socket.io?token={token}``."""
        wire = self.world.ask(f"/socket.io?token={self.login(who)}")
        self.assertEqual(wire.status, 101)
        return Device(self.world, wire, ANSWERED)

    def assert_fields(self, message: dict[str, Any], expected: dict[str, Any]) -> None:
        """The message has these fields with these values, whatever else it may have."""
        self.assertEqual({name: message.get(name) for name in expected}, expected)


class AccountSectionTests(SeedTestCase):
    """一、账户服务."""

    def test_login(self) -> None:
        """登录: phone and device_id are answered by errorCode 0, ERROR_CODE_NONE and a token."""
        answer = self.post("/account/login", phone="13651884967", device_id="tv888")
        self.assert_fields(answer, {"errorCode": 0, "errorCodeName": "ERROR_CODE_NONE"})
        self.assertIs(type(answer["token"]), str)

    def test_token_lives_seven_days(self) -> None:
        """登录: the token is valid for 7 days."""
        token = self.login(TV)
        self.world.clock.advance(7 * 86400 - 1)
        wire = self.world.ask(f"/socket.io?token={token}")
        self.assertEqual(wire.status, 101)
        wire.leave()
        self.world.clock.advance(1)
        self.assertEqual(self.world.ask(f"/socket.io?token={token}").status, 401)

    def test_login_errors(self) -> None:
        """登录: errorCode 2 for bad JSON, 3 for a bad phone, 5 for a bad device id, each with its name."""
        wire = HttpWire(self.accounts)
        answer = wire.request("POST", "/account/login", b"phone=13651884967").json()
        wire.leave()
        self.assert_fields(answer, {"errorCode": 2, "errorCodeName": "ERROR_CODE_DATA_INVALID"})
        answer = self.post("/account/login", phone="13651884967")
        self.assert_fields(answer, {"errorCode": 2, "errorCodeName": "ERROR_CODE_DATA_INVALID"})
        answer = self.post("/account/login", phone="1365188", device_id="tv888")
        self.assert_fields(answer, {"errorCode": 3, "errorCodeName": "ERROR_CODE_PHONE_INVALID"})
        answer = self.post("/account/login", phone="13651884967", device_id="")
        self.assert_fields(answer, {"errorCode": 5, "errorCodeName": "ERROR_CODE_DEVICE_INVALID"})

    def test_get_contact_persons(self) -> None:
        """获取联系人: phone and token are answered by a list of phone and device_id."""
        contacts.add(self.database, [Pair("13651884967", "13651884968")], 0.0)
        self.login(PHONE)
        answer = self.post("/getContactPersons", phone="13651884967", token=self.login(TV))
        self.assert_fields(answer, {"errorCode": 0, "errorCodeName": "ERROR_CODE_NONE"})
        (contact,) = answer["contacts"]
        self.assert_fields(contact, {"phone": "13651884968", "device_id": "phone1"})

    def test_no_contacts(self) -> None:
        """获取联系人: contacts is an array also when there are none."""
        answer = self.post("/getContactPersons", phone="13651884967", token=self.login(TV))
        self.assertEqual(answer["contacts"], [])

    def test_get_contact_persons_errors(self) -> None:
        """获取联系人: errorCode 2 for bad JSON, 4 for a bad token."""
        answer = self.post("/getContactPersons", phone="13651884967")
        self.assert_fields(answer, {"errorCode": 2, "errorCodeName": "ERROR_CODE_DATA_INVALID"})
        for token in ("", "x", SAMPLE_TOKEN, self.login(PHONE)):
            answer = self.post("/getContactPersons", phone="13651884967", token=token)
            self.assert_fields(answer, {"errorCode": 4, "errorCodeName": "ERROR_CODE_TOKEN_INVALID"})


class SignalingSectionTests(SeedTestCase):
    """二、媒体信令服务."""

    def setUp(self) -> None:
        """A television and a phone are connected, as the seed asks."""
        super().setUp()
        self.tv = self.connect(TV)
        self.phone = self.connect(PHONE)

    def ring(self) -> str:
        """Let the television call the phone; answer the room id that the phone reads."""
        self.tv.say("call", to_phone="13651884968", to_device_id="phone1")
        room = self.phone.hears()["room_id"]
        assert isinstance(room, str)
        return room

    def talk(self) -> str:
        """Let the television call and the phone accept; answer the room id."""
        room = self.ring()
        self.phone.say("called_success", from_phone="13651884967", from_device_id="tv888", room_id=room)
        self.tv.hears()
        return room

    def test_address(self) -> None:
        """呼叫联系人 1: the sample address works but for its token, which is long over."""
        self.assertEqual(self.world.ask(f"/socket.io?token={SAMPLE_TOKEN}").status, 401)
        self.assertEqual(self.world.ask("/socket.io").status, 401)

    def test_nothing_is_said_unasked(self) -> None:
        """A device that connects is sent nothing."""
        self.assertEqual(self.tv.heard(), [])

    def test_call_success(self) -> None:
        """呼叫联系人 3: call_success has to_phone, to_device_id and room_id."""
        self.tv.say("call", to_phone="13651884968", to_device_id="phone1")
        self.assertEqual(self.tv.heard(), [])
        room = self.phone.hears()["room_id"]
        self.phone.say("called_success", from_phone="13651884967", from_device_id="tv888", room_id=room)
        self.assert_fields(
            self.tv.hears(),
            {"type": "call_success", "to_phone": "13651884968", "to_device_id": "phone1", "room_id": room},
        )
        self.assertEqual(self.phone.heard(), [])

    def test_call_refuse(self) -> None:
        """呼叫联系人 3: call_refuse has to_phone and to_device_id."""
        room = self.ring()
        self.phone.say("called_refuse", from_phone="13651884967", from_device_id="tv888", room_id=room)
        self.assert_fields(
            self.tv.hears(), {"type": "call_refuse", "to_phone": "13651884968", "to_device_id": "phone1"}
        )
        self.assertEqual(self.phone.heard(), [])

    def test_call_failed(self) -> None:
        """呼叫联系人 3: call_failed has to_phone and to_device_id, and no room_id."""
        self.tv.say("call", to_phone="13651884969", to_device_id="pad")
        answer = self.tv.hears()
        self.assert_fields(answer, {"type": "call_failed", "to_phone": "13651884969", "to_device_id": "pad"})
        self.assertNotIn("room_id", answer)

    def test_call_that_nobody_answers(self) -> None:
        """呼叫联系人 3: a call that nobody answers fails; the phone stops to ring."""
        room = self.ring()
        self.world.advance(46)
        answer = self.tv.hears()
        self.assert_fields(answer, {"type": "call_failed", "to_phone": "13651884968", "to_device_id": "phone1"})
        self.assertNotIn("room_id", answer)
        self.assert_fields(
            self.phone.hears(),
            {
                "type": "calling_be_hangup",
                "fire_phone": "13651884967",
                "fire_device_id": "tv888",
                "room_id": room,
            },
        )

    def test_called(self) -> None:
        """被呼叫 2: called has from_phone, from_device_id and a room_id."""
        self.tv.say("call", to_phone="13651884968", to_device_id="phone1")
        message = self.phone.hears()
        self.assert_fields(message, {"type": "called", "from_phone": "13651884967", "from_device_id": "tv888"})
        self.assertRegex(message["room_id"], ROOM_ID)
        self.assertEqual(len(message["room_id"]), 32)

    def test_calling_hangup_by_the_caller(self) -> None:
        """通话中主动挂断: the server passes it on as calling_be_hangup (通话中被挂断); the sender is not answered."""
        room = self.talk()
        self.tv.say("calling_hangup", notified_phone="13651884968", notified_device_id="phone1", room_id=room)
        self.assertEqual(self.tv.heard(), [])
        self.assert_fields(
            self.phone.hears(),
            {
                "type": "calling_be_hangup",
                "fire_phone": "13651884967",
                "fire_device_id": "tv888",
                "room_id": room,
            },
        )

    def test_calling_hangup_by_the_callee(self) -> None:
        """通话中主动挂断: either of the two may hang up."""
        room = self.talk()
        self.phone.say("calling_hangup", notified_phone="13651884967", notified_device_id="tv888", room_id=room)
        self.assertEqual(self.phone.heard(), [])
        self.assert_fields(
            self.tv.hears(),
            {
                "type": "calling_be_hangup",
                "fire_phone": "13651884968",
                "fire_device_id": "phone1",
                "room_id": room,
            },
        )

    def test_calling_hangup_without_a_room(self) -> None:
        """通话中主动挂断: notified_phone alone says who is to be told, while it rings and in the call."""
        for room_id in ({}, {"room_id": ""}, {"room_id": None}):
            for is_answered in (False, True):
                for device, other in ((self.tv, PHONE), (self.phone, TV)):
                    (self.talk if is_answered else self.ring)()
                    names = {"notified_phone": other["phone"], "notified_device_id": other["device_id"]}
                    device.say("calling_hangup", **names, **room_id)
                    told = [[message["type"] for message in one.heard()] for one in (self.tv, self.phone)]
                    cancelled = device is self.tv and not is_answered
                    ended = "call_refuse" if device is self.phone and not is_answered else "calling_be_hangup"
                    self.assertEqual([[] if cancelled else [ended], ["calling_be_hangup"]], told)

    def test_every_call_has_its_own_room(self) -> None:
        """Both sides of a call are told one room, and each call has another."""
        first = self.talk()
        self.tv.say("calling_hangup", notified_phone="13651884968", notified_device_id="phone1", room_id=first)
        self.phone.heard()
        self.assertNotEqual(self.talk(), first)

    def test_only_words_of_the_seed(self) -> None:
        """Whatever happens to calls, no device is sent a type that the seed does not name."""
        words = {"call_success", "call_failed", "call_refuse", "called", "calling_be_hangup"}
        other = self.connect(OTHER)
        devices = (self.tv, self.phone, other)
        self.tv.say("call", to_phone="13651884968", to_device_id="phone1")
        other.say("call", to_phone="13651884968", to_device_id="phone1")
        self.phone.say("call", to_phone="13651884967", to_device_id="tv888")
        other.say("call", to_phone="13651884967", to_device_id="*")
        self.tv.say("call", to_phone="13651884969", to_device_id="*")
        self.tv.leave()
        self.world.advance(60)
        heard = [message["type"] for device in devices for message in device.heard()]
        self.assertGreater(len(heard), 6)
        self.assertLessEqual(set(heard), words)


class SpelledPhoneTests(SeedTestCase):
    """A number with dashes, spaces or brackets is the same in a login and in a frame (protocol §1, `phone_format`)."""

    phone_format = "number"

    def test_called_as_it_is_written(self) -> None:
        """It is reached by any spelling; answers carry the caller's own."""
        tv = self.connect(TV)
        for written in ("010-12345678", "(010)12345678", "01012345678"):
            land = self.connect({"phone": "010 1234 5678", "device_id": "desk"})
            for answer, outcome in (("called_success", "call_success"), ("called_refuse", "call_refuse")):
                tv.say("call", to_phone=written, to_device_id="desk")
                room = land.heard()[-1]["room_id"]  # an old end may come before it
                land.say(answer, from_phone="13651884967", from_device_id="tv888", room_id=room)
                self.assert_fields(tv.hears(), {"type": outcome, "to_phone": written, "to_device_id": "desk"})
                tv.say("calling_hangup", notified_phone=written, notified_device_id="desk")
                tv.heard(), land.heard()
            land.leave()
            self.world.advance(60)
            tv.say("call", to_phone=written, to_device_id="desk")
            self.assert_fields(tv.hears(), {"type": "call_failed", "to_phone": written, "reason": "offline"})

    def test_cancelled_as_it_is_written(self) -> None:
        """A call is cancelled by any spelling."""
        tv, land = self.connect(TV), self.connect({"phone": "010-12345678", "device_id": "desk"})
        tv.say("call", to_phone="01012345678", to_device_id="desk")
        land.hears()
        tv.say("calling_hangup", notified_phone="010-12345678", notified_device_id="desk", room_id="")
        self.assert_fields(land.hears(), {"type": "calling_be_hangup", "reason": "cancelled"})

    def test_called_back_as_it_is_written(self) -> None:
        """Two that call each other are put through, and nobody calls itself by another spelling."""
        tv, land = self.connect(TV), self.connect({"phone": "010-12345678", "device_id": "desk"})
        land.say("call", to_phone="13651884967", to_device_id="tv888")
        tv.hears()
        tv.say("call", to_phone="010 12345678", to_device_id="desk")
        self.assert_fields(tv.hears(), {"type": "call_success", "to_phone": "010 12345678"})
        land.say("call", to_phone="010-1234-5678", to_device_id="desk")
        self.assert_fields(land.heard()[-1], {"type": "call_failed", "reason": "self"})


class PageSectionTests(SeedTestCase):
    """三、1对1视频接口."""

    def test_page_of_a_room(self) -> None:
        """The path of the page, with the room, is as the seed says; called and call_success carry it."""
        tv, phone = self.connect(TV), self.connect(PHONE)
        tv.say("call", to_phone="13651884968", to_device_id="phone1")
        called = phone.hears()
        room = called["room_id"]
        self.assertEqual(called["page"], f"/static/demo/direct_chat.html?room_id={room}")
        phone.say("called_success", from_phone="13651884967", from_device_id="tv888", room_id=room)
        self.assertEqual(tv.hears()["page"], called["page"])

    def test_two_pages_meet(self) -> None:
        """Two pages with the same room see each other: that of a call, or one that was typed by hand."""
        first, second = self.world.page(), self.world.page()
        first.say("join", room_id="8888", key="a" * 32, session="1" * 32)
        second.say("join", room_id="8888", key="b" * 32, session="2" * 32)
        self.assertEqual(first.heard()[-1]["state"], "meeting")
        self.assertEqual(second.heard()[-1]["state"], "meeting")
