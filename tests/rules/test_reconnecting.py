"""The newest connection wins, and the first frames on a new connection (protocol §2.4)."""

from __future__ import annotations

from callnet.calls.events import Accept, Connected, Disconnected, HangUp, Refuse
from callnet.calls.records import Active, Displaced, Notice, Over, Records, Ringing
from callnet.calls.registration import Overtaken
from callnet.calls.switchboard import decide
from callnet.model import Reason
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import RulesTestCase


class NewestConnectionTests(RulesTestCase):
    """A device connects while it is connected."""

    def test_older_socket_is_closed(self) -> None:
        """The older socket is to be closed, on the node where it is."""
        self.tv.connects(node="there")
        self.assertEqual([Displaced(self.tv.address, "here", self.tv.record.generation)], self.world.displaced)
        self.assertEqual(("there", True), (self.tv.record.node, self.tv.record.connected))

    def test_generations(self) -> None:
        """Each connection has a greater generation: the time at which it opened, in milliseconds, or one more."""
        self.assertEqual(1_000_000, self.tv.record.generation)
        self.tv.connects()
        self.assertEqual(1_000_001, self.tv.record.generation)
        self.world.wait(2.5)
        self.tv.connects()
        self.assertEqual(1_002_500, self.tv.record.generation)
        self.world.now -= 60
        self.tv.loses_socket()
        self.tv.connects()
        self.assertEqual(1_002_501, self.tv.record.generation)

    def test_nothing_to_close(self) -> None:
        """A device that was gone displaces nobody."""
        self.tv.loses_socket()
        self.tv.connects()
        self.assertEqual([], self.world.displaced)

    def test_not_gone(self) -> None:
        """A node that a device has left is to know that it is on another one."""
        self.tv.loses_socket()
        self.tv.connects(node="there")
        self.assertEqual([Displaced(self.tv.address, "here", self.tv.record.generation)], self.world.displaced)

    def test_gone_before(self) -> None:
        """The grace begins when the socket went, however long it took to know that, and not in time to come."""
        for since, lost_at in ((self.world.now - 4, self.world.now - 4), (self.world.now + 9, self.world.now)):
            generation = self.tv.record.generation
            self.world.happen(Disconnected(self.tv.address, generation, (), since))
            self.assertEqual(lost_at, self.tv.record.lost_at)
            self.tv.connects()

    def test_opened_before(self) -> None:
        """A connection that could not be made known at once is as old as it is."""
        self.tv.loses_socket()
        self.world.wait(9)
        self.world.happen(Connected(self.tv.address, "here", None, self.world.now - 4))
        self.assertEqual(1_005_000, self.tv.record.generation)

    def test_overtaken(self) -> None:
        """... and if a younger one has been made known meanwhile, that is the device's."""
        self.world.wait(9)
        self.tv.connects(node="there")
        younger = self.tv.record
        for late, counts in ((0.5, False), (0.05, True)):
            reply = self.world.happen(Connected(self.tv.address, "here", None, self.world.now - late))
            self.assertEqual(counts, reply != Overtaken())
            self.assertEqual(counts, self.tv.record is not younger)

    def test_answer_of_an_older_one(self) -> None:
        """An answer by an older connection counts for nothing: the device is rung on the newer one."""
        room = self.ringing(self.ann, self.tv)
        older = self.tv.record.generation
        self.tv.connects(node="there")
        for answer in (Accept, Refuse):
            self.world.happen(answer(room, self.tv.address, older))
            self.assert_call(room, Ringing)
        self.world.happen(Accept(room, self.tv.address, self.tv.record.generation))
        self.assert_call(room, Active)

    def test_hang_up_of_an_older_one(self) -> None:
        """A hang-up by an older connection ends the call; the newer one, which may know the call, is notified."""
        for begin in (self.ringing, self.active):
            room = begin(self.ann, self.tv)
            older = self.tv.record.generation
            self.tv.connects(node="there")
            records = Records(self.world.devices, self.world.calls, {})
            decision = decide(records, HangUp(room, self.tv.address, older), self.world.now, self.settings)
            notices = [notice for notice in decision.changes.notices if isinstance(notice, Notice)]
            self.assertEqual([self.ann.address, self.tv.address], [notice.to for notice in notices])
            self.ann.hangs_up(room)

    def test_calls_live_on(self) -> None:
        """Its calls live on in the newer one; the older one's close has no other effect."""
        room = self.active(self.ann, self.tv)
        self.tv.connects(displaces=True)
        before = self.tv.record
        self.world.happen(self.disconnected(before.generation - 1))
        self.assertIs(before, self.tv.record)
        self.world.wait(60)
        self.assert_call(room, Active)
        self.ann.hangs_up(room)
        self.assert_heard(self.tv, be_hangup(self.ann, room, "hangup"))

    def disconnected(self, generation: int) -> Disconnected:
        """The end of an older connection of the television."""
        return Disconnected(self.tv.address, generation)

    def test_closed_twice(self) -> None:
        """A second close of one connection does not prolong the grace."""
        room = self.active(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(20)
        self.tv.loses_socket()
        self.world.wait(10)
        self.assert_call(room, Over, Reason.CONNECTION_LOST)

    def test_stranger_is_gone(self) -> None:
        """The close of a connection that the store knows nothing of does nothing."""
        self.tv.loses_socket()
        self.world.wait(61)
        self.assertNotIn("tv", self.world.devices[self.tv.address.phone])
        self.world.happen(self.disconnected(generation=1))
        self.assertNotIn("tv", self.world.devices[self.tv.address.phone])


class EndingTests(RulesTestCase):
    """The newest message that ended a call of the device."""

    def test_idle_device(self) -> None:
        """Nothing else is sent: a device that has missed nothing hears nothing."""
        self.tv.loses_socket()
        self.assertEqual([], self.tv.connects())
        self.assertEqual([], self.tv.connects(displaces=True))

    def test_be_hangup(self) -> None:
        """A `calling_be_hangup` that a party may have missed comes first of all."""
        for missing, ending in ((self.ann, self.tv), (self.tv, self.ann)):
            room = self.active(self.ann, self.tv)
            missing.loses_socket()
            self.world.wait(1)
            ending.hangs_up(room)
            self.assertEqual([be_hangup(ending, room, "hangup")], missing.connects())

    def test_call_refuse(self) -> None:
        """So does a `call_refuse` that a party may have missed."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(1)
        self.tv.refuses(room)
        self.assertEqual([call_refuse(self.tv, room)], self.ann.connects())

    def test_call_failed(self) -> None:
        """So does a `call_failed` that a party may have missed."""
        self.ringing(self.ann, self.tv)
        self.world.wait(20)
        self.ann.last_heard = self.world.now
        self.ann.loses_socket()
        self.world.wait(26)
        self.assertEqual([call_failed(self.tv, "no_answer")], self.ann.connects())

    def test_dead_socket(self) -> None:
        """Frames written to a dead socket that seemed alive may have been missed."""
        room = self.active(self.ann, self.tv)
        self.world.wait(1)
        self.ann.hangs_up(room)
        self.world.wait(20)
        self.assertEqual([be_hangup(self.ann, room, "hangup")], self.tv.connects(displaces=True))

    def test_heard_since(self) -> None:
        """A device heard of 2 s or more after it was told has received the message, however often it comes again."""
        for seconds, told in ((0.0, True), (1.9, True), (2.0, False)):
            room = self.active(self.ann, self.tv)
            self.ann.hangs_up(room)
            self.world.wait(seconds)
            self.tv.last_heard = self.world.now
            for _ in range(3):
                self.world.wait(1)
                self.tv.loses_socket()
                self.assertEqual([be_hangup(self.ann, room, "hangup")] * told, self.tv.connects())

    def test_not_twice(self) -> None:
        """A device that shows on a later connection that it knows is not told again."""
        room = self.active(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(1)
        self.ann.hangs_up(room)
        for shows in (False, True):
            self.assertNotEqual([], self.tv.connects())
            self.world.wait(2)
            if shows:
                self.tv.last_heard = self.world.now
            self.tv.loses_socket()
            self.world.wait(1)
        self.assertEqual([], self.tv.connects())

    def test_goodbye(self) -> None:
        """A device that closed its last connection with a close frame knows the messages before it, and no others."""
        for told in (True, False):
            room = self.active(self.ann, self.tv)
            if told:
                self.ann.hangs_up(room)
            self.tv.says_goodbye()
            if not told:
                self.ann.hangs_up(room)
            missed = [] if told else [be_hangup(self.ann, room, "hangup")]
            for displaces in (False, True):
                self.assertEqual(missed, self.tv.connects(displaces=displaces))

    def test_node_died(self) -> None:
        """The confirmations of a device to a node that died are lost, and it is told."""
        room = self.active(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.tv.says_goodbye()
        self.assertEqual([], self.tv.connects())
        self.assertEqual([be_hangup(self.ann, room, "hangup")], self.tv.connects(node="there"))

    def test_older_than_a_call(self) -> None:
        """An end that is older than the newest call which the device placed is not told, however that came out."""
        first = self.active(self.ann, self.tv)
        self.tv.hangs_up(first)
        self.world.wait(1)
        second = self.ann.calls(self.pad)
        assert second is not None
        self.world.wait(1)
        self.assertEqual([], self.ann.connects(node="there"))
        self.pad.refuses(second)
        self.assertEqual([call_refuse(self.pad, second)], self.ann.connects(node="elsewhere"))

    def test_newest_only(self) -> None:
        """Only the newest ending is sent, of however many."""
        first = self.active(self.ann, self.tv)
        self.world.wait(1)
        self.ann.hangs_up(first)
        self.world.wait(1)
        second = self.ringing(self.carol, self.tv)
        self.world.wait(1)
        self.carol.hangs_up(second)
        told = self.tv.connects(displaces=True)
        self.assertEqual([be_hangup(self.carol, second, "cancelled")], told)

    def test_own_ending(self) -> None:
        """A device that hung up or refused has not missed the end, though it was decided after its frame."""
        for rung in (True, False):
            room = self.ringing(self.ann, self.tv) if rung else self.active(self.ann, self.tv)
            self.world.wait(1)
            came = self.world.now - 0.001
            if rung:
                self.tv.refuses(room)
            else:
                self.tv.hangs_up(room)
            self.tv.last_heard = came
            self.tv.loses_socket()
            self.world.wait(1)
            self.assertEqual([], self.tv.connects())

    def test_own_cancellation(self) -> None:
        """A caller that ended its own ringing is owed nothing, even where it is not known when it was heard."""
        room = self.ringing(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.world.wait(1)
        self.assertEqual([], self.ann.connects(node="there"))

    def test_call_that_was_left(self) -> None:
        """A call that the device left for another is not told, even where it is not known when it was heard."""
        for target in (self.tv.address, self.tv.everywhere()):
            room = self.ringing(self.ann, target)
            second = self.tv.calls(self.carol)
            assert second is not None
            self.world.wait(1)
            self.ann.hangs_up(room)
            self.assertEqual([], self.tv.connects(node="there"))
            self.tv.hangs_up(second)

    def test_grace_ended(self) -> None:
        """A device that comes too late for its call learns why, as long as the call is remembered."""
        room = self.active(self.ann, self.tv)
        self.tv.loses_socket()
        self.world.wait(149)
        self.assertEqual([be_hangup(self.ann, room, "connection_lost")], self.tv.connects())

    def test_forgotten(self) -> None:
        """When calls and grace are over for long, the device comes as a new one, and nothing else is left."""
        self.active(self.ann, self.tv)
        for device in self.world.people.values():
            device.loses_socket()
        self.world.wait(300)
        self.assertEqual(
            [[], {}, {}], [list(filter(None, self.world.devices.values())), self.world.calls, self.world.seats]
        )
        self.assertEqual([], self.tv.connects())


class UnknownTests(RulesTestCase):
    """Where it is not known when the device was last heard: its node died."""

    def test_remembered(self) -> None:
        """Decided in the 120 s for which ends are remembered: sent."""
        room = self.active(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.world.wait(119.9)
        self.assertEqual([be_hangup(self.ann, room, "hangup")], self.tv.connects(node="there"))

    def test_before(self) -> None:
        """Decided before that: not sent."""
        room = self.active(self.ann, self.tv)
        self.ann.hangs_up(room)
        self.world.wait(120.1)
        self.assertEqual([], self.tv.connects(node="there"))

    def test_answer(self) -> None:
        """The same goes for a `call_success`."""
        room = self.active(self.ann, self.tv, seconds=100)
        self.assertEqual([call_success(self.tv, room)], self.ann.connects(node="there"))
        self.world.wait(50)
        self.assertEqual([], self.ann.connects(node="elsewhere"))


class PresentCallTests(RulesTestCase):
    """The call that the device is in."""

    def test_called_on_every_connection(self) -> None:
        """`called` is sent on every new connection of a device that is being rung, missed or not."""
        room = self.ringing(self.ann, self.tv)
        for left in (44, 43, 42):
            self.world.wait(1)
            told = self.tv.connects(displaces=True)
            self.assertEqual([called(self.ann, room, expires_in=left)], told)

    def test_answered_meanwhile(self) -> None:
        """`call_success` is sent to a caller that was answered while it was away."""
        room = self.ringing(self.ann, self.tv)
        self.ann.loses_socket()
        self.world.wait(1)
        self.tv.accepts(room)
        self.assertEqual([call_success(self.tv, room)], self.ann.connects())

    def test_answer_was_heard(self) -> None:
        """A caller that was heard of 2 s after it was answered, or said goodbye, has seen it."""
        for seconds in (0.0, 2.0):
            self.active(self.ann, self.tv, seconds)
            if seconds:
                self.ann.loses_socket()
            else:
                self.ann.says_goodbye()
            self.assertEqual([], self.ann.connects())
            self.ann.calls(self.pad)

    def test_callee_is_told_nothing(self) -> None:
        """A callee that answered knows that it did."""
        self.active(self.ann, self.tv)
        self.assertEqual([], self.tv.connects(node="there"))

    def test_callee_that_called(self) -> None:
        """A callee that accepted by calling is a caller that was answered."""
        room = self.ringing(self.ann, self.tv)
        self.world.wait(1)
        self.tv.calls(self.ann)
        self.assertEqual([call_success(self.ann, room)], self.tv.connects(node="there"))
        self.world.wait(2)
        self.tv.last_heard = self.world.now
        self.assertEqual([], self.tv.connects(displaces=True))

    def test_caller_of_a_ringing_call(self) -> None:
        """A caller whose call still rings is told nothing until it is answered."""
        self.ringing(self.ann, self.tv)
        self.assertEqual([], self.ann.connects(node="there"))

    def test_order(self) -> None:
        """In this order: the newest ending of a call, then, for the present call, `called`."""
        first = self.active(self.ann, self.tv)
        self.world.wait(1)
        self.ann.hangs_up(first)
        second = self.ringing(self.carol, self.tv)
        told = self.tv.connects(displaces=True)
        self.assertEqual([be_hangup(self.ann, first, "hangup"), called(self.carol, second)], told)

    def test_active(self) -> None:
        """... or `call_success` alone: a device whose present call is ACTIVE is sent no older end."""
        first = self.ringing(self.carol, self.ann)
        self.ann.accepts(first)
        self.world.wait(1)
        self.carol.hangs_up(first)
        self.world.wait(1)
        second = self.ringing(self.ann, self.tv)
        self.world.wait(1)
        self.tv.accepts(second)
        told = self.ann.connects(node="there")
        self.assertEqual([call_success(self.tv, second)], told)
