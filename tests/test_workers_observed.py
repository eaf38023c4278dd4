"""What the parent of workers says of them, and takes over from their log."""

from __future__ import annotations

import json
from typing import Any, cast

from twisted.logger import LogLevel, capturedLogs, formatEvent

from callnet.operations.logs import line_of
from callnet.operations.metrics import Family, Sample
from callnet.operations.readiness import Check, Report
from callnet.supervision import messages
from callnet.supervision.messages import COMPLAINTS, LOG, ORDERS, LogLine, Serving
from callnet.supervision.worker import FIRST_PAUSE
from tests.workers_case import WorkersTestCase

WELL = Report(True, {"database": Check(True)})
ILL = Report(False, {"redis": Check(False, "no answer")})


class LookTests(WorkersTestCase):
    """What the parent says of its workers."""

    def report(self, *answers: Report | None) -> Report:
        """What it says, if those that serve answer this, or nothing."""
        asked = self.workers.observed.report()
        for process, report in zip(self.reactor.processes, answers, strict=False):
            if report is not None:
                process.answer(report=report)
        self.reactor.advance(1)
        return self.successResultOf(asked)

    def test_ready_if_all_are(self) -> None:
        """It is ready if all of them are, and shows what each of them says."""
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
        self.assertEqual(report.checks["worker 2"], Check(False, "it is not ready"))
        self.assertEqual(report.workers["2"], ILL)

    def test_not_ready_while_one_starts(self) -> None:
        """It is not ready while one is starting, which is not asked."""
        self.first.say(Serving())
        self.assertEqual(self.report(WELL).checks["worker 2"], Check(False, "it is starting"))
        self.assertEqual(self.second.orders, [])

    def test_not_ready_while_one_is_dead(self) -> None:
        """It is not ready while one is dead, and says how it died."""
        self.serve()
        self.second.end(signal=9)
        self.assertEqual(self.report(WELL).checks["worker 2"], Check(False, "it was ended by SIGKILL"))

    def test_not_ready_if_one_does_not_answer(self) -> None:
        """It is not ready if one does not answer in time; an answer that comes too late is dropped."""
        self.serve()
        self.assertEqual(self.report(WELL, None).checks["worker 2"], Check(False, "it does not answer within 1 s"))
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
        """A worker whose pipe is closed is written to no more."""
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
    """What the workers counted."""

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
        """They are the sums of what the workers counted."""
        self.serve()
        self.assertEqual(self.counted(3, 4), {"calls": 7, "sockets": 7})

    def test_what_the_dead_counted_stays(self) -> None:
        """What only grows does not shrink when a worker dies, or does not answer."""
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


class LogTests(WorkersTestCase):
    """What workers write."""

    def logged(self, descriptor: int, *pieces: bytes) -> list[tuple[Any, str, str]]:
        """Level, system and text of what is logged when the first worker writes this."""
        with capturedLogs() as events:
            for piece in pieces:
                self.first.write(descriptor, piece)
        return [(event["log_level"], event["log_namespace"], str(formatEvent(event))) for event in events]

    def test_its_log_is_taken_over(self) -> None:
        """A line of its log stands in the parent's with its level, its system and the number of the worker."""
        self.assertEqual(
            self.logged(LOG, messages.encode(LogLine("warn", "callnet.web", "it {burns}\nhere"))),
            [(LogLevel.warn, "callnet.web", "worker 1: it {burns}\nhere")],
        )

    def test_what_it_is_about_is_taken_over(self) -> None:
        """What an event is about is there for a log that machines read."""
        with capturedLogs() as events:
            self.first.write(LOG, messages.encode(LogLine("info", "callnet.web", "done", {"status": 200})))
        [line] = [json.loads(line_of(event)) for event in events]
        self.assertEqual((200, "worker 1", "worker 1: done"), (line["status"], line["worker"], line["text"]))

    def test_lines_may_come_in_pieces(self) -> None:
        """Lines may come in pieces, or several at once."""
        one, two = (messages.encode(LogLine("info", "x", text)) for text in ("one", "two"))
        logged = self.logged(LOG, one[:5], one[5:] + two + one[:-1])
        self.assertEqual([text for _, _, text in logged], ["worker 1: one", "worker 1: two"])
        self.assertEqual([text for _, _, text in self.logged(LOG, b"\n")], ["worker 1: one"])

    def test_what_is_no_line_of_a_log_is_taken_over_too(self) -> None:
        """What Python or a library writes past the log is taken over as a warning, line by line."""
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
