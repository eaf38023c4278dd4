"""Finding the problems of a call in the books of its devices."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from acceptance.faults.audit import Problem, Wrong
from acceptance.faults.books import Answer, Attempt, Withdrawal
from acceptance.faults.bounds import GRACE, REMEMBERED, RING_TIME, TOLD
from harness.base_protocol import EVERY, Address
from tests.tools.faults.ledger import ANNE, BERT, CARL, END, ROOM, Writer


class AuditTests(SynchronousTestCase):
    """One call of Anne's."""

    def setUp(self) -> None:
        """Empty books."""
        self.writer = Writer()

    def assert_wrong(self, attempt: Attempt, *wrongs: Wrong) -> list[Problem]:
        """These things are wrong with a call, and nothing else."""
        found = self.writer.problems(attempt)
        self.assertEqual(list(wrongs), [problem.wrong for problem in found], found)
        return found

    def test_a_call(self) -> None:
        """Nothing is wrong with a call that is answered and hung up."""
        self.assert_wrong(self.writer.talk(10, 20))

    def test_unanswered(self) -> None:
        """A caller that waits for longer than the ring time was not answered in time."""
        attempt = self.writer.call(10)
        self.assert_wrong(attempt, Wrong.UNANSWERED)

    def test_cancelled(self) -> None:
        """A caller that cancels is owed no answer; a device that rings then is told within a moment."""
        attempt = self.writer.call(10)
        attempt.withdrawal = Withdrawal("cancelled", 12)
        ring = self.writer.ring(10, 12 + TOLD - 0.1)
        self.assert_wrong(attempt)
        ring.end = 12 + TOLD + 0.1
        self.assert_wrong(attempt, Wrong.LATE)

    def test_a_ring_that_never_stops(self) -> None:
        """A ring is over with the ring time, whatever came of the caller."""
        attempt = self.writer.failed(10, "no_answer", RING_TIME)
        self.writer.ring(10)
        self.assert_wrong(attempt, Wrong.LATE)

    def test_a_ghost(self) -> None:
        """Nobody is rung for a call that was over already; a ring that stops at once is but late."""
        attempt = self.writer.failed(10, "unavailable")
        ring = self.writer.ring(20, 20.5)
        self.assertNotIn(Wrong.GHOST, [problem.wrong for problem in self.writer.problems(attempt)])
        ring.end, ring.how = 22, "accepted"
        self.assertIn(Wrong.GHOST, [problem.wrong for problem in self.writer.problems(attempt)])

    def test_an_accept_of_nobody(self) -> None:
        """A caller is given nobody who has not accepted."""
        attempt = self.writer.call(10)
        self.writer.ring(10, 11, "refused")
        self.writer.books.succeeded(attempt, BERT, ROOM, 11)
        self.assert_wrong(attempt, Wrong.GHOST)

    def test_an_accept_that_was_given_up(self) -> None:
        """A device that accepts by calling, and cancels before it knows, has accepted."""
        attempt = self.writer.call(10)
        self.writer.ring(10, 11, "accepted")
        self.writer.books.succeeded(attempt, BERT, ROOM, 11)
        self.writer.part(ANNE, 11, 11.1, "told hangup")
        self.assertNotIn(Wrong.GHOST, [problem.wrong for problem in self.writer.problems(attempt)])

    def test_rung_twice(self) -> None:
        """A device is rung once on one connection."""
        attempt = self.writer.talk(10, 20)
        self.writer.ring(10.2, 11, "accepted")
        self.assert_wrong(attempt, Wrong.TWICE)

    def test_a_refusal_of_nobody(self) -> None:
        """A call is not refused unless somebody refuses, or calls another."""
        attempt = self.writer.call(10)
        attempt.answer = Answer("call_refuse", "refused", 11)
        ring = self.writer.ring(10, 11, "told refused_elsewhere")
        self.assert_wrong(attempt, Wrong.FAILED)
        for how in ("refused", "called another"):
            ring.how = how
            self.assert_wrong(attempt)

    def test_busy(self) -> None:
        """A call fails with busy if its callee has to do with another call at the time."""
        attempt = self.writer.failed(30, "busy")
        self.assert_wrong(attempt, Wrong.FAILED)
        self.writer.books.place(BERT, CARL, 25).answer = Answer("call_failed", "no_answer", 31)
        self.assert_wrong(attempt)
        self.assert_wrong(self.writer.failed(60, "busy"), Wrong.FAILED)
        other = self.writer.books.place(CARL, BERT, 79.5)
        other.withdrawal = Withdrawal("cancelled", 79.6)  # before the called device heard of it
        self.assert_wrong(self.writer.failed(80, "busy"))
        self.writer.books.place(CARL, BERT, 99.5).answer = Answer("call_failed", "busy", 99.6)
        self.assert_wrong(self.writer.failed(100, "busy"), Wrong.FAILED)

    def test_busy_with_a_settled_call(self) -> None:
        """The other call may have been settled before, and its callee may never have heard of it."""
        for to, at in ((BERT, 79.5), (Address(BERT.phone, EVERY), 99.5)):
            self.writer.books.place(CARL, to, at).withdrawal = Withdrawal("cancelled", at + 0.1)
            self.writer.failed(at + 0.5, "busy")
        failed = [self.writer.failed(120, "busy"), self.writer.failed(120.5, "busy")]
        settled = 0
        for attempt in self.writer.books.settled(END):
            self.assert_wrong(attempt, *((Wrong.FAILED,) if attempt in failed else ()))
            settled += 1
        self.assertEqual(6, settled)

    def test_engaged_once(self) -> None:
        """An answered call is entered once for each party, and forgotten when it can be no other one's excuse."""
        books = self.writer.books
        talked = self.writer.talk(10, 20)
        others = [self.writer.failed(20 + number, "busy") for number in range(4)]
        self.assertEqual([talked, *others], list(books.settled(40)))
        self.assertEqual(([talked, *others], [talked]), (list(books._engaged[ANNE]), list(books._engaged[BERT])))
        self.assertTrue(books.engaged(BERT, 15, 16, others[0]))
        self.assertEqual([], list(books.settled(20 + REMEMBERED + 1)))
        self.assertFalse(books.engaged(BERT, 15, 16, others[0]))

    def test_offline(self) -> None:
        """A call fails with offline if its callee has no connection at the time."""
        attempt = self.writer.failed(30, "offline")
        self.assert_wrong(attempt, Wrong.FAILED)
        self.writer.gone(BERT, 29, 31)
        self.assert_wrong(attempt)

    def test_no_answer(self) -> None:
        """A call fails with no_answer if its callee was rung, or away."""
        attempt = self.writer.failed(30, "no_answer", RING_TIME)
        self.assert_wrong(attempt, Wrong.FAILED)
        ring = self.writer.ring(30, 30 + RING_TIME, "told no_answer")
        self.assert_wrong(attempt)
        ring.end, ring.how = 31, "accepted"
        self.assert_wrong(attempt, Wrong.FAILED)

    def test_other_failures(self) -> None:
        """Any other failure has no cause that the devices could know; unavailable comes at once, or is slow."""
        self.assert_wrong(self.writer.failed(30, "internal"), Wrong.FAILED)
        self.assert_wrong(self.writer.failed(60, "unavailable"), Wrong.FAILED)
        self.assert_wrong(self.writer.failed(90, "unavailable", 4), Wrong.SLOW, Wrong.FAILED)
        self.writer.gone(ANNE, 121, 123.5)
        self.assert_wrong(self.writer.failed(120, "unavailable", 4), Wrong.FAILED)

    def test_told_late_of_the_accept(self) -> None:
        """The caller is told of an accept within a moment."""
        attempt = self.writer.call(10)
        self.writer.ring(10, 11, "accepted")
        self.writer.part(BERT, 11, 20, "hang up")
        self.writer.books.succeeded(attempt, BERT, ROOM, 12 + TOLD)
        self.writer.part(ANNE, 12 + TOLD, 20, "told hangup")
        self.assert_wrong(attempt, Wrong.LATE)

    def test_told_late_of_the_end(self) -> None:
        """The other is told of the end within a moment."""
        attempt = self.writer.talk(10, 20)
        self.writer.books.stories[ROOM].parts[BERT][0].end = 20 + TOLD + 0.1
        self.assert_wrong(attempt, Wrong.LATE)

    def test_an_accept_that_did_not_arrive(self) -> None:
        """A device that accepts a call that is over already is told so within a moment."""
        attempt = self.writer.call(10)
        attempt.withdrawal = Withdrawal("cancelled", 12)
        self.writer.ring(10, 12.1, "accepted")
        part = self.writer.part(BERT, 12.1, 12.3, "told cancelled")
        self.assert_wrong(attempt)
        part.end = 12.1 + TOLD + 1
        self.assert_wrong(attempt, Wrong.LATE)

    def test_an_end_without_a_cause(self) -> None:
        """A call does not end while nobody hangs up, calls another, or stays away for longer than the grace."""
        attempt = self.writer.talk(10, 20, "told connection_lost", "told connection_lost")
        self.assert_wrong(attempt, Wrong.ENDED)
        self.writer.gone(BERT, 20 - GRACE, 20)
        self.assert_wrong(attempt)

    def test_a_connection_that_nobody_knew_of(self) -> None:
        """A connection to a node that is killed in that moment counts for nothing: its device stays away."""
        for lasted, wrong in ((0.05, []), (0.3, [Wrong.ENDED])):
            self.setUp()
            attempt = self.writer.talk(10, 20, "told connection_lost", "told connection_lost")
            self.writer.gone(BERT, 20 - GRACE, 20 - GRACE / 2)
            spell = self.writer.books.spells[BERT][-1]
            spell.end, spell.code = spell.start + lasted, 1006
            self.assert_wrong(attempt, *wrong)

    def test_the_end_while_one_is_away(self) -> None:
        """A device that is away when the other hangs up, and stays away, cannot be told."""
        attempt = self.writer.talk(10, 20, "hang up", "away")
        self.writer.gone(BERT, 19)
        bert = self.writer.books.stories[ROOM].parts[BERT][0]
        bert.end = 19 + GRACE
        self.assert_wrong(attempt)
        bert.end = 20 + TOLD + GRACE + 0.1
        self.assert_wrong(attempt, Wrong.LATE)

    def test_the_end_before_one_is_back(self) -> None:
        """A device that is back after a moment is told at once: the time without a connection does not count."""
        for gone_at, wrong in ((20 + TOLD - 1, []), (20 + TOLD + 0.1, [Wrong.LATE])):
            self.setUp()
            attempt = self.writer.talk(10, 20)
            self.writer.gone(BERT, gone_at, gone_at + 2)
            self.writer.books.stories[ROOM].parts[BERT][0].end = gone_at + 2
            self.assert_wrong(attempt, *wrong)

    def test_the_end_when_one_is_back_for_a_moment(self) -> None:
        """A device that is back for less than the second after which an old end is told is told the next time."""
        for stays, wrong in ((0.9, []), (3.5, [Wrong.LATE])):
            self.setUp()
            attempt = self.writer.talk(10, 20)
            self.writer.gone(BERT, 19, 21)
            self.writer.gone(BERT, 21 + stays, 22.5 + stays)
            self.writer.books.stories[ROOM].parts[BERT][0].end = 23.5 + stays
            self.assert_wrong(attempt, *wrong)

    def test_a_peer_that_is_lost(self) -> None:
        """A device that stays away is gone when the grace is over: the peer is told then, or within some seconds."""
        attempt = self.writer.talk(10, 20, "told connection_lost", "away")
        self.writer.gone(BERT, 20 - GRACE)
        anne = self.writer.books.stories[ROOM].parts[ANNE][0]
        anne.end = 20 + TOLD - 0.1
        self.assert_wrong(attempt)
        anne.end = 20 + TOLD + 0.1
        self.assert_wrong(attempt, Wrong.LATE)
        anne.end = 20 + 6.1
        self.assert_wrong(attempt, Wrong.LATE, Wrong.LOST_LATE)

    def test_left_by_a_call_that_nobody_heard_of(self) -> None:
        """A call goes on ringing if that was cut off by which its caller left it, and no longer than any other."""
        attempt = self.writer.call(10)
        attempt.withdrawal = Withdrawal("replaced", 11)
        attempt.replaced_by = instead = self.writer.call(11, CARL)
        self.writer.ring(10, 12, "away")
        again = self.writer.books.rung(BERT, ANNE, ROOM, 2, 11 + TOLD + 0.1)
        assert again is not None
        again.end, again.how = 10 + RING_TIME, "told no_answer"
        self.assert_wrong(attempt, Wrong.GHOST)
        instead.withdrawal = Withdrawal("cut off", 14)
        self.assert_wrong(attempt)
        again.start, again.end = 10 + RING_TIME + TOLD + 0.1, END
        self.assert_wrong(attempt, Wrong.GHOST)

    def test_left_while_talking_by_a_call_that_nobody_heard_of(self) -> None:
        """A device that leaves a call by one that was cut off has left it when it says so."""
        attempt = self.writer.talk(10, 20, "called another")
        anne, bert = (self.writer.books.stories[ROOM].parts[who][0] for who in (ANNE, BERT))
        bert.end = 30.0
        anne.instead = self.writer.call(20, CARL)
        self.assert_wrong(attempt, Wrong.LATE)
        anne.instead.withdrawal = Withdrawal("cut off", 29.0)
        self.assert_wrong(attempt)
        bert.end = 29 + TOLD + 0.1
        self.assert_wrong(attempt, Wrong.LATE)

    def test_never_heard_of(self) -> None:
        """A call that its caller gave up, since nothing came of it, was swallowed by something."""
        attempt = self.writer.call(10)
        attempt.withdrawal = Withdrawal("cut off", 13)
        self.assert_wrong(attempt, Wrong.CUT)
