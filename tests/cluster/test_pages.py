"""What pages see while nodes, wires and Redis die and come back, wherever the devices of their call are."""

from __future__ import annotations

import time
from typing import Any

from msgspec.structs import replace

from callnet.cluster import announcer
from callnet.cluster.codec import encode
from callnet.model import RoomId
from callnet.operations.ice_servers import IceServers
from callnet.operations.turn_secret import TurnSecret
from callnet.records import Notice
from tests.cluster.case import ANN, CAROL, TV, ClusterCase, Node, Phone
from tests.cluster.page import Page
from tests.support.turn_case import TURN, expiry
from tests.support.unlimited import ALONE, UNLIMITED


class PagesElsewhereTests(ClusterCase):
    """Both pages of a call are on a node where neither of its devices is."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Begin with a call between two nodes, and its pages on a third."""
        super().setUp()
        self.server = self.own_server()
        self.know_the_run()
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

    async def all_away(self) -> None:
        """Redis dies, and every node notices."""
        self.server.kill()
        await self.until(lambda: not any(node.is_joined for node in self.running))

    async def back(self, *nodes: Node) -> None:
        """These nodes reach Redis again, one after the other, and announce what they know."""
        for node in nodes:
            node.wire.heal()
            await self.until(lambda node=node: node.is_joined)  # type: ignore[misc]

    async def ended_while_away(self, *order: Node) -> None:
        """The call is ended while Redis is away, which comes back empty; then the nodes come back in some order."""
        one, other = await self.meet(await self.talk(self.ann, self.tv))
        await self.all_away()
        self.tv.hangs_up(self.ann.last("call_success")["room_id"])
        for node in order:
            node.wire.cut()
        self.server.restart()
        await self.back(*order)
        await self.until(lambda: one.states[-1:] == ["ended"] == other.states[-1:])
        await self.hears(self.ann, "calling_be_hangup:hangup")
        self.assertEqual(1, one.states.count("ended"))

    async def test_ended_while_away(self) -> None:
        """Whoever hung up while Redis was away has ended the call for the pages, whoever is back first."""
        await self.ended_while_away(self.there, self.here, self.third)

    async def test_ended_while_away_pages_first(self) -> None:
        """The same if the node of the pages is back before that of who hung up."""
        await self.ended_while_away(self.third, self.here, self.there)

    async def test_ended_while_away_caller_first(self) -> None:
        """The same if that of the other device is first."""
        await self.ended_while_away(self.here, self.third, self.there)

    async def test_heard_of_before_announcing(self) -> None:
        """So has it for pages whose node hears of the end before it has told the store, which is empty, of them."""
        room = await self.talk(self.ann, self.tv)
        page = Page(self.here, room, 1)
        page.joins()
        await self.until(lambda: page.states[-1:] == ["waiting"])
        await self.all_away()
        self.tv.hangs_up(room)
        over = next(iter((await self.there.member.store.read((), [RoomId(room)])).calls.values()))
        bus: Any = self.here.member.bus
        bus.received(encode([Notice(ANN, over)]))
        self.assertEqual(["waiting", "ended"], page.states)
        self.assertIn("calling_be_hangup:hangup", self.ann.told)

    async def test_answered_while_away(self) -> None:
        """Pages that wait in the room of a call that rings meet when it turns out to have been answered."""
        callee = Phone(TV, self.here)
        await self.until(lambda: callee.session.generation)
        self.ann.calls(TV)
        await self.hears(callee, "called")
        room = callee.last("called")["room_id"]
        one, other = (Page(self.third, room, number) for number in (1, 2))
        one.joins()
        other.joins()
        await self.until(lambda: one.states == ["waiting"] == other.states)
        await self.all_away()
        callee.accepts()
        await self.hears(self.ann, "call_success")
        for node in self.running:
            node.wire.cut()
        self.server.restart()
        await self.back(self.here, self.third)
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])

    async def test_taken_for_gone(self) -> None:
        """A page that others took for gone, since they had not heard of its node, is there still."""
        room = await self.talk(self.ann, self.tv)
        one, other = Page(self.third, room, 1), Page(self.here, room, 2)
        one.joins()
        other.joins()
        await self.until(lambda: one.states[-1:] == ["meeting"] == other.states[-1:])
        await self.there.member.store.read((), [RoomId(room)], fresh=True)
        name = self.third.member.store.node
        self.server.flush()
        for node in (self.there, self.here):
            await node.member.store.read([ANN.phone], ())  # it notices, and announces what it knows
        await self.until(lambda: self.third.member.store.node != name and self.third.is_joined)
        await self.until(lambda: other.frames[-1]["peer"]["present"])
        self.tv.hangs_up(room)
        await self.until(lambda: one.states[-1:] == ["ended"] == other.states[-1:])


class OnePageApartTests(ClusterCase):
    """Two devices call each other on a node that is apart; one page comes to it there, the other elsewhere."""

    async def test_seats_that_are_announced_later(self) -> None:
        """Both keep their seats, and meet when the nodes do, in whatever order these are told of calls and rooms."""
        self.patch(announcer, "_AT_ONCE", 1)
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
