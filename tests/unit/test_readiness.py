"""Readiness for devices: the questions, their frequency, and the result without an answer."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.ops.readiness import ASK_LIMIT, REMEMBERED, Check, Question, Readiness, Remembered, Report


class ReadinessTestCase(SynchronousTestCase):
    """Asks, on a clock of its own."""

    def setUp(self) -> None:
        """A clock, which nothing may be left on."""
        self.clock = Clock()
        self.addCleanup(lambda: self.assertEqual(self.clock.getDelayedCalls(), []))

    def readiness(self, **questions: Question) -> Readiness:
        """A check of readiness with these questions."""
        readiness = Readiness(questions, self.clock)
        readiness.open()
        return readiness

    def check(self, question: Question) -> Check:
        """The result of one question."""
        return self.successResultOf(self.readiness(it=question).report()).checks["it"]


class ReportTests(ReadinessTestCase):
    """A report."""

    def test_all_is_well(self) -> None:
        """It is ready if every check passes, whether that is known or must be waited for."""
        report = self.successResultOf(self.readiness(redis=lambda: None, database=lambda: succeed(None)).report())
        well = Check(True)
        self.assertEqual(report, Report(True, {"listeners": well, "redis": well, "database": well}))

    def test_one_thing_is_not_well(self) -> None:
        """It is not ready if one thing is not well, and says why."""
        report = self.successResultOf(self.readiness(redis=lambda: "no answer", database=lambda: None).report())
        self.assertFalse(report.ready)
        self.assertEqual(report.checks["redis"], Check(False, "no answer"))
        self.assertEqual(report.checks["database"], Check(True))

    def test_before_the_start(self) -> None:
        """It is not ready before connections are taken."""
        report = self.successResultOf(Readiness({}, self.clock).report())
        self.assertEqual(report, Report(False, {"listeners": Check(False, "starting")}))

    def test_at_the_end(self) -> None:
        """It is not ready any more when no connections are taken, which is known at once."""
        readiness = self.readiness()
        self.assertTrue(self.successResultOf(readiness.report()).ready)
        readiness.drain()
        report = self.successResultOf(readiness.report())
        self.assertEqual(report, Report(False, {"listeners": Check(False, "draining")}))

    def test_an_answer_is_waited_for(self) -> None:
        """An answer is waited for."""
        answer: Deferred[str | None] = Deferred()
        report = self.readiness(database=lambda: answer).report()
        self.assertNoResult(report)
        answer.callback(None)
        self.assertTrue(self.successResultOf(report).ready)

    def test_an_answer_that_is_given_up(self) -> None:
        """A question that is cancelled on its way has no answer in time either; the log does not tell of it."""
        report = self.readiness(database=lambda: fail(CancelledError())).report()
        self.assertEqual(self.successResultOf(report).checks["database"], Check(False, "no answer within 0.8 s"))
        self.assertEqual([], self.flushLoggedErrors())

    def test_an_answer_is_not_waited_for_long(self) -> None:
        """An answer that does not come in time is none."""
        report = self.readiness(database=Deferred).report()
        self.clock.advance(ASK_LIMIT)
        self.assertEqual(self.successResultOf(report).checks["database"], Check(False, "no answer within 0.8 s"))

    def test_what_cannot_be_reached_says_why(self) -> None:
        """If something cannot be reached it tells the first line of the cause."""
        error = Unavailable("the database cannot be reached")
        error.__cause__ = OSError("connection refused\nis it running?")
        self.assertEqual(self.check(lambda: fail(error)), Check(False, "connection refused"))

    def test_our_own_errors_are_logged(self) -> None:
        """An error of our own is logged, and not described."""

        def broken() -> str | None:
            raise ZeroDivisionError

        self.assertEqual(self.check(broken), Check(False, "internal error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class RememberedTests(ReadinessTestCase):
    """RedisCommands that cost something."""

    def setUp(self) -> None:
        """A question that counts how often it is asked."""
        super().setUp()
        self.answers: list[Deferred[str | None]] = []
        self.remembered = Remembered(self.ask, self.clock)

    def ask(self) -> Deferred[str | None]:
        """Ask once more."""
        self.answers.append(Deferred())
        return self.answers[-1]

    def test_it_is_not_asked_again_within_a_second(self) -> None:
        """An answer is good for a second."""
        first = self.remembered()
        self.answers[0].callback("down")
        self.assertEqual(self.successResultOf(first), "down")
        self.clock.advance(REMEMBERED - 0.1)
        self.assertEqual(self.successResultOf(self.remembered()), "down")
        self.assertEqual(len(self.answers), 1)
        self.clock.advance(0.1)
        again = self.remembered()
        self.answers[1].callback(None)
        self.assertIsNone(self.successResultOf(again))

    def test_it_is_not_asked_twice_at_once(self) -> None:
        """Two who ask at once get the same answer."""
        asked = [self.remembered(), self.remembered()]
        self.assertEqual(len(self.answers), 1)
        self.answers[0].callback(None)
        self.assertEqual([self.successResultOf(each) for each in asked], [None, None])

    def test_who_gives_up_does_so_for_itself_alone(self) -> None:
        """One who gives up does not take the answer from another, and does not have it asked again meanwhile."""
        hasty = self.readiness(it=self.remembered).report()
        self.clock.advance(ASK_LIMIT / 2)
        patient = self.readiness(it=self.remembered).report()
        self.clock.advance(ASK_LIMIT / 2)
        self.assertFalse(self.successResultOf(hasty).ready)
        self.answers[0].callback(None)
        self.assertTrue(self.successResultOf(patient).ready)
        self.assertEqual(len(self.answers), 1)

    def test_a_failure_is_an_answer(self) -> None:
        """A failure is an answer like any other."""
        asked = self.remembered()
        self.answers[0].errback(Unavailable("away"))
        self.assertEqual(self.successResultOf(asked), "away")
        self.assertEqual(self.successResultOf(self.remembered()), "away")
