"""Closing the sockets of a process that is told to stop."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from callnet.model import DeviceAddress
from callnet.ws.factory import A_SECOND, Draining
from tests.support.room_case import RoomCase
from tests.support.wires import ANSWERED, Device

ANN = DeviceAddress("13651884967", "phone")
TV = DeviceAddress("13651884968", "tv888")
LIMIT = 30.0
"""Seconds that calls have."""


class DrainingCase(RoomCase):
    """A server that will be told to stop."""

    def setUp(self) -> None:
        """Start it."""
        super().setUp()
        self.ann = self.world.device(*ANN)
        self.tv = self.world.device(*TV)

    def drain(self, limit: float = LIMIT) -> Deferred[None]:
        """Tell it to stop."""
        self.draining = Draining([self.world.signaling, self.world.pages], self.world.clock)
        self.addCleanup(self.draining.hurry)
        drained = self.draining.begin(limit)
        self.world.settle()
        return drained

    def ring(self) -> str:
        """Have Ann call the television; answer the room."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        return str(self.tv.hears()["room_id"])

    def talk(self) -> str:
        """Have the television accept, too."""
        room = self.ring()
        self.tv.say("called_success", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=room)
        self.ann.hears()
        return room

    def assert_closed(self, *sockets: Device) -> None:
        """These were told that the server goes away."""
        self.assertEqual([1001] * len(sockets), [socket.close_code for socket in sockets])

    def assert_open(self, *sockets: Device) -> None:
        """These were not."""
        self.assertEqual([None] * len(sockets), [socket.close_code for socket in sockets])


class IdleTests(DrainingCase):
    """Those who are in no call."""

    def test_nobody_there(self) -> None:
        """With nobody connected it is over at once."""
        self.ann.leave()
        self.tv.leave()
        self.successResultOf(self.drain())

    def test_few(self) -> None:
        """A few are closed within a second, be they devices, pages, or sockets that are being opened."""
        page, opening = self.world.page(), self.world.connect()
        drained = self.drain()
        self.world.advance(1)
        self.successResultOf(drained)
        self.assert_closed(self.ann, self.tv, page)
        self.assertTrue(opening.lost)

    def test_many(self) -> None:
        """Many are closed with some at a time, in no order, so that others are not run over by them."""
        devices = self.crowd(1500)
        drained = self.drain()
        closed = self.closed_in_each_second(devices, 3)
        self.assertNoResult(drained)
        for number in closed:
            self.assertTrue(A_SECOND * 0.8 < number < A_SECOND * 1.3, closed)
        order = [device.close_code for device in devices]
        self.assertNotEqual(sorted(order, key=str), order)
        self.pass_time(1.5)
        self.successResultOf(drained)
        self.assertEqual({}, dict(self.world.signaling.sockets))

    def test_more_than_there_is_time_for(self) -> None:
        """However many there are, they are gone in half of the time."""
        devices = self.crowd(1500)
        drained = self.drain(2.0)
        self.pass_time(1.5)
        self.successResultOf(drained)
        self.assert_closed(*devices)

    def test_extended(self) -> None:
        """Extended clients are told when to come again, each when its turn comes."""
        extended = self.world.extended("13651884960", "a")
        extended.heard()
        self.drain()
        self.world.advance(1)
        told = extended.hears()
        self.assertEqual(("going_away", 0), (told["type"], told["deadline"]))
        self.assertTrue(1 <= told["reconnect_in"] <= 10)

    def test_newcomers(self) -> None:
        """Nobody is admitted any more: new clients are told to come later."""
        self.talk()
        self.drain()
        for wire in (
            self.world.ask(f"/socket.io?token={self.world.tokens.issue(ANN)}"),
            self.world.ask("/room", {"Origin": "https://callnet.test"}, self.world.pages),
        ):
            self.assertEqual(503, wire.status)
            self.assertIn("Retry-After: 5\r\n", wire.head)

    def crowd(self, count: int) -> Sequence[Device]:
        """Connect this number of devices."""
        wires = [self.world.connect() for _ in range(count)]
        for number, wire in enumerate(wires):
            token = self.world.tokens.issue(DeviceAddress(f"1365{number:07}", "a"))
            wire.handshake(f"/socket.io?token={token}")
        self.world.settle()
        return [Device(self.world, wire, ANSWERED) for wire in wires]

    def pass_time(self, seconds: float) -> None:
        """Let time go by, in steps that are shorter than any pause."""
        for _ in range(int(seconds * 100)):
            self.world.clock.advance(0.01)
        self.world.settle()

    def closed_in_each_second(self, devices: Sequence[Device], seconds: int) -> Sequence[int]:
        """The number of devices closed in each of these seconds; closing may take longer."""
        found, before = [], 0
        for _ in range(seconds - 1):
            self.pass_time(1)
            now = sum(device.close_code is not None for device in devices)
            found.append(now - before)
            before = now
        return found


class CallTests(DrainingCase):
    """Those who are in calls."""

    def test_active(self) -> None:
        """Devices in a call are left alone until it ends, as others are not, and are heard meanwhile."""
        other = self.world.device("13651884960", "a")
        room = self.talk()
        drained = self.drain()
        self.world.advance(20)
        self.assert_closed(other)
        self.assert_open(self.ann, self.tv)
        self.assertNoResult(drained)
        self.ann.say("calling_hangup", room_id=room, notified_phone=TV.phone, notified_device_id=TV.device_id)
        self.assertEqual("calling_be_hangup", self.tv.hears()["type"])
        self.assert_open(self.ann, self.tv)
        self.world.advance(1.5)
        self.assert_closed(self.ann, self.tv)
        self.successResultOf(drained)

    def test_extended(self) -> None:
        """Extended clients in a call are told at once how long they have, and at the close when to come again."""
        self.ann.leave()
        ann = self.ann = self.world.extended(*ANN)
        ann.heard()
        room = self.ring()
        self.tv.say("called_success", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=room)
        ann.heard()
        drained = self.drain()
        self.world.advance(1)
        told = ann.hears()
        self.assertEqual("going_away", told["type"])
        self.assertTrue(LIMIT - 1 <= told["deadline"] <= LIMIT, told)
        self.assertTrue(0 <= told["reconnect_in"] <= 0.5, told)
        self.world.advance(LIMIT - 3)
        self.assertEqual([], ann.heard())
        self.assert_open(ann, self.tv)
        self.world.advance(3)
        self.successResultOf(drained)
        self.world.signaling.shut_down()
        self.world.settle()
        told = ann.hears()
        self.assertEqual(("going_away", 0), (told["type"], told["deadline"]))
        self.assert_closed(ann, self.tv)

    def test_ringing(self) -> None:
        """Those in a ringing call, which may be accepted, are told as well."""
        room = self.ring()
        self.drain()
        self.world.advance(5)
        self.assert_open(self.ann, self.tv)
        self.tv.say("called_success", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=room)
        self.assertEqual("call_success", self.ann.hears()["type"])
        self.world.advance(5)
        self.assert_open(self.ann, self.tv)

    def test_deadline(self) -> None:
        """At the deadline nobody is waited for any more; the remaining sockets are for the factories to close."""
        self.talk()
        with capturedLogs() as events:
            drained = self.drain()
            self.world.advance(LIMIT - 1)
            self.assertNoResult(drained)
            self.world.advance(1.5)
        self.successResultOf(drained)
        self.assert_open(self.ann, self.tv)
        self.assertEqual(
            [
                "draining 2 sockets; calls may continue for 30 s",
                "closing 2 sockets in calls: drain deadline reached",
            ],
            [formatEvent(event) for event in events],
        )

    def test_no_time(self) -> None:
        """If calls have no time nothing is waited for."""
        self.talk()
        self.successResultOf(self.drain(0.0))
        self.assert_open(self.ann, self.tv)

    def test_hurry(self) -> None:
        """The wait can be ended, which may be asked for again, and before it has begun."""
        self.talk()
        drained = self.drain()
        self.world.advance(5)
        self.draining.hurry()
        self.draining.hurry()
        self.successResultOf(drained)
        hurried = Draining([self.world.signaling], self.world.clock)
        hurried.hurry()
        self.successResultOf(hurried.begin(LIMIT))

    def test_lost(self) -> None:
        """When the last of them have gone by themselves it is over."""
        self.talk()
        drained = self.drain()
        self.ann.leave()
        self.tv.leave()
        self.world.advance(1.5)
        self.successResultOf(drained)

    def test_silent(self) -> None:
        """Keep-alive goes on: a silent client is closed for that."""
        self.talk()
        self.drain(600.0)
        self.tv.wire.answers_ping = False
        self.world.advance(40)
        self.assertEqual(4408, self.tv.close_code)
        self.assert_open(self.ann)


class PageTests(DrainingCase):
    """Pages."""

    def test_in_a_call(self) -> None:
        """Pages in their seats of a call are left alone until it ends."""
        room = self.talk()
        red, blue = self.join(0, room), self.join(1, room)
        self.drain()
        self.world.advance(5)
        self.assert_open(red, blue)
        self.ann.say("calling_hangup", room_id=room, notified_phone=TV.phone, notified_device_id=TV.device_id)
        self.world.advance(1.5)
        self.assert_closed(red, blue, self.ann, self.tv)

    def test_alone(self) -> None:
        """A page that waits for the other in its seat is left alone, too."""
        page = self.join(0, self.talk())
        self.drain()
        self.world.advance(5)
        self.assert_open(page)

    def test_meeting(self) -> None:
        """Two pages that meet in a room of their own are left alone; one that waits for somebody there is not."""
        red, blue = self.join(0, "kitchen"), self.join(1, "kitchen")
        waiting = self.join(2, "garden")
        self.drain()
        self.world.advance(5)
        self.assert_closed(waiting)
        self.assert_open(red, blue)
        red.leave()
        self.world.advance(1.5)
        self.assert_closed(blue)

    def test_without_a_seat(self) -> None:
        """A page that found no seat in a room is no part of the room's call."""
        self.join(0, "kitchen")
        self.join(1, "kitchen")
        silent = self.world.page()
        self.drain()
        self.world.advance(5)
        self.assert_closed(silent)
