"""The rules of :mod:`callnet_client.calls`, alone: their input and output."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import msgspec
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet_client import DeviceAddress
from callnet_client.call import Call
from callnet_client.calls import Calls
from callnet_client.event_queue import EventQueue
from callnet_client.events import CallEvent
from callnet_client.frames import PresentCall, Request, parse_frame

FRIEND: Final = DeviceAddress("13651884968", "phone1")
OTHER: Final = DeviceAddress("13651884969", "pad")
ROOM, ROOM_2 = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


class CallsCase(SynchronousTestCase):
    """A device that is in no call."""

    call_waiting = False

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.sent: list[dict[str, Any]] = []
        self.told: list[str] = []
        self.react: Callable[[CallEvent], object] = lambda _: None
        queue = EventQueue()

        def tell(event: CallEvent) -> None:
            queue.add(lambda: self.hear_of(event))

        self.calls = Calls(self.say, tell, queue, self.clock, self.call_waiting)
        self.addCleanup(self.calls.left)

    def say(self, request: Request) -> None:
        """Remember a sent request, without its id."""
        self.sent.append({name: value for name, value in msgspec.to_builtins(request).items() if name != "id"})
        self.request_id = request.id

    def hear_of(self, event: CallEvent) -> None:
        """Remember an event."""
        reason = f" {event.call.reason}" if event.state == "over" else ""
        self.told.append(f"{event.call.direction} {event.state}{reason}")
        self.react(event)

    def hear(self, kind: str, **fields: Any) -> None:
        """Let the server say something."""
        self.calls.hear(parse_frame(json.dumps({"type": kind, **fields}).encode()))

    def place(self, to: DeviceAddress = FRIEND) -> Call:
        """Call somebody."""
        call = self.calls.place(to)
        self.take_sent()
        return call

    def ring(self, room: str = ROOM, caller: DeviceAddress = FRIEND, /, **fields: Any) -> None:
        """Let it be rung."""
        self.hear("called", from_phone=caller.phone, from_device_id=caller.device_id, room_id=room, **fields)

    def answer(self, kind: str, to: DeviceAddress = FRIEND, /, **fields: Any) -> None:
        """Let the server answer a call."""
        self.hear(kind, to_phone=to.phone, to_device_id=to.device_id, **fields)

    def present(self) -> Call:
        """The call that it is in."""
        assert self.calls.present is not None
        return self.calls.present

    def rung(self) -> Call:
        """It is rung."""
        self.ring()
        return self.present()

    def active(self) -> Call:
        """It has called, and was answered."""
        call = self.place()
        self.answer("call_success", room_id=ROOM)
        return call

    def take_sent(self) -> list[dict[str, Any]]:
        """The frames that it has sent since the last call."""
        sent, self.sent = self.sent, []
        return sent

    def take_told(self) -> list[str]:
        """The events that it has reported since the last call."""
        told, self.told = self.told, []
        return told

    def assert_over(self, call: Call, reason: str, is_own: bool = False) -> None:
        """A call is over, and the device in none."""
        self.assertEqual(("over", reason, is_own), (call.state, call.reason, call.is_own_end))
        self.assertIsNone(self.calls.present)


def refusal(room: str = ROOM, of: DeviceAddress = FRIEND) -> dict[str, str]:
    """The frame that refuses."""
    return {"type": "called_refuse", "from_phone": of.phone, "from_device_id": of.device_id, "room_id": room}


def hang_up(room: str = ROOM, of: DeviceAddress = FRIEND) -> dict[str, str]:
    """The frame that ends a call."""
    named = {"notified_phone": of.phone, "notified_device_id": of.device_id}
    return {"type": "calling_hangup", **named, "room_id": room}


def view(direction: str, state: str, room: str = ROOM, peer: DeviceAddress = FRIEND) -> PresentCall:
    """The present call in a welcome."""
    return PresentCall(room, state, direction, *peer, page="/page", answered_at=1.0 if state == "active" else None)
