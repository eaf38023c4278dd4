"""The extended protocol, ``callnet.v2``, on the wire (protocol §2.5)."""

from __future__ import annotations

import json
from typing import Any

from callnet.model import DeviceAddress
from tests.support.extended_case import ANN, DOB, PAD, TV, ExtendedCase
from tests.support.wires import Device


class HandshakeTests(ExtendedCase):
    """The choice of the extended protocol."""

    def offer(self, offered: str, token: str | None = None) -> str:
        """The head of the answer to a handshake that offers subprotocols."""
        token = token or self.world.tokens.issue(ANN)
        return self.world.ask(f"/socket.io?token={token}", {"Sec-WebSocket-Protocol": offered}).head

    def test_chosen(self) -> None:
        """A client that offers `callnet.v2`, alone or among others, is answered with it."""
        for offered in ("callnet.v2", "chat, callnet.v2", "callnet.v2,callnet.v1"):
            self.assertIn("Sec-WebSocket-Protocol: callnet.v2\r\n", self.offer(offered))

    def test_not_chosen(self) -> None:
        """A client that offers something else is a base client."""
        for offered in ("callnet.v1", "callnet.v22", "chat"):
            head = self.offer(offered)
            self.assertIn("101", head)
            self.assertNotIn("Sec-WebSocket-Protocol", head)

    def test_bad_token(self) -> None:
        """A client with a bad token is admitted and closed with 4401: a browser cannot see a status."""
        wire = self.world.ask("/socket.io?token=none", {"Sec-WebSocket-Protocol": "callnet.v2"})
        self.assertEqual((101, 4401), (wire.status, wire.close_code))

    def test_bad_token_that_talks(self) -> None:
        """Messages of such a client before it is closed are ignored."""
        wire = self.world.connect()
        wire.handshake("/socket.io?token=none", {"Sec-WebSocket-Protocol": "callnet.v2"})
        wire.frame(1, b'{"type":"ping"}')
        self.world.settle()
        self.assertEqual(4401, wire.close_code)


class WelcomeTests(ExtendedCase):
    """The first frame on a connection."""

    def test_alone(self) -> None:
        """It names the device, the time, and how often to ping."""
        self.world.clock.advance(5)
        self.extended(ANN)
        self.assertEqual(
            {
                "type": "welcome",
                "phone": ANN.phone,
                "device_id": ANN.device_id,
                "server_time": 5.0,
                "ping_every": 20,
                "ice_servers": [],
                "calls_of_phone": [],
            },
            self.welcome,
        )

    def test_in_a_call(self) -> None:
        """It shows the call that the device is in, which goes on."""
        ann, tv = self.extended(ANN), self.world.device(*TV)
        room = self.talk(ann, tv)
        ann.leave()
        self.world.advance(1)
        self.extended(ANN)
        call = self.welcome["call"]
        self.assertEqual((room, "active", "outgoing"), (call["room_id"], call["state"], call["direction"]))
        self.assertEqual(TV, (call["peer_phone"], call["peer_device_id"]))
        self.assertIn(room, call["page"])

    def test_ringing(self) -> None:
        """A device that is being rung is welcomed first, then told `called`."""
        ann, tv = self.world.device(*ANN), self.extended(TV)
        room = self.rings(ann, tv)
        tv.leave()
        welcome, called = self.world.extended(*TV).heard()
        self.assertEqual(("ringing", "incoming"), (welcome["call"]["state"], welcome["call"]["direction"]))
        self.assertEqual(("called", room), (called["type"], called["room_id"]))

    def test_calls_of_phone(self) -> None:
        """Active calls of the phone's other devices are shown to a claimed device, and to no other."""
        ann, tv = self.world.device(*ANN), self.world.device(*TV)
        room = self.talk(ann, tv)
        self.extended(PAD)
        self.assertEqual([], self.welcome["calls_of_phone"])
        self.extended(PAD, claimed=True)
        (call,) = self.welcome["calls_of_phone"]
        self.assertEqual((room, TV.device_id), (call["room_id"], call["device_id"]))
        self.assertEqual(ANN, (call["peer_phone"], call["peer_device_id"]))

    def test_base_clients(self) -> None:
        """Base clients are not welcomed."""
        self.assertEqual([], self.world.device(*ANN).heard())


class CallWaitingTests(ExtendedCase):
    """A second call, for a device that says that it can show one."""

    def second_call(self, more: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """The messages to the television, which talks to Ann, and to Dob, who calls it."""
        self.ann, self.tv, dob = self.world.device(*ANN), self.extended(TV, more=more), self.extended(DOB)
        self.room = self.talk(self.ann, self.tv)
        dob.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        return self.tv.heard(), dob.heard()

    def test_taken(self) -> None:
        """It is rung, and accepts: the first call is replaced."""
        (called,), (*_, ringing) = self.second_call("&call_waiting=1")
        self.assertEqual(("called", "call_ringing"), (called["type"], ringing["type"]))
        self.ann.heard()
        self.accepts(self.tv, str(called["room_id"]))
        (end,) = self.ann.heard()
        self.assertEqual(("calling_be_hangup", "replaced"), (end["type"], end["reason"]))
        self.assertEqual([], self.tv.heard())

    def test_cannot_show(self) -> None:
        """Any other value says that it cannot: its caller is told `busy`."""
        for more in ("", "&call_waiting=0", "&call_waiting=", "&call_waiting=1&call_waiting=1"):
            called, (*_, failed) = self.second_call(more)
            self.assertEqual([], called)
            self.assertEqual(("call_failed", "busy"), (failed["type"], failed["reason"]))
            self.ann.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)

    def test_base_client(self) -> None:
        """A base client cannot, whatever it says."""
        token = self.world.tokens.issue(TV)
        wire = self.world.ask(f"/socket.io?token={token}&call_waiting=1", {})
        self.assertEqual(101, wire.status)
        ann, dob = self.extended(ANN), self.extended(DOB)
        tv = Device(self.world, wire, 600)
        self.talk(ann, tv)
        dob.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.assertEqual("call_failed", dob.hears()["type"])


class IdTests(ExtendedCase):
    """The answer to a request carries its `id`."""

    def setUp(self) -> None:
        """Ann is extended."""
        super().setUp()
        self.ann = self.extended(ANN)

    def test_outcomes(self) -> None:
        """The outcome of a call carries the `id` as well."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id, id="a")
        self.assertEqual(("call_failed", "a"), (self.ann.hears()["type"], "a"))
        tv = self.world.device(*TV)
        for answer, kind in (("called_refuse", "call_refuse"), ("called_success", "call_success")):
            self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id, id=kind)
            tv.say(answer, from_phone="", from_device_id="", room_id=tv.hears()["room_id"])
            self.assertEqual((kind, kind), (self.ann.heard()[-1]["type"], kind))

    def test_errors(self) -> None:
        """Errors carry it as well, as far as it can be read."""
        for fields in (
            {"type": "what", "id": "7"},
            {"id": "7"},
            {"type": "called_success", "id": "7"},
            {"type": "signal", "room_id": "x", "data": 1, "id": "7"},
            {"type": "call", "to_phone": "", "id": "7"},
        ):
            self.ann.say_raw(json.dumps(fields).encode())
            self.assertEqual("7", self.ann.hears()["id"], fields)

    def test_late_answers(self) -> None:
        """The outcome that a late answer is told carries it as well."""
        self.ann.say("called_success", from_phone="1", from_device_id="2", room_id="0" * 32, id="late")
        answer = self.ann.hears()
        self.assertEqual(("calling_be_hangup", "late"), (answer["type"], answer["id"]))

    def test_bad_ids(self) -> None:
        """An id that is no text of up to 64 characters is an error."""
        for wrong in (7, "x" * 65, None, "a\n"):
            self.ann.say("ping", id=wrong)
            answer = self.ann.hears()
            self.assertEqual("ping: id must be a string of up to 64 characters", answer["message"])
            self.assertNotIn("id", answer)

    def test_base_clients(self) -> None:
        """From a base client it is an unknown field."""
        tv = self.world.device(*TV)
        for anything in ("a", 7, None):
            tv.say("call", to_phone=DOB.phone, to_device_id=DOB.device_id, id=anything)
            self.assertEqual({"type", "to_phone", "to_device_id", "reason", "message"}, set(tv.hears()))


class PingTests(ExtendedCase):
    """Pings in text."""

    def test_echo(self) -> None:
        """`pong` repeats the fields of `ping`."""
        ann = self.extended(ANN)
        times: tuple[float | str, ...] = (1, 2.5, "now")
        for t in times:
            ann.say("ping", t=t, id="p")
            self.assertEqual({"type": "pong", "t": t, "id": "p"}, ann.hears())
        ann.say("ping")
        self.assertEqual({"type": "pong"}, ann.hears())

    def test_bad(self) -> None:
        """`t` is a number or a short text."""
        ann = self.extended(ANN)
        wrong: tuple[object, ...] = ([], {"a": 1}, True, "x" * 65)
        for t in wrong:
            ann.say("ping", t=t)
            self.assertEqual("error", ann.hears()["type"], t)


class BadFramesTests(ExtendedCase):
    """Extended clients are new: they have no old habits."""

    def test_too_many(self) -> None:
        """The 21st bad frame in a minute closes the socket; unknown types count."""
        ann = self.extended(ANN)
        for _ in range(20):
            ann.say("what")
        self.assertEqual(20, len(ann.heard()))
        ann.say("what")
        self.assertEqual(4400, ann.close_code)


class GoingAwayTests(ExtendedCase):
    """The server stops."""

    def test_told(self) -> None:
        """Extended clients are told when to come again, each at another time; base clients are just closed."""
        devices = [self.extended(DeviceAddress(f"1365188490{n}", "a")) for n in range(5)]
        base = self.world.device(*ANN)
        self.world.signaling.shut_down()
        self.world.settle()
        told = [device.hears() for device in devices]
        self.assertEqual({"going_away"}, {message["type"] for message in told})
        times = [message["reconnect_in"] for message in told]
        self.assertTrue(all(1 <= time <= 10 for time in times), times)
        self.assertEqual(5, len(set(times)))
        self.assertEqual([], base.heard())
        self.assertEqual({1001}, {device.close_code for device in [*devices, base]})

    def test_in_a_call(self) -> None:
        """A device in a call is to reconnect within half a second: there is a peer on the other side."""
        ann, tv = devices = self.extended(ANN), self.extended(TV)
        self.talk(ann, tv)
        self.world.signaling.shut_down()
        self.world.settle()
        times = [device.hears()["reconnect_in"] for device in devices]
        self.assertTrue(all(0 <= time <= 0.5 for time in times), times)
