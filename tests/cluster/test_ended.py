"""Ended calls are kept in Redis until any process has recorded them."""

from __future__ import annotations

from twisted.logger import capturedLogs

from callnet.calls.transitions import unreached
from callnet.model import Reason, RoomId
from callnet.store.ended import KEPT_MAX
from tests.cluster.case import ANN, TV
from tests.cluster.simulated import SimulatedCase, SimulatedNode


class EndedTests(SimulatedCase):
    """Ann calls the television, on another node."""

    async def ended_call(self) -> str:
        """Two nodes, and a call between them that is over; its room."""
        self.here, self.there = await self.start(), await self.start()
        self.ann, self.tv = await self.phone(ANN, self.here), await self.phone(TV, self.there)
        return await self.another()

    async def another(self) -> str:
        """One more call; its room."""
        told = len(self.ann.told)
        room = await self.talk(self.ann, self.tv)
        self.tv.hangs_up(room)
        await self.until(lambda: "calling_be_hangup:hangup" in self.ann.told[told:])
        self.ann.frames.clear()
        self.tv.frames.clear()
        return room

    async def taken(self, node: SimulatedNode, most: int = 10) -> list[str]:
        """The rooms of the calls that a node is handed out."""
        return [one.call.room for one in await self.result_of(node.ended.take(most))]

    def do(self, script: str) -> str:
        """Have a script do something to the key that keeps them."""
        return self.server.cli("EVAL", script, "1", f"{self.prefix}ended")

    async def test_once(self) -> None:
        """A call is handed to one node, whole, and to no other; when it is done with it is gone."""
        room = await self.ended_call()
        ended = await self.result_of(self.there.ended.take(10))
        self.assertEqual([], await self.taken(self.here))
        [one] = ended
        self.assertEqual((room, Reason.HANGUP), (one.call.room, one.call.end and one.call.end.reason))
        self.assertEqual((ANN, TV), (one.call.caller, one.call.callee))
        await self.result_of(self.there.ended.done(ended))
        self.assertEqual("0", self.do("return redis.call('EXISTS', KEYS[1])"))

    async def test_never_written_down(self) -> None:
        """A call that was handed out but is not recorded is handed to another after some time."""
        room = await self.ended_call()
        await self.taken(self.here)
        self.here.die()
        handed_out_until = float(self.do("return redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')[2]"))
        self.assertTrue(20 < handed_out_until - self.there.store.now() <= 30)
        self.do("redis.call('ZADD', KEYS[1], 0, redis.call('ZRANGE', KEYS[1], 0, 0)[1])")
        self.assertEqual([room], await self.taken(self.there))

    async def test_order(self) -> None:
        """The oldest come first, and at most the requested number."""
        rooms = [await self.ended_call(), await self.another(), await self.another()]
        self.assertEqual(rooms[:2], await self.taken(self.here, 2))
        self.assertEqual(rooms[2:], await self.taken(self.there, 2))

    async def test_too_many(self) -> None:
        """If there are too many the oldest are dropped, one node counts them, and the log says so."""
        rooms = [await self.ended_call(), *[await self.another() for _ in range(3)]]
        handed_out = self.here.store.now() + 30
        self.do(f"for i = 1, {KEPT_MAX - 2} do redis.call('ZADD', KEYS[1], {handed_out}, i) end")
        with capturedLogs() as events:
            self.assertEqual(rooms[2:], await self.taken(self.here))
        self.assertEqual(1, len([event for event in events if "from the history" in str(event["log_format"])]))
        self.assertEqual([], await self.taken(self.there))
        self.assertEqual((2, 0), (self.here.ended.dropped, self.there.ended.dropped))
        self.assertEqual(str(KEPT_MAX), self.do("return redis.call('ZCARD', KEYS[1])"))

    async def test_unreached(self) -> None:
        """A call that reached nobody is known to the node that it was placed on."""
        here = await self.start()
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.hears(ann, "call_failed:offline")
        [one] = await self.result_of(here.ended.take(10))
        reason = one.call.end and one.call.end.reason
        self.assertEqual((ANN, TV, Reason.OFFLINE), (one.call.caller, one.call.target, reason))
        self.assertEqual([one], await self.result_of(here.ended.take(10)))
        await self.result_of(here.ended.done([one]))
        self.assertEqual([], await self.result_of(here.ended.take(10)))

    async def test_apart(self) -> None:
        """A call that ended while its node was apart is not lost, however long that was; it may be there twice."""
        node = await self.start()
        self.here = self.there = node
        self.ann, self.tv = await self.phone(ANN, node), await self.phone(TV, node)
        room = await self.talk(self.ann, self.tv)
        await self.cut_off(node)
        self.tv.hangs_up(room)
        await self.hears(self.ann, "calling_be_hangup:hangup")
        ended = await self.result_of(node.ended.take(10))
        self.assertEqual([room], [one.call.room for one in ended])
        await self.result_of(node.ended.done(ended))
        await self.let_back(node)
        taken: list[str] = []
        while not taken:  # as the history does, if Redis was too slow
            taken = await self.taken(node)
        self.assertEqual({room}, set(taken))

    async def test_more_here_than_asked_for(self) -> None:
        """Facts that only this node knows come first."""
        room = await self.ended_call()
        rooms = [RoomId(f"{number:032x}") for number in range(3)]
        calls = [unreached(ANN, TV, one, Reason.OFFLINE, 1.0) for one in rooms]
        for call in calls:
            self.here.store.failed(call)
        self.assertEqual(rooms[:2], await self.taken(self.here, 2))
        self.assertEqual([*rooms, room], await self.taken(self.here, 4))


class ValkeyEndedTests(EndedTests):
    """The same on Valkey."""

    flavour = "valkey"
