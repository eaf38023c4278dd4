"""When a certificate is ordered by ACME."""

from __future__ import annotations

import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.acme.renewal import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    LOOK_EVERY,
    TIME_LIMIT,
    AcmeFolder,
    OrderFailed,
    Renewal,
    due,
    environment,
    order,
)
from callnet.config.schema import AcmeSettings
from callnet.ops.certificates import Pair, sign, to_pem

NAME: Final = "callnet.example.org"
START: Final = datetime(2026, 3, 1, tzinfo=UTC)
LIFETIME: Final = timedelta(days=825)
"""Of what :func:`sign` makes, from the day before on."""
DAY: Final = 86400.0


class DueTests(SynchronousTestCase):
    """The time of a renewal."""

    def test_none(self) -> None:
        """Without a certificate it is now."""
        self.assertEqual(START, due(None, [NAME], START))

    def test_third(self) -> None:
        """It is when a third of the lifetime is left."""
        pair = sign([NAME], [], START)
        self.assertEqual(START - timedelta(days=1) + LIFETIME * 2 / 3, due(pair, [NAME], START))

    def test_names(self) -> None:
        """A certificate that lacks a name is renewed now; their order means nothing, nor does one more."""
        pair = sign([NAME, "www.example.org"], [], START)
        for names in (["www.example.org", NAME], [NAME]):
            self.assertLess(START, due(pair, names, START))
        for names in ([NAME, "other.example.org"], [NAME, "www.example.org", "other.example.org"]):
            self.assertEqual(START, due(pair, names, START))


class RenewalTests(SynchronousTestCase):
    """The orders of one process."""

    def setUp(self) -> None:
        """Nothing has been ordered yet."""
        state_dir = self.mktemp()
        os.mkdir(state_dir)
        self.clock = Clock()
        self.folder = AcmeFolder(state_dir, "https://acme.example.org/")
        self.folder.make()
        self.orders: list[Deferred[str]] = []
        self.ordered = 0
        self.outcomes: Counter[str] = Counter()
        self.random = 1.0
        self.renewal = Renewal(
            self.folder,
            [NAME],
            self.order,
            self.taken_up,
            self.outcomes,
            self.clock,
            self.now,
            lambda: self.random,
        )
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.renewal.stop)

    def now(self) -> datetime:
        """The time of day."""
        return START + timedelta(seconds=self.clock.seconds())

    def order(self) -> Deferred[str]:
        """Order one."""
        self.orders.append(Deferred())
        return self.orders[-1]

    def taken_up(self) -> None:
        """There is a new one."""
        self.ordered += 1

    def have(self, pair: Pair) -> None:
        """Let there be this one."""
        self.folder.write(self.folder.certificate, to_pem(pair))

    def answer(self) -> None:
        """The authority signs."""
        self.have(sign([NAME], [], self.now()))
        self.orders[-1].callback("")

    def refuse(self) -> None:
        """It does not."""
        self.orders[-1].errback(OrderFailed("the authority refused: rateLimited: too many"))

    def pass_by(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.pump([LOOK_EVERY] * int(seconds // LOOK_EVERY))

    def test_first(self) -> None:
        """Without a certificate one is ordered at the start, and taken up when it is there."""
        self.renewal.start()
        self.assertEqual((1, 0), (len(self.orders), self.ordered))
        self.answer()
        self.assertEqual(1, self.ordered)
        self.pass_by(DAY)
        self.assertEqual(1, len(self.orders))
        self.assertEqual({"done": 1}, self.outcomes)

    def test_renewed(self) -> None:
        """It is renewed when a third of its lifetime is left, and not before."""
        self.have(sign([NAME], [], START))
        self.renewal.start()
        self.clock.advance((LIFETIME * 2 / 3 - timedelta(days=1)).total_seconds() - 1)
        self.assertEqual([], self.orders)
        self.pass_by(2 * LOOK_EVERY)
        self.answer()
        self.pass_by(2 * DAY)
        self.assertEqual((1, 1), (len(self.orders), self.ordered))

    def test_warning(self) -> None:
        """A warning with a new certificate is logged, and is no failure."""
        self.renewal.start()
        self.have(sign([NAME], [], self.now()))
        with capturedLogs() as logs:
            self.orders[-1].callback("the authority refused the contact: invalidContact: ")
        expected = "the certificate was ordered, but the authority refused the contact: invalidContact: "
        self.assertEqual([(LogLevel.warn, expected)], [(event["log_level"], formatEvent(event)) for event in logs])
        self.assertEqual((1, {"done": 1}, ""), (self.ordered, self.outcomes, self.folder.failure))

    def test_one_at_a_time(self) -> None:
        """While an order runs there is no other, even if the operator asks for one."""
        self.renewal.start()
        self.pass_by(TIME_LIMIT)
        self.renewal.retry()
        self.assertEqual(1, len(self.orders))

    def test_pauses(self) -> None:
        """After failures it is tried again after pauses that grow from five minutes to a day, or half of that."""
        for self.random in (1.0, 0.0):
            self.orders.clear()
            self.renewal.retry()
            self.renewal.start()
            last, pauses = self.clock.seconds(), []
            for count in range(1, 14):
                self.refuse()
                while len(self.orders) == count:
                    self.pass_by(LOOK_EVERY)
                pauses.append(self.clock.seconds() - last)
                last = self.clock.seconds()
            whole = [min(LONGEST_PAUSE, FIRST_PAUSE * 2**number) for number in range(13)]
            for pause, most in zip(pauses, whole, strict=True):
                self.assertLess(abs(pause - most * (1 + self.random) / 2), 2 * LOOK_EVERY)
            self.answer()
            self.folder.certificate.unlink()
            self.renewal.stop()

    def test_failure(self) -> None:
        """A failure is logged, counted and kept for `callnet doctor`, until there is a certificate."""
        self.renewal.start()
        self.refuse()
        self.assertEqual("the authority refused: rateLimited: too many", self.folder.failure)
        self.pass_by(FIRST_PAUSE)
        self.answer()
        self.assertEqual("", self.folder.failure)
        self.assertEqual({"done": 1, "failed": 1}, self.outcomes)

    def test_failed_before(self) -> None:
        """A process that is started again and again after a failure orders no more often for that."""
        self.folder.failure = "the authority refused"
        self.clock.advance((self.folder.failed_at - START).total_seconds() + 10)
        self.renewal.start()
        self.pass_by(FIRST_PAUSE - 2 * LOOK_EVERY)
        self.assertEqual([], self.orders)
        self.pass_by(2 * LOOK_EVERY)
        self.assertEqual(1, len(self.orders))

    def test_many_failures(self) -> None:
        """It goes on for ever, also if the operator asks a thousand times."""
        self.renewal.start()
        with capturedLogs():
            for _ in range(1100):
                self.refuse()
                self.renewal.retry()
        self.assertEqual(1101, len(self.orders))

    def test_unexpected(self) -> None:
        """An error of whoever takes the certificate up is logged, and it is looked at again later."""
        self.ordered = cast(Any, None)
        self.renewal.start()
        self.answer()
        self.assertEqual(1, len(self.flushLoggedErrors(TypeError)))
        self.ordered = 0
        self.folder.certificate.unlink()
        self.pass_by(FIRST_PAUSE + LOOK_EVERY)
        self.assertEqual(2, len(self.orders))

    def test_retry(self) -> None:
        """The operator can have it tried again at once; if there is nothing to do nothing is done."""
        self.renewal.start()
        self.refuse()
        self.assertTrue(self.renewal.retry())
        self.assertEqual(2, len(self.orders))
        self.answer()
        self.renewal.retry()
        self.assertEqual(2, len(self.orders))

    def test_short_lived(self) -> None:
        """A certificate that is due at once is not ordered again and again."""
        self.renewal.start()
        self.orders[-1].callback("")
        self.pass_by(FIRST_PAUSE - LOOK_EVERY)
        self.assertEqual(1, len(self.orders))
        self.pass_by(2 * LOOK_EVERY)
        self.assertEqual(2, len(self.orders))

    def test_stopped(self) -> None:
        """At a stop a running order is given up, and is no failure."""
        self.renewal.start()
        self.successResultOf(self.renewal.stop())
        self.assertEqual({}, self.outcomes)


class FullReactor(MemoryReactorClock):
    """The reactor of a system that starts no more processes."""

    def spawnProcess(self, *_: Any, **__: Any) -> Any:
        """Start none."""
        raise OSError(11, "Resource temporarily unavailable")


class OrderTests(SynchronousTestCase):
    """The program that orders."""

    def test_environment(self) -> None:
        """It learns no secret that callnet has from the environment, and does not speak to systemd."""
        own = {"CALLNET_SIGNING_KEY": "k", "NOTIFY_SOCKET": "/s", "https_proxy": "p", "PATH": "/bin"}
        self.assertEqual({"https_proxy": "p", "PATH": "/bin"}, environment(own))

    def test_no_process(self) -> None:
        """A system that has no room for another process is a failure like others."""
        failed = self.failureResultOf(order("/nowhere", AcmeSettings(), cast(Any, FullReactor())), OrderFailed)
        self.assertEqual(
            "cannot start the program that orders it: Resource temporarily unavailable", failed.getErrorMessage()
        )
