"""Call waiting: a second call rings a device that is in an active one (protocol §2.5)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import NOBODY
from callnet.calls.records import Active, Over, Ringing
from callnet.calls.transitions import TooLate
from callnet.model import Accepted, Reason, RoomId
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Device, RulesTestCase


class CallWaitingCase(RulesTestCase):
    """Ann talks to Bob's television, which can show a second call; Carol and Dora speak the extended protocol."""

    def setUp(self) -> None:
        """Let them talk."""
        super().setUp()
        self.dora = Device(self.world, "13600000004", "phone")
        self.dora.connects()
        for device in (self.tv, self.carol, self.dora):
            device.extended = True
        self.tv.call_waiting = True
        for device in (self.tv, self.carol, self.dora):
            device.connects()
        self.first = self.active(self.ann, self.tv)

    def second(self) -> RoomId:
        """Carol's call, which waits."""
        return self.ringing(self.carol, self.tv)

    def assert_talking(self, room: RoomId) -> None:
        """The television is in this call, and nobody else can call it."""
        self.assert_call(room, Active)
        call = self.world.calls[room]
        self.assertIn(self.tv.address, call.parties)


class RingingTests(CallWaitingCase):
    """Which calls wait."""

    def test_rings(self) -> None:
        """The television is called, and stays in its call."""
        room = self.carol.calls(self.tv)
        assert room is not None
        self.assert_heard(self.tv, called(self.carol, room))
        self.assert_silence()
        self.assert_call(room, Ringing)
        self.assert_talking(self.first)

    def test_phone(self) -> None:
        """A call to all devices of the phone rings those that are free; if none is, those that can show it."""
        room = self.ringing(self.carol, self.tv.everywhere())
        self.assertEqual((self.pad.address,), self.world.calls[room].targets)
        self.carol.hangs_up(room)
        self.pad.loses_socket()
        self.forget_heard()
        room = self.ringing(self.carol, self.tv.everywhere())
        self.assertEqual((self.tv.address,), self.world.calls[room].targets)

    def test_base_caller(self) -> None:
        """A base device is told `busy`."""
        self.carol.extended = False
        self.assertIsNone(self.carol.calls(self.tv))
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))
        self.assert_silence()

    def test_cannot_show(self) -> None:
        """So is who calls a device that cannot show a second call."""
        self.assertIsNone(self.carol.calls(self.ann))
        self.assert_heard(self.carol, call_failed(self.ann, "busy"))

    def test_third(self) -> None:
        """So is a third caller, while the second call rings."""
        self.second()
        self.assertIsNone(self.dora.calls(self.tv))
        self.assert_heard(self.dora, call_failed(self.tv, "busy"))
        self.assert_silence()

    def test_not_talking(self) -> None:
        """So is who calls a device that rings, or that calls."""
        self.tv.hangs_up(self.first)
        room = self.ringing(self.ann, self.tv)
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))
        self.tv.refuses(room)
        self.ringing(self.tv, self.ann)
        self.carol.calls(self.tv)
        self.assert_heard(self.carol, call_failed(self.tv, "busy"))

    def test_blocked(self) -> None:
        """A caller that may not call the phone is told `offline`, as always."""
        self.tv.policy = NOBODY
        self.tv.connects()
        self.assertIsNone(self.carol.calls(self.tv))
        self.assert_heard(self.carol, call_failed(self.tv, "offline"))

    def test_again(self) -> None:
        """After a second call is over another one can wait, and the first is still there."""
        for caller in (self.carol, self.dora, self.carol):
            room = self.ringing(caller, self.tv)
            caller.hangs_up(room)
            self.assert_heard(self.tv, be_hangup(caller, room, "cancelled"))
            self.assert_talking(self.first)
        self.ann.hangs_up(self.first)
        self.assert_heard(self.tv, be_hangup(self.ann, self.first, "hangup"))


class AnswerTests(CallWaitingCase):
    """The device takes the second call, or refuses it."""

    def test_accepted(self) -> None:
        """The first call ends for its other party, and the second is active."""
        room = self.second()
        self.tv.accepts(room)
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
        self.assert_heard(self.carol, call_success(self.tv, room))
        self.assert_silence()
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_talking(room)
        self.assertEqual((room, self.first), (self.tv.record.room, self.tv.record.previous_room))

    def test_goes_on(self) -> None:
        """After that the second call is like any other: a third can wait, and it is hung up."""
        room = self.second()
        self.tv.accepts(room)
        self.forget_heard()
        third = self.ringing(self.dora, self.tv)
        self.tv.refuses(third)
        self.assert_heard(self.dora, call_refuse(self.tv, third, "refused"))
        self.tv.hangs_up(room)
        self.assert_heard(self.carol, be_hangup(self.tv, room, "hangup"))
        self.assertIsNotNone(self.dora.calls(self.tv))

    def test_refused(self) -> None:
        """The second caller is told so; the first call goes on."""
        room = self.second()
        self.tv.refuses(room)
        self.assert_heard(self.carol, call_refuse(self.tv, room, "refused"))
        self.assert_silence()
        self.assert_talking(self.first)

    def test_nobody_answers(self) -> None:
        """After the ring time it is over, for both; the first call goes on."""
        room = self.second()
        self.world.wait(self.settings.ring_time)
        self.assert_heard(self.carol, call_failed(self.tv, "no_answer"))
        self.assert_heard(self.tv, be_hangup(self.carol, room, "no_answer"))
        self.assert_talking(self.first)

    def test_calls_back(self) -> None:
        """Calling the second caller is to accept its call."""
        room = self.second()
        self.assertIsNone(self.tv.calls(self.carol))
        self.assert_heard(self.tv, call_success(self.carol, room))
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
        self.assert_heard(self.carol, call_success(self.tv, room))
        self.assert_talking(room)
        self.assertEqual(room, self.tv.record.room)
        third = self.ringing(self.dora, self.tv)
        self.assertEqual((room, third), (self.tv.record.room, self.tv.record.previous_room))
        self.tv.accepts(third)
        self.assert_heard(self.carol, be_hangup(self.tv, room, "replaced"))

    def test_too_late(self) -> None:
        """A device that accepts a second call which was given up has left the first all the same."""
        room = self.second()
        self.carol.hangs_up(room)
        self.assertEqual(TooLate(Reason.CANCELLED), self.tv.accepts(room))
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
        self.assert_call(self.first, Over, Reason.REPLACED)

    def test_cannot_be_accepted(self) -> None:
        """So has one that was told that this cannot be done just now, whatever became of the second call."""

        def rings(room: RoomId) -> None:
            self.assert_call(room, Ringing)

        for becomes in (rings, self.carol.hangs_up):
            room = self.second()
            becomes(room)
            self.forget_heard()
            self.world.happen(events.GaveUp(room, self.tv.address, has_left_first=True))
            self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
            self.assert_call(self.first, Over, Reason.REPLACED)
            self.assertIsInstance(self.world.calls[room].state, Over)
            self.first = self.active(self.ann, self.tv)

    def test_accepted_elsewhere_meanwhile(self) -> None:
        """The same if another device of the phone has accepted the second call meanwhile."""
        self.pad.loses_socket()
        room = self.ringing(self.carol, self.tv.everywhere())
        self.pad.connects()
        self.pad.accepts(room)
        self.world.happen(events.GaveUp(room, self.tv.address, has_left_first=True))
        self.assert_call(self.first, Over, Reason.REPLACED)

    def test_back_in_the_first(self) -> None:
        """A device that is in the first call on a newer connection stays in it."""
        room = self.second()
        older = self.tv.generation
        self.tv.connects(displaces=True)
        self.world.happen(events.GaveUp(room, self.tv.address, has_left_first=True, generation=older))
        self.world.happen(events.Accept(room, self.tv.address, generation=older))
        self.assert_talking(self.first)

    def test_holds_and_cannot(self) -> None:
        """A device that was to hold the first call goes on with it."""
        room = self.second()
        self.world.happen(events.GaveUp(room, self.tv.address))
        self.assert_call(room, Over, Reason.BUSY)
        self.assert_talking(self.first)

    def test_accepted_long_ago(self) -> None:
        """An answer to an earlier call that comes again does not end the present one."""
        self.tv.hangs_up(self.first)
        present = self.active(self.carol, self.tv)
        self.assertEqual(TooLate(Reason.HANGUP), self.tv.accepts(self.first))
        self.assert_call(present, Active)

    def test_calls_another(self) -> None:
        """Calling somebody else leaves both."""
        room = self.second()
        third = self.tv.calls(self.dora)
        assert third is not None
        self.assert_heard(self.carol, call_refuse(self.tv, room, "busy"))
        self.assert_heard(self.ann, be_hangup(self.tv, self.first, "replaced"))
        self.assert_heard(self.dora, called(self.tv, third))
        self.assert_silence()


class FirstEndsTests(CallWaitingCase):
    """The first call ends while the second rings."""

    def test_rings_on(self) -> None:
        """The second is a call that rings, as any: the device is busy for others, and accepts it."""
        room = self.second()
        self.ann.hangs_up(self.first)
        self.assert_heard(self.tv, be_hangup(self.ann, self.first, "hangup"))
        self.assertIsNone(self.dora.calls(self.tv))
        self.assert_heard(self.dora, call_failed(self.tv, "busy"))
        self.tv.accepts(room)
        self.assert_heard(self.carol, call_success(self.tv, room))
        self.assert_silence()
        self.assert_talking(room)

    def test_back(self) -> None:
        """A device that comes back is rung again, as ever."""
        room = self.second()
        self.tv.hangs_up(self.first)
        self.forget_heard()
        self.tv.loses_socket()
        self.assertIn(called(self.carol, room), self.tv.connects())

    def test_pulled_away(self) -> None:
        """Another device of the phone takes the first call: the second rings on."""
        room = self.second()
        self.world.happen(events.Pulled(self.first, self.pad.address, self.pad.generation))
        self.assert_heard(self.tv, be_hangup(self.ann, self.first, "moved"))
        self.tv.accepts(room)
        self.assert_talking(room)
        self.assert_call(self.first, Active)


class LeavesTests(CallWaitingCase):
    """The device leaves."""

    def test_loses_socket(self) -> None:
        """It stops ringing for the second call; the first waits for it."""
        room = self.second()
        self.tv.loses_socket()
        self.assert_heard(self.carol, call_refuse(self.tv, room, "busy"))
        self.assert_call(room, Over, Reason.BUSY)
        self.tv.connects()
        self.assert_talking(self.first)
        self.world.wait(self.settings.grace + 1)
        self.assert_talking(self.first)

    def test_new_socket(self) -> None:
        """The same if a new socket displaces the old one: the device knows nothing of the second call there."""
        room = self.second()
        self.assertEqual([], self.tv.connects(displaces=True))
        self.assert_heard(self.carol, call_refuse(self.tv, room, "busy"))
        self.assert_call(room, Over, Reason.BUSY)

    def test_node_died(self) -> None:
        """The same if another node has found out that its node is dead."""
        room = self.second()
        lost = replace(self.tv.record, connected=False, lost_at=self.world.now - 1, due=self.world.now)
        self.world.devices[self.tv.address.phone][self.tv.address.device_id] = lost
        self.world.happen(events.DeviceDue(self.tv.address))
        self.assert_heard(self.carol, call_refuse(self.tv, room, "busy"))
        self.assert_call(room, Over, Reason.BUSY)
        self.assert_talking(self.first)

    def test_stays_away(self) -> None:
        """After the grace period the first call is over, too."""
        self.second()
        self.tv.loses_socket()
        self.world.wait(self.settings.grace + 1)
        self.assert_call(self.first, Over, Reason.CONNECTION_LOST)

    def test_revoked(self) -> None:
        """A device whose token is revoked leaves both."""
        room = self.second()
        self.tv.is_revoked()
        self.assert_call(self.first, Over, Reason.REVOKED)
        self.assert_call(room, Over, Reason.BUSY)

    def test_pulls(self) -> None:
        """A device that takes over another call leaves both."""
        room = self.second()
        third = self.active(self.dora, self.pad)
        reply = self.world.happen(events.Pulled(third, self.tv.address, self.tv.generation))
        self.assertIsInstance(reply, Accepted)
        self.assert_call(self.first, Over, Reason.REPLACED)
        self.assert_call(room, Over, Reason.BUSY)
