"""Events at devices while nodes, wires and Redis die and come back."""

from __future__ import annotations

from tests.cluster.case import ANN, BOUND, CAROL, GRACE, TV, ClusterCase, Node, Phone
from tests.cluster.simulated import SimulatedCase

CAROL_TV = CAROL._replace(device_id="tv")


class DeadNodesTests(SimulatedCase):
    """A node is killed: its calls are kept for those who come back, and ended for the others."""

    async def test_back_on_another_node(self) -> None:
        """A device of the dead node that comes back elsewhere within the grace keeps its call."""
        here, there, ann, tv = await self.ann_and_tv()
        room = await self.talk(ann, tv)
        there.die()
        back = await self.phone(TV, here)
        carol = await self.phone(CAROL, here)
        carol.calls(TV)
        await self.hears(carol, "call_failed:busy")
        await self.pass_time(GRACE + BOUND)
        self.assertEqual(["call_success"], ann.told)
        back.hangs_up(room)
        await self.hears(ann, "calling_be_hangup:hangup")

    async def test_nobody_is_left_busy(self) -> None:
        """Nothing outlives the dead node: no presence, no call, no busy mark."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, there)
        await self.talk(ann, tv)
        dead = there.store.node
        there.die()
        carol = await self.phone(CAROL, here)
        await self.until(lambda: f"n:{dead}" not in self.keys())
        carol.calls(TV)
        await self.until(lambda: carol.told)
        self.assertIn(carol.told[0], ("call_failed:busy", "call_failed:offline"))
        await self.pass_time(GRACE)
        carol.calls(TV)
        await self.hears(carol, "call_failed:offline")

    async def test_caller_died(self) -> None:
        """A ring whose caller was on the dead node ends when the caller does not come back."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, there), await self.phone(TV, here)
        ann.calls(TV)
        await self.hears(tv, "called")
        there.die()
        await self.until(lambda: len(tv.told) > 1)
        self.assertIn(tv.told[1], ("calling_be_hangup:cancelled", "calling_be_hangup:no_answer"))


class LostMessagesTests(SimulatedCase):
    """A message that was published and did not come is no loss: the records are read again."""

    async def test_gone_before_it_was_told(self) -> None:
        """A device that its node could not notify, and that is gone when it can, is notified on its return."""
        here, _, ann, tv = await self.ann_and_tv()
        ann.calls(TV)
        await self.hears(tv, "called")
        here.wire.deafen()
        await self.until(lambda: not here.is_joined)
        tv.accepts()
        await self.pass_time(0.3)
        ann.goes()
        await self.pass_time(0.3)
        await self.let_back(here)
        self.assertEqual([], ann.told)
        again = await self.phone(ANN, here)
        await self.hears(again, "call_success")

    async def test_gone_before_its_node_was_back(self) -> None:
        """... and so is one that goes just when its node comes back, which was apart from all others till then."""
        here, there = await self.start(), await self.start()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, here)
        for node in (here, there):
            await self.cut_off(node)
        room = await self.talk(ann, tv)
        ann.goes()
        ann = await self.phone(ANN, there)
        tv.hangs_up(room)
        await self.let_back(here)
        there.wire.answers_after = 0.1
        there.wire.heal()
        self.assertTrue(there.wire.up)
        self.assertFalse(there.is_joined)
        ann.goes()
        await self.until(lambda: there.is_joined)
        self.assertEqual([], ann.told)
        again = await self.phone(ANN, there)
        await self.hears(again, "calling_be_hangup:hangup")

    async def test_unreadable(self) -> None:
        """A message that cannot be read counts as lost: the records that it may have been about are read."""
        _, there, ann, tv = await self.ann_and_tv()
        channel = f"{self.prefix}node:{there.store.node}"
        for garbage in ("", "x", "\x91\x01", '{"type":"called"}'):
            self.assertEqual("1", self.server.cli("PUBLISH", channel, garbage))
        await self.talk(ann, tv)
        self.assertEqual([[], []], [ann.closed, tv.closed])


class WallClockTests(ClusterCase):
    """The same with real connections, on the wall clock: how soon all is told is shown in simulated time."""

    async def test_peer_is_told(self) -> None:
        """The peer of a device of the dead node is told, after the grace."""
        here, there, ann, tv = await self.ann_and_tv()
        await self.talk(ann, tv)
        lease_ends = float(self.server.cli("ZSCORE", f"{self.prefix}nodes", there.store.node))
        await there.die()
        await self.hears(ann, "calling_be_hangup:connection_lost")
        self.assertGreater(here.store.now(), lease_ends - 2 + GRACE - 0.1)  # it is lost a second after its last beat

    async def test_subscriber_is_killed(self) -> None:
        """However often the subscriptions are cut, every ring, answer and ending comes in the end."""
        self.server = self.own_server()
        self.know_the_run()
        *_, ann, tv = await self.ann_and_tv()
        for _ in range(20):
            ann.frames.clear()
            tv.frames.clear()
            self.cut_subscriptions()
            ann.calls(TV)
            await self.hears(tv, "called")
            self.cut_subscriptions()
            tv.accepts()
            self.cut_subscriptions()
            room = (await self.hears(ann, "call_success"))["room_id"]
            tv.hangs_up(room)
            self.cut_subscriptions()
            await self.hears(ann, "calling_be_hangup:hangup")
            self.assertEqual(["called"], tv.told)

    def cut_subscriptions(self) -> None:
        """Kill every connection that is subscribed."""
        self.server.cli("CLIENT", "KILL", "TYPE", "pubsub")


class RedisAwayTests(ClusterCase):
    """Redis cannot be reached: calls go on, and one node goes on by itself."""

    def setUp(self) -> None:
        """Begin with a server that may be treated badly."""
        super().setUp()
        self.server = self.own_server()
        self.know_the_run()

    async def with_a_call(self) -> tuple[Node, Node, Phone, Phone, str]:
        """Two nodes, and a call across them."""
        here, there, ann, tv = await self.ann_and_tv()
        return here, there, ann, tv, await self.talk(ann, tv)

    async def calls_meanwhile(self, here: Node) -> None:
        """A call inside a node works; one to another node fails."""
        carol, set_top = await self.phone(CAROL, here), await self.phone(CAROL_TV, here)
        carol.calls(TV)
        await self.hears(carol, "call_failed:unavailable")
        set_top.hangs_up(await self.talk(carol, set_top))
        await self.hears(carol, "calling_be_hangup:hangup")

    async def back_again(self, here: Node, there: Node) -> None:
        """Everything is announced."""
        await self.until(lambda: here.is_joined and there.is_joined)

    async def test_killed(self) -> None:
        """Redis is killed and comes back empty: the call across nodes was never in danger, nobody reconnects."""
        here, there, ann, tv, room = await self.with_a_call()
        self.server.kill()
        await self.until(lambda: not here.is_joined and not there.is_joined)
        await self.calls_meanwhile(here)
        self.server.restart()
        await self.back_again(here, there)
        await self.pass_time(GRACE + BOUND)
        self.assertEqual([["call_success"], ["called"], [], []], [ann.told, tv.told, ann.closed, tv.closed])
        tv.hangs_up(room)
        await self.hears(ann, "calling_be_hangup:hangup")

    async def test_ended_while_away(self) -> None:
        """A device that hangs up while Redis is away has hung up: the other is told when Redis is back."""
        here, there, ann, tv, room = await self.with_a_call()
        self.server.kill()
        await self.until(lambda: not here.is_joined and not there.is_joined)
        tv.hangs_up(room)
        self.server.restart()
        await self.back_again(here, there)
        await self.hears(ann, "calling_be_hangup:hangup")
        ann.calls(TV)
        await self.hears(tv, "called")

    async def test_emptied(self) -> None:
        """Redis is emptied: every node notices, and announces everything again."""
        here, there, ann, tv, room = await self.with_a_call()
        names = here.store.node, there.store.node
        self.server.flush()
        await self.until(lambda: here.store.node != names[0] and there.store.node != names[1])
        await self.back_again(here, there)
        await self.until_complete(here)
        carol = await self.phone(CAROL, here)
        carol.calls(TV)
        await self.hears(carol, "call_failed:busy")
        tv.hangs_up(room)
        await self.hears(ann, "calling_be_hangup:hangup")
        self.assertEqual([[], []], [ann.closed, tv.closed])

    async def test_hangs(self) -> None:
        """Redis hangs for some time: the same, and requests from that time are not carried out late."""
        here, there, ann, tv, room = await self.with_a_call()
        carol = await self.phone(CAROL, there)
        self.server.stop()
        carol.calls(CAROL_TV)
        await self.hears(carol, "call_failed:unavailable")
        await self.calls_meanwhile(here)
        self.server.resume()
        await self.back_again(here, there)
        await self.pass_time(GRACE)
        self.assertEqual([["call_success"], ["called"]], [ann.told, tv.told])
        tv.hangs_up(room)
        await self.hears(ann, "calling_be_hangup:hangup")

    async def test_no_ghost_rings(self) -> None:
        """A call that was placed when Redis stood still rings nobody after its caller was told that it failed."""
        here, there, ann, tv = await self.ann_and_tv()
        self.server.stop()
        ann.calls(TV)
        await self.hears(ann, "call_failed:unavailable")
        self.server.resume()
        await self.back_again(here, there)
        await self.pass_time(1.0)
        self.assertNotEqual("called", (tv.told or [""])[-1])
        ann.frames.clear()
        ann.calls(TV)
        await self.hears(tv, "called")
        self.assertEqual([], ann.told)
