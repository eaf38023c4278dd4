"""Hold: a device in two active calls, one of which it holds (protocol §2.5)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.records import Active, Over
from callnet.calls.transitions import NotYours, TooLate
from callnet.model import Accepted, Reason, RoomId
from tests.rules.announcing_case import ANN, CAROL, FIRST, NOW, SECOND, TV, AnnouncingCase, active, device
from tests.rules.frames import be_hangup, call_failed, call_success
from tests.rules.world import Device, RulesTestCase


class HoldCase(RulesTestCase):
    """Everybody speaks the extended protocol. Ann talks to Bob's television, and Carol calls it."""

    def setUp(self) -> None:
        """Let them."""
        super().setUp()
        self.dora = Device(self.world, "13600000004", "phone")
        self.tv.call_waiting = True
        for each in self.world.people.values():
            each.extended = True
            each.connects()
        self.first = self.active(self.ann, self.tv)
        self.second = self.ringing(self.carol, self.tv)

    def hold(self) -> None:
        """Let the television take Carol's call, and hold Ann's."""
        self.tv.accepts(self.second, hold=True)
        self.world.wait(10.0)
        self.forget_heard()

    def held_by(self, room: RoomId) -> tuple[Device, ...]:
        """The parties that hold an active call."""
        state = self.world.calls[room].state
        assert isinstance(state, Active)
        return tuple(self.world.people[address] for address in state.held_by)

    def assert_talking(self, current: RoomId, held: RoomId | None) -> None:
        """The television is in this call, and holds that one."""
        self.assertEqual((), self.held_by(current))
        if held is None:
            self.assertEqual([current], self.live_rooms())
        else:
            self.assertEqual((self.tv,), self.held_by(held))
            self.assertEqual([current, held], self.live_rooms())

    def live_rooms(self) -> list[RoomId]:
        """The rooms of the television's calls, the current one first."""
        return [room for room in self.tv.record.rooms if self.tv.address in self.world.calls[room].parties]


class AcceptTests(HoldCase):
    """The second call is taken."""

    def test_held(self) -> None:
        """The first is held: nothing but `peer_state` is told, which is not one of the base protocol."""
        self.tv.accepts(self.second, hold=True)
        self.assert_heard(self.carol, call_success(self.tv, self.second))
        self.assert_heard(self.ann, call_success(self.tv, self.first))  # as her record shows; she was told so before
        self.assert_silence()
        self.assert_talking(self.second, self.first)

    def test_base_party(self) -> None:
        """A call with a base device ends as ever, and so does one of a base device: who wanted to hold it is told."""
        for base in (self.ann, self.tv):
            self.tv.refuses(self.second)
            base.extended = False
            base.connects()
            self.second = self.ringing(self.carol, self.tv)
            self.tv.accepts(self.second, hold=True)
            self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
            self.assert_heard(self.tv, be_hangup(self.ann, self.first, "replaced"))
            self.assert_talking(self.second, None)
            self.tv.hangs_up(self.second)
            base.extended = True
            base.connects()
            self.first = self.active(self.ann, self.tv)
            self.second = self.ringing(self.carol, self.tv)

    def test_too_late(self) -> None:
        """A second call that was given up meanwhile ends nothing."""
        self.carol.hangs_up(self.second)
        self.assertEqual(TooLate(Reason.CANCELLED), self.tv.accepts(self.second, hold=True))
        self.assert_talking(self.first, None)

    def test_third(self) -> None:
        """A third caller is told `busy`, whichever call is held."""
        self.hold()
        for room in (self.second, self.first):
            self.tv.resumes(room)
            self.forget_heard()
            self.assertIsNone(self.dora.calls(self.tv))
            self.assert_heard(self.dora, call_failed(self.tv, "busy"))
            self.assert_silence()

    def test_both_hold(self) -> None:
        """Both parties of a call may hold it: it goes on when both do."""
        self.ann.call_waiting = True
        self.ann.connects()
        self.hold()
        other = self.ringing(self.dora, self.ann)
        self.ann.accepts(other, hold=True)
        self.assertEqual((self.tv, self.ann), self.held_by(self.first))
        self.tv.resumes(self.first)
        self.assertEqual((self.ann,), self.held_by(self.first))
        self.ann.resumes(self.first)
        self.assertEqual((), self.held_by(self.first))
        self.assertEqual((self.ann,), self.held_by(other))


class ResumeTests(HoldCase):
    """The device goes on with the held call."""

    def test_swaps(self) -> None:
        """The two calls change places, as often as it likes."""
        self.hold()
        for _ in range(2):
            self.assertIsNone(self.tv.resumes(self.first))
            self.assert_talking(self.first, self.second)
            self.assertIsNone(self.tv.resumes(self.second))
            self.assert_talking(self.second, self.first)

    def test_again(self) -> None:
        """Going on with the current call changes nothing."""
        self.hold()
        self.tv.resumes(self.second)
        self.assert_silence()
        self.assert_talking(self.second, self.first)

    def test_current_is_of_base(self) -> None:
        """A current call whose other party speaks the base protocol by now ends."""
        self.hold()
        self.carol.extended = False
        self.carol.connects()
        self.tv.resumes(self.first)
        self.assert_heard(self.carol, be_hangup(self.tv, self.second, "replaced"))
        self.assert_call(self.second, Over, Reason.REPLACED)
        self.assert_talking(self.first, None)

    def test_not_its_own(self) -> None:
        """A call that rings, is over, is of others, or is unknown is none to go on with."""
        self.assertEqual(NotYours(), self.tv.resumes(self.second))
        self.assertEqual(NotYours(), self.dora.resumes(self.first))
        self.tv.refuses(self.second)
        self.assertEqual(TooLate(Reason.REFUSED_ELSEWHERE), self.tv.resumes(self.second))
        self.assertEqual(TooLate(Reason.EXPIRED), self.tv.resumes(RoomId("f" * 32)))
        self.assert_talking(self.first, None)

    def test_older_connection(self) -> None:
        """Of a connection that was displaced nothing is taken."""
        self.hold()
        older = self.tv.generation
        self.tv.connects(displaces=True)
        self.world.happen(events.Resumed(self.first, self.tv.address, older))
        self.assert_talking(self.second, self.first)

    def test_older_request(self) -> None:
        """A request from before the current call began holds nothing for the other one."""
        self.hold()
        answer = self.world.calls[self.second].answer
        assert answer is not None
        since = answer.since
        self.world.happen(events.Resumed(self.first, self.tv.address, self.tv.generation, sent_at=since))
        self.assert_talking(self.second, self.first)
        self.world.happen(events.Resumed(self.first, self.tv.address, self.tv.generation, sent_at=since + 1.0))
        self.assert_talking(self.first, self.second)


class EndTests(HoldCase):
    """One of the two calls ends."""

    def test_current(self) -> None:
        """Whoever ends it: the device goes on with the held one, as its session asks for."""
        for ends in (self.carol.hangs_up, self.tv.hangs_up):
            self.hold()
            ends(self.second)
            self.assertEqual([self.first], self.live_rooms())
            self.tv.resumes(self.first)
            self.assert_talking(self.first, None)
            self.second = self.ringing(self.carol, self.tv)

    def test_held(self) -> None:
        """The device is told so, and the current one goes on."""
        self.hold()
        self.ann.hangs_up(self.first)
        self.assert_heard(self.tv, be_hangup(self.ann, self.first, "hangup"))
        self.assert_silence()
        self.assert_talking(self.second, None)
        third = self.ringing(self.dora, self.tv)
        self.tv.refuses(third)

    def test_held_by_its_holder(self) -> None:
        """The same for who is held."""
        self.hold()
        self.tv.hangs_up(self.first)
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "hangup"))
        self.assert_talking(self.second, None)

    def test_places(self) -> None:
        """A device that places a call leaves both."""
        self.hold()
        self.tv.calls(self.dora)
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_call(self.second, Over, Reason.REPLACED)

    def test_pulls(self) -> None:
        """So does one that takes over another call."""
        self.hold()
        third = self.active(self.dora, self.pad)
        self.assertIsInstance(self.world.happen(events.Pulled(third, self.tv.address, self.tv.generation)), Accepted)
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_call(self.second, Over, Reason.REPLACED)

    def test_pulled_away(self) -> None:
        """Another device of the phone may take over either: nobody holds it then, and the device has the other one."""
        for is_held in (True, False):
            self.hold()
            room, other = (self.first, self.second) if is_held else (self.second, self.first)
            self.world.happen(events.Pulled(room, self.pad.address, self.pad.generation))
            self.assertEqual((), self.held_by(room))
            self.assertEqual([other], self.live_rooms())
            self.tv.resumes(other)
            self.assert_talking(other, None)
            self.pad.hangs_up(room)
            self.tv.hangs_up(other)
            self.first = self.active(self.ann, self.tv)
            self.second = self.ringing(self.carol, self.tv)


class LeavesTests(HoldCase):
    """The device loses its socket."""

    def setUp(self) -> None:
        """Hold the first."""
        super().setUp()
        self.hold()

    def absent(self, room: RoomId) -> bool:
        """The record of a call names the television as lost."""
        state = self.world.calls[room].state
        return isinstance(state, Active) and self.tv.address in state.absent

    def test_back(self) -> None:
        """Both calls wait for it, and are as they were."""
        self.tv.loses_socket()
        self.assertTrue(self.absent(self.first) and self.absent(self.second))
        self.tv.connects()
        self.assertFalse(self.absent(self.first) or self.absent(self.second))
        self.assert_talking(self.second, self.first)

    def test_stays_away(self) -> None:
        """After the grace period both are over."""
        self.tv.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assert_call(self.first, Over, Reason.CONNECTION_LOST)
        self.assert_call(self.second, Over, Reason.CONNECTION_LOST)

    def test_current_ends(self) -> None:
        """If the current one ends meanwhile it goes on with the other one as soon as it is back."""
        self.tv.loses_socket()
        self.carol.hangs_up(self.second)
        self.tv.connects()
        self.assert_talking(self.first, None)

    def test_held_ends(self) -> None:
        """If the held one ends meanwhile it has the current one."""
        self.tv.loses_socket()
        self.ann.hangs_up(self.first)
        self.tv.connects()
        self.assert_talking(self.second, None)

    def test_back_as_base(self) -> None:
        """A device that is back with the base protocol holds nothing."""
        self.tv.extended = False
        self.tv.connects()
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
        self.assert_talking(self.second, None)

    def test_revoked(self) -> None:
        """A device whose token is revoked leaves both."""
        self.tv.is_revoked()
        self.assert_call(self.first, Over, Reason.REVOKED)
        self.assert_call(self.second, Over, Reason.REVOKED)

    def test_node_died(self) -> None:
        """Both wait for it, too, if another node has found out that its node is dead."""
        lost = replace(self.tv.record, connected=False, lost_at=self.world.now - 1, due=self.world.now)
        self.world.devices[self.tv.address.phone][self.tv.address.device_id] = lost
        self.world.happen(events.DeviceDue(self.tv.address))
        self.assertTrue(self.absent(self.first) and self.absent(self.second))

    def test_held_party(self) -> None:
        """A held party that loses its socket is awaited as well, and ended after the grace period."""
        self.ann.loses_socket()
        self.ann.connects()
        self.assert_talking(self.second, self.first)
        self.ann.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assert_heard(self.tv, be_hangup(self.ann, self.first, "connection_lost"))
        self.assert_talking(self.second, None)


HELD = active(FIRST, ANN, TV, state=Active(TV, NOW - 60, held_by=(TV,)), placed_at=NOW - 70)
CURRENT = active(SECOND, CAROL, TV)


class AnnouncedTests(AnnouncingCase):
    """A store that has lost its memory is told of both calls by the nodes of their parties."""

    def assert_both(self) -> None:
        """Both go on, and the record of the television names them."""
        self.assertEqual([None, None], [self.tables.calls[room].end for room in (FIRST, SECOND)])
        tv = self.device(TV)
        self.assertEqual((SECOND, FIRST), (tv.room, tv.previous_room))

    def test_its_own_node(self) -> None:
        """The node of who holds it knows both."""
        self.announce([device(TV, room=SECOND, previous_room=FIRST)], [HELD, CURRENT])
        self.assert_both()

    def test_others_first(self) -> None:
        """Those of the other parties know one each, whichever comes first; the television is awaited."""
        for parts in ((ANN, HELD), (CAROL, CURRENT)), ((CAROL, CURRENT), (ANN, HELD)):
            self.setUp()
            for party, call in parts:
                self.announce([device(party, room=call.room)], [call])
            self.assert_both()
            self.announce([device(TV, room=SECOND, previous_room=FIRST)], [HELD, CURRENT])
            self.assert_both()

    def test_contradiction(self) -> None:
        """Of two calls that nobody holds, or that it holds both, the newer one goes on."""
        for held_by in ((), (TV,)):
            self.setUp()
            both = [replace(call, state=Active(TV, NOW - 5, held_by=held_by)) for call in (HELD, CURRENT)]
            self.announce([device(TV, room=SECOND, previous_room=FIRST)], both)
            self.assertEqual(Reason.REPLACED, getattr(self.tables.calls[FIRST].end, "reason", None))
            self.assertIsNone(self.tables.calls[SECOND].end)
