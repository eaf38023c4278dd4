"""The history of calls: whole calls between devices on their sockets, and ``/calls/history`` over HTTP."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock

from callnet.accounts.history import PAGE
from callnet.accounts.validation import encode_cursor
from callnet.calls.preferences import QuietHours
from callnet.model import DeviceAddress
from callnet.storage.history import CallCursor
from callnet.storage.preferences import SettingsChange
from callnet.web.http import CappedSite
from tests.support.http_wire import HttpWire
from tests.support.people_case import ANN, CAROL, PAD, TV, PeopleCase
from tests.support.wires import Device

SLEEPER = DeviceAddress(TV.phone, "asleep")
HISTORY = "/calls/history"


class PastCallsCase(PeopleCase):
    """A server with a history."""

    def setUp(self) -> None:
        """Begin to record; one device has logged in and not connected."""
        super().setUp()
        self.http = HttpWire(CappedSite(self.fixture.api(), Clock()))
        self.successResultOf(self.fixture.logins.login(*SLEEPER))
        self.fixture.historian.start()
        self.addCleanup(self.fixture.historian.stop)

    def ask(self, phone: str, **fields: Any) -> dict[str, Any]:
        """The answer to a phone that asks for its history."""
        token = self.world.tokens.issue(DeviceAddress(phone, "other"))
        body = json.dumps({"token": token, **fields}).encode()
        answer: dict[str, Any] = self.http.request("POST", HISTORY, body).json()
        return answer

    def calls_of(self, phone: str, **fields: Any) -> list[dict[str, Any]]:
        """The calls of a phone."""
        self.world.advance(1.5)
        answer = self.ask(phone, **fields)
        self.assertEqual(0, answer["errorCode"], answer)
        calls: list[dict[str, Any]] = answer["calls"]
        return calls

    def outcomes(self, phone: str) -> list[tuple[str, str]]:
        """The outcomes of a phone's calls, the newest first."""
        return [(one["direction"], one["outcome"]) for one in self.calls_of(phone)]

    def answer(self, device: Device, kind: str = "called_success", **fields: Any) -> str:
        """Have a device answer the call that rings it; its room."""
        room = device.hears()["room_id"]
        device.say(kind, **{"from_phone": ANN.phone, "from_device_id": ANN.device_id, "room_id": room, **fields})
        return str(room)

    def hang_up(self, room: str) -> None:
        """Have Ann hang up."""
        self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id, room_id=room)


class WholeCallsTests(PastCallsCase):
    """Calls on sockets are in the histories a moment later."""

    def test_answered(self) -> None:
        """A call that was talked in, as both phones see it."""
        self.world.clock.advance(100.5)
        self.calls(self.ann, TV)
        self.world.advance(3)
        room = self.answer(self.tv)
        self.world.advance(10)
        self.hang_up(room)
        common = {
            "room_id": room,
            "started_at": 100.5,
            "answered_at": 103.5,
            "ended_at": 113.5,
            "outcome": "answered",
            "auto_answer": False,
            "guest": False,
        }
        self.assertEqual(
            [{**common, "direction": "outgoing", "device_id": "phone", "peer_phone": TV.phone, "peer_device_id": "tv"}],
            self.calls_of(ANN.phone),
        )
        self.assertEqual(
            [
                {
                    **common,
                    "direction": "incoming",
                    "device_id": "tv",
                    "peer_phone": ANN.phone,
                    "peer_device_id": "phone",
                }
            ],
            self.calls_of(TV.phone),
        )
        self.assertEqual([], self.calls_of(CAROL.phone))

    def test_by_itself(self) -> None:
        """Both see that a device answered automatically."""
        self.calls(self.ann, TV)
        self.hang_up(self.answer(self.tv, auto_answer=True))
        for phone in (ANN.phone, TV.phone):
            self.assertTrue(self.calls_of(phone)[0]["auto_answer"])

    def test_by_itself_from_an_odd_name(self) -> None:
        """... whatever the name of the caller is made of."""
        self.calls(self.ann, TV)
        self.hang_up(self.answer(self.tv, from_device_id="living\u3000room", auto_answer=True))
        self.assertTrue(self.calls_of(TV.phone)[0]["auto_answer"])

    def test_odd_answers(self) -> None:
        """An answer in which that is no boolean counts as one with nothing in it."""
        odd_ones: tuple[object, ...] = ("yes", 1, None, [True], {})
        for odd in odd_ones:
            self.calls(self.ann, TV)
            self.hang_up(self.answer(self.tv, auto_answer=odd))
            self.tv.heard(), self.ann.heard()
            self.assertFalse(self.calls_of(TV.phone)[0]["auto_answer"], odd)

    def test_missed(self) -> None:
        """A ring that nobody answered, a refused one, one that found the device busy, and one that found it asleep."""
        self.calls(self.ann, TV)
        self.world.advance(46)
        self.tv.heard(), self.ann.heard()
        self.calls(self.ann, TV)
        self.answer(self.tv, "called_refuse")
        self.ann.heard()
        self.world.clock.advance(0.001)
        self.calls(self.tv, CAROL)
        self.calls(self.tv, PAD)
        self.calls(self.ann, TV)
        self.world.clock.advance(0.001)
        self.calls(self.ann, SLEEPER)
        went_out = [("outgoing", why) for why in ("offline", "busy", "refused", "no_answer")]
        self.assertEqual(went_out, self.outcomes(ANN.phone))
        came_in = [one for one in self.calls_of(TV.phone) if one["peer_phone"] == ANN.phone]
        self.assertEqual(["missed", "missed", "refused", "missed"], [one["outcome"] for one in came_in])
        self.assertEqual("asleep", came_in[0]["device_id"])

    def test_all_asleep(self) -> None:
        """So is a call to all devices of a phone that finds none there; and nobody else's history has any of it."""
        for device in (self.tv, self.pad):
            device.leave()
        self.world.advance(61)
        self.calls(self.ann, TV._replace(device_id="*"))
        self.calls(self.ann, CAROL._replace(device_id="*"))
        self.assertEqual([("incoming", "missed")], self.outcomes(TV.phone))
        self.assertEqual([], self.outcomes(CAROL.phone))

    def test_blocked(self) -> None:
        """A blocked caller leaves no trace in the phone's history, and sees in its own the answer that it was given."""
        self.block(TV.phone, ANN.phone)
        for device_id in ("tv", "asleep", "*"):
            self.calls(self.ann, TV._replace(device_id=device_id))
        self.assertEqual([("outgoing", "offline")] * 3, self.outcomes(ANN.phone))
        self.assertEqual([], self.outcomes(TV.phone))

    def test_quiet(self) -> None:
        """In the phone's quiet hours a call is missed."""
        token = self.world.tokens.issue(TV)
        self.successResultOf(self.fixture.settings.change(token, SettingsChange(QuietHours(0, 0, "UTC"))))
        self.world.advance(1.5)
        self.calls(self.ann, TV)
        self.assertEqual([("incoming", "missed")], self.outcomes(TV.phone))

    def test_no_calls(self) -> None:
        """A call that was not understood, or went to the device itself, is none."""
        self.calls(self.ann, ANN)
        self.ann.say("call", to_phone="", to_device_id="")
        self.assertEqual([], self.outcomes(ANN.phone))


class HistoryApiTests(PastCallsCase):
    """``/calls/history``."""

    def call_often(self, times: int) -> None:
        """Let Ann call somebody who is not there."""
        for _ in range(times):
            self.world.clock.advance(1)
            self.calls(self.ann, SLEEPER)
        self.world.advance(1.5)

    def test_pages(self) -> None:
        """The newest come first, some at a time."""
        self.call_often(PAGE + 3)
        first = self.ask(ANN.phone)
        second = self.ask(ANN.phone, after=first["next"])
        self.assertEqual((PAGE, 3, False), (len(first["calls"]), len(second["calls"]), "next" in second))
        every = self.calls_of(ANN.phone, limit=500)
        self.assertEqual(every, first["calls"] + second["calls"])
        self.assertEqual(every, sorted(every, key=lambda one: -float(one["started_at"])))
        self.assertEqual(every[:2], self.calls_of(ANN.phone, limit=2))

    def test_wrong(self) -> None:
        """A limit or a cursor that is none is errorCode 2; a token that is none errorCode 4."""
        self.call_often(1)
        limits: tuple[object, ...] = (0, 501, -1, 1.5, "7", True, [])
        for limit in limits:
            answer = self.ask(ANN.phone, limit=limit)
            self.assertEqual(
                (2, "limit must be a whole number from 1 to 500"), (answer["errorCode"], answer["message"])
            )
        cursor = encode_cursor(CallCursor(1.0, "x" * 32, False))  # type: ignore[arg-type]
        for after in ("", "x", "W10=", cursor, cursor * 20, "é", "bnVsbA==", 7):
            self.assertEqual(2, self.ask(ANN.phone, after=after)["errorCode"], after)
        self.assertEqual(4, self.ask(ANN.phone, token="a.b.c")["errorCode"])
        answer = self.http.request("POST", HISTORY, b"{}").json()
        self.assertEqual((2, "token is missing"), (answer["errorCode"], answer["message"]))
