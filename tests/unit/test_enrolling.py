"""Devices that log in at once are looked up and written together, and for some time not again."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sqlalchemy import event
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts, enrolling
from callnet.storage.contacts import Account
from callnet.storage.enrolling import Enrolled, SqlAccounts
from tests.support import migrated

_P = ParamSpec("_P")
_T = TypeVar("_T")

TV = DeviceAddress("13600000002", "tv")
MANY = [DeviceAddress(f"136{number:08d}", device) for number in range(1000) for device in ("tv", "pad")]
OFFER = b"o" * 32


class Later:
    """The thread of a database, which does one thing when the test says so."""

    def __init__(self) -> None:
        self.steps: list[Callable[[], object]] = []
        self.troubles: list[Exception] = []
        """The errors of the next steps, which may have been done all the same."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """See :class:`callnet.storage.database.Run`."""
        done: Deferred[_T] = Deferred()
        self.steps.append(lambda: self._end(maybeDeferred(function, *args, **kwargs), done))
        return done

    def _end(self, outcome: Deferred[_T], done: Deferred[_T]) -> None:
        if self.troubles:
            outcome.addErrback(lambda _: None)
            done.errback(Failure(self.troubles.pop(0)))
        else:
            outcome.chainDeferred(done)

    def step(self) -> None:
        """Do the next thing."""
        self.steps.pop(0)()


class EnrollingTests(SynchronousTestCase):
    """A database in memory that takes its time."""

    def setUp(self) -> None:
        """An empty database."""
        self.database = migrated.in_memory()
        self.addCleanup(self.database.close)
        self.later, self.clock = Later(), Clock()
        self.accounts = SqlAccounts(self.database, self.later, self.clock)
        self.statements: list[str] = []
        event.listen(self.database._engine, "before_cursor_execute", lambda *args: self.statements.append(args[2]))

    def enrol(self, *addresses: DeviceAddress) -> list[Deferred[Enrolled]]:
        """Have devices log in."""
        return [self.accounts.enrol(address, OFFER) for address in addresses]

    def test_together(self) -> None:
        """However many ask while the database is at work: some hundreds of them are one transaction."""
        asked = self.enrol(TV, *MANY)
        steps = 0
        while self.later.steps:
            self.later.step()
            steps += 1
        for one in asked:
            self.successResultOf(one)
        self.assertEqual(5, steps)
        self.assertLessEqual(len([text for text in self.statements if text.startswith("BEGIN")]), 5)
        self.assertEqual(1000, len(contacts.accounts(self.database)))

    def test_nothing_is_held(self) -> None:
        """When everybody has been answered nothing is kept of the requests, or of the changes meanwhile."""
        self.enrol(TV, *MANY[:3])
        self.accounts.forget([TV.phone])
        while self.later.steps:
            self.later.step()
        for held in (self.accounts._waiting, self.accounts._asked, self.accounts._changed):
            self.assertEqual(0, len(held))

    def test_same(self) -> None:
        """A device that asks many times at once is looked up once, or once more if the first time was under way."""
        asked = self.enrol(*[TV] * 20)
        self.later.step()
        self.successResultOf(asked.pop(0))
        self.assertNoResult(asked[0])
        self.later.step()
        self.assertEqual([], self.later.steps)
        for one in asked:
            self.successResultOf(one)
        self.assertEqual([Account(TV.phone, 1)], contacts.accounts(self.database))

    def test_away(self) -> None:
        """If the database is away every waiting device is told so, and the next one asks again."""
        asked = self.enrol(*MANY[:3])
        self.later.troubles.append(Unavailable("away"))
        self.later.step()
        for one in asked:
            self.failureResultOf(one, Unavailable)
        self.assertEqual([], self.later.steps)
        again = self.accounts.enrol(MANY[0], OFFER)
        self.later.step()
        self.successResultOf(again)

    def test_away_for_one_device(self) -> None:
        """So is everyone who waits for the same device, whether it was being looked up already or not."""
        asked = self.enrol(*[TV] * 5)
        self.later.troubles.append(Unavailable("away"))
        self.later.step()
        for one in asked:
            self.failureResultOf(one, Unavailable)

    def test_one_that_cannot_be_written(self) -> None:
        """An error of one of them is not reported to the others."""
        first, *asked = self.enrol(*MANY[:4])
        self.later.step()
        self.successResultOf(first)
        self.later.troubles += [ValueError("one of them"), ValueError("this one")]
        for _ in range(4):
            self.later.step()
        self.failureResultOf(asked.pop(0), ValueError)
        for one in asked:
            self.successResultOf(one)
        self.assertEqual([], self.later.steps)

    def test_known(self) -> None:
        """An enrolled device is known for five minutes, but not if nobody knows whether it was recorded."""
        self.later.troubles.append(Unavailable("away"))
        self.enrol(TV)[0].addErrback(lambda _: None)
        self.later.step()
        self.enrol(TV)
        self.later.step()
        self.clock.advance(299)
        self.successResultOf(self.accounts.enrol(TV, OFFER))
        self.assertEqual([], self.later.steps)
        self.clock.advance(1)
        self.assertNoResult(self.accounts.enrol(TV, OFFER))

    def test_not_too_many(self) -> None:
        """The number of remembered devices is limited: the newest."""
        self.patch(enrolling, "_KNOWN", 10)
        self.enrol(*MANY[:12])
        while self.later.steps:
            self.later.step()
        for known in MANY[2:12]:
            self.successResultOf(self.accounts.enrol(known, OFFER))
        self.assertNoResult(self.accounts.enrol(MANY[1], OFFER))
