"""Whose history gets a row `missed` (protocol §2.4)."""

from __future__ import annotations

from callnet.calls.call import missed_by
from callnet.calls.events import Stopped
from callnet.model import DeviceAddress, RoomId
from tests.rules.world import RulesTestCase


class MissedTests(RulesTestCase):
    """A ring nobody answered leaves a history row `missed` for the callee."""

    def assert_missed_by(self, room: RoomId, *devices: DeviceAddress) -> None:
        """The call in ``room`` was missed by these devices."""
        self.assertEqual(devices, missed_by(self.world.calls[room]))

    def test_nobody_answered(self) -> None:
        """Nobody answered in time."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.assert_missed_by(room)
        self.world.wait(45)
        self.assert_missed_by(room, self.pad.address, self.tv.address)

    def test_caller_gave_up(self) -> None:
        """The caller cancelled before anybody answered, or went away."""
        room = self.ringing(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.assert_missed_by(room, self.tv.address)
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(30)
        self.assert_missed_by(room, self.tv.address)

    def test_operator(self) -> None:
        """The operator ended the ringing."""
        room = self.ringing(self.ann, self.tv)
        self.world.happen(Stopped(room))
        self.assert_missed_by(room, self.tv.address)

    def test_waited_for_in_vain(self) -> None:
        """A device that was called again after a drop, and did not come back in time, missed this call."""
        self.active(self.ann, self.tv)
        self.tv.loses_socket()
        room = self.ringing(self.ann, self.tv)
        self.world.wait(30)
        self.assert_missed_by(room, self.tv.address)

    def test_answered(self) -> None:
        """`answered_elsewhere` does not; nor does any call that was answered, however it ends."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.assert_missed_by(room)
        self.ann.hangs_up(room)
        self.assert_missed_by(room)

    def test_refused(self) -> None:
        """A refusal is an answer, and so is leaving the ringing for a call of one's own."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.refuses(room)
        self.assert_missed_by(room)
        room = self.ringing(self.ann, self.tv)
        self.tv.calls(self.carol)
        self.assert_missed_by(room)
