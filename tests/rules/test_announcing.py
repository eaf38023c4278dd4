"""Announcements of a node that comes back to a store that knows less than the node, or more (see ``announcing``)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import Policy
from callnet.calls.reconcile import LocalState
from callnet.calls.records import (
    NOTHING,
    Active,
    CallRecord,
    DeviceRecord,
    Displaced,
    Known,
    Notice,
    Over,
    Ringing,
    SeatsRecord,
)
from callnet.calls.registration import NOWHERE, Attached
from callnet.calls.switchboard import decide
from callnet.calls.transaction import REMEMBERED
from callnet.model import DeviceAddress, Reason
from tests.rules.announcing_case import (
    ANN,
    BEFORE,
    CAROL,
    FIRST,
    GUEST,
    NODE,
    NOW,
    PAD,
    SECOND,
    THERE,
    TV,
    AnnouncingCase,
    active,
    device,
    gone,
    over,
    ringing,
    seat,
    untold,
)
from tests.support.tables import write

ANOTHER = DeviceAddress("guest:00000000000c00000000000d", "Bill")


class EmptyStoreTests(AnnouncingCase):
    """The store has lost everything: the node's records are written unchanged, and nobody notices."""

    def test_live_call(self) -> None:
        """A call and its devices, by the node's new name."""
        call = active(FIRST, ANN, TV)
        changes = self.announce([device(ANN, room=FIRST), device(TV, room=FIRST)], [call])
        self.assertEqual({FIRST: call}, self.tables.calls)
        self.assertEqual(device(ANN, room=FIRST, node=NODE), self.device(ANN))
        self.assertEqual([], list(changes.notices))

    def test_policy(self) -> None:
        """A policy that is kept once for a phone is kept again, and the node's goes before the stored one."""
        many = Policy(frozenset(map(str, range(100))))
        short = many.in_record_of(TV.device_id)
        for stored in (None, Policy(frozenset(map(str, range(50, 100))))):
            if stored is not None:
                self.tables.put_policy(TV.phone, stored)
            mine = LocalState([BEFORE, NODE], [device(TV, policy=short)], [], [], policies={TV.phone: many})
            write(self.tables, self.once(mine))
            self.assertEqual({TV.phone: many}, self.tables.policies)
            self.assertEqual(many, self.tables.records.policy_of(self.device(TV)))
            self.assertIs(NOTHING, self.once(mine))

    def test_call_that_is_over(self) -> None:
        """The end of a call is remembered from then on, so that nobody brings it back: a recent one, and one from a
        time in which the node and the store were apart.
        """
        for ended_at, apart_since in ((NOW - 1, NOW), (NOW - 9 * REMEMBERED, NOW - 10 * REMEMBERED)):
            end = over(FIRST, ANN, TV, ended_at=ended_at, due=None)
            write(self.tables, self.once(LocalState([NODE], [], [end], [], apart_since=apart_since)))
            self.assertEqual(replace(end, due=NOW + REMEMBERED), self.tables.calls.pop(FIRST))

    def test_call_that_has_long_been_over(self) -> None:
        """... but none of which everybody was told, and that is forgotten."""
        end = over(FIRST, ANN, TV, ended_at=NOW - REMEMBERED)
        self.assertIs(NOTHING, self.once(LocalState([NODE], [], [end], [], apart_since=NOW - 1)))

    def test_caller_that_went_elsewhere(self) -> None:
        """A caller that had gone to another node when its call ended on this one is told of the end there."""
        call = over(FIRST, ANN, TV, reason=Reason.CANCELLED, answered_at=None)
        self.stored(device(ANN, node=THERE, generation=int(NOW - 2) * 1000))
        changes = self.announce([gone(ANN, NOW - 9, generation=7000, room=FIRST), device(TV, room=FIRST)], [call])
        self.assert_told(changes, (ANN, FIRST))

    def test_who_came_after(self) -> None:
        """A device that came to this node after its call had ended, not known to be in it, is told of the end."""
        call = over(FIRST, TV, ANN, ended_at=NOW - 9)
        for generation, room, told in (
            (NOW * 1000 - 8000, None, [(ANN, FIRST)]),
            (NOW * 1000 - 8000, FIRST, []),
            (NOW * 1000 - 10000, None, []),
        ):
            self.setUp()
            ann = device(ANN, generation=int(generation), room=room)
            self.assert_told(self.announce([ann, device(TV, room=FIRST)], [call]), *told)

    def test_in_touch(self) -> None:
        """... unless that was when the node and the store were in touch, so that everybody was told then."""
        mine = [device(ANN, generation=int(NOW * 1000) - 8000), device(TV, room=FIRST)]
        for apart_since, told in ((NOW - 8.5, set()), (NOW - 9.5, {ANN})):
            call = over(FIRST, TV, ANN, ended_at=NOW - 9)
            changes = self.once(LocalState([NODE], mine, [call], [], apart_since=apart_since))
            self.assertEqual(told, {notice.to for notice in changes.notices if isinstance(notice, Notice)})

    def test_who_went_elsewhere(self) -> None:
        """A device that was gone when its call ended on this node, and came back to another one, is told there."""
        call = over(FIRST, ANN, TV, reason=Reason.NO_ANSWER, answered_at=None)
        for known, told in (((), [(ANN, FIRST)]), ((Known(FIRST, True),), [])):
            self.setUp()
            self.stored(device(ANN, node=THERE, generation=int(NOW * 1000) - 100))
            ann = replace(gone(ANN, NOW - 0.5, generation=7000, room=FIRST), known=known)
            self.assert_told(self.announce([ann, device(TV, room=FIRST)], [call]), *told)

    def test_who_is_nowhere(self) -> None:
        """A device that was on another node when its call ended on this one is told when it is back."""
        ended = over(FIRST, ANN, TV, ended_at=NOW - 4)
        for room, known, told in ((FIRST, (), True), (FIRST, (Known(FIRST, True),), False), (None, (), False)):
            for stored in ([active(FIRST, ANN, TV)], []):
                self.setUp()
                ann = gone(ANN, NOW - 1, node=THERE, room=room, previous_room=None)
                self.stored(replace(ann, known=known), *stored)
                self.announce([device(TV, room=FIRST)], [ended])
                back = decide(self.tables.records, events.Connected(ANN, THERE, None, NOW), NOW, self.settings)
                assert isinstance(back.reply, Attached)
                self.assertEqual(self.tables.calls[FIRST] if told else None, back.reply.ended)

    def test_devices_that_are_gone(self) -> None:
        """A device within its grace is still waited for; one that was gone for longer is forgotten."""
        self.announce([gone(ANN, NOW - 20), gone(TV, NOW - 30)])
        ann = self.device(ANN)
        self.assertEqual((False, NOW - 20, NOW + 60), (ann.connected, ann.lost_at, ann.due))
        self.assertIsNone(self.tables.records.device(TV))

    def test_other_party(self) -> None:
        """A party that no node has spoken of yet has its grace, in which its node may, or it comes back itself."""
        self.announce([device(ANN, room=FIRST)], [active(FIRST, ANN, TV)])
        expected = DeviceRecord(TV, 1, NOWHERE, 0, False, None, NOW, FIRST, None, NOW + 30)
        self.assertEqual(expected, self.device(TV))

    def test_calls_of_others(self) -> None:
        """A call that other devices of the same phone are in does not concern the node, whoever its parties are."""
        carol, pad = device(CAROL, node=THERE, room=FIRST), device(PAD, node=THERE, room=FIRST)
        self.stored(carol, pad, active(FIRST, CAROL, PAD))
        changes = self.announce([device(TV)])
        self.assertEqual([device(TV, node=NODE)], list(changes.devices))

    def test_who_was_rung(self) -> None:
        """The same goes for a device that still rings, and for no other."""
        self.announce([device(ANN, room=FIRST)], [ringing(FIRST, ANN, TV, PAD, state=Ringing((PAD,)))])
        self.assertEqual({"pad"}, set(self.tables.devices[TV.phone]))

    def test_seats(self) -> None:
        """A room, its own seats by the node's new name."""
        empty = seat("blue", THERE, empty_since=NOW - 1)
        self.announce(seats=[SeatsRecord(FIRST, 4, (seat("red"), empty), None)])
        self.assertEqual(SeatsRecord(FIRST, 4, (seat("red", NODE), empty), NOW + 9), self.tables.seats[FIRST])


class KeptMemoryTests(AnnouncingCase):
    """The store has lost nothing; it was this node that was cut off, for so long that its calls were forgotten."""

    lost_its_memory = False

    def test_forgotten_call(self) -> None:
        """A call with someone elsewhere that the store does not know any more is over."""
        changes = self.announce([device(ANN, room=FIRST)], [active(FIRST, ANN, TV)])
        call = self.tables.calls[FIRST]
        self.assertEqual((Reason.CONNECTION_LOST, NOW), call.end and (call.end.reason, call.end.at))
        self.assertEqual(3, call.version)
        self.assertEqual([], list(changes.notices))

    def test_forgotten_call_of_a_guest(self) -> None:
        """That of a guest rings on with the devices of this node, as one does that rings nobody."""
        everywhere = DeviceAddress(TV.phone, "*")
        calls = [
            ringing(FIRST, GUEST, TV, PAD, target=everywhere),
            CallRecord(SECOND, 1, Ringing(()), ANOTHER, ANOTHER._replace(device_id="*"), (), NOW - 10, due=NOW + 35),
        ]
        mine = [device(GUEST, room=FIRST), device(TV, room=FIRST), device(ANOTHER, room=SECOND)]
        self.announce(mine, calls)
        states = [self.tables.calls[room].state for room in (FIRST, SECOND)]
        self.assertEqual([Ringing((TV,)), Ringing(())], states)

    def test_forgotten_guest(self) -> None:
        """That of a guest who is elsewhere is over."""
        self.announce([device(TV, room=FIRST)], [ringing(FIRST, GUEST, TV)])
        self.assertIsInstance(self.tables.calls[FIRST].state, Over)

    def test_call_of_its_own(self) -> None:
        """One between devices of this node may have begun while it was cut off, and goes on."""
        call = ringing(FIRST, ANN, TV)
        self.announce([device(ANN, room=FIRST), device(TV, room=FIRST)], [call])
        self.assertEqual({FIRST: call}, self.tables.calls)


class CallTests(AnnouncingCase):
    """The store and the node both know a call."""

    def believed(self, stored: CallRecord, mine: CallRecord) -> CallRecord:
        """The call in the store after the node has announced."""
        self.stored(device(ANN, node=NODE, room=FIRST), device(TV, node=THERE, room=FIRST), stored)
        changes = self.announce([device(ANN, room=FIRST)], [mine])
        believed = self.tables.calls[FIRST]
        self.assert_told(changes, *([] if believed is stored else [(ANN, FIRST), (TV, FIRST)]))
        return believed

    def test_stored_is_over(self) -> None:
        """OVER beats all: an ended call in the store stays ended, whatever the versions."""
        stored = over(FIRST, ANN, TV)
        for mine in (active(FIRST, ANN, TV, version=9), over(FIRST, ANN, TV, version=9, reason=Reason.TOO_LONG)):
            self.assertIs(stored, self.believed(stored, mine))

    def test_mine_is_over(self) -> None:
        """The same holds the other way about."""
        mine = over(FIRST, ANN, TV)
        self.assertEqual(mine, self.believed(active(FIRST, ANN, TV), mine))
        self.assertEqual(replace(mine, version=10), self.believed(active(FIRST, ANN, TV, version=9), mine))

    def test_ended_though_answered(self) -> None:
        """A call that one node ended unanswered and another had answered is over, and both were in it."""
        answered = active(FIRST, ANN, TV)
        unanswered = over(FIRST, ANN, TV, version=4, ended_by=TV, answered_at=None)
        expected = over(FIRST, ANN, TV, version=5, ended_by=None)
        self.assertEqual(expected, self.believed(unanswered, answered))
        self.assertEqual(expected, self.believed(answered, unanswered))
        self.assertEqual(expected, self.believed(unanswered, over(FIRST, ANN, TV, reason=Reason.TOO_LONG)))

    def test_answered_since_its_end(self) -> None:
        """A device that hung up, and has accepted the call on another node since, is to be told of its end, too."""
        stored = over(FIRST, ANN, TV, ended_by=TV)  # a second ago
        self.assertIs(stored, self.believed(stored, active(FIRST, ANN, TV)))
        answered = active(FIRST, ANN, TV, answered_at=NOW - 0.5)
        self.assertEqual(over(FIRST, ANN, TV, version=4), self.believed(stored, answered))
        self.assertEqual(over(FIRST, ANN, TV, version=4), self.believed(answered, stored))

    def ended_here(self, reason: Reason, ended_by: DeviceAddress | None = None) -> CallRecord:
        """A call of a node that had neither caller nor callee, but another device that was rung."""
        return over(FIRST, ANN, PAD, version=4, reason=reason, ended_by=ended_by, answered_at=None)

    def test_ended_where_the_caller_was_not(self) -> None:
        """A call unanswered or refused on a node that could not tell the caller: its end comes too late."""
        for mine in (self.ended_here(Reason.NO_ANSWER), self.ended_here(Reason.REFUSED, PAD)):
            answered = active(FIRST, ANN, TV)
            self.setUp()
            self.stored(device(ANN, node=THERE, room=FIRST), device(TV, node=THERE, room=FIRST), answered)
            self.announce([device(PAD, room=FIRST)], [mine])
            self.assertEqual(answered, self.tables.calls[FIRST])

    def test_ended_when_the_caller_was_gone(self) -> None:
        """So does a decision of a node after its caller had left it, as the caller may have been answered elsewhere."""
        for lost_at, state in ((NOW - 2, Active), (NOW - 0.5, Over)):
            self.setUp()
            answered = active(FIRST, ANN, TV)
            self.stored(device(ANN, node=THERE, generation=9000, room=FIRST), device(TV, node=THERE, room=FIRST))
            self.stored(answered)
            mine = self.ended_here(Reason.CANCELLED)  # a second ago
            self.announce([gone(ANN, lost_at, room=FIRST), device(PAD, room=FIRST)], [mine])
            self.assertIsInstance(self.tables.calls[FIRST].state, state)

    def test_ended_where_the_callee_was(self) -> None:
        """... unless the device that has accepted it came there since, and was told that, whichever node is first."""
        answered, refused = active(FIRST, ANN, TV), self.ended_here(Reason.REFUSED, PAD)
        came = [device(TV, generation=8000, room=FIRST), device(PAD, room=FIRST)]
        self.stored(device(ANN, node=THERE, room=FIRST), device(TV, node=THERE, room=FIRST), answered)
        self.assert_told(self.announce(came, [refused]), (ANN, FIRST), (PAD, FIRST), (TV, FIRST))
        self.assertIsInstance(self.tables.calls[FIRST].state, Over)
        self.setUp()
        self.announce(came, [refused])
        self.announce([device(ANN, room=FIRST), gone(TV, NOW - 2, room=FIRST)], [answered])
        self.assertIsInstance(self.tables.calls[FIRST].state, Over)

    def lost_here(self) -> CallRecord:
        """An answered call at a node, after the grace of a party that had left."""
        return over(FIRST, ANN, TV, version=4, reason=Reason.CONNECTION_LOST)  # a second ago

    def test_taken_for_gone(self) -> None:
        """So does the end of a party's grace, if no party was there to be told: the party may have come elsewhere."""
        answered = active(FIRST, ANN, TV)
        for ann in ([], [gone(ANN, NOW - 2, room=FIRST)]):
            self.setUp()
            self.stored(device(ANN, node=THERE, generation=9000, room=FIRST), device(TV, node=THERE, room=FIRST))
            self.stored(answered)
            self.assert_told(self.announce([*ann, device(PAD)], [self.lost_here()]))
            self.assertEqual(answered, self.tables.calls[FIRST])

    def test_taken_for_gone_and_told(self) -> None:
        """... but where one was, that one has left the call, though it may be gone by now."""
        for tv in (device(TV, room=FIRST), gone(TV, NOW - 0.5, room=FIRST)):
            self.setUp()
            self.stored(device(ANN, node=THERE, generation=9000, room=FIRST), active(FIRST, ANN, TV))
            changes = self.announce([gone(ANN, NOW - 40, room=FIRST), tv], [self.lost_here()])
            self.assertEqual(self.lost_here(), self.tables.calls[FIRST])
            self.assert_told(changes, (ANN, FIRST), (TV, FIRST))

    def test_taken_for_gone_and_unknown(self) -> None:
        """... and where nobody knows better it is believed, until somebody does."""
        self.announce([gone(ANN, NOW - 40, room=FIRST), device(PAD)], [self.lost_here()])
        self.assertEqual(untold(self.lost_here()), self.tables.calls[FIRST])
        self.announce([gone(TV, NOW - 40, room=FIRST)], [replace(self.lost_here(), version=9)])
        self.assertEqual(untold(self.lost_here()), self.tables.calls[FIRST])
        self.announce([device(TV, room=FIRST)], [active(FIRST, ANN, TV)])
        self.assertEqual(active(FIRST, ANN, TV, version=5), self.tables.calls[FIRST])

    def test_untold(self) -> None:
        """... unless nobody knows better; and who knows better may come later, until the caller is told."""
        answered, rings = active(FIRST, ANN, TV), ringing(FIRST, ANN, TV)
        for mine in (self.ended_here(Reason.NO_ANSWER), self.ended_here(Reason.REFUSED, PAD)):
            self.setUp()
            self.announce([device(PAD, room=FIRST)], [mine])
            self.assertEqual(untold(mine), self.tables.calls[FIRST])
            self.announce([device(TV, room=FIRST)], [answered])
            self.assertEqual(replace(answered, version=5), self.tables.calls[FIRST])
            self.setUp()
            self.announce([device(PAD, room=FIRST)], [mine])
            changes = self.announce([device(ANN, room=FIRST)], [rings])
            self.assertEqual(replace(mine, version=5), self.tables.calls[FIRST])
            self.assert_told(changes, (ANN, FIRST), (PAD, FIRST))
            self.announce([device(TV, room=FIRST)], [answered])
            self.assertIsInstance(self.tables.calls[FIRST].state, Over)

    def test_answered(self) -> None:
        """A call that was answered does not ring again, whatever the versions."""
        mine = active(FIRST, ANN, TV)
        self.assertEqual(mine, self.believed(ringing(FIRST, ANN, TV), mine))
        self.assertEqual(replace(mine, version=6), self.believed(ringing(FIRST, ANN, TV, version=5), mine))
        stored = active(FIRST, ANN, TV)
        self.assertIs(stored, self.believed(stored, ringing(FIRST, ANN, TV, version=5)))

    def test_versions(self) -> None:
        """Else the higher version is believed."""
        signalled = Active(TV, NOW - 5, signalled=True)
        mine = active(FIRST, ANN, TV, version=4, state=signalled, due=NOW - 5 + self.settings.longest)
        self.assertEqual(mine, self.believed(active(FIRST, ANN, TV), mine))
        stored = active(FIRST, ANN, TV, version=5)
        self.assertIs(stored, self.believed(stored, mine))

    def test_same(self) -> None:
        """Where both say the same there is nothing to do."""
        stored = active(FIRST, ANN, TV)
        self.assertIs(stored, self.believed(stored, replace(stored, due=None)))

    def test_two_answers(self) -> None:
        """If both sides have heard of different answers the first counts, and everybody is told."""
        fork = ringing(FIRST, ANN, TV, PAD, version=2)
        first = replace(fork, state=Active(TV, NOW - 3), due=NOW + 597)
        second = replace(fork, state=Active(PAD, NOW - 2))
        for stored, mine in ((first, second), (second, first)):
            self.setUp()
            self.stored(device(ANN, node=NODE, room=FIRST), device(TV, room=FIRST), device(PAD, room=FIRST), stored)
            changes = self.announce([device(ANN, room=FIRST)], [mine])
            self.assertEqual(replace(first, version=3), self.tables.calls[FIRST])
            self.assert_told(changes, (ANN, FIRST), (TV, FIRST), (PAD, FIRST))


class DeviceTests(AnnouncingCase):
    """The store and the node both know a device."""

    def believed(self, stored: DeviceRecord, mine: DeviceRecord) -> DeviceRecord:
        """The device in the store after the node has announced."""
        self.stored(stored)
        self.changes = self.announce([mine])
        return self.device(ANN)

    def test_younger_there(self) -> None:
        """The younger of two connections is the device's: the store's."""
        stored = device(ANN, node=THERE, generation=7001)
        self.assertIs(stored, self.believed(stored, device(ANN)))
        self.assertIs(NOTHING, self.changes)

    def test_younger_here(self) -> None:
        """... or this node's: then the older one is to be closed."""
        mine = device(ANN)
        self.assertEqual(
            replace(mine, node=NODE, version=6),
            self.believed(device(ANN, node=THERE, generation=6999, version=5), mine),
        )
        self.assertEqual([Displaced(ANN, THERE, 7000)], list(self.changes.notices))

    def test_younger_here_and_nobody_there(self) -> None:
        """... or that node is to know that the device has not gone."""
        self.believed(gone(ANN, NOW - 5, generation=6999, node=THERE), device(ANN))
        self.assertEqual([Displaced(ANN, THERE, 7000)], list(self.changes.notices))
        self.believed(gone(ANN, NOW - 5, generation=6999), device(ANN))
        self.assertEqual([], list(self.changes.notices))

    def test_taken_for_dead(self) -> None:
        """A device that the store shows as gone since its node was taken for dead is there still."""
        self.believed(gone(ANN, NOW - 5, version=4), device(ANN))
        self.assertEqual(device(ANN, node=NODE, version=5), self.device(ANN))

    def test_lost_meanwhile(self) -> None:
        """A device that disconnected while the store was away is gone since then, within its grace or not."""
        for ago in (10, 40):
            self.believed(device(ANN), gone(ANN, NOW - ago))
            self.assertEqual((False, NOW - ago), (self.device(ANN).connected, self.device(ANN).lost_at))

    def test_same(self) -> None:
        """Where both say the same there is nothing to do."""
        self.believed(device(ANN, node=NODE, version=5), device(ANN))
        self.assertIs(NOTHING, self.changes)

    def test_version(self) -> None:
        """The version is greater than the stored one, and not less than the node's."""
        self.assertEqual(9, self.believed(device(ANN, version=3, node=THERE), device(ANN, version=9)).version)
        self.assertEqual(13, self.believed(device(ANN, version=12, node=THERE), device(ANN, version=9)).version)
