"""Extended devices on two nodes that hold a call for another one (protocol §2.5)."""

from __future__ import annotations

from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, RoomId
from callnet.redis.connection import REPLY_TIME
from tests.cluster.case import ANN, CAROL, PAD, TV, Phone
from tests.cluster.test_extended import ExtendedCase

EVE = DeviceAddress("13600000005", "phone")


class HoldTests(ExtendedCase):
    """Ann and Carol are on one node, the television that both call on the other."""

    settings = CallSettings(ring_time=30.0, grace=5.0)

    async def begin(self) -> tuple[Phone, Phone, Phone]:
        """Let Ann talk to the television, and Carol be there."""
        ann, tv = await self.two()
        carol = await self.phone(CAROL, self.here, extended=True)
        self.first = await self.talk(ann, tv)
        return ann, carol, await self.back(tv)

    async def back(self, tv: Phone) -> Phone:
        """Connect the television again, with call waiting."""
        tv.goes()
        await self.pass_time(1.0)
        tv = await self.phone(TV, self.there, extended=True, call_waiting=True)
        await self.pass_time(3.0)
        return tv

    async def holds(self, ann: Phone, carol: Phone, tv: Phone) -> None:
        """Let the television take Carol's call, and hold Ann's."""
        carol.calls(TV)
        await self.hears(tv, "called")
        self.second = self.accepts_and_holds(tv)
        await self.hears(carol, "call_success")
        await self.peer_state(ann, "held")

    def accepts_and_holds(self, tv: Phone) -> str:
        """Let the television take the call that rings, and hold the other one. Returns the room of the new call."""
        room: str = tv.last("called")["room_id"]
        tv.says(type="called_success", from_phone="", from_device_id="", room_id=room, hold=True)
        return room

    async def test_third_call(self) -> None:
        """After the second call a third one is a second one again, on either node."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        carol.hangs_up(self.second)
        await self.peer_state(ann, "resumed")
        eve = await self.phone(EVE, self.here, extended=True)
        eve.calls(TV)
        await self.until(lambda: tv.told.count("called") == 2)
        called = tv.last("called")
        self.assertTrue(called.get("can_hold"))
        for node in (self.here, self.there):
            record = (await self.result_of(node.store.read([TV.phone], (), fresh=True))).device(TV)
            assert record is not None
            self.assertEqual((self.first, called["room_id"]), record.rooms)
        tv.accepts()
        await self.hears(ann, "calling_be_hangup:replaced")

    async def test_ended_before_the_answer(self) -> None:
        """If the present call ends before its node has heard that the other one is held, it goes on with that."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        self.there.wire.answers_after = 0.5
        tv.says(type="resume", room_id=self.first)
        await self.peer_state(ann, "resumed")
        ann.hangs_up(self.first)
        await self.peer_state(carol, "held")
        await self.peer_state(carol, "resumed")

    async def test_second_ended_before_the_answer(self) -> None:
        """... a new second call, too."""
        ann, carol, tv = await self.begin()
        carol.calls(TV)
        await self.hears(tv, "called")
        self.there.wire.answers_after = 0.5
        second = self.accepts_and_holds(tv)
        await self.hears(carol, "call_success")
        carol.hangs_up(second)
        await self.hears(tv, "calling_be_hangup:hangup")
        await self.peer_state(ann, "held")
        await self.peer_state(ann, "resumed")

    async def test_moved(self) -> None:
        """It hears that its held call was taken over, though it has connected since that began."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        pad = await self.phone(PAD, self.here, extended=True)
        pad.says(type="pull", room_id=self.first)
        await self.hears(pad, "call_success")
        self.assertEqual(self.first, (await self.hears(tv, "calling_be_hangup:moved"))["room_id"])

    async def test_pulled_while_held(self) -> None:
        """Whoever takes a call over hears that the other party holds it."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        tablet = await self.phone(ANN._replace(device_id="tablet"), self.here, extended=True)
        tablet.says(type="pull", room_id=self.first)
        room = (await self.hears(tablet, "call_success"))["room_id"]
        self.assertEqual(room, (await self.peer_state(tablet, "held"))["room_id"])

    async def test_counts(self) -> None:
        """The held call is not counted as answered again."""
        await self.holds(*await self.begin())
        counts = self.there.rooms.counts
        self.assertEqual((2, 2), (counts.answered, [count for _, count in counts.answered_after.buckets()][-1]))

    async def test_kept_resume(self) -> None:
        """A request from an outage does not undo a later one."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        self.there.wire.silence()
        tv.says(type="resume", room_id=self.first)
        await self.pass_time(REPLY_TIME + 0.25)
        self.there.wire.heal()
        tv.says(type="resume", room_id=self.second)
        await self.pass_time(5.0)
        call = self.here.rooms.known.call(RoomId(self.first))
        assert call is not None
        assert call.answer is not None
        self.assertEqual((TV,), call.answer.held_by)

    async def test_kept_resume_and_accept(self) -> None:
        """Nor does it undo that the call was held for one that was accepted since."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        eve = await self.phone(EVE, self.there, extended=True)
        self.there.wire.cut()
        tv.hangs_up(self.second)
        await self.pass_time(0.25)
        eve.calls(TV)
        await self.until(lambda: tv.told.count("called") == 2)
        await self.pass_time(1.0)
        self.there.wire.heal()
        third = self.accepts_and_holds(tv)
        await self.hears(eve, "call_success")
        await self.pass_time(10.0)
        answers = [self.there.rooms.known.calls[RoomId(room)].answer for room in (self.first, third)]
        self.assertEqual([(TV,), ()], [answer and answer.held_by for answer in answers])

    async def test_kept_hang_up(self) -> None:
        """It goes on with the held call also if its hang-up of the other one has to be tried again."""
        ann, carol, tv = await self.begin()
        await self.holds(ann, carol, tv)
        self.there.wire.silence()
        tv.hangs_up(self.second)
        await self.pass_time(0.25)
        self.there.wire.cut()
        self.there.wire.heal()
        await self.hears(carol, "calling_be_hangup:hangup")
        await self.peer_state(ann, "resumed")

    async def test_one_call_left(self) -> None:
        """A device that comes to a node that is apart, and is told there of the end of its call, goes on with the one
        that it holds when the node is back, and knows of that.
        """
        ann, carol, tv = await self.begin()
        apart = await self.start()
        ann = await self.phone(ANN, apart, extended=True)
        await self.holds(ann, carol, tv)
        tv.says(type="resume", room_id=self.first)
        await self.peer_state(carol, "held")
        await self.cut_off(apart)
        ann.hangs_up(self.first)
        tv = await self.phone(TV, apart, extended=True, call_waiting=True)
        await self.hears(tv, "calling_be_hangup:hangup")
        await self.let_back(apart)
        await self.peer_state(carol, "resumed")
        self.assertEqual(self.second, tv.last("welcome")["call"]["room_id"])

    async def test_end_of_one_of_two(self) -> None:
        """A device that talks and holds a call hears the end of the one though the other party, which hung up, calls
        again: the node, which is cut off by then, commits both together, and the device's record names two calls.
        """
        self.there = here = await self.start()
        ann, carol, tv = [await self.phone(address, here, extended=True) for address in (ANN, CAROL, TV)]
        first = await self.talk(ann, tv)
        tv = await self.back(tv)
        await self.holds(ann, carol, tv)
        tv.says(type="resume", room_id=first)
        await self.peer_state(ann, "resumed")
        here.wire.silence()
        ann.hangs_up(first)
        ann.calls(TV)
        await self.until(lambda: tv.told.count("called") == 2)
        self.assertEqual(first, (await self.hears(tv, "calling_be_hangup:hangup"))["room_id"])
