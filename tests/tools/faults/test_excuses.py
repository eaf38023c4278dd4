"""A problem is excused by a fault that hit its own node, link or Redis, in that fault's window; else it is lost."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from acceptance.faults.audit import Problem, Wrong
from acceptance.faults.books import Answer, Spell, Withdrawal
from acceptance.faults.bounds import ANNOUNCED, GRACE, LEASE, RING_TIME, SLACK, STUCK, TOLD
from acceptance.faults.excuses import EXCUSES, JUST_BEFORE, RECOVERY, Fault, Kind, judge
from acceptance.faults.tally import Tally
from tests.tools.faults.ledger import ANNE, BERT, CARL, END, ROOM, Writer


def problem(wrong: Wrong, since: float, until: float | None = None, **more: Any) -> Problem:
    """Something that is wrong with a call of Anne, at node 0, to Bert, at node 1."""
    return Problem(wrong, since, since if until is None else until, more.pop("bound", 0), (ANNE, BERT), "", **more)


class JudgeTests(SynchronousTestCase):
    """One problem and one fault."""

    def setUp(self) -> None:
        """Anne at node 0, Bert at node 1, Carl at node 2."""
        self.writer = Writer()

    def excused(self, wrong: Problem, *faults: Fault) -> bool:
        """True if one of the faults excuses a problem."""
        return judge(wrong, faults, self.writer.books) is not None

    def test_its_own_node(self) -> None:
        """A fault of a node excuses a problem of a device of that node, and no other."""
        for node, excuses in ((0, True), (1, True), (2, False), (None, True)):
            fault = Fault(Kind.LINK_CUT_LONG, node, 10, 14)
            self.assertEqual(excuses, self.excused(problem(Wrong.FAILED, 12), fault), node)

    def test_its_window(self) -> None:
        """It excuses problems from its beginning until its consequences must be over."""
        fault = Fault(Kind.LINK_CUT_LONG, 0, 10, 14)
        for at, excuses in ((9, False), (10, True), (14 + ANNOUNCED, True), (14.1 + ANNOUNCED, False)):
            self.assertEqual(excuses, self.excused(problem(Wrong.FAILED, at), fault), at)

    def test_a_node_left_before(self) -> None:
        """A device that left a node before its fault has nothing to do with that."""
        self.writer.gone(ANNE, 5, 5.1)
        self.assertFalse(self.excused(problem(Wrong.FAILED, 12), Fault(Kind.LINK_CUT_LONG, 0, 10, 14)))

    def test_a_node_left_while_it_stood_still(self) -> None:
        """A device that left a node which stood still has, for all that the node knows, left it afterwards."""
        self.writer.gone(ANNE, 6, 6.1)
        late = problem(Wrong.LATE, 9, 16)
        stop, cut = Fault(Kind.NODE_STOPPED_LONG, 0, 5, 8.5), Fault(Kind.LINK_CUT_LONG, 0, 10, 14)
        self.assertFalse(self.excused(late, cut))
        self.assertTrue(self.excused(late, stop, cut))
        self.assertFalse(self.excused(late, Fault(Kind.NODE_STOPPED_LONG, 0, 5, 6.9), cut))
        self.assertFalse(self.excused(late, Fault(Kind.NODE_STOPPED_LONG, 1, 5, 8.5), cut))

    def test_its_node_waits_for_it(self) -> None:
        """The node that a device was at last waits for it for the grace: its faults concern the device until then."""
        self.writer.gone(ANNE, 8)
        for start, excuses in ((8.1, True), (7.9 + GRACE, True), (8.1 + GRACE + JUST_BEFORE, False)):
            cut = Fault(Kind.LINK_CUT_LONG, 0, start, start + 4)
            self.assertEqual(excuses, self.excused(problem(Wrong.FAILED, start + 1), cut), start)
        self.writer.books.spells[ANNE].append(Spell(2, 9))
        self.assertFalse(self.excused(problem(Wrong.FAILED, 11.5), Fault(Kind.LINK_CUT_LONG, 0, 11, 14)))

    def test_nothing_excuses_it(self) -> None:
        """No fault excuses a second ring on one connection, nor an unknown message."""
        for wrong in (Wrong.TWICE, Wrong.STRANGE):
            for kind in Kind:
                self.assertFalse(self.excused(problem(wrong, 12), Fault(kind, None, 10, 14)), (wrong, kind))

    def test_left_before_the_answer(self) -> None:
        """A device that left a node before its call was recorded may wait for as long as it may be stuck."""
        fault = Fault(Kind.REDIS_STOPPED, None, 10, 14)
        for left, until, excuses in (
            (False, 14.1 + ANNOUNCED + SLACK, False),
            (True, 13.9 + STUCK, True),
            (True, 14.1 + STUCK, False),
        ):
            wrong = problem(Wrong.UNANSWERED, 12, until, left=left)
            self.assertEqual(excuses, self.excused(wrong, fault), (left, until))

    def test_placed_while_its_node_stood_still(self) -> None:
        """A call that was placed at a node that stood still rings from when that goes on, and not any longer."""
        for node, placed, until, excuses in (
            (0, 12, 13.9 + RING_TIME + TOLD, True),
            (0, 12, 14.1 + RING_TIME + TOLD, False),
            (1, 12, 14.1 + ANNOUNCED + SLACK, False),
            (0, 9, 14.1 + ANNOUNCED + SLACK, False),
        ):
            wrong = problem(Wrong.LATE, 14.1, until, placed=placed)
            fault = Fault(Kind.NODE_STOPPED_LONG, node, 10, 14)
            self.assertEqual(excuses, self.excused(wrong, fault), (node, placed, until))

    def test_two_ends(self) -> None:
        """A call has two ends only where nodes could not ask each other."""
        for kind, excuses in ((Kind.REDIS_CUT_OFF, True), (Kind.LINK_FROZEN, True), (Kind.SUBSCRIBER_CUT, False)):
            self.assertEqual(excuses, self.excused(problem(Wrong.TWO_ENDS, 12), Fault(kind, None, 10, 14)), kind)

    def test_given_late(self) -> None:
        """A caller that was told of a failure is given the call only where a node could not hear of the answer."""
        for kind, excuses in ((Kind.LINK_CUT_LONG, True), (Kind.NODE_STOPPED_LONG, True), (Kind.REDIS_KILLED, False)):
            self.assertEqual(excuses, self.excused(problem(Wrong.GIVEN_LATE, 12), Fault(kind, 0, 10, 14)), kind)

    def test_ghosts(self) -> None:
        """A ghost is excused where Redis has forgotten something, or nobody could say so: not when it stood still."""
        for kind, excuses in (
            (Kind.FAILOVER, True),
            (Kind.LINK_CUT_LONG, True),
            (Kind.REDIS_STOPPED, False),
            (Kind.NODE_STOPPED_LONG, False),
        ):
            self.assertEqual(excuses, self.excused(problem(Wrong.GHOST, 12), Fault(kind, None, 10, 14)), kind)

    def test_caller_is_not_heard(self) -> None:
        """... unless its caller gave the call up at a node that stood still just then."""
        for node, since, excuses in ((0, 12, True), (0, 9, False), (0, 15, False), (1, 12, False)):
            fault = Fault(Kind.NODE_STOPPED_LONG, node, 10, 14)
            self.assertEqual(excuses, self.excused(problem(Wrong.GHOST, since), fault), (node, since))

    def test_an_end_that_is_not_heard_of(self) -> None:
        """A node that is cut off before it must have heard of the end of a call rings devices that connect to it."""
        attempt = self.writer.call(10)
        attempt.withdrawal = Withdrawal("cancelled", 11)
        self.writer.ring(10, 12)
        self.writer.gone(BERT, 15, 15.2, node=2)
        again = self.writer.books.rung(BERT, ANNE, ROOM, 2, 15.2)
        assert again is not None
        again.end, again.how = 17, "refused"
        (ghost,) = self.writer.problems(attempt)
        for start, excuses in ((11.5, True), (11.1 + TOLD, True), (11.3 + TOLD, False)):
            self.assertEqual(excuses, self.excused(ghost, Fault(Kind.LINK_CUT_LONGER, 2, start, 20)), start)

    def test_stuck(self) -> None:
        """Nobody may be stuck still when the consequences of the last fault that concerns it must be over."""
        fault, other = Fault(Kind.REDIS_STOPPED, None, 10, 14), Fault(Kind.LINK_CUT_LONG, 1, 15, 16)
        last = 14 + ANNOUNCED + SLACK
        self.assertTrue(self.excused(problem(Wrong.LATE, 12, last), fault))
        self.assertFalse(self.excused(problem(Wrong.LATE, 12, last + 0.1), fault))
        self.assertTrue(self.excused(problem(Wrong.LATE, 12, last + 0.1), fault, other))

    def test_stuck_though_redis_has_forgotten_something(self) -> None:
        """Nor for longer than ring time and grace after Redis has forgotten something."""
        fault = Fault(Kind.REDIS_KILLED, None, 10, 14)
        self.assertTrue(self.excused(problem(Wrong.LATE, 12, 14 + STUCK), fault))
        self.assertFalse(self.excused(problem(Wrong.LATE, 12, 14.1 + STUCK), fault))

    def test_an_active_call_survives(self) -> None:
        """A call that was known to both nodes survives Redis; one that was just answered may not."""
        fault = Fault(Kind.REDIS_KILLED, None, 10, 14, unsettled_from=10)
        self.assertFalse(self.excused(problem(Wrong.ENDED, 12, settled=5), fault))
        self.assertTrue(self.excused(problem(Wrong.ENDED, 12, settled=9), fault))

    def test_an_active_call_of_a_node_that_is_cut_off(self) -> None:
        """It does not survive a node that is out of reach for longer than lease and grace, and does a shorter time."""
        for seconds, excuses in ((LEASE, False), (LEASE + GRACE + 1, True)):
            fault = Fault(Kind.LINK_FROZEN, 0, 10, 10 + seconds)
            self.assertEqual(excuses, self.excused(problem(Wrong.ENDED, 12, settled=5), fault), seconds)

    def test_an_active_call_whose_party_moves(self) -> None:
        """Nor need it survive when a party moves to another node and nobody can be told."""
        self.writer.gone(ANNE, 11, 11.5)
        fault = Fault(Kind.REDIS_STOPPED, None, 10, 14)
        self.assertTrue(self.excused(problem(Wrong.ENDED, 16, settled=5), fault))

    def test_a_failover_that_loses_the_last_writes(self) -> None:
        """Writes after the replica lost its connection may be lost, and no earlier ones."""
        fault = Fault(Kind.FAILOVER, None, 12, 16, unsettled_from=10)
        self.assertTrue(self.excused(problem(Wrong.FAILED, 10.5), fault))
        self.assertFalse(self.excused(problem(Wrong.ENDED, 14, settled=5), fault))

    def test_every_kind_has_a_time_to_recover(self) -> None:
        """Each fault has a time when its consequences are over, and each problem has its possible excuses."""
        self.assertEqual(set(Kind), set(RECOVERY))
        self.assertEqual(set(Wrong), set(EXCUSES))


class TallyTests(SynchronousTestCase):
    """The outcome of all calls."""

    def setUp(self) -> None:
        """No faults yet."""
        self.writer = Writer()
        self.faults: list[Fault] = []
        self.tally = Tally(self.writer.books, self.faults)
        self.said: list[str] = []

    def counted(self) -> dict[str, object]:
        """The figures, when everything is judged."""
        self.tally.judge(END, END, self.said.append)
        return self.tally.counts()

    def test_completed(self) -> None:
        """A call without problems is completed, or failed for its reason."""
        self.writer.talk(10, 20)
        self.writer.books.place(BERT, ANNE, 40).answer = Answer("call_failed", "busy", 40.1)
        self.writer.call(39).answer = Answer("call_failed", "no_answer", 45)
        self.writer.ring(39, 45, "told no_answer", "another room")
        counted = self.counted()
        self.assertEqual((3, 1, 0), (counted["calls started"], counted["calls completed"], counted["calls lost"]))
        self.assertEqual(1, counted["calls not completed, call_failed busy"])

    def test_lost_or_excused(self) -> None:
        """A call that went wrong is lost, unless a fault excuses it."""
        self.writer.failed(10, "internal")
        self.faults.append(Fault(Kind.LINK_CUT_LONG, 0, 50, 54))
        self.writer.failed(52, "internal")
        counted = self.counted()
        self.assertEqual((1, 1), (counted["calls lost"], counted["calls excused by a fault"]))
        self.assertEqual([f"LOST {line}" for line in self.tally.lost], self.said)
        self.assertEqual(1, len(self.said))

    def test_what_a_device_saw(self) -> None:
        """Violations that belong to no call count as lost, too."""
        self.writer.books.seen("strange", ANNE, 10, "was sent an error")
        self.writer.books.seen("disconnected", ANNE, 10, "1006 by node 0")
        self.faults.append(Fault(Kind.NODE_KILLED, 0, 10, 10))
        self.counted()
        self.assertEqual(1, len(self.tally.lost))

    def test_an_end_that_only_a_node_apart_knew(self) -> None:
        """The end of a call that its callee never heard of is told when the node where it was placed is in touch again,
        by when the callee may be elsewhere: faults count that were there since the call was placed.
        """
        for node, placed, start, lost in (
            (0, 10, 5, 0),
            (2, 10, 5, 1),
            (0, 10, 36, 0),
            (0, 10, 1, 1),
            (0, -30, -35, 1),  # that was another call
            (0, -30, 36, 0),
        ):
            self.setUp()
            self.writer.failed(placed, "unavailable")
            self.writer.gone(BERT, 9, 30, node=0)
            self.writer.books.unheard(BERT, ANNE, 40, "expired")
            self.faults.append(Fault(Kind.LINK_CUT_LONG, node, start, start + 3))
            self.tally.judge(END, END, self.said.append)
            self.assertEqual(lost, sum("never heard of" in line for line in self.said), (node, placed, start))

    def test_an_end_that_the_caller_is_told(self) -> None:
        """It is the same with a caller that had left its call before it heard in which room that was."""
        for target, start, lost in ((BERT, 5, 0), (BERT, 12, 0), (BERT, 1, 1), (CARL, 5, 1)):
            self.setUp()
            self.writer.call(10, target)
            self.writer.books.unheard(ANNE, BERT, 40, "cancelled")
            self.faults.append(Fault(Kind.LINK_CUT_LONG, 0, start, start + 3))
            self.tally.judge(END, END, self.said.append)
            self.assertEqual(lost, sum("never heard of" in line for line in self.said), (target, start))

    def test_an_end_of_no_call(self) -> None:
        """The end of a call that nobody placed is excused only by a fault at the same time."""
        for target, start, lost in ((CARL, 5, 1), (BERT, 5, 1), (CARL, 38, 0)):
            self.setUp()
            self.writer.call(10 if target is CARL else 41, target)
            self.writer.books.unheard(BERT, ANNE, 40, "expired")
            self.faults.append(Fault(Kind.LINK_CUT_LONG, 0, start, start + 3))
            self.tally.judge(END, END, self.said.append)
            self.assertEqual(lost, sum("never heard of" in line for line in self.said), (target, start))

    def test_a_ghost_of_a_call_long_settled(self) -> None:
        """A ring for a call that was settled long ago is noticed."""
        self.writer.failed(10, "unavailable")
        self.faults.append(Fault(Kind.REDIS_STOPPED, None, 9, 11))
        self.tally.judge(40, 40, self.said.append)
        self.assertEqual([], self.tally.lost)
        self.writer.ring(50, 55, "accepted")
        self.counted()
        self.assertEqual(1, len(self.tally.lost))
