"""The entries of a call in the histories of both phones (protocol §1, §2.4)."""

from __future__ import annotations

from functools import partial
from typing import Final

from callnet.accounts.history import sides
from callnet.calls import events
from callnet.calls.events import Stopped
from callnet.calls.records import is_over
from callnet.calls.transitions import UNREACHED, unreached
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.storage.history import PastCall
from tests.rules.world import Device, RulesTestCase

ROOM: Final = RoomId("0" * 32)


class HistoryTests(RulesTestCase):
    """Both sides of a call."""

    def both(self, room: RoomId) -> tuple[PastCall, PastCall]:
        """The two sides of a call."""
        call = self.world.calls[room]
        assert is_over(call)
        return sides(call)

    def assert_sides(self, room: RoomId, went_out: str, came_in: str, device: Device, device_id: str) -> None:
        """Assert the sides of Ann's call; ``device_id``: the device of the row at the called phone."""
        out, in_ = self.both(room)
        ann = self.ann.address
        self.assertEqual((*ann, False, went_out), (out.phone, out.device_id, out.incoming, out.outcome))
        called = device.address.phone
        self.assertEqual((called, device_id, True, came_in), (in_.phone, in_.device_id, in_.incoming, in_.outcome))
        self.assertEqual((ann, True), (in_.peer, in_.rang))
        self.assertEqual(out.peer.phone, called)
        known = room if device_id == "*" else device.id_of(room)
        self.assertEqual((self.ann.id_of(room), known), (out.room, in_.room))

    def test_times(self) -> None:
        """It began when it was placed, and may have been answered; both sides have the same times."""
        began = self.world.now
        room = self.ringing(self.ann, self.tv)
        self.world.wait(3)
        self.tv.accepts(room)
        self.world.wait(20)
        self.ann.hangs_up(room)
        for side in self.both(room):
            self.assertEqual((began, began + 3, began + 23), (side.started_at, side.answered_at, side.ended_at))
        self.assert_sides(room, "answered", "answered", self.tv, "tv")

    def test_not_answered(self) -> None:
        """Nobody answered in time, the caller gave up or was lost, or the operator ended it: it was missed."""
        everywhere = self.tv.everywhere()
        room = self.ringing(self.ann, everywhere)
        self.world.wait(45)
        self.assert_sides(room, "no_answer", "missed", self.tv, "*")
        self.assertEqual(everywhere, self.both(room)[0].peer)
        self.assertIsNone(self.both(room)[0].answered_at)
        room = self.ringing(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.assert_sides(room, "cancelled", "missed", self.tv, "tv")
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(30)
        self.assert_sides(room, "cancelled", "missed", self.tv, "tv")
        self.ann.connects()
        room = self.ringing(self.ann, self.tv)
        self.world.happen(Stopped(room))
        self.assert_sides(room, "shutting_down", "missed", self.tv, "tv")

    def test_waited_for_in_vain(self) -> None:
        """A device that was called again after a drop, and did not come back in time, missed this call."""
        self.active(self.ann, self.tv)
        self.tv.loses_socket()
        room = self.ringing(self.ann, self.tv)
        self.world.wait(30)
        self.assert_sides(room, "offline", "missed", self.tv, "tv")

    def test_answered(self) -> None:
        """A call that one device has answered none of the others missed; the row is the device's that did."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.ann.hangs_up(room)
        self.assert_sides(room, "answered", "answered", self.pad, "pad")
        self.assertEqual(self.pad.address, self.both(room)[0].peer)

    def test_refused(self) -> None:
        """A refusal is an answer, and so is leaving the ringing for a call of one's own; the row is that device's."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.refuses(room)
        self.assert_sides(room, "refused", "refused", self.pad, "pad")
        room = self.ringing(self.ann, self.tv)
        self.tv.calls(self.carol)
        self.assert_sides(room, "busy", "refused", self.tv, "tv")

    def test_glare(self) -> None:
        """One call is left of two devices that called each other, and it was answered."""
        room = self.ringing(self.ann, self.tv)
        self.tv.calls(self.ann)
        self.tv.hangs_up(room)
        self.assert_sides(room, "answered", "answered", self.tv, "tv")

    def test_answered_by_itself(self) -> None:
        """An automatic answer of the device is marked in both histories; only an answer counts."""
        device = self.tv.address
        by_itself: Final = partial(events.Accept, by_itself=True)
        for answer, written in ((by_itself, True), (events.Accept, False), (events.Refuse, False)):
            room = self.ringing(self.ann, self.tv)
            self.world.happen(answer(room, device))
            self.ann.hangs_up(room)
            self.assertEqual([written] * 2, [side.auto_answered for side in self.both(room)])

    def test_unreached(self) -> None:
        """A call that found nobody there, or nobody free, was missed too, if there is somebody to miss it."""
        asked = DeviceAddress("13651884967", "*")
        for reason in UNREACHED:
            out, in_ = sides(unreached(self.ann.address, asked, ROOM, reason, 5.0))
            self.assertEqual((reason.value, asked, True), (out.outcome, out.peer, out.rang))
            self.assertEqual(("missed", *asked, False), (in_.outcome, in_.phone, in_.device_id, in_.rang))
            self.assertEqual(
                {(5.0, None, 5.0)}, {(one.started_at, one.answered_at, one.ended_at) for one in (out, in_)}
            )
        self.assertEqual({Reason.OFFLINE, Reason.BUSY}, UNREACHED)
