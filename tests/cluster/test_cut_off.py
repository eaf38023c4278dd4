"""Events at devices while a node is cut off from the others and comes back, perhaps by a new name."""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from twisted.logger import capturedLogs, formatEvent

from callnet.calls.records import Displaced, Notice
from callnet.calls.transaction import REMEMBERED
from callnet.config.schema import CallSettings
from callnet.model import CloseCode, DeviceAddress, RoomId, log_name
from callnet.redis.codec import encode, encode_message
from tests.cluster.case import ANN, CAROL, GRACE, PAD, RING_TIME, TV, Phone
from tests.cluster.page import Page
from tests.cluster.simulated import SimulatedCase, SimulatedNode


class CutOffTests(SimulatedCase):
    """The wire of one node is cut, and healed long before the grace of anybody who left is over."""

    settings = CallSettings(ring_time=RING_TIME, grace=60.0)

    async def test_for_a_moment(self) -> None:
        """A node that is back before its lease is over keeps its name, and nothing was noticed."""
        _, there, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        name = there.store.node
        await self.cut_off(there)
        await self.let_back(there)
        self.assertEqual(name, there.store.node)
        ann.hangs_up(room)
        await self.hears(tv, "calling_be_hangup:hangup")

    async def test_one_thing_cannot_be_announced(self) -> None:
        """A device that cannot be announced, since the store is damaged there, does not keep others from it."""
        here, there = await self.start(), await self.start()
        ann, tv, pad = [await self.phone(device, here) for device in (ANN, TV, PAD)]
        room = await self.talk(ann, tv)
        await self.cut_off(here)
        self.damage(room)
        ann.hangs_up(room)
        carol = await self.phone(CAROL, here)
        here.wire.heal()
        other = await self.phone(DeviceAddress("13600000009", "phone"), there)
        await self.until(lambda: here.is_joined)
        for phone in (carol, pad):
            other.calls(phone.address)
            await self.hears(phone, "called")
            phone.refuses()

    async def test_device_that_cannot_be_announced(self) -> None:
        """The log says that it was a device, and names its call, but not the device."""
        here = await self.start()
        ann, carol = await self.phone(ANN, here), await self.phone(CAROL, here)
        ann.calls(CAROL)
        room = (await self.hears(carol, "called"))["room_id"]
        await self.cut_off(here)
        self.damage(room)
        carol.accepts()
        await self.hears(ann, "call_success")
        ann.goes()
        await self.phone(ANN, here)
        with capturedLogs() as events:
            await self.let_back(here)
        lines = [formatEvent(event) for event in events]
        name = log_name(RoomId(room))
        self.assertEqual([f"gave up re-publishing a device in call {name} to Redis after 20 conflicts"], lines)

    def damage(self, room: str) -> None:
        """Make a call unreadable in Redis."""
        script = "redis.call('SETRANGE', KEYS[1], 0, string.char(9, 9, 9, 9))"
        self.server.cli("EVAL", script, "1", f"{self.prefix}c:{room}")

    async def test_nobody_listens(self) -> None:
        """A call to a device whose node cannot be told fails within two seconds, and rings nobody later."""
        _, there, ann, tv = await self.ann_and_tv()
        await self.cut_off(there)
        began = self.world.passed
        ann.calls(TV)
        await self.hears(ann, "call_failed:unavailable")
        self.assertLess(self.world.passed - began, 2.0)
        await self.let_back(there)
        await self.pass_time(0.5)
        self.assertNotEqual("called", (tv.told or [""])[-1])

    async def test_redis_hangs(self) -> None:
        """So does a call whose node is not answered by Redis, and the next one, for which it does not wait again."""
        here, _, ann, tv = await self.ann_and_tv()
        carol = await self.phone(CAROL, here)
        here.wire.silence()
        began = self.world.passed
        ann.calls(TV)
        await self.hears(ann, "call_failed:unavailable")
        carol.calls(TV)
        await self.hears(carol, "call_failed:unavailable")
        self.assertLess(self.world.passed - began, 2.0)
        await self.let_back(here)
        await self.pass_time(0.5)
        self.assertNotEqual("called", (tv.told or [""])[-1])

    async def test_moved_while_cut_off(self) -> None:
        """A device that went from a node that is cut off to another is not called back by the return of the first."""
        here, there, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        await self.cut_off(there)
        moved = await self.phone(TV, here)
        there.wire.heal()
        await self.until(lambda: tv.closed)
        self.assertEqual([CloseCode.DISPLACED], tv.closed)
        self.assertEqual([], moved.closed)
        ann.hangs_up(room)
        await self.hears(moved, "calling_be_hangup:hangup")

    async def test_accepted_before_it_moved(self) -> None:
        """An accept that its node could not commit yet counts for nothing if the device was rung elsewhere since."""
        await self.check_older_accept(is_healed=False)

    async def test_accepted_while_its_node_comes_back(self) -> None:
        """Nor does one that waited for the return of the node."""
        await self.check_older_accept(is_healed=True)

    async def check_older_accept(self, *, is_healed: bool) -> None:
        """Have a device accept on a node that is cut off, or comes back, while it is rung on another."""
        here, there, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        await self.hears(tv, "called")
        await self.cut_off(there)
        moved = await self.phone(TV, here)
        await self.hears(moved, "called")
        if is_healed:
            there.wire.heal()
        tv.accepts()
        there.wire.heal()
        await self.until(lambda: there.is_joined)
        await self.pass_time(1)
        self.assertNotIn("call_success", ann.told)
        moved.accepts()
        await self.hears(ann, "call_success")

    async def test_moved_to_it(self) -> None:
        """A device that went to a node that is cut off is told, when that is back, that its call is over."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, here)
        room = await self.talk(ann, tv)
        await self.cut_off(there)
        moved = await self.phone(TV, there)
        ann.hangs_up(room)
        await self.hears(tv, "calling_be_hangup:hangup")
        self.assertEqual([], moved.told)
        there.wire.heal()
        await self.hears(moved, "calling_be_hangup:hangup")
        await self.until(lambda: tv.closed)
        self.assertEqual([CloseCode.DISPLACED], tv.closed)
        ann.calls(TV)
        await self.hears(moved, "called")

    async def test_moved_to_one_that_is_cut_off_next(self) -> None:
        """A device is told the end of a call that only the node knew which it has left, though its next node was cut
        off, too, when that was back.
        """
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, there)
        await self.cut_off(there)
        room = await self.talk(ann, tv)
        tv.goes()
        moved = await self.phone(TV, here)
        ann.hangs_up(room)
        await self.cut_off(here)
        await self.let_back(there)
        await self.pass_time(0.5)
        await self.let_back(here)
        await self.hears(moved, "calling_be_hangup:hangup")

    async def test_hung_up_elsewhere(self) -> None:
        """A device that left a cut-off node, in a call that only that node has, may hang up at another."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, there)
        await self.cut_off(there)
        room = await self.talk(ann, tv)
        moved = await self.phone(ANN, here)
        moved.hangs_up(room)
        await self.pass_time(0.2)
        there.wire.heal()
        await self.hears(tv, "calling_be_hangup:hangup")
        await self.until(lambda: ann.closed)
        self.assertEqual([[], [CloseCode.DISPLACED]], [moved.told, ann.closed])

    async def test_cancelled_elsewhere(self) -> None:
        """Nor need a device know that it was answered to hang up there; it is told that the call is over."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, there)
        await self.cut_off(there)
        ann.calls(TV)
        await self.hears(tv, "called")
        ann.goes()
        tv.accepts()
        moved = await self.phone(ANN, here)
        moved.says(type="calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id)
        await self.pass_time(0.2)
        there.wire.heal()
        await self.hears(tv, "calling_be_hangup:hangup")
        await self.hears(moved, "calling_be_hangup:hangup")

    async def test_heard_of_it_before(self) -> None:
        """A node that hears that a device went elsewhere, before it has announced itself, announces it all the same."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, there)
        await self.cut_off(there)
        ann.calls(TV)
        await self.hears(tv, "called")
        ann.goes()
        tv.refuses()
        moved = await self.phone(ANN, here)
        displaced = Displaced(ANN, there.store.node, moved.session.generation)
        there.bus.received(encode([displaced]))
        there.wire.heal()
        await self.hears(moved, "call_refuse:refused")

    async def test_heard_of_its_end_before(self) -> None:
        """A node that hears that a call ended unanswered, before it has announced the answer, tells the caller that
        the call is over, and nothing else.
        """
        here, there, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        room = RoomId((await self.hears(tv, "called"))["room_id"])
        await self.cut_off(here)
        tv.goes()
        await self.accepts_at(here, ann)
        tv = await self.phone(TV, there)
        await self.hears(tv, "calling_be_hangup:no_answer")
        here.bus.received(encode([Raw(encode_message(Notice(ANN, there.cache.records.calls[room])))]))
        here.wire.heal()
        await self.hears(ann, "calling_be_hangup:no_answer")
        await self.pass_time(1)
        self.assertEqual(["call_success", "calling_be_hangup:no_answer"], ann.told)
        self.assertEqual(["called", "calling_be_hangup:no_answer"], tv.told)

    async def test_accepted_again_after_its_end(self) -> None:
        """A device that hung up, and then accepts the call once more at a node that is cut off, is told wherever it is
        next that it is over.
        """
        here, there, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        room = (await self.hears(tv, "called"))["room_id"]
        await self.cut_off(here)
        tv.accepts()
        await self.pass_time(0.2)
        tv.hangs_up(room)
        await self.pass_time(0.2)
        tv.goes()
        await self.accepts_at(here, ann)
        tv = await self.phone(TV, there)
        here.wire.heal()
        for phone in (ann, tv):
            await self.hears(phone, "calling_be_hangup:hangup")
        await self.pass_time(1)
        self.assertEqual((2, 1), (len(ann.told), len(tv.told)))

    async def accepts_at(self, node: SimulatedNode, caller: Phone) -> None:
        """Have the television accept a call at a node, and leave."""
        tv = await self.phone(TV, node)
        await self.hears(tv, "called")
        tv.accepts()
        await self.hears(caller, "call_success")
        tv.goes()

    async def accepted_in_vain(self, there: SimulatedNode) -> None:
        """A device accepts just when its node is cut off, and leaves; another one, there too, is faster. The store
        has lost its last writes.
        """
        carol, tv, pad = [await self.phone(device, there) for device in (CAROL, TV, PAD)]
        self.copy_all(self.prefix, "copy:")
        carol.calls(DeviceAddress(TV.phone, "*"))
        for phone in (tv, pad):
            await self.hears(phone, "called")
        there.wire.silence()
        pad.accepts()
        await self.pass_time(0.1)
        pad.goes()
        await self.until(lambda: not there.is_joined)
        there.wire.cut()
        tv.accepts()
        await self.hears(carol, "call_success")
        self.copy_all(f"copy:{self.prefix}", "")
        self.world.run_id = "a replica that took over"  # a node that comes back within its lease must see that

    def copy_all(self, prefix: str, put_before: str) -> None:
        """Copy all keys under a prefix; without ``put_before`` the prefix is removed."""
        script = """
            for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
                redis.call('COPY', key, ARGV[2] ~= '' and ARGV[2] .. key or string.sub(key, 6), 'REPLACE')
            end
        """
        if not put_before:
            self.server.cli(
                "EVAL", f"for _, key in ipairs(redis.call('KEYS', '{self.prefix}*')) do redis.call('DEL', key) end", "0"
            )
        self.server.cli("EVAL", script, "0", prefix, put_before)

    async def test_left_before_it_was_known(self) -> None:
        """A caller that leaves when its call has been answered, but its node has not heard of that yet, though of other
        things that came later, is told when it is back.
        """
        here, there = await self.start(), await self.start()
        ann, tv, carol = await self.phone(ANN, here), await self.phone(TV, there), await self.phone(CAROL, here)
        third = await self.start()
        other = await self.phone(DeviceAddress("13600000009", "phone"), third)
        ann.calls(TV)
        await self.hears(tv, "called")
        there.wire.silence()
        tv.accepts()
        other.calls(CAROL)
        await self.hears(carol, "called")
        here.wire.silence()
        ann.goes()
        there.wire.heal()
        await self.pass_time(0.2)
        here.wire.heal()
        await self.pass_time(0.5)
        back = await self.phone(ANN, here)
        await self.hears(back, "call_success")

    async def test_fails_where_its_call_is_unknown(self) -> None:
        """A caller that moved to a node that is cut off, and calls somebody busy there, does not leave the call that
        this node does not know: it is told the answer when the node is back.
        """
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, here)
        pad, carol = await self.phone(PAD, there), await self.phone(CAROL, there)
        await self.talk(pad, carol)
        ann.calls(TV)
        await self.hears(tv, "called")
        await self.cut_off(there)
        moved = await self.phone(ANN, there)
        moved.calls(CAROL)
        await self.hears(moved, "call_failed:unavailable")
        await self.let_back(there)
        tv.accepts()
        await self.hears(moved, "call_success")

    async def check_who_came_before(self, pause: float) -> None:
        """Let a device whose accept failed be elsewhere for this time, before the facts of its node are known."""
        here, there = await self.start(), await self.start()
        await self.accepted_in_vain(there)
        await self.pass_time(pause)
        moved = await self.phone(PAD, here)
        await self.let_back(there)
        await self.hears(moved, "calling_be_hangup:answered_elsewhere")

    async def test_accepted_in_vain(self) -> None:
        """A device whose accept failed, and that was not told, is told which device answered."""
        await self.check_who_came_before(0)

    async def test_accepted_in_vain_and_given_up(self) -> None:
        """So is a device whose accept its node has given up."""
        await self.check_who_came_before(1.5)

    async def test_accepted_in_vain_and_came_afterwards(self) -> None:
        """It is told, too, if that is known before it comes."""
        here, there = await self.start(), await self.start()
        await self.accepted_in_vain(there)
        await self.let_back(there)
        await self.pass_time(1)
        moved = await self.phone(PAD, here)
        await self.hears(moved, "calling_be_hangup:answered_elsewhere")


class LongTests(SimulatedCase):
    """Redis cannot be reached for longer than ends of calls are remembered, and a call is hung up meanwhile."""

    settings = CallSettings()
    AWAY: Final = REMEMBERED + 80

    async def hang_up_meanwhile(self, *nodes: SimulatedNode, is_emptied: bool = False) -> tuple[Phone, ...]:
        """Let one of two devices, on these nodes, hang up while Redis is away; returns who is there afterwards."""
        ann, tv = await self.phone(ANN, nodes[0]), await self.phone(TV, nodes[-1])
        room = await self.talk(ann, tv)
        if is_emptied:
            self.world.restart_redis()
        for node in nodes:
            await self.cut_off(node)
        tv.hangs_up(room)
        await self.pass_time(self.AWAY)
        for node in nodes:
            await self.let_back(node)
        await self.hears(ann, "calling_be_hangup:hangup")
        return ann, tv

    async def assert_can_be_called(self, *phones: Phone) -> None:
        """Call these phones."""
        carol = await self.phone(CAROL, await self.start())
        for phone in phones:
            phone.frames.clear()
            carol.calls(phone.address)
            await self.hears(phone, "called")
            phone.refuses()

    async def test_one_node(self) -> None:
        """Both are told on a single node; the store, which has not heard of the end, does not bring the call back."""
        await self.assert_can_be_called(*await self.hang_up_meanwhile(await self.start()))

    async def test_two_nodes(self) -> None:
        """On two nodes the other party is told as soon as it can be."""
        await self.assert_can_be_called(*await self.hang_up_meanwhile(await self.start(), await self.start()))

    async def test_emptied(self) -> None:
        """The same, if Redis comes back without any memory, whoever is the first to announce the call."""
        here, there = await self.start(), await self.start()
        await self.assert_can_be_called(*await self.hang_up_meanwhile(here, there, is_emptied=True))


class GraceTests(SimulatedCase):
    """The wire of one node is cut until the grace of a device, or of the node, is over."""

    async def test_for_too_long(self) -> None:
        """A node that is cut off for longer than lease and grace is dead to the others; on its return its devices
        are told which calls are over, and can be called again without a reconnect.
        """
        _, there, ann, tv = await self.ann_and_tv()
        await self.talk(ann, tv)
        name = there.store.node
        there.wire.silence()
        await self.hears(ann, "calling_be_hangup:connection_lost")
        self.assertEqual(["called"], tv.told)
        there.wire.heal()
        await self.hears(tv, "calling_be_hangup:connection_lost")
        self.assertNotEqual(name, there.store.node)
        self.assertEqual([], tv.closed)
        ann.calls(TV)
        await self.until(lambda: tv.told[-1] == "called")

    async def test_taken_for_gone(self) -> None:
        """A device that left a node before that was cut off, and went elsewhere within the grace, keeps its call."""
        here, there, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        tv.goes()
        await self.pass_time(0.2)
        await self.cut_off(there)
        moved = await self.phone(TV, here)
        await self.pass_time(GRACE + 0.5)
        await self.let_back(there)
        await self.pass_time(0.5)
        self.assertEqual(["call_success"], ann.told)
        ann.hangs_up(room)
        await self.hears(moved, "calling_be_hangup:hangup")


class NewNameTests(SimulatedCase):
    """A node taken for dead gets a new name, and a device that connects before it has noticed is known by that."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Begin with two nodes."""
        super().setUp()
        self.here, self.there = await self.start(), await self.start()

    def take_for_dead(self) -> str:
        """Let a node be dead to the others; its name."""
        name = self.here.store.node
        self.server.cli("ZREM", f"{self.prefix}nodes", name)
        return name

    async def test_device(self) -> None:
        """A device."""
        old = self.take_for_dead()
        await self.phone(TV, self.here)
        new = self.here.store.node
        self.assertNotEqual(old, new)
        records = await self.result_of(self.there.store.read([TV.phone], ()))
        self.assertEqual([(True, new)], [(one.connected, one.node) for one in records.devices[TV.phone].values()])

    async def test_page(self) -> None:
        """A page."""
        room = await self.talk(await self.phone(ANN, self.there), await self.phone(TV, self.there))
        old = self.take_for_dead()
        page = Page(self.here, room, 1)
        page.joins()
        await self.until(lambda: page.states == ["waiting"])
        new = self.here.store.node
        self.assertNotEqual(old, new)
        records = await self.result_of(self.there.store.read((), [RoomId(room)], fresh=True))
        self.assertEqual([new], [seat.node for seat in records.seats[RoomId(room)].seats if seat is not None])
