"""Guests on nodes that share Redis (protocol §2.7)."""

from __future__ import annotations

from callnet.calls.session import Session
from callnet.calls.session_guest import GuestSession
from callnet.model import DeviceAddress, guest_phone
from tests.cluster.case import ANN, PAD, RING_TIME, TV, AnyNode, Phone
from tests.cluster.simulated import SimulatedCase, SimulatedNode
from tests.support.unlimited import ANY_NUMBER


class Link:
    """A link that rings a phone, or is none."""

    def __init__(self, owner: str | None) -> None:
        self.address = DeviceAddress(guest_phone("0" * 12), "Eve")
        self._owner = owner

    async def owner(self) -> str | None:
        """See :class:`callnet.calls.ports.GuestLink`."""
        return self._owner


class Guest(Phone):
    """A guest's connection to a node."""

    def __init__(self, link: Link, node: AnyNode) -> None:
        self.link = link
        super().__init__(link.address, node)

    def make_session(self, node: AnyNode, extended: bool, call_waiting: bool) -> Session:  # noqa: ARG002
        """See :class:`Phone`."""
        return GuestSession(node.rooms, self, node.clock, ANY_NUMBER, self.link)


class GuestsTests(SimulatedCase):
    """Whatever node a guest comes to."""

    async def guest(self, node: SimulatedNode, owner: str | None = TV.phone, link: Link | None = None) -> Guest:
        """A guest that is connected."""
        guest = Guest(link or Link(owner), node)
        await self.until(lambda: guest.session.generation)
        return guest

    async def test_call(self) -> None:
        """A guest rings all devices of the phone, wherever they are, talks, and is hung up on."""
        here, there = await self.start(), await self.start()
        tv, pad, guest = await self.phone(TV, here), await self.phone(PAD, there), await self.guest(there)
        guest.says(type="ring")
        called = await self.hears(tv, "called")
        self.assertEqual(("Eve", True), (called["from_name"], called["guest"]))
        await self.hears(pad, "called")
        tv.accepts()
        frame = await self.hears(guest, "call_success")
        self.assertEqual({"type", "room_id", "page"}, set(frame))
        await self.hears(pad, "calling_be_hangup:answered_elsewhere")
        tv.hangs_up(frame["room_id"])
        await self.hears(guest, "calling_be_hangup:hangup")
        counts = [node.rooms.counts.of_guests["answered"] for node in (here, there)]
        self.assertEqual([1, 0], counts)

    async def test_rings_nobody(self) -> None:
        """Two guests, of a link that is none and of a phone that nobody has, are told the same at the same time."""
        here, there = await self.start(), await self.start()
        tv = await self.phone(TV, here)
        guests = [await self.guest(there, None), await self.guest(there, "13600000009")]
        for guest in guests:
            guest.says(type="ring")
        await self.pass_time(RING_TIME - 1)
        self.assertEqual([["welcome"], ["welcome"]], [guest.told for guest in guests])
        await self.pass_time(2)
        self.assertEqual([["welcome", "call_failed:no_answer"]] * 2, [guest.told for guest in guests])
        counts = [node.rooms.counts.of_guests["no_answer"] for node in (here, there)]
        self.assertEqual(2, sum(counts))
        self.assertEqual([], tv.told)

    async def test_ends_with_others(self) -> None:
        """A guest whose call rings a device of another node is told the end when one that rings nobody is."""
        there = await self.start()
        await self.pass_time(0.1)  # they look for due calls at other moments
        here = await self.start()
        await self.phone(TV, here)
        for number in range(3):
            await self.pass_time(0.08 * number)
            guests = [await self.guest(there, owner) for owner in (TV.phone, None)]
            for guest in guests:
                guest.says(type="ring")
            while not any("call_failed:no_answer" in guest.told for guest in guests):
                await self.pass_time(0.02)
            self.assertEqual([["welcome", "call_failed:no_answer"]] * 2, [guest.told for guest in guests])

    async def test_makes_way(self) -> None:
        """A call from another node takes the device that rings for a guest, who is not told."""
        here, there = await self.start(), await self.start()
        tv, ann, guest = await self.phone(TV, here), await self.phone(ANN, there), await self.guest(here)
        guest.says(type="ring")
        await self.hears(tv, "called")
        ann.calls(TV)
        await self.until(lambda: tv.told == ["called", "calling_be_hangup:replaced", "called"])
        tv.accepts()
        await self.hears(ann, "call_success")
        self.assertEqual(["welcome"], guest.told)

    async def test_moves(self) -> None:
        """A guest that comes back on another node is in its call again."""
        here, there = await self.start(), await self.start()
        tv, guest = await self.phone(TV, here), await self.guest(here)
        guest.says(type="ring")
        await self.hears(tv, "called")
        again = await self.guest(there, link=guest.link)
        self.assertEqual("ringing", again.last("welcome")["state"])
        tv.accepts()
        await self.hears(again, "call_success")
        again.says(type="calling_hangup")
        await self.hears(tv, "calling_be_hangup:hangup")

    async def test_cut_off(self) -> None:
        """While Redis is out of reach, a guest whose callee is elsewhere rings nobody, as one with a bad link does."""
        here, there = await self.start(), await self.start()
        await self.phone(TV, here)
        guests = [await self.guest(there, owner) for owner in (TV.phone, None)]
        await self.cut_off(there)
        for guest in guests:
            guest.says(type="ring")
        await self.pass_time(RING_TIME + 1)
        self.assertEqual([["welcome", "call_failed:no_answer"]] * 2, [guest.told for guest in guests])
