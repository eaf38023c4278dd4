"""The events of a call, as far as it has come."""

from __future__ import annotations

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.history import events_of
from callnet.calls.records import Active, CallRecord, Ringing
from callnet.calls.transaction import over as end_of
from callnet.config.schema import WebhookEvent, WebhookSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.storage.outbox import enrolled
from tests.support.people_case import ANN, PAD, TV

ROOM = RoomId("0123456789abcdef" * 2)
EVERY = WebhookSettings().events
RINGING = CallRecord(ROOM, 1, Ringing((TV,)), ANN, TV, (TV,), 10.0)
ACTIVE = replace(RINGING, version=2, state=Active(TV, 12.0))


def over(call: CallRecord, reason: Reason, by: DeviceAddress | None = None) -> CallRecord:
    """A call that is over."""
    return replace(call, state=end_of(call.state, reason, 20.0, by))


def party(device: DeviceAddress) -> dict[str, str]:
    """A device, as it is told."""
    return {"phone": device.phone, "device_id": device.device_id}


class CallEventsTests(SynchronousTestCase):
    """Ann calls the television."""

    def bodies(self, call: CallRecord, *told: WebhookEvent) -> list[dict[str, Any]]:
        """The events without ids, which are the same when they are sent again."""
        first, second = list(events_of(call, told or EVERY)), list(events_of(call, told or EVERY))
        self.assertEqual(first, second)
        bodies = [json.loads(event.body) for event in first]
        self.assertEqual(
            [(e.id, e.event, e.created_at) for e in first], [(b["id"], b["event"], b["at"]) for b in bodies]
        )
        self.assertEqual(len(first), len({event.id for event in first}))
        self.assertLessEqual(len({body["call"] for body in bodies}), 1)
        self.assertEqual({(ANN.phone, TV.phone)} if first else set(), {(e.phone, e.peer_phone) for e in first})
        for event in first:
            self.assertNotIn(ROOM, event.body.decode() + event.id)
        return [{key: value for key, value in body.items() if key not in ("id", "call")} for body in bodies]

    def kinds(self, call: CallRecord, *told: WebhookEvent) -> list[str]:
        """The events."""
        return [body["event"] for body in self.bodies(call, *told)]

    def test_started(self) -> None:
        """A call that rings has started: caller and callee, as the caller named it."""
        common = {"caller": party(ANN), "called": party(TV), "guest": False}
        self.assertEqual([{"event": "call_started", "at": 10.0, **common}], self.bodies(RINGING))
        [started] = self.bodies(replace(RINGING, target=TV._replace(device_id="*"), targets=(TV, PAD)))
        self.assertEqual({"phone": TV.phone, "device_id": "*"}, started["called"])

    def test_answered(self) -> None:
        """A call that was accepted has been answered, by the device that did, maybe by itself."""
        call = replace(ACTIVE, target=TV._replace(device_id="*"), state=Active(PAD, 12.0, by_itself=True))
        answered = {
            "event": "call_answered",
            "at": 12.0,
            "caller": party(ANN),
            "called": party(PAD),
            "guest": False,
            "auto_answer": True,
        }
        self.assertEqual(answered, self.bodies(call)[1])
        self.assertEqual(["call_started", "call_answered"], self.kinds(call))

    def test_ended(self) -> None:
        """A call that was answered has ended when it is over, for a reason; nobody has missed it."""
        call = over(ACTIVE, Reason.HANGUP)
        ended = {"event": "call_ended", "at": 20.0, "caller": party(ANN), "called": party(TV), "guest": False}
        times = {"started_at": 10.0, "answered_at": 12.0, "reason": "hangup"}
        self.assertEqual({**ended, **times}, self.bodies(call)[2])
        self.assertEqual(["call_started", "call_answered", "call_ended"], self.kinds(call))

    def test_missed(self) -> None:
        """A ring that nobody answered has ended, and was missed by the phone that was called."""
        for reason in (Reason.NO_ANSWER, Reason.CANCELLED):
            started, ended, missed = self.bodies(over(RINGING, reason))
            self.assertEqual("call_started", started["event"])
            self.assertEqual((None, reason.value), (ended["answered_at"], ended["reason"]))
            common = {"at": 20.0, "caller": party(ANN), "called": party(TV), "guest": False, "started_at": 10.0}
            self.assertEqual({"event": "call_missed", **common, "rang": True}, missed)

    def test_refused(self) -> None:
        """A call that was refused was not missed."""
        self.assertEqual(["call_started", "call_ended"], self.kinds(over(RINGING, Reason.REFUSED, TV)))

    def test_unreached(self) -> None:
        """A call that rang nobody has neither started nor ended; it was missed, if the phone may hear of it."""
        call = over(replace(RINGING, targets=()), Reason.OFFLINE)
        self.assertEqual([("call_missed", False)], [(body["event"], body["rang"]) for body in self.bodies(call)])
        [event] = events_of(call, EVERY)
        assert event.unreached is not None
        self.assertEqual((TV.phone, ANN, False), (event.unreached.phone, event.unreached.peer, event.unreached.rang))
        for event in events_of(over(RINGING, Reason.NO_ANSWER), EVERY):
            self.assertIsNone(event.unreached)

    def test_guest(self) -> None:
        """A guest is told as one, and the phone that it called hears of it in any case, since it has the link."""
        guest = DeviceAddress("guest:0a1b2c3d4e5f0a1b2c3d4e5f", "Eve")
        for targets, kinds in (((TV,), ["call_started", "call_ended", "call_missed"]), ((), ["call_missed"])):
            call = over(replace(RINGING, caller=guest, targets=targets), Reason.NO_ANSWER)
            events = list(events_of(call, EVERY))
            self.assertEqual(kinds, [event.event for event in events])
            for event in events:
                body = json.loads(event.body)
                self.assertEqual((party(guest), True), (body["caller"], body["guest"]))
                self.assertIsNone(event.unreached)

    def test_only_what_is_told(self) -> None:
        """Only events are told that are asked for."""
        call = over(ACTIVE, Reason.HANGUP)
        self.assertEqual(["call_ended"], self.kinds(call, "call_ended", "call_missed"))
        self.assertEqual([], self.kinds(call, "device_enrolled"))

    def test_the_same_id(self) -> None:
        """An event has the same id in every report, and another in every call."""
        [started] = events_of(RINGING, EVERY)
        self.assertIn(started, list(events_of(over(ACTIVE, Reason.HANGUP), EVERY)))
        [other] = events_of(replace(RINGING, room=RoomId("0" * 32)), EVERY)
        self.assertNotEqual((started.id, json.loads(started.body)["call"]), (other.id, json.loads(other.body)["call"]))

    def test_enrolled(self) -> None:
        """A device that was made is told each time that it is, with another id."""
        one, other = enrolled(TV, 5.0), enrolled(TV, 5.0)
        self.assertNotEqual(one.id, other.id)
        body = {"event": "device_enrolled", "id": one.id, "at": 5.0, **party(TV)}
        self.assertEqual((body, TV.phone, None), (json.loads(one.body), one.phone, one.peer_phone))
