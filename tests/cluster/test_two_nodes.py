"""Two nodes are as good as one, on the wall clock too, which shows that the parts of a node work together."""

from __future__ import annotations

from callnet.model import CloseCode
from callnet.redis import limits
from tests.cluster.case import ANN, CAROL, PAD, TV, ClusterCase
from tests.cluster.simulated import SimulatedCase
from tests.support.shared_nodes import PatientNodes


class TwoNodesTests(ClusterCase, PatientNodes):
    """Whatever node a device is connected to, it is called and calls as if there were one."""

    async def test_call(self) -> None:
        """A call is placed, answered and ended across nodes."""
        *_, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        tv.hangs_up(room)
        frame = await self.hears(ann, "calling_be_hangup:hangup")
        self.assertEqual(
            (TV.phone, TV.device_id, room), (frame["fire_phone"], frame["fire_device_id"], frame["room_id"])
        )
        self.assertEqual(["called"], tv.told)

    async def test_refused(self) -> None:
        """A refusal comes back across nodes."""
        *_, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        called = await self.hears(tv, "called")
        tv.says(type="called_refuse", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=called["room_id"])
        await self.hears(ann, "call_refuse:refused")

    async def test_busy(self) -> None:
        """Exactly one of two callers on two nodes gets through."""
        here, there = await self.start(), await self.start()
        ann, carol = await self.phone(ANN, here), await self.phone(CAROL, there)
        tv = await self.phone(TV, there)
        ann.calls(TV)
        carol.calls(TV)
        await self.until(lambda: "call_failed:busy" in ann.told + carol.told)
        await self.hears(tv, "called")
        self.assertEqual(1, len(ann.told) + len(carol.told))
        self.assertEqual(["called"], tv.told)

    async def test_glare(self) -> None:
        """Two that call each other from two nodes at the same moment meet in one room."""
        *_, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        tv.calls(ANN)
        rooms = {(await self.hears(phone, "call_success"))["room_id"] for phone in (ann, tv)}
        self.assertEqual(1, len(rooms))

    async def test_every_device(self) -> None:
        """All devices of a phone ring, wherever they are; the first to accept wins and the others are told."""
        here, there = await self.start(), await self.start()
        ann, tv, pad = await self.phone(ANN, here), await self.phone(TV, here), await self.phone(PAD, there)
        ann.says(type="call", to_phone=TV.phone, to_device_id="*")
        await self.hears(tv, "called")
        await self.hears(pad, "called")
        pad.accepts()
        self.assertEqual(PAD.device_id, (await self.hears(ann, "call_success"))["to_device_id"])
        await self.hears(tv, "calling_be_hangup:answered_elsewhere")

    async def test_newest_connection_wins(self) -> None:
        """A device that connects to another node has its older connection closed, and keeps its call."""
        _, there, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        again = await self.phone(ANN, there)
        await self.until(lambda: ann.closed)
        self.assertEqual([CloseCode.DISPLACED], ann.closed)
        tv.hangs_up(room)
        await self.hears(again, "calling_be_hangup:hangup")
        self.assertEqual(["call_success"], ann.told)

    async def test_rung_on_another_node(self) -> None:
        """A device that is rung, loses its connection and comes back on another node is told again."""
        here, _, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        await self.hears(tv, "called")
        tv.goes()
        back = await self.phone(TV, here)
        await self.hears(back, "called")
        back.accepts()
        await self.hears(ann, "call_success")

    async def test_caller_on_another_node(self) -> None:
        """A caller that comes back on another node while it rings hears of the answer there."""
        _, there, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        await self.hears(tv, "called")
        ann.goes()
        back = await self.phone(ANN, there)
        tv.accepts()
        await self.hears(back, "call_success")
        self.assertEqual([], ann.told)

    async def test_nothing_is_left(self) -> None:
        """When all have gone and their calls are forgotten, nothing is left of them but the living nodes."""
        here, there, ann, tv = await self.ann_and_tv()
        tv.hangs_up(await self.talk(ann, tv))
        await self.hears(ann, "calling_be_hangup:hangup")
        self.assertIn(f"n:{here.store.node}", self.keys())
        ann.goes()
        tv.goes()
        await self.until(lambda: not [key for key in self.keys() if key.startswith("n:")])
        await here.stop()
        await there.stop()
        self.running.clear()
        self.assertNotIn("nodes", self.keys())

    async def test_stop(self) -> None:
        """A node that stops in order leaves nothing for the others to find out."""
        here, there = await self.start(), await self.start()
        tv = await self.phone(TV, there)
        carol = await self.phone(CAROL, here)
        tv.goes()
        await there.stop()
        self.running.remove(there)
        carol.calls(TV)
        await self.hears(carol, "call_failed:offline")
        self.assertEqual("1", self.server.cli("ZCARD", f"{self.prefix}nodes"))

    async def test_limits(self) -> None:
        """A use that one node admits is counted on the other."""
        self.patch(limits, "TAKE_TIME", self.timeout)
        here, there = [(await self.start()).member.limits for _ in range(2)]
        gates = [each.gate([("logins", 1, 600.0)]) for each in (here, there)]
        limiters = [each.limiter("calls", 1, 600.0) for each in (here, there)]
        self.assertIsNone(await gates[0].enter(["a"]))
        self.assertIsNotNone(await gates[1].enter(["a"]))
        self.assertEqual(0, limiters[0].wait("a"))
        await self.until(lambda: limiters[1].would_wait("a"))


class InTimeTests(SimulatedCase):
    """Calls that end by themselves, in simulated time."""

    async def test_glare_that_ended(self) -> None:
        """If the other one hangs up before the node of the second caller knows that it has accepted, the end is told
        last.
        """
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, there)
        ann.calls(TV)
        await self.hears(tv, "called")
        there.wire.answers_after = 0.5
        tv.calls(ANN)
        ann.hangs_up((await self.hears(ann, "call_success"))["room_id"])
        await self.hears(tv, "call_success")
        self.assertEqual(["call_success", "calling_be_hangup:hangup"], tv.told[-2:])

    async def test_no_answer(self) -> None:
        """A ring that nobody answers ends for both."""
        *_, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        await self.hears(ann, "call_failed:no_answer")
        await self.hears(tv, "calling_be_hangup:no_answer")

    async def test_lost(self) -> None:
        """The call of a device that does not come back within the grace is ended for the other."""
        *_, ann, tv = await self.ann_and_tv()
        await self.talk(ann, tv)
        tv.goes()
        await self.hears(ann, "calling_be_hangup:connection_lost")

    async def test_refused_and_cancelled(self) -> None:
        """A refusal that crosses the cancelling is not told, as the caller may have called again since."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, there)
        ann.calls(TV)
        await self.hears(tv, "called")
        tv.refuses()
        ann.says(type="calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id, room_id="")
        ann.calls(TV)
        await self.pass_time(1.0)
        self.assertEqual(([], ["called", "called"]), (ann.told, tv.told))
        tv.refuses()
        await self.hears(ann, "call_refuse:refused")
