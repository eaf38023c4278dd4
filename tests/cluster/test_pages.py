"""Events at pages while nodes, wires and Redis die and come back, wherever the devices of their call are."""

from __future__ import annotations

import time

from msgspec.structs import replace

from callnet.calls.records import Notice
from callnet.model import RoomId
from callnet.ops.ice import IceServers, TurnSecret
from callnet.redis import node as node_module
from callnet.redis.codec import encode_message
from tests.cluster.case import ANN, CAROL, TV
from tests.cluster.page import Page
from tests.cluster.simulated import SimulatedCase, SimulatedNode
from tests.support.turn_case import TURN, expiry
from tests.support.unlimited import ALONE, UNLIMITED


class PagesElsewhereTests(SimulatedCase):
    """Both pages of a call are on a node where neither of its devices is."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Begin with a call between two nodes, and its pages on a third."""
        super().setUp()
        self.here, self.there, self.third = await self.start(), await self.start(), await self.start()
        self.ann, self.tv = await self.phone(ANN, self.here), await self.phone(TV, self.there)

    async def meet(self, room: str) -> tuple[Page, Page]:
        """Two pages that see each other."""
        one, other = (Page(self.third, room, number) for number in (1, 2))
        one.joins()
        other.joins()
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])
        return one, other

    async def test_servers(self) -> None:
        """The pages of a call get TURN credentials wherever they are, good until the call has to end at the latest."""
        room = await self.talk(self.ann, self.tv)
        answered_at = time.time()
        ice = IceServers(replace(TURN, lifetime=86400), TurnSecret(TURN.secret), UNLIMITED, ALONE, time.time)
        one, other = Page(self.third, room, 1, ice), Page(self.there, room, 2, ice)
        one.joins()
        await self.until(lambda: one.states == ["waiting"])
        self.assertEqual([], one.servers)
        other.joins()
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])
        for page in (one, other):
            until = expiry(page.servers)
            assert until is not None
            self.assertLess(abs(until - answered_at - self.settings.longest), 5)

    async def back(self, *nodes: SimulatedNode) -> None:
        """These nodes reach Redis again, one after the other, and announce their state."""
        for node in nodes:
            await self.let_back(node)

    async def ended_while_away(self, *order: SimulatedNode) -> None:
        """The call is ended while Redis is away, which comes back empty; then the nodes come back in some order."""
        one, other = await self.meet(await self.talk(self.ann, self.tv))
        self.world.restart_redis()
        self.tv.hangs_up(self.ann.last("call_success")["room_id"])
        await self.back(*order)
        await self.until(lambda: one.states[-1:] == ["ended"] == other.states[-1:])
        await self.hears(self.ann, "calling_be_hangup:hangup")
        self.assertEqual(1, one.states.count("ended"))

    async def test_ended_while_away(self) -> None:
        """A hangup while Redis was away has ended the call for the pages, whichever node is back first."""
        await self.ended_while_away(self.there, self.here, self.third)

    async def test_ended_while_away_pages_first(self) -> None:
        """The same if the node of the pages is back before that of who hung up."""
        await self.ended_while_away(self.third, self.here, self.there)

    async def test_ended_while_away_caller_first(self) -> None:
        """The same if that of the other device is first."""
        await self.ended_while_away(self.here, self.third, self.there)

    async def test_heard_of_before_announcing(self) -> None:
        """So it has for pages whose node hears of the end before it has told them to the store, which is empty."""
        room = await self.talk(self.ann, self.tv)
        page = Page(self.here, room, 1)
        page.joins()
        await self.until(lambda: page.states[-1:] == ["waiting"])
        self.world.restart_redis()
        self.tv.hangs_up(room)
        over = next(iter((await self.result_of(self.there.store.read((), [RoomId(room)]))).calls.values()))
        self.here.bus.received(b"\x91" + encode_message(Notice(ANN, over)))  # a list of one, in msgpack
        self.assertEqual(["waiting", "ended"], page.states)
        self.assertIn("calling_be_hangup:hangup", self.ann.told)

    async def test_answered_while_away(self) -> None:
        """Pages that wait in the room of a call that rings meet when it turns out to have been answered."""
        callee = await self.phone(TV, self.here)
        self.ann.calls(TV)
        await self.hears(callee, "called")
        room = callee.last("called")["room_id"]
        one, other = (Page(self.third, room, number) for number in (1, 2))
        one.joins()
        other.joins()
        await self.until(lambda: one.states == ["waiting"] == other.states)
        self.world.restart_redis()
        callee.accepts()
        await self.hears(self.ann, "call_success")
        await self.back(self.here, self.third)
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])

    async def test_taken_for_gone(self) -> None:
        """A page that others took for gone, since they had not heard of its node, is there still."""
        room = await self.talk(self.ann, self.tv)
        one, other = Page(self.third, room, 1), Page(self.here, room, 2)
        one.joins()
        other.joins()
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])
        await self.result_of(self.there.store.read((), [RoomId(room)], fresh=True))
        name = self.third.store.node
        self.server.cli("FLUSHALL")
        for node in (self.there, self.here):
            await self.result_of(node.store.read([ANN.phone], ()))  # it notices, and announces its state
        await self.until(lambda: self.third.store.node != name and self.third.is_joined)
        await self.until(lambda: other.frames[-1]["peer"]["present"])
        self.tv.hangs_up(room)
        await self.until(lambda: one.states[-1:] == ["ended"] == other.states[-1:])


class OnePageApartTests(SimulatedCase):
    """Two devices call each other on a node that is apart; one page comes to it there, the other elsewhere."""

    async def test_seats_that_are_announced_later(self) -> None:
        """Both keep their seats, and meet when the nodes do, in whatever order these are told of calls and rooms."""
        self.patch(node_module, "_AT_ONCE", 1)
        here, there = await self.start(), await self.start()
        carol, ann, tv = [await self.phone(device, here) for device in (CAROL, ANN, TV)]
        await self.cut_off(here)
        carol.hangs_up(await self.talk(carol, ann))  # so that Ann, and her room, are looked at when Carol is announced
        room = await self.talk(ann, tv)
        one, other = Page(here, room, 1), Page(there, room, 2)
        one.joins()
        other.joins()
        await self.until(lambda: one.states == ["waiting"] == other.states)
        here.wire.heal()
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])
        ann.hangs_up(room)
        await self.until(lambda: one.states[-1:] == ["ended"] == other.states[-1:])
