"""Calls of extended clients, on the wire (protocol §2.5): ringing, signals, the other party, taking over."""

from __future__ import annotations

from collections.abc import Callable

from callnet.calls.session_v2 import ExtendedSession
from callnet.model import DeviceAddress
from tests.support.extended_case import ANN, DOB, PAD, TV, ExtendedCase
from tests.support.wires import Device


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
        """An extended caller can end this ringing by its room."""
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
    """Signals between two extended clients."""

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

    def test_of_a_page(self) -> None:
        """It is relayed without `of_page`. A page takes a seat: where nobody does the call is abandoned."""
        self.ann.say("signal", room_id=self.room, data=1, of_page=True)
        self.assertEqual({"type": "signal", "room_id": self.room, "data": 1}, self.tv.hears())
        self.world.advance(601)
        self.assertEqual("abandoned", self.tv.hears()["reason"])

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
        self.assertEqual("unknown type", pad.hears()["message"])


class EarlySignalTests(ExtendedCase):
    """Signals of the caller's page while the call rings: whoever accepts hears the last, at once."""

    def setUp(self) -> None:
        """Ann calls all devices of a phone."""
        super().setUp()
        self.ann, self.tv, self.pad = self.extended(ANN), self.extended(TV), self.extended(PAD)
        self.room = self.rings(self.ann, self.tv, DeviceAddress(TV.phone, "*"))
        for device in (self.ann, self.pad):
            device.heard()

    def says(self, data: object) -> None:
        """Let the caller's page say something."""
        self.ann.say("signal", room_id=self.room, data=data, of_page=True)

    def test_accepted(self) -> None:
        """The device that accepts hears the last of them, and only that; the others hear nothing."""
        self.says(1)
        self.says(2)
        self.assertEqual([[], [], []], [device.heard() for device in (self.ann, self.tv, self.pad)])
        self.accepts(self.tv, self.room)
        self.assertEqual([("signal", 2)], [(one["type"], one.get("data")) for one in self.tv.heard()])
        self.assertEqual(["call_success"], [one["type"] for one in self.ann.heard()])
        self.assertEqual(["calling_be_hangup"], [one["type"] for one in self.pad.heard()])
        self.says(3)
        self.assertEqual(3, self.tv.hears()["data"])

    def test_over(self) -> None:
        """Of a call that ended nothing is kept, and a later call hears nothing of it."""
        nobody = {"notified_phone": "", "notified_device_id": ""}
        ends: list[Callable[[], object]] = [
            lambda: self.ann.say("calling_hangup", room_id=self.room, **nobody),
            lambda: self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id="*"),
            lambda: self.tv.say("called_refuse", room_id=self.room, from_phone="", from_device_id=""),
            lambda: self.world.advance(46),
        ]
        for end in ends:
            self.says("of a call that nobody took")
            self.assertEqual(1, self._kept())
            end()
            self.assertEqual(0, self._kept())
            for device in (self.ann, self.tv, self.pad):
                device.heard()
            self.room = self.rings(self.ann, self.tv)
            self.ann.heard()
        self.accepts(self.tv, self.room)
        self.assertEqual([], self.tv.heard())

    def _kept(self) -> int:
        session = self.world.rooms._devices[ANN]
        assert isinstance(session, ExtendedSession)
        return int(session._early is not None)

    def test_others(self) -> None:
        """None of it is for the called, or for media of the devices' own."""
        self.tv.say("signal", room_id=self.room, data=1, of_page=True)
        self.assertIn("no active call of this device", self.tv.hears()["message"])
        self.ann.say("signal", room_id=self.room, data=1)
        self.assertIn("no active call of this device", self.ann.hears()["message"])

    def test_base_clients(self) -> None:
        """A base client that accepts hears nothing of it."""
        self.says(1)
        self.ann.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)
        base = self.world.device(*DOB)
        self.room = self.rings(self.ann, base, DOB)
        self.says(1)
        self.accepts(base, self.room)
        self.assertEqual([], base.heard())


class PeerStateTests(ExtendedCase):
    """The state of the other party's socket."""

    def setUp(self) -> None:
        """Ann, an extended device, and a base device talk."""
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
        """The first to come back is told that the other one is not there, and then that it is."""
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
        self.assertEqual(("call_success", "mine"), (success["type"], success["id"]))
        self.assertNotEqual(self.room, success["room_id"])
        self.assertEqual(ANN, (success["to_phone"], success["to_device_id"]))
        moved = self.tv.hears()
        self.assertEqual(("calling_be_hangup", self.room, "moved"), (moved["type"], moved["room_id"], moved["reason"]))
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
        """The pad's page gets the seat of the television's, even if that page has not left yet."""
        ann_page, tv_page = self.page("a"), self.page("b")
        self.pad.say("pull", room_id=self.room)
        pad_page = self.page("c", self.pad.hears()["room_id"])
        self.assertEqual("waiting", pad_page.hears()["state"])
        self.world.advance(1)
        tv_page.leave()
        self.world.advance(1)
        self.assertEqual("meeting", pad_page.hears()["state"])
        self.assertEqual("c" * 32, ann_page.heard()[-1]["peer"]["session"])

    def test_seat_does_not_pass_on(self) -> None:
        """If both pages stay, a third one is refused after some time."""
        self.page("a"), self.page("b")
        self.pad.say("pull", room_id=self.room)
        third = self.page("c", self.pad.hears()["room_id"])
        self.world.advance(11)
        self.assertEqual(["room", "refused"], [message["type"] for message in third.heard()])

    def page(self, key: str, room: str = "") -> Device:
        """Open a page of the room."""
        page = self.world.page()
        page.say("join", room_id=room or self.room, key=key * 32, session=key * 32)
        return page
