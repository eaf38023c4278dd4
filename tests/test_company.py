"""What extended devices are told of others is looked up together, and later if the database is away."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.accounts.company import AGAIN, GATHERED, KnownCompany
from callnet.errors import Unavailable
from callnet.interfaces import Company, ICompanyRecords
from callnet.model import DeviceAddress
from tests.people_case import ANN, TV

NOTHING = Company(frozenset(), ())


@implementer(ICompanyRecords)
class Records:
    """A database that is there, or answers later, or is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.late: Deferred[None] = succeed(None)
        self.asked: list[list[DeviceAddress]] = []
        self.wrote: list[dict[DeviceAddress, float]] = []

    def met(self, devices: Collection[DeviceAddress], now: float) -> Deferred[Mapping[DeviceAddress, Company]]:  # noqa: ARG002
        """See :meth:`ICompanyRecords.met`."""
        self.asked.append(list(devices))
        if self.is_away:
            return fail(Unavailable("away"))
        answer = dict.fromkeys(devices, NOTHING)
        answered: Deferred[Mapping[DeviceAddress, Company]] = Deferred()
        self.late.addCallback(lambda _: answered.callback(answer))
        return answered

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:
        """See :meth:`ICompanyRecords.contacts_of`."""
        return succeed(frozenset([phone]))

    def left(self, devices: Mapping[DeviceAddress, float]) -> Deferred[None]:
        """See :meth:`ICompanyRecords.left`."""
        if self.is_away:
            return fail(Unavailable("away"))
        self.wrote.append(dict(devices))
        return succeed(None)


class CompanyTests(SynchronousTestCase):
    """Devices come and go."""

    def setUp(self) -> None:
        """Nobody is there."""
        self.clock, self.records = Clock(), Records()
        self.company = KnownCompany(self.records, self.clock, self.clock.seconds)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def test_together(self) -> None:
        """Those who come in one turn are looked up together, and those who come meanwhile after that."""
        self.records.late = Deferred()
        asked = [self.company.came(ANN), self.company.came(TV)]
        self.clock.advance(0)
        later = self.company.came(DeviceAddress(ANN.phone, "later"))
        self.records.late.callback(None)
        self.clock.advance(0)
        self.assertEqual([NOTHING] * 3, [self.successResultOf(each) for each in (*asked, later)])
        self.assertEqual(2, len(self.records.asked))

    def test_away(self) -> None:
        """While the database is away they wait; who goes meanwhile is told nothing."""
        self.records.is_away = True
        ann, tv = self.company.came(ANN), self.company.came(TV)
        self.clock.advance(0)
        self.company.went(TV)
        self.records.is_away = False
        self.clock.advance(AGAIN)
        self.assertEqual(NOTHING, self.successResultOf(ann))
        self.assertNoResult(tv)
        self.assertEqual([{TV: 0.0}], self.records.wrote)

    def test_leaving(self) -> None:
        """Who leaves is written down with those who leave soon after, unless it comes back."""
        self.company.went(ANN)
        self.company.went(TV)
        self.clock.advance(GATHERED / 2)
        self.company.came(ANN)
        self.clock.advance(GATHERED)
        self.assertEqual([{TV: 0.0}], self.records.wrote)

    def test_stopping(self) -> None:
        """At a stop those who have left are written down."""
        self.company.went(ANN)
        self.successResultOf(self.company.stop())
        self.assertEqual([{ANN: 0.0}], self.records.wrote)

    def test_stopping_while_away(self) -> None:
        """If that cannot be, it is not waited for."""
        self.records.is_away = True
        self.company.went(ANN)
        self.successResultOf(self.company.stop())
        self.assertEqual([], self.records.wrote)

    def test_contacts(self) -> None:
        """Lists are asked for at once."""
        self.assertEqual(frozenset([ANN.phone]), self.successResultOf(self.company.contacts_of(ANN.phone)))
