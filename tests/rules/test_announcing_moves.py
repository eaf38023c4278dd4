"""Messages to devices that went from one node to another while these were apart (see ``unheard``)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.reconcile import LocalState
from callnet.calls.records import Active, CallRecord, Changes, Known, Notice, Over
from callnet.calls.registration import Attached
from callnet.calls.switchboard import decide
from callnet.calls.telling import notification_for
from callnet.calls.transaction import REMEMBERED, Transaction
from callnet.frames.base import CallingBeHangup
from callnet.model import DeviceAddress, Reason, RoomId
from tests.rules.announcing_case import (
    ANN,
    BEFORE,
    CAROL,
    FIRST,
    NODE,
    NOW,
    PAD,
    SECOND,
    THERE,
    THIRD,
    TV,
    AnnouncingCase,
    active,
    device,
    ended,
    gone,
    over,
    ringing,
    untold,
)

PHONE = DeviceAddress(PAD.phone, "phone")


class WentElsewhereTests(AnnouncingCase):
    """A device left this node for another one, which does not know its calls here."""

    def went(self, *calls: CallRecord) -> Changes:
        """Announce it; these calls were here."""
        self.stored(device(ANN, node=THERE, generation=int(NOW * 1000)))
        return self.announce([device(ANN, room=FIRST), device(TV, room=FIRST)], calls)

    def test_ended(self) -> None:
        """It is told of their end, whichever node is first to say so."""
        call = over(FIRST, TV, ANN)
        self.assert_told(self.went(call), (ANN, FIRST))
        self.setUp()
        self.stored(call)
        self.assert_told(self.went(active(FIRST, TV, ANN)), (ANN, FIRST))
        self.assertEqual(FIRST, self.device(ANN).room)

    def test_answered_elsewhere_afterwards(self) -> None:
        """... and if it was answered since, it is told to stop ringing."""
        fork = replace(active(FIRST, CAROL, TV, answered_at=NOW + 1), targets=(ANN, TV))
        self.assert_told(self.went(fork), (ANN, FIRST))

    def test_live(self) -> None:
        """It is in them still."""
        self.assert_told(self.went(active(FIRST, TV, ANN)), (ANN, FIRST))
        self.assertEqual((THERE, FIRST), (self.device(ANN).node, self.device(ANN).room))

    def test_newer_calls_there(self) -> None:
        """... though it has been put in others since then, of which it knows."""
        call = over(FIRST, ANN, TV, reason=Reason.BUSY, ended_at=NOW - 2, answered_at=None)
        self.stored(call, ringing(SECOND, CAROL, ANN), over(THIRD, PAD, ANN, ended_at=NOW - 0.5))
        self.stored(device(ANN, node=THERE, generation=int(NOW * 1000), room=SECOND, previous_room=THIRD))
        changes = self.announce([gone(ANN, NOW - 3, room=FIRST)], [ringing(FIRST, ANN, TV)])
        self.assert_told(changes, (ANN, FIRST))
        self.assertEqual((SECOND, FIRST), (self.device(ANN).room, self.device(ANN).previous_room))

    def test_both_calls_live_there(self) -> None:
        """... and it stays in two that are live, of which it holds one."""
        held = active(SECOND, CAROL, ANN, state=Active(ANN, NOW - 5, held_by=(ANN,)))
        self.stored(held, active(THIRD, PAD, ANN))
        self.stored(device(ANN, node=THERE, generation=int(NOW * 1000), room=THIRD, previous_room=SECOND))
        self.announce([device(ANN, room=FIRST)], [over(FIRST, TV, ANN)])
        self.assertEqual((THIRD, SECOND), (self.device(ANN).room, self.device(ANN).previous_room))

    def away_again(self, newer: CallRecord, *known: Known) -> events.Connected:
        """A device left this node, on which its call with the television ended then; another one has a newer call of
        it, and its confirmations there. It is nowhere when that is announced; its next connect.
        """
        self.setUp()
        theirs = {"node": THERE, "generation": int(NOW * 1000) - 4000, "room": SECOND, "known": known}
        self.stored(replace(gone(ANN, NOW - 0.5), **theirs), newer)
        ended = over(FIRST, ANN, TV, placed_at=NOW - 20, answered_at=NOW - 15, ended_at=NOW - 5, ended_by=TV)
        self.announce([gone(ANN, NOW - 5.2, room=FIRST), device(TV, room=FIRST)], [ended])
        return events.Connected(ANN, THERE, None, NOW + 2)

    def missed(self, back: events.Connected) -> RoomId | None:
        """The room of the call of whose end a device is told that arrives."""
        reply = decide(self.tables.records, back, NOW + 2, self.settings).reply
        assert isinstance(reply, Attached)
        return None if reply.ended is None else reply.ended.room

    def test_away_again(self) -> None:
        """A device that is nowhere when its call turns out to be over is told of that one when it is back, though it
        has been rung since, and has heard of the end of that.
        """
        rang = ended(ringing(SECOND, CAROL, ANN, placed_at=NOW - 3.5), Reason.CANCELLED, NOW - 2, CAROL, version=2)
        self.assertEqual(FIRST, self.missed(self.away_again(rang, Known(SECOND, True))))

    def test_away_again_from_a_newer_call(self) -> None:
        """... but not if it has been in a newer one since, for which it has left that."""
        newer = over(SECOND, CAROL, ANN, placed_at=NOW - 3.5, answered_at=NOW - 3, ended_at=NOW - 0.5)
        self.assertEqual(SECOND, self.missed(self.away_again(newer)))

    def test_left_for_a_newer_call(self) -> None:
        """A call that it has left for one of its own is not reported, though others find that out only now: it is
        told of the end of the newer one.
        """
        left = active(FIRST, ANN, TV, placed_at=NOW - 20, answered_at=NOW - 15)
        newer = over(SECOND, ANN, PAD, placed_at=NOW - 4, answered_at=NOW - 3, ended_at=NOW - 0.5, ended_by=PAD)
        self.stored(device(ANN, node=THERE, room=FIRST), device(TV, node=THERE, room=FIRST), left)
        mine = gone(ANN, NOW - 0.7, generation=int(NOW * 1000) - 5000, room=SECOND)
        self.announce([mine, device(PAD, room=SECOND)], [newer])
        self.assertEqual(Over(Active(TV, NOW - 15), Reason.REPLACED, NOW), self.tables.calls[FIRST].state)
        self.assertEqual(SECOND, self.missed(events.Connected(ANN, THERE, None, NOW + 2)))

    def test_ended_since(self) -> None:
        """... and of a later end it is told instead."""
        rings = ringing(SECOND, ANN, CAROL, placed_at=NOW - 30)
        back = self.away_again(rings)
        self.tables.put_call(ended(rings, Reason.NO_ANSWER, NOW + 1))
        self.assertEqual(SECOND, self.missed(back))

    def test_taken_for_gone(self) -> None:
        """A caller whose grace is over for the node that it left is told so by the one that it went to."""
        mine = [gone(ANN, NOW - self.settings.grace, room=FIRST), device(TV, node=THERE, room=FIRST)]
        self.announce(mine, [ringing(FIRST, ANN, TV)])
        end = self.tables.calls[FIRST].end
        self.assertEqual((Reason.CANCELLED, None), end and (end.reason, end.by))
        self.assert_told(self.announce([device(ANN, generation=int(NOW * 1000) - 5000)]), (ANN, FIRST))


class CameUnknownTests(AnnouncingCase):
    """A device came to this node while the store was away, which knows an older connection of it on another."""

    lost_its_memory = False

    def came(self, room: RoomId, *calls: CallRecord, opened: float = NOW - 3) -> Changes:
        """Announce it; ``room`` is the room in its stored record."""
        self.stored(device(ANN, node=THERE, room=room), device(TV, node=THERE, room=room), *calls)
        return self.announce([device(ANN, generation=int(opened * 1000))])

    def test_ended(self) -> None:
        """It is told of the end of its call, whether that came before it connected or after."""
        for ended_at in (NOW - 30, NOW - 1):
            self.assert_told(self.came(FIRST, over(FIRST, TV, ANN, ended_at=ended_at)), (ANN, FIRST))

    def test_ended_long_ago(self) -> None:
        """... unless that was so long ago that it has heard of it."""
        self.assert_told(self.came(FIRST, over(FIRST, TV, ANN, ended_at=NOW - REMEMBERED)))

    def test_both_ended(self) -> None:
        """It is told of the ends of both calls that it may have missed, in their order."""
        first, second = over(FIRST, TV, ANN, ended_at=NOW - 9), over(SECOND, ANN, PAD, ended_at=NOW - 8)
        self.stored(device(ANN, node=THERE, room=SECOND, previous_room=FIRST), first, second)
        changes = self.announce([device(ANN, generation=int(NOW * 1000))])
        self.assertEqual([Notice(ANN, first), Notice(ANN, second)], changes.notices[:2])

    def test_beside(self) -> None:
        """The node's other calls count, though it announces them another time."""
        self.stored(device(ANN, node=THERE, room=FIRST), active(FIRST, ANN, TV))
        mine = LocalState(
            [BEFORE, NODE],
            [device(ANN, generation=int(NOW * 1000), room=SECOND, previous_room=FIRST)],
            [],
            [],
            [over(FIRST, ANN, TV, ended_by=ANN), active(SECOND, ANN, CAROL)],
        )
        changes = self.once(mine)
        self.assertEqual([(SECOND, FIRST)], [(one.room, one.previous_room) for one in changes.devices])
        self.assertEqual([], list(changes.calls))
        self.assertEqual([SECOND], [notice.call.room for notice in changes.notices if isinstance(notice, Notice)])

    def test_ended_by_itself(self) -> None:
        """... or it ended it itself."""
        self.assert_told(self.came(FIRST, over(FIRST, TV, ANN, ended_by=ANN)))

    def test_taken_for_gone(self) -> None:
        """A caller is told of the end of its ringing if it was there meanwhile, and not if it was indeed gone."""
        call = over(FIRST, ANN, TV, reason=Reason.CANCELLED, ended_at=NOW - 2, answered_at=None)
        self.assert_told(self.came(FIRST, call, opened=NOW - 3), (ANN, FIRST))
        self.assert_told(self.came(FIRST, call, opened=NOW - 1))

    def test_rung(self) -> None:
        """A device that is rung is rung on its new connection."""
        self.assert_told(self.came(FIRST, ringing(FIRST, TV, ANN)), (ANN, FIRST))

    def test_answered(self) -> None:
        """A caller that was answered is told, if it may not have heard of it."""
        self.assert_told(self.came(FIRST, active(FIRST, ANN, TV)), (ANN, FIRST))
        self.assert_told(self.came(FIRST, active(FIRST, ANN, TV, answered_at=NOW - REMEMBERED)))


class ToldBeforeTests(AnnouncingCase):
    """A node ended a call, and had nobody there to tell; another one made the same end, and told the parties."""

    def test_nobody_is_told_again(self) -> None:
        """When that one announces it, after it was apart for a moment, nobody is told a second time: a caller would
        take it for the end of a newer call.
        """
        ended_at = NOW - 10
        rings = ringing(FIRST, ANN, TV, PAD, placed_at=ended_at - 45, version=4)
        end = ended(rings, Reason.NO_ANSWER, ended_at, due=ended_at + REMEMBERED)
        self.announce([device(PAD, room=FIRST)], [end])
        self.assertEqual(untold(end).state, self.tables.calls[FIRST].state)
        devices = [device(each, generation=int(NOW * 1000) - 500, room=FIRST) for each in (ANN, TV)]
        changes = self.once(LocalState([BEFORE, NODE], devices, [end], [], apart_since=NOW - 9))
        self.assertEqual([end.state], [call.state for call in changes.calls])
        self.assertEqual([], [notice for notice in changes.notices if isinstance(notice, Notice)])

    def test_taken_over_here(self) -> None:
        """A device that took the call over here is told of its end by the alias that it knows, though the call had
        ended there without that.
        """
        was: CallRecord[Any] = active(FIRST, ANN, TV, extended=(ANN, TV))
        mine = Transaction(self.tables.records, NOW, self.settings).transfer(was, TV, PAD, RoomId("alias"))
        self.stored(over(FIRST, ANN, TV, version=5))
        told = self.announce([device(PAD, room=FIRST)], [mine])
        self.assert_told(told, (ANN, FIRST), (TV, FIRST), (PAD, FIRST))
        self.assertEqual(RoomId("alias"), self.tables.calls[FIRST].room_for(PAD))

    def test_taken_over_here_by_the_caller(self) -> None:
        """... the caller's other device, too."""
        was: CallRecord[Any] = active(FIRST, TV, ANN, extended=(ANN, TV))
        mine = Transaction(self.tables.records, NOW, self.settings).transfer(was, TV, PAD, RoomId("alias"))
        self.stored(over(FIRST, TV, ANN, version=5))
        told = self.announce([device(PAD, room=FIRST)], [mine])
        self.assert_told(told, (TV, FIRST), (ANN, FIRST), (PAD, FIRST))

    def test_taken_over_here_and_unanswered_there(self) -> None:
        """... though nobody knew there that it was answered."""
        was: CallRecord[Any] = active(FIRST, TV, ANN, extended=(ANN, TV))
        mine = Transaction(self.tables.records, NOW, self.settings).transfer(was, TV, PAD, RoomId("alias"))
        self.stored(over(FIRST, TV, ANN, reason=Reason.NO_ANSWER, answered_at=None, version=5))
        self.assert_told(self.announce([device(PAD, room=FIRST)], [mine]), (TV, FIRST), (ANN, FIRST), (PAD, FIRST))

    def test_taken_over_twice(self) -> None:
        """Of two devices that have taken it over, on nodes that were apart, one hears that it is in another's hands."""
        was: CallRecord[Any] = active(FIRST, ANN, TV, extended=(ANN, TV))
        tx = Transaction(self.tables.records, NOW, self.settings)
        mine, theirs = (tx.transfer(was, TV, one, RoomId(one.device_id)) for one in (PAD, PHONE))
        self.stored(replace(theirs, version=7))
        self.assert_told(
            self.announce([device(PAD, room=FIRST)], [mine]), *((one, FIRST) for one in (ANN, PHONE, PAD, TV))
        )
        told = notification_for(self.tables.calls[FIRST], PAD, NOW, 45.0)
        assert isinstance(told, CallingBeHangup)
        self.assertEqual((RoomId("pad"), Reason.MOVED), (told.room_id, told.reason))
