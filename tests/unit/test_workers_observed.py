"""The parent's report on workers, and the lines that it takes over from their log."""

from __future__ import annotations

import json
from typing import Any, cast

from msgspec.structs import replace
from twisted.logger import LogLevel, capturedLogs, formatEvent

from callnet.errors import Unavailable
from callnet.ops.admin_api import (
    AdminCommand,
    AdminResult,
    CallShown,
    ChooseLevel,
    EndCall,
    FailureShown,
    ListCalls,
    ListFailures,
    ListNodes,
    Named,
    NodeShown,
    RemoveLink,
    Revoke,
)
from callnet.ops.logs import line_of
from callnet.ops.metrics import Family, Sample
from callnet.ops.readiness import Check, Report
from callnet.ops.worker_pipes import COMPLAINTS, LOG, ORDERS, Answer, LogLine, Serving, encode
from callnet.storage.database import LIMIT
from callnet.util.logger import threshold
from callnet.util.timers import FIRST_PAUSE
from tests.support.workers_case import WorkersTestCase

WELL = Report(True, {"database": Check(True)})
ILL = Report(False, {"redis": Check(False, "no answer")})


class LookTests(WorkersTestCase):
    """The parent's report on its workers."""

    def report(self, *answers: Report | None) -> Report:
        """Its report, if the serving workers answer this, or nothing."""
        asked = self.workers.observed.report()
        for process, report in zip(self.reactor.processes, answers, strict=False):
            if report is not None:
                process.answer(report=report)
        self.reactor.advance(1)
        return self.successResultOf(asked)

    def test_ready_if_all_are(self) -> None:
        """It is ready if all of them are, and shows the report of each."""
        self.serve()
        well = Check(True)
        self.assertEqual(
            self.report(WELL, WELL),
            Report(True, {"listeners": well, "worker 1": well, "worker 2": well}, {"1": WELL, "2": WELL}),
        )

    def test_not_ready_if_one_is_not(self) -> None:
        """It is not ready if one is not."""
        self.serve()
        report = self.report(WELL, ILL)
        self.assertFalse(report.ready)
        self.assertEqual(report.checks["worker 2"], Check(False, "not ready"))
        self.assertEqual(report.workers["2"], ILL)

    def test_not_ready_while_one_starts(self) -> None:
        """It is not ready while one is starting, which is not asked."""
        self.first.say(Serving())
        self.assertEqual(self.report(WELL).checks["worker 2"], Check(False, "starting"))
        self.assertEqual(self.second.orders, [])

    def test_not_ready_while_one_is_dead(self) -> None:
        """It is not ready while one is dead, and says how it died."""
        self.serve()
        self.second.end(signal=9)
        self.assertEqual(self.report(WELL).checks["worker 2"], Check(False, "was killed by SIGKILL"))

    def test_not_ready_if_one_does_not_answer(self) -> None:
        """It is not ready if one does not answer in time; an answer that comes too late is dropped."""
        self.serve()
        self.assertEqual(self.report(WELL, None).checks["worker 2"], Check(False, "no answer within 1 s"))
        self.second.answer(report=WELL)
        self.assertTrue(self.report(WELL, WELL).ready)

    def test_not_ready_if_one_dies_when_asked(self) -> None:
        """It is not ready if one dies when it is asked."""
        self.serve()
        asked = self.workers.observed.report()
        self.first.answer(report=WELL)
        self.second.end(signal=11)
        self.assertFalse(self.successResultOf(asked).checks["worker 2"].ok)

    def test_one_that_is_about_to_be_dead_is_told_nothing(self) -> None:
        """A worker whose pipe is closed is not written to any more."""
        self.serve()
        cast(Any, self.second)._protocol.childConnectionLost(ORDERS)
        self.assertFalse(self.report(WELL, None).ready)
        self.assertEqual(self.second.orders, [])

    def test_not_ready_when_it_stops(self) -> None:
        """It is not ready when it stops."""
        self.serve()
        self.workers.stop()
        self.assertEqual(self.report(WELL, WELL).checks["listeners"], Check(False, "draining"))


class MetricsTests(WorkersTestCase):
    """The counts of the workers."""

    def counted(self, *answers: int | None) -> dict[str, float]:
        """The sums, if those that serve have counted so much, or do not answer."""
        asked = self.workers.observed.families()
        for process, number in zip(self.reactor.processes, answers, strict=False):
            if number is not None:
                samples = [Sample("", number)]
                process.answer(families=[Family("calls", "", samples), Family("sockets", "", samples, kind="gauge")])
        self.reactor.advance(1)
        return {family.name: family.samples[0].value for family in self.successResultOf(asked)}

    def test_they_are_the_sums(self) -> None:
        """They are the sums of the workers' counts."""
        self.serve()
        self.assertEqual(self.counted(3, 4), {"calls": 7, "sockets": 7})

    def test_what_the_dead_counted_stays(self) -> None:
        """A counter does not shrink when a worker dies, or does not answer."""
        self.serve()
        self.counted(3, 4)
        self.assertEqual(self.counted(5, None), {"calls": 9, "sockets": 5})
        self.second.end(signal=9)
        self.assertEqual(self.counted(5), {"calls": 9, "sockets": 5})
        self.reactor.advance(FIRST_PAUSE)
        self.newest.say(Serving())
        self.reactor.processes[1] = self.reactor.processes.pop()
        self.assertEqual(self.counted(5, 1), {"calls": 10, "sockets": 6})

    def test_before_anyone_serves(self) -> None:
        """Before anyone serves nothing was counted."""
        self.assertEqual(self.counted(), {})


class OrderTests(WorkersTestCase):
    """The operator's orders to workers."""

    def setUp(self) -> None:
        """Both serve."""
        super().setUp()
        self.serve()
        self.addCleanup(threshold.choose, "info")

    def outcome(self, order: AdminCommand, *answers: AdminResult | None) -> AdminResult:
        """The outcome of an order, if the serving workers answer this, or not at all."""
        asked = self.workers.observed.execute(order)
        for process, outcome in zip(self.reactor.processes, answers, strict=False):
            if outcome is not None:
                self.assertEqual(process.orders[-1].what, order)
                process.answer(outcome=outcome)
        self.reactor.advance(1)
        return self.successResultOf(asked)

    def test_all_are_asked(self) -> None:
        """All are asked, and their rows are merged; a call that two of them have is one."""
        here, there = Named("1", "tv"), Named("2", "tv")
        both, own = (CallShown(name, "active", here, there, 9, 8) for name in ("aa", "bb"))
        failures = [FailureShown(None, ago, here, there, "offline") for ago in (5.0, 1.0, 3.0)]
        found = self.outcome(
            ListCalls(9), AdminResult(calls=[both], failures=failures[:2]), AdminResult(calls=[both, own])
        )
        self.assertEqual((found.calls, found.silent), ([both, own], 0))
        found = self.outcome(ListFailures(9), AdminResult(failures=failures[:2]), AdminResult(failures=failures[2:]))
        self.assertEqual([failure.seconds for failure in found.failures], [1.0, 3.0, 5.0])

    def test_their_nodes(self) -> None:
        """Each of them is a node that is here; all know the others, which are elsewhere."""
        one, other, far = (NodeShown(name, False, 2.5, 1) for name in ("a.1", "b.1", "c.1"))
        found = self.outcome(
            ListNodes(),
            AdminResult(nodes=[replace(one, here=True), other, far]),
            AdminResult(nodes=[one, replace(other, here=True), far]),
        )
        self.assertEqual(
            [(node.node, node.here) for node in found.nodes], [("a.1", True), ("b.1", True), ("c.1", False)]
        )

    def test_who_does_not_answer(self) -> None:
        """It shows how many do not answer: their rows are missing."""
        found = self.outcome(ListCalls(9), None, AdminResult())
        self.assertEqual((found.silent, found.done), (1, 0))
        self.second.end(signal=9)
        self.assertEqual(self.outcome(ListCalls(9), AdminResult()).silent, 1)

    def test_an_action_finds_its_worker(self) -> None:
        """An action that only one of them can do is done by that one."""
        self.assertEqual(self.outcome(EndCall("aa"), AdminResult(), AdminResult(done=1)).done, 1)

    def test_an_action_takes_its_time(self) -> None:
        """An action waits for a worker that is late; for one that does not answer as long as for the database."""
        for late, done, silent in ((AdminResult(done=1), 1, 0), (None, 0, 1)):
            asked = self.workers.observed.execute(EndCall("aa"))
            self.first.answer(outcome=AdminResult())
            number = self.second.orders[-1].number
            self.reactor.advance(LIMIT)
            self.assertNoResult(asked)
            if late is not None:
                self.second.say(Answer(number, outcome=late))
            self.reactor.advance(1)
            found = self.successResultOf(asked)
            self.assertEqual((found.done, found.silent), (done, silent))

    def test_what_is_in_the_database(self) -> None:
        """A row of the database is changed by one of the serving workers."""
        self.first.end(signal=9)
        asked = self.workers.observed.execute(Revoke("1"))
        self.second.answer(outcome=AdminResult(done=1))
        self.assertEqual(self.successResultOf(asked).done, 1)
        self.reactor.advance(FIRST_PAUSE)
        self.newest.say(Serving())
        before = len(self.second.orders)
        asked = self.workers.observed.execute(Revoke("1"))
        self.newest.answer(outcome=AdminResult(done=1))
        self.assertEqual((self.successResultOf(asked).done, len(self.second.orders)), (1, before))

    def test_another_has_the_database(self) -> None:
        """If one does not answer within the time that the database may take, or dies, the next is asked."""
        asked = self.workers.observed.execute(Revoke("1"))
        self.reactor.advance(LIMIT)
        self.assertNoResult(asked)
        self.reactor.advance(1)
        self.second.answer(outcome=AdminResult(done=1))
        self.assertEqual(self.successResultOf(asked).done, 1)
        asked = self.workers.observed.execute(Revoke("1"))
        self.first.end(signal=9)
        self.second.answer(outcome=AdminResult(done=1))
        self.assertEqual(self.successResultOf(asked).done, 1)

    def test_one_may_have_done_it(self) -> None:
        """If the next finds nothing to be done, it is told that one has not answered, which may have done it."""
        asked = self.workers.observed.execute(RemoveLink("1", "a" * 12))
        self.reactor.advance(LIMIT + 1)
        self.second.answer(outcome=AdminResult())
        found = self.successResultOf(asked)
        self.assertEqual((found.done, found.silent), (0, 1))

    def test_none_answers(self) -> None:
        """If none answers, that is said."""
        asked = self.workers.observed.execute(Revoke("1"))
        for _ in self.reactor.processes:
            self.assertNoResult(asked)
            self.reactor.advance(LIMIT + 1)
        self.failureResultOf(asked, Unavailable)

    def test_it_cannot_be_done(self) -> None:
        """If it cannot be done just now, that is said."""
        asked = self.workers.observed.execute(Revoke("1"))
        self.first.answer(outcome=None)
        self.failureResultOf(asked, Unavailable)

    def test_the_level_of_the_log(self) -> None:
        """The level of the log is that of the parent, of all workers, and of those that are started later."""
        self.assertEqual(self.second.start.level, "info")
        self.outcome(ChooseLevel("debug"), AdminResult(done=1), AdminResult(done=1))
        self.assertTrue(threshold.has_details)
        self.second.end(signal=9)
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual(self.newest.start.level, "debug")


class LogTests(WorkersTestCase):
    """The output of workers."""

    def logged(self, descriptor: int, *pieces: bytes) -> list[tuple[Any, str, str]]:
        """Level, system and text of the log when the first worker writes this."""
        with capturedLogs() as events:
            for piece in pieces:
                self.first.write(descriptor, piece)
        return [(event["log_level"], event["log_namespace"], str(formatEvent(event))) for event in events]

    def test_its_log_is_taken_over(self) -> None:
        """A line of its log stands in the parent's with its level, its system and the number of the worker."""
        self.assertEqual(
            self.logged(LOG, encode(LogLine("warn", "callnet.web", "it {burns}\nhere"))),
            [(LogLevel.warn, "callnet.web", "worker 1: it {burns}\nhere")],
        )

    def test_what_it_is_about_is_taken_over(self) -> None:
        """An event's fields are there for a log that machines read."""
        with capturedLogs() as events:
            self.first.write(LOG, encode(LogLine("info", "callnet.web", "done", {"status": 200})))
        [line] = [json.loads(line_of(event)) for event in events]
        self.assertEqual((200, "worker 1", "worker 1: done"), (line["status"], line["worker"], line["text"]))

    def test_lines_may_come_in_pieces(self) -> None:
        """Lines may come in pieces, or several at once."""
        one, two = (encode(LogLine("info", "x", text)) for text in ("one", "two"))
        logged = self.logged(LOG, one[:5], one[5:] + two + one[:-1])
        self.assertEqual([text for _, _, text in logged], ["worker 1: one", "worker 1: two"])
        self.assertEqual([text for _, _, text in self.logged(LOG, b"\n")], ["worker 1: one"])

    def test_what_is_no_line_of_a_log_is_taken_over_too(self) -> None:
        """Output of Python or a library past the log is taken over as a warning, line by line."""
        for descriptor in (LOG, COMPLAINTS):
            logged = self.logged(descriptor, b"Fatal Python error: \xff\n  Segmentation fault\n")
            self.assertEqual(
                [(level, text) for level, _, text in logged],
                [
                    (LogLevel.warn, "worker 1: Fatal Python error: \ufffd"),
                    (LogLevel.warn, "worker 1:   Segmentation fault"),
                ],
            )

    def test_the_last_words_need_no_end(self) -> None:
        """The last words are logged even if their line has no end."""
        with capturedLogs() as events:
            self.first.write(COMPLAINTS, b"Killed")
            self.first.end(signal=9)
        self.assertEqual(formatEvent(events[0]), "worker 1: Killed")
