"""An accept that came to nothing since the store was away: who gave it may believe to be in the call."""

from __future__ import annotations

from callnet.calls import events
from callnet.errors import Unavailable
from callnet.model import RoomId
from callnet.records import Ringing
from tests.rules.frames import be_hangup, called
from tests.rules.world import RulesTestCase

UNKNOWN = RoomId("0" * 32)


class AcceptedInVainTests(RulesTestCase):
    """A device has accepted, which came to nothing; it may not have been told, and be at another node by now."""

    def learns(self, room: RoomId) -> None:
        """Let it be known what became of the accept of the pad."""
        self.world.happen(events.AcceptedInVain(room, self.pad.address))

    def answered_by_the_tv(self) -> RoomId:
        """A call of the phone of both that the television has answered."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.tv.accepts(room)
        self.hear_all()
        return room

    def hear_all(self) -> None:
        """Have heard what was said so far."""
        for device in (self.ann, self.tv, self.pad, self.carol):
            device.hears()

    def test_answered_elsewhere(self) -> None:
        """If somebody else has answered it is told so, also when the call is over by then."""
        room = self.answered_by_the_tv()
        self.learns(room)
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))
        self.assert_silence(self.pad)
        self.tv.hangs_up(room)
        self.hear_all()
        self.learns(room)
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))

    def test_in_another_call(self) -> None:
        """If it has gone on to another call it is not told: it would take that for the end of this one."""
        room = self.answered_by_the_tv()
        self.ringing(self.pad, self.carol)
        self.hear_all()
        self.learns(room)
        self.assert_silence()

    def test_ringing_for_another_call(self) -> None:
        """If another call rings it, it is: it has not gone on to that."""
        room = self.answered_by_the_tv()
        self.ringing(self.carol, self.pad)
        self.hear_all()
        self.learns(room)
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))

    def test_nowhere(self) -> None:
        """If it is nowhere just now it is told when it is back, though another end was missed since then."""
        room = self.answered_by_the_tv()
        second = self.ringing(self.carol, self.pad)
        self.pad.loses_socket()
        self.world.wait(1)
        self.carol.hangs_up(second)
        for _ in range(2):
            self.learns(room)
        self.assert_silence(self.pad)
        self.assertEqual([be_hangup(self.ann, room, "answered_elsewhere")], self.pad.connects())

    def test_only_others_know(self) -> None:
        """It is found out when all nodes can be asked where the device is."""
        room = self.answered_by_the_tv()
        self.world.complete = False
        self.assertRaises(Unavailable, self.learns, room)

    def test_rings_on(self) -> None:
        """As long as nobody has answered nothing changes."""
        room = self.ringing(self.ann, self.tv.everywhere())
        before = self.world.calls[room]
        self.learns(room)
        self.assertIs(before, self.world.calls[room])
        self.assert_silence()

    def test_tried_again(self) -> None:
        """An accept that is tried again when the device is at another node is answered there if it is too late."""
        generation = self.pad.generation
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.connects(node="there")
        self.tv.accepts(room)
        self.hear_all()
        self.world.happen(events.LateAnswer(events.Refuse(room, self.pad.address), generation))
        self.assert_silence()
        self.world.happen(events.LateAnswer(events.Accept(room, self.pad.address), generation))
        self.assert_heard(self.pad, be_hangup(self.ann, room, "answered_elsewhere"))
        self.assert_silence(self.pad)

    def test_tried_again_while_it_rings(self) -> None:
        """As long as it rings there it is not put through by what was said on an older connection."""
        generation = self.pad.generation
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.connects(node="there")
        self.hear_all()
        self.world.happen(events.LateAnswer(events.Accept(room, self.pad.address), generation))
        self.assert_call(room, Ringing)
        self.assert_silence()

    def test_it_was_heard(self) -> None:
        """If its accept was heard after all nothing changes, and neither does it if nobody knows the call."""
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        before = self.world.calls[room]
        self.learns(room)
        self.learns(UNKNOWN)
        self.assertIs(before, self.world.calls[room])


class AnsweredTooLateTests(RulesTestCase):
    """A device is answered that it accepts too late, and its connection ends before it can have heard so."""

    def accepted_too_late(self) -> RoomId:
        """The television rings for Ann's call, which the pad answers, and for Carol's, which she ends; since then it
        has accepted Ann's.
        """
        room = self.ringing(self.ann, self.tv.everywhere())
        self.pad.accepts(room)
        self.world.wait(1)
        self.carol.hangs_up(self.ringing(self.carol, self.tv))
        self.world.wait(1)
        self.tv.accepts(room)
        return room

    def test_accepted_too_late(self) -> None:
        """What a device is answered that accepts too late is newer than all that had been decided, and sent alone."""
        for displaces in (True, False):
            room = self.accepted_too_late()
            if displaces:
                told = self.tv.connects(displaces=True, owed=room)
            else:
                self.tv.loses_socket(owed=room)
                told = self.tv.connects()
            self.assertEqual([be_hangup(self.ann, room, "answered_elsewhere")], told)
            self.tv.loses_socket()
            self.assertEqual([be_hangup(self.ann, room, "answered_elsewhere")], self.tv.connects())
            self.world.wait(2)
            self.tv.last_heard = self.world.now
            self.tv.loses_socket()
            self.assertEqual([], self.tv.connects())
            self.pad.hangs_up(room)

    def test_accepted_what_nobody_knows(self) -> None:
        """If nobody knows what it accepted, or that is over by the device itself, it is told what it has missed."""
        for owed in (UNKNOWN, None):
            room = self.accepted_too_late()
            second = self.ringing(self.carol, self.tv)
            if owed is None:
                self.tv.refuses(owed := second)
                second = self.ringing(self.carol, self.tv)
            self.world.wait(1)
            self.carol.hangs_up(second)
            self.tv.loses_socket(owed=owed)
            self.assertEqual([be_hangup(self.carol, second, "cancelled")], self.tv.connects())
            self.pad.hangs_up(room)

    def test_accepted_what_nobody_knows_beside_two_calls(self) -> None:
        """... of either of its last two calls: what nobody knows takes the place of none."""
        first = self.active(self.ann, self.tv)
        self.world.wait(1)
        self.ann.hangs_up(first)
        second = self.ringing(self.carol, self.tv)
        self.tv.loses_socket(owed=UNKNOWN)
        self.assertEqual([be_hangup(self.ann, first, "hangup"), called(self.carol, second)], self.tv.connects())
