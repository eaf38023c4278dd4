"""The extended protocol, ``callnet.v2``, on the wire (protocol §2.5)."""

from __future__ import annotations

import json

from callnet.model import DeviceAddress
from tests.quiet import QuietTestCase
from tests.wires import Device

ANN = DeviceAddress("13651884968", "phone")
TV = DeviceAddress("13651884967", "tv")
PAD = DeviceAddress("13651884967", "pad")
DOB = DeviceAddress("13651884966", "phone")


class ExtendedCase(QuietTestCase):
    """Devices of which some are extended."""

    def extended(self, address: DeviceAddress, claimed: bool = False) -> Device:
        """Connect an extended device, which is welcomed before it is told anything else."""
        device = self.world.extended(*address, claimed=claimed)
        self.welcome, *_ = device.heard()
        self.assertEqual("welcome", self.welcome["type"])
        return device

    def rings(self, caller: Device, callee: Device, address: DeviceAddress = TV) -> str:
        """Let one call the other; the room."""
        caller.say("call", to_phone=address.phone, to_device_id=address.device_id)
        room = callee.hears()["room_id"]
        assert isinstance(room, str)
        return room

    def accepts(self, callee: Device, room: str) -> None:
        """Let the called device accept."""
        callee.say("called_success", from_phone="", from_device_id="", room_id=room)

    def talk(self, caller: Device, callee: Device, address: DeviceAddress = TV) -> str:
        """Let both talk to each other; the room."""
        room = self.rings(caller, callee, address)
        self.accepts(callee, room)
        self.assertEqual("call_success", caller.heard()[-1]["type"])
        return room


class HandshakeTests(ExtendedCase):
    """Who is extended."""

    def offer(self, offered: str, token: str | None = None) -> str:
        """The head of the answer to a handshake that offers subprotocols."""
        token = token or self.world.tokens.issue(ANN)
        return self.world.ask(f"/socket.io?token={token}", {"Sec-WebSocket-Protocol": offered}).head

    def test_chosen(self) -> None:
        """Whoever offers `callnet.v2`, be it among others, is answered with it."""
        for offered in ("callnet.v2", "chat, callnet.v2", "callnet.v2,callnet.v1"):
            self.assertIn("Sec-WebSocket-Protocol: callnet.v2\r\n", self.offer(offered))

    def test_not_chosen(self) -> None:
        """Whoever offers something else is a base client."""
        for offered in ("callnet.v1", "callnet.v22", "chat"):
            head = self.offer(offered)
            self.assertIn("101", head)
            self.assertNotIn("Sec-WebSocket-Protocol", head)

    def test_bad_token(self) -> None:
        """A client with a bad token is let in and closed with 4401: a browser cannot see a status."""
        wire = self.world.ask("/socket.io?token=none", {"Sec-WebSocket-Protocol": "callnet.v2"})
        self.assertEqual((101, 4401), (wire.status, wire.close_code))

    def test_bad_token_that_talks(self) -> None:
        """What such a client says before it is closed is not looked at."""
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


class IdTests(ExtendedCase):
    """What answers a request carries its `id`."""

    def setUp(self) -> None:
        """Ann is extended."""
        super().setUp()
        self.ann = self.extended(ANN)

    def test_outcomes(self) -> None:
        """So does the outcome of a call."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id, id="a")
        self.assertEqual(("call_failed", "a"), (self.ann.hears()["type"], "a"))
        tv = self.world.device(*TV)
        for answer, kind in (("called_refuse", "call_refuse"), ("called_success", "call_success")):
            self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id, id=kind)
            tv.say(answer, from_phone="", from_device_id="", room_id=tv.hears()["room_id"])
            self.assertEqual((kind, kind), (self.ann.heard()[-1]["type"], kind))

    def test_errors(self) -> None:
        """So do errors, as far as it can be read."""
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
        """So does what a late answer is told."""
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
        """Of a base client it is a field that nobody knows."""
        tv = self.world.device(*TV)
        for anything in ("a", 7, None):
            tv.say("call", to_phone=DOB.phone, to_device_id=DOB.device_id, id=anything)
            self.assertEqual({"type", "to_phone", "to_device_id", "reason", "message"}, set(tv.hears()))


class RingingTests(ExtendedCase):
    """The caller hears that it rings."""

    def test_told(self) -> None:
        """`call_ringing` comes when `called` was written to a live socket, once, with the room."""
        ann, tv = self.extended(ANN), self.world.device(*TV)
        room = self.rings(ann, tv)
        self.assertEqual(
            {"type": "call_ringing", "to_phone": TV.phone, "to_device_id": TV.device_id, "room_id": room}, ann.hears()
        )
        tv.leave()
        self.world.device(*TV)
        self.assertEqual([], ann.heard())

    def test_forks(self) -> None:
        """A call to every device of a phone rings when one of them does, by the name that was asked for."""
        ann, tv, pad = self.extended(ANN), self.world.device(*TV), self.world.device(*PAD)
        self.rings(ann, tv, DeviceAddress(TV.phone, "*"))
        self.assertEqual(("call_ringing", "*"), (ann.hears()["type"], "*"))
        self.assertEqual("called", pad.hears()["type"])

    def test_cancelling_by_room(self) -> None:
        """So an extended caller can end the ringing by its room."""
        ann, tv = self.extended(ANN), self.world.device(*TV)
        room = self.rings(ann, tv)
        ann.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.assertEqual("cancelled", tv.hears()["reason"])

    def test_base_clients(self) -> None:
        """A base caller hears nothing of it."""
        ann, tv = self.world.device(*ANN), self.extended(TV)
        self.rings(ann, tv)
        self.assertEqual([], ann.heard())


class SignalTests(ExtendedCase):
    """What two extended clients say to each other."""

    def setUp(self) -> None:
        """Ann and the television talk."""
        super().setUp()
        self.ann, self.tv = self.extended(ANN), self.extended(TV)
        self.room = self.talk(self.ann, self.tv)

    def test_both_ways(self) -> None:
        """It is relayed as it is, but for blanks between the values."""
        for one, other in ((self.ann, self.tv), (self.tv, self.ann)):
            data = b'{ "sdp" :\n "v=0\\r\\n",\t"n": [1.50, 2e3, null], "type": "offer" }'
            one.say_raw(b'{"type":"signal","room_id":"%s","data":%s}' % (self.room.encode(), data))
            self.assertEqual(
                {
                    "type": "signal",
                    "room_id": self.room,
                    "data": {"sdp": "v=0\r\n", "n": [1.5, 2000.0, None], "type": "offer"},
                },
                other.hears(),
            )
            self.assertEqual([], one.heard())

    def test_in_order(self) -> None:
        """In the order in which it was said."""
        for number in range(50):
            self.ann.say("signal", room_id=self.room, data=number)
        self.assertEqual(list(range(50)), [message["data"] for message in self.tv.heard()])

    def test_long(self) -> None:
        """A signal may have 64 KiB; more closes the socket, and so does another frame of more than 16 KiB."""
        self.ann.say("signal", room_id=self.room, data="x" * 65400)
        self.assertEqual(65400, len(self.tv.hears()["data"]))
        self.ann.say("signal", room_id=self.room, data="x" * 65536)
        self.assertEqual(1009, self.ann.close_code)
        self.tv.say("ping", more="x" * 17000)
        self.assertEqual(1009, self.tv.close_code)

    def test_deep(self) -> None:
        """It may be nested 64 levels deep, brackets in texts not counted."""
        deepest = b"[" * 64 + b'"[[{\\"["' + b"]" * 64
        self.ann.say_raw(b'{"type":"signal","room_id":"%s","data":%s}' % (self.room.encode(), deepest))
        self.assertEqual("signal", self.tv.hears()["type"])
        self.ann.say_raw(b'{"type":"signal","room_id":"%s","data":[%s]}' % (self.room.encode(), deepest))
        self.assertEqual("signal: data is nested more than 64 levels deep", self.ann.hears()["message"])
        self.assertEqual([], self.tv.heard())

    def test_no_abandoning(self) -> None:
        """A call with signals is not abandoned for want of a page."""
        self.ann.say("signal", room_id=self.room, data=1)
        self.tv.heard()
        self.world.advance(900)
        self.assertEqual([], self.tv.heard())

    def test_other_calls(self) -> None:
        """Another's call, and one that rings, take none: an error. One that is over: its end is said again."""
        dob = self.extended(DOB)
        dob.say("signal", room_id=self.room, data=1)
        self.assertIn("no active call of this device", dob.hears()["message"])
        self.ann.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)
        self.assertEqual("hangup", self.tv.hears()["reason"])
        self.tv.say("signal", room_id=self.room, data=1, id="9")
        over = self.tv.hears()
        self.assertEqual(("calling_be_hangup", "hangup", "9"), (over["type"], over["reason"], over["id"]))
        room = self.rings(self.ann, self.tv)
        self.ann.heard()
        self.ann.say("signal", room_id=room, data=1)
        self.assertIn("no active call of this device", self.ann.hears()["message"])

    def test_base_clients(self) -> None:
        """A base client is sent none, and may send none."""
        dob, pad = self.extended(DOB), self.world.device(*PAD)
        room = self.talk(dob, pad, PAD)
        dob.say("signal", room_id=room, data=1)
        self.assertEqual(([], []), (pad.heard(), dob.heard()))
        pad.say("signal", room_id=room, data=1)
        self.assertEqual("type is not known", pad.hears()["message"])


class PeerStateTests(ExtendedCase):
    """What becomes of the other party's socket."""

    def setUp(self) -> None:
        """Ann, who is extended, and a base client talk."""
        super().setUp()
        self.ann, self.tv = self.extended(ANN), self.world.device(*TV)
        self.room = self.talk(self.ann, self.tv)

    def test_back(self) -> None:
        """It is lost, and comes back."""
        self.tv.leave()
        self.assertEqual({"type": "peer_state", "room_id": self.room, "state": "reconnecting"}, self.ann.hears())
        self.tv = self.world.device(*TV)
        self.assertEqual({"type": "peer_state", "room_id": self.room, "state": "back"}, self.ann.hears())
        self.assertEqual([], self.tv.heard())

    def test_newer_connection(self) -> None:
        """A connection that displaces another one is nothing to be told of."""
        self.world.device(*TV)
        self.assertEqual([], self.ann.heard())

    def test_not_back(self) -> None:
        """It does not come back: the call ends as ever."""
        self.tv.leave()
        self.world.advance(31)
        self.assertEqual(["peer_state", "calling_be_hangup"], [message["type"] for message in self.ann.heard()])

    def test_both_gone(self) -> None:
        """Whoever comes back first is told that the other one is not there, and then that it is."""
        self.ann.leave()
        self.tv.leave()
        ann = self.world.extended(*ANN)
        self.assertEqual(["welcome", "peer_state", "call_success"], [message["type"] for message in ann.heard()])
        self.world.device(*TV)
        self.assertEqual("back", ann.hears()["state"])

    def test_base_clients(self) -> None:
        """A base client is told nothing, though the other party is extended."""
        self.ann.leave()
        self.extended(ANN)
        self.assertEqual([], self.tv.heard())

    def test_both_extended(self) -> None:
        """A callee is told, too."""
        dob, pad = self.extended(DOB), self.extended(PAD)
        self.talk(dob, pad, PAD)
        dob.leave()
        self.assertEqual("reconnecting", pad.hears()["state"])
        self.extended(DOB)
        self.assertEqual("back", pad.hears()["state"])


class PingTests(ExtendedCase):
    """Pings in text."""

    def test_echo(self) -> None:
        """`pong` has what `ping` had."""
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


class PullTests(ExtendedCase):
    """Calls that go on with another device of the phone."""

    def setUp(self) -> None:
        """Ann talks to the television; a claimed pad of its phone is there, too."""
        super().setUp()
        self.ann, self.tv = self.extended(ANN), self.world.device(*TV)
        self.room = self.talk(self.ann, self.tv)
        self.pad = self.extended(PAD, claimed=True)

    def test_told(self) -> None:
        """The pad hears `call_success`, the television `moved`, Ann that her other party has moved."""
        self.pad.say("pull", room_id=self.room, id="mine")
        success = self.pad.hears()
        self.assertEqual(("call_success", self.room, "mine"), (success["type"], success["room_id"], success["id"]))
        self.assertEqual(ANN, (success["to_phone"], success["to_device_id"]))
        moved = self.tv.hears()
        self.assertEqual(("calling_be_hangup", "moved"), (moved["type"], moved["reason"]))
        self.assertEqual(
            {"type": "peer_state", "room_id": self.room, "state": "moved", "device_id": PAD.device_id},
            self.ann.hears(),
        )

    def test_signals(self) -> None:
        """Signals go to the device that has the call now."""
        self.pad.say("pull", room_id=self.room)
        for device in (self.ann, self.tv, self.pad):
            device.heard()
        self.ann.say("signal", room_id=self.room, data="hello")
        self.assertEqual("hello", self.pad.hears()["data"])
        self.pad.say("signal", room_id=self.room, data="you")
        self.assertEqual("you", self.ann.hears()["data"])
        self.assertEqual([], self.tv.heard())

    def test_unclaimed(self) -> None:
        """Where anybody can log in as a new device of the phone, only claimed devices may."""
        stranger = self.extended(DeviceAddress(TV.phone, "stranger"))
        stranger.say("pull", room_id=self.room)
        self.assertEqual("pull: only a claimed device may take a call over", stranger.hears()["message"])
        self.assertEqual([], self.tv.heard())

    def test_not_to_be_had(self) -> None:
        """Another phone's call is an error; one that is over is said to be over."""
        dob = self.extended(DOB, claimed=True)
        dob.say("pull", room_id=self.room, id="x")
        answer = dob.hears()
        self.assertEqual(("error", "x"), (answer["type"], answer["id"]))
        self.ann.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)
        self.pad.say("pull", room_id=self.room)
        over = self.pad.hears()
        self.assertEqual(("calling_be_hangup", "hangup"), (over["type"], over["reason"]))

    def test_seat_passes_on(self) -> None:
        """The pad's page gets the seat of the television's, be it that this one is still about to go."""
        ann_page, tv_page = self.page("a"), self.page("b")
        self.pad.say("pull", room_id=self.room)
        pad_page = self.page("c")
        self.assertEqual([], pad_page.heard())
        self.world.advance(1)
        tv_page.leave()
        self.world.advance(1)
        self.assertEqual("meeting", pad_page.hears()["state"])
        self.assertEqual("c" * 32, ann_page.heard()[-1]["peer"]["session"])

    def test_seat_does_not_pass_on(self) -> None:
        """If both pages stay, a third one is refused after a while."""
        self.page("a"), self.page("b")
        self.pad.say("pull", room_id=self.room)
        third = self.page("c")
        self.world.advance(11)
        self.assertEqual("full", third.hears()["reason"])

    def page(self, key: str) -> Device:
        """Open a page of the room."""
        page = self.world.page()
        page.say("join", room_id=self.room, key=key * 32, session=key * 32)
        return page
