"""Forks whose devices, and pages, are on several nodes: each device has a room id of its own, known on every node."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls.records import Active, CallRecord, Changes
from callnet.model import DeviceAddress, RoomId
from tests.cluster.case import ANN, PAD, TV, Phone
from tests.cluster.page import Page
from tests.cluster.simulated import SimulatedCase, SimulatedNode

EVERYWHERE = DeviceAddress(TV.phone, "*")


class ForkTests(SimulatedCase):
    """Ann calls the television at her node and the pad at another; pages come to a third."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Let both ring."""
        super().setUp()
        self.here, self.there, self.third = await self.start(), await self.start(), await self.start()
        self.ann, self.tv = await self.phone(ANN, self.here), await self.phone(TV, self.here)
        self.pad = await self.phone(PAD, self.there)
        self.ann.calls(EVERYWHERE)
        self.ids = [(await self.hears(device, "called"))["room_id"] for device in (self.tv, self.pad)]

    async def answered(self, callee: Phone) -> str:
        """The room after a device has accepted."""
        callee.accepts()
        return str((await self.hears(self.ann, "call_success"))["room_id"])

    async def meet(self, room: str, node: SimulatedNode) -> tuple[Page, Page]:
        """Two pages that come to a room and see each other."""
        pages = Page(self.third, room, 1), Page(node, room, 2)
        for page in pages:
            page.joins()
        await self.until(lambda: all(page.states[-1:] == ["meeting"] for page in pages))
        return pages

    async def test_winner_elsewhere(self) -> None:
        """The pad accepts: pages meet by its id on any node, by the television's on none."""
        room = await self.answered(self.pad)
        self.assertEqual(self.ids[1], room)
        await self.hears(self.tv, "calling_be_hangup:answered_elsewhere")
        self.assertEqual(self.ids[0], self.tv.last("calling_be_hangup")["room_id"])
        pages = await self.meet(room, self.here)
        for node in self.running:
            stranger = Page(node, self.ids[0], 3)
            stranger.joins()
            await self.until(lambda stranger=stranger: stranger.states == ["ended"])  # type: ignore[misc]
            stranger.says("hangup")
        self.tv.hangs_up(self.ids[0])
        self.pad.hangs_up(room)
        await self.hears(self.ann, "calling_be_hangup:hangup")
        await self.until(lambda: pages[0].states[-1] == "ended" == pages[1].states[-1])

    async def test_late_frames_of_a_loser(self) -> None:
        """The pad, whose node need not know the call any more, is told that it is too late, by its own id."""
        room = await self.answered(self.tv)
        await self.hears(self.pad, "calling_be_hangup:answered_elsewhere")
        self.pad.hangs_up(self.ids[1])
        self.pad.frames.clear()
        self.pad.says(type="called_success", from_phone=ANN.phone, from_device_id="phone", room_id=self.ids[1])
        await self.hears(self.pad, "calling_be_hangup:answered_elsewhere")
        self.assertEqual(self.ids[1], self.pad.last("calling_be_hangup")["room_id"])
        self.assertNotIn("error", self.pad.told)
        await self.meet(room, self.there)

    async def test_waiting_pages(self) -> None:
        """Pages that come by both ids while it rings wait; only the winner's gets a seat."""
        pages = [Page(self.third, room, number) for number, room in enumerate(self.ids)]
        for page in pages:
            page.joins()
        await self.until(lambda: all(page.states == ["waiting"] for page in pages))
        caller = Page(self.here, await self.answered(self.pad), 3)
        caller.joins()
        await self.until(
            lambda: [page.states[-1:] for page in (*pages, caller)] == [["ended"], ["meeting"], ["meeting"]]
        )

    async def test_redis_comes_back_empty(self) -> None:
        """Redis loses its memory: the nodes announce the ids with their call."""
        room = await self.answered(self.pad)
        self.world.restart_redis()
        for node in self.running:
            await self.let_back(node)
        await self.meet(room, self.third)
        stranger = Page(self.third, self.ids[0], 3)
        stranger.joins()
        await self.until(lambda: stranger.states == ["ended"])
        self.ann.hangs_up(room)
        await self.hears(self.pad, "calling_be_hangup:hangup")

    def kept_for(self, kind: str, room: str) -> int:
        """Milliseconds that Redis will keep a key yet; -2: it is not there."""
        return int(self.server.cli("PTTL", f"{self.prefix}{kind}:{room}"))

    async def test_what_is_left(self) -> None:
        """Keys that lead from an id to its call expire by themselves, even if an older node ends the call."""
        for room in self.ids:
            self.assertLess(0, self.kept_for("r", room))

    async def test_left_of_an_ended_call(self) -> None:
        """Keys that lead from an id to an ended call go when the call is forgotten, and not later."""
        self.ann.hangs_up(await self.answered(self.pad))
        await self.hears(self.pad, "calling_be_hangup:hangup")
        room = self.server.cli("GET", f"{self.prefix}r:{self.ids[1]}").strip()
        of_call = self.kept_for("c", room)
        for alias in self.ids:
            self.assertTrue(0 < self.kept_for("r", alias) <= of_call)

    async def test_superseded_ids(self) -> None:
        """Nothing leads to a call from an id that is none of its ids any more."""
        first, second, third = (RoomId(letter * 32) for letter in "abc")
        rung = CallRecord(RoomId("d" * 32), 1, Active(PAD, 0.0), ANN, PAD, (PAD,), 0.0, self.here.store.now() + 60)
        for version, ids in enumerate([(first, second), (first, third)], 1):
            call = replace(rung, version=version, aliases=tuple((PAD, alias) for alias in ids))
            self.assertTrue((await self.result_of(self.here.store.commit(Changes(calls=[call])))).held)
            kept = [alias for alias in (first, second, third) if self.kept_for("r", alias) != -2]
            self.assertEqual([*ids], kept)
