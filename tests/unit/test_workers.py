"""The parent of workers: how it starts them, starts them again, and stops them."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.acme.renewal import AcmeFolder, Renewal
from callnet.ops.process import ServiceManager
from callnet.ops.readiness import Report
from callnet.ops.worker_pipes import SOCKETS, Hurry, Reload, Serving, Start, decode_order, decode_start, encode
from callnet.supervision import LONGEST_PAUSE, STOP_LIMIT, Supervisor, Workers
from callnet.util.timers import FIRST_PAUSE, OLD_AGE
from tests.support.workers_case import SETTINGS, Process, Reactor, WorkersTestCase


class StartTests(WorkersTestCase):
    """Starting workers."""

    def test_each_is_told_how_to_serve(self) -> None:
        """Each is told the settings as the parent has them, and where the listening sockets are."""
        for process in self.reactor.processes:
            self.assertEqual(process.start, Start(SETTINGS, {"listeners.account[0]": SOCKETS}, "info"))
            self.assertEqual(process.descriptors[SOCKETS], 11)

    def test_no_secret_is_among_the_arguments(self) -> None:
        """Its arguments, which everyone on the machine may read, say nothing of the settings."""
        self.assertEqual(self.first.arguments[1:], ("-P", "-m", "callnet.worker"))

    def answer(self, ready: bool) -> None:
        """Have both workers answer their questions."""
        for process in self.reactor.processes:
            process.answer(report=Report(ready, {}))

    def test_it_is_said_once_when_all_are_ready(self) -> None:
        """It is said once when all of them are ready, for which they are asked until they are."""
        self.reactor.advance(1)
        self.serve()
        self.reactor.advance(1)
        self.answer(False)
        self.assertEqual(self.all_ready, 0)
        self.reactor.advance(1)
        self.answer(True)
        self.assertEqual(self.all_ready, 1)
        asked = len(self.first.orders)
        self.reactor.advance(1)
        self.assertEqual((len(self.first.orders), self.all_ready), (asked, 1))

    def test_it_is_not_said_any_more_when_they_stop(self) -> None:
        """It is not said any more when they stop, even if they were just asked."""
        self.serve()
        self.reactor.advance(1)
        stopped = self.workers.stop()
        self.answer(True)
        for process in self.reactor.processes:
            process.end()
        self.successResultOf(stopped)
        self.assertEqual(self.all_ready, 0)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_its_process_is_logged(self) -> None:
        """Its process is logged when it serves."""
        with capturedLogs() as events:
            self.second.say(Serving())
        self.assertEqual([formatEvent(event) for event in events], ["worker 2 started: process 4711"])


class CertificateTests(SynchronousTestCase):
    """The order of a certificate, which the parent gives."""

    def test_order_waits(self) -> None:
        """It is given when all workers are ready: before that, nobody answers the authority."""
        reactor, orders = Reactor(), list[Deferred[str]]()
        folder = Path(self.mktemp())
        folder.mkdir()

        def order() -> Deferred[str]:
            orders.append(Deferred())
            return orders[-1]

        kept = AcmeFolder(str(folder), "https://acme.example.org/")
        kept.make()
        renewal = Renewal(
            kept, ["a.example.org"], order, list, Counter(), reactor, lambda: datetime.now(UTC), lambda: 1.0
        )
        supervisor = Supervisor(
            Workers(1, SETTINGS, cast(Any, reactor)),
            [],
            [],
            [renewal],
            ServiceManager({}, reactor),
            SETTINGS,
            [],
            {},
            cast(Any, reactor),
        )
        supervisor.startService()
        reactor.advance(1)
        [worker] = reactor.processes
        worker.say(Serving())
        reactor.advance(1)
        self.assertEqual([], orders)
        worker.answer(report=Report(True, {}))
        self.assertEqual(1, len(orders))
        stopped = supervisor.stopService()
        worker.end()
        self.successResultOf(stopped)
        self.assertEqual([], reactor.getDelayedCalls())


class RestartTests(WorkersTestCase):
    """Restarting a worker that died."""

    def pauses(self, lived: float, times: int) -> list[float]:
        """The pauses after each of this number of processes, with this lifetime in seconds."""
        found = []
        for _ in range(times):
            self.reactor.advance(lived)
            self.newest.end(status=1)
            before = self.reactor.seconds()
            number = len(self.reactor.processes)
            while len(self.reactor.processes) == number:
                self.reactor.advance(self.reactor.getDelayedCalls()[0].getTime() - self.reactor.seconds())
            found.append(self.reactor.seconds() - before)
        return [round(pause, 3) for pause in found]

    def test_another_takes_its_place(self) -> None:
        """Another takes its place soon, with the same sockets, and the others are left alone."""
        self.serve()
        self.first.end(signal=9)
        self.assertEqual(len(self.reactor.processes), 2)
        self.reactor.advance(FIRST_PAUSE)
        self.assertEqual(len(self.reactor.processes), 3)
        self.assertEqual(self.newest.start, self.second.start)
        self.assertEqual(self.second.signals, [])

    def test_how_it_died_is_logged_in_one_line(self) -> None:
        """The cause of death is logged, in one line for each."""
        for end, words in (
            ({"signal": 9}, "worker 1 was killed by SIGKILL; restarting in 0.1 s"),
            ({"status": 3}, "worker 1 exited with status 3; restarting in 0.2 s"),
            ({}, "worker 1 stopped; restarting in 0.4 s"),
        ):
            process = self.first if len(self.reactor.processes) == 2 else self.newest
            with capturedLogs() as events:
                process.end(**end)
            self.assertEqual([formatEvent(event) for event in events], [words])
            self.reactor.advance(1)

    def test_those_that_die_young_come_later_and_later(self) -> None:
        """Those that die young come later and later, but not ever later."""
        self.assertEqual(self.pauses(0, 9), [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, LONGEST_PAUSE, LONGEST_PAUSE])

    def test_who_lived_long_is_followed_at_once(self) -> None:
        """One that lived a minute is followed as soon as the first was."""
        self.pauses(0, 5)
        self.assertEqual(self.pauses(OLD_AGE, 2), [FIRST_PAUSE, FIRST_PAUSE])

    def pass_time(self, seconds: int, *well: Process) -> None:
        """Let time pass, in which these are well and answer."""
        for _ in range(seconds):
            self.reactor.advance(1)
            for process in well:
                if process.orders:
                    process.answer(report=Report(True, {}))

    def test_who_is_stuck_is_replaced(self) -> None:
        """One that has not answered for 30 s is killed, and another takes its place; those that answer are left."""
        self.serve()
        self.pass_time(60, self.first, self.second)
        with capturedLogs() as events:
            self.pass_time(29, self.second)
            self.assertEqual(self.first.signals, [])
            self.pass_time(1, self.second)
        self.assertEqual([formatEvent(event) for event in events], ["killed worker 1: no answer for 30 s"])
        self.assertEqual((self.first.signals, self.second.signals), (["KILL"], []))
        self.first.end(signal=9)
        self.pass_time(1, self.second)
        self.newest.say(Serving())
        self.pass_time(29, self.second)
        self.assertEqual((len(self.reactor.processes), self.newest.signals), (3, []))

    def test_a_parent_that_was_stuck(self) -> None:
        """If it was the parent that stood still, and could hear nobody, all are left alone."""
        self.serve()
        self.pass_time(6, self.first, self.second)
        self.reactor.advance(100)
        self.pass_time(30, self.first, self.second)
        self.assertEqual((self.first.signals, self.second.signals), ([], []))

    def test_a_process_that_cannot_be_started_is_tried_again(self) -> None:
        """If the machine has no process to give, it is tried again."""
        self.reactor.refuses = True
        self.first.end(signal=9)
        self.reactor.advance(FIRST_PAUSE)
        self.reactor.refuses = False
        self.reactor.advance(2 * FIRST_PAUSE)
        self.assertEqual(len(self.reactor.processes), 3)


class StopTests(WorkersTestCase):
    """Stopping workers."""

    def test_all_are_told_and_waited_for(self) -> None:
        """All are sent SIGTERM, and waited for; none is started again."""
        self.serve()
        stopped = self.workers.stop()
        self.assertEqual([process.signals for process in self.reactor.processes], [["TERM"], ["TERM"]])
        self.first.end()
        self.assertNoResult(stopped)
        self.second.end(signal=15)
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_who_does_not_go_is_killed(self) -> None:
        """One that does not go in time is killed."""
        self.serve()
        stopped = self.workers.stop()
        self.first.end()
        self.reactor.advance(SETTINGS.drain_deadline + STOP_LIMIT - 0.1)
        self.assertEqual(self.second.signals, ["TERM"])
        self.reactor.advance(0.1)
        self.assertEqual(self.second.signals, ["TERM", "KILL"])
        self.second.end(signal=9)
        self.successResultOf(stopped)
        self.assertEqual(self.first.signals, ["TERM"])

    def test_hurry(self) -> None:
        """Those that still stop can be told to wait for no calls; those that have just died are told nothing."""
        self.serve()
        self.workers.stop()
        self.first.end()
        self.workers.hurry()
        self.assertEqual([[], [Hurry()]], [self.first.orders, self.second.orders])

    def test_hurry_with_one_that_is_stuck(self) -> None:
        """One that is stuck is waited for as long as one that has no calls; told twice, it gets no more time."""
        self.serve()
        stopped = self.workers.stop()
        self.first.end()
        self.reactor.advance(1)
        self.workers.hurry()
        self.reactor.advance(STOP_LIMIT - 0.1)
        self.workers.hurry()
        self.assertEqual(self.second.signals, ["TERM"])
        self.reactor.advance(0.1)
        self.assertEqual(self.second.signals, ["TERM", "KILL"])
        self.second.end(signal=9)
        self.workers.hurry()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_who_was_about_to_be_started_is_not(self) -> None:
        """One that was about to be started is not."""
        self.first.end(signal=9)
        stopped = self.workers.stop()
        self.second.end()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_who_has_just_died_is_no_error(self) -> None:
        """A worker that has died is waited for, though its output was not yet read to the end."""
        self.second.reaped = True
        stopped = self.workers.stop()
        self.first.end()
        self.assertNoResult(stopped)
        self.second.end()
        self.successResultOf(stopped)


class ReloadTests(WorkersTestCase):
    """The effect of SIGHUP."""

    def test_all_are_told(self) -> None:
        """All are told which files to reload, those that are starting too."""
        self.first.say(Serving())
        self.assertTrue(self.workers.renew("certificate", lambda: True))
        for process in self.reactor.processes:
            self.assertEqual(process.orders, [Reload("certificate")])

    def test_settings_go_with_it(self) -> None:
        """Settings are not read by the workers: they get the parent's."""
        self.first.say(Serving())
        self.assertTrue(self.workers.renew("settings", lambda: True))
        for process in self.reactor.processes:
            self.assertEqual(process.orders, [Reload("settings", SETTINGS)])

    def test_what_is_no_good_is_not_passed_on(self) -> None:
        """Settings that are invalid for the parent are not passed on."""
        self.assertFalse(self.workers.renew("certificate", lambda: False))
        self.assertEqual([process.orders for process in self.reactor.processes], [[], []])


class MessagesTests(SynchronousTestCase):
    """The words of the pipes."""

    def test_settings_arrive_as_they_were(self) -> None:
        """Settings arrive as they were sent, whatever is in them."""
        start = Start(SETTINGS, {"listeners.site[0]": 4}, "info")
        line = encode(start)
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(decode_start(line), start)

    def test_a_message_of_the_other_direction_is_refused(self) -> None:
        """A message of the other direction is refused."""
        self.assertRaises(msgspec.ValidationError, decode_order, encode(Serving()))
