"""The roster of extended devices is read for several at once, and later if the database is away."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.roster import AGAIN, GATHERED, WRITTEN_LATE, CachedRoster
from callnet.calls.ports import Roster
from callnet.errors import Unavailable
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress, RoomId
from callnet.storage.history import SqlRoster
from tests.support.people_case import ANN, TV

NOTHING = Roster(frozenset(), ())
A_CALL = Roster(frozenset(), [MissedCall(RoomId("0" * 32), *TV, ANN.device_id, 90.0)], 95.0)


class Records(SqlRoster):
    """A database that is there, or answers later, or is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.late: Deferred[None] = succeed(None)
        self.answer = NOTHING
        self.met_at: list[dict[DeviceAddress, float]] = []
        self.wrote: list[dict[DeviceAddress, float]] = []

    def met(self, devices: Mapping[DeviceAddress, float]) -> Deferred[Mapping[DeviceAddress, Roster]]:
        """See :meth:`SqlRoster.met`."""
        self.met_at.append(dict(devices))
        if self.is_away:
            return fail(Unavailable("away"))
        answer = dict.fromkeys(devices, self.answer)
        answered: Deferred[Mapping[DeviceAddress, Roster]] = Deferred()
        self.late.addCallback(lambda _: answered.callback(answer))
        return answered

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:
        """See :meth:`SqlRoster.contacts_of`."""
        return succeed(frozenset([phone]))

    def heard(self, devices: Mapping[DeviceAddress, float]) -> Deferred[None]:
        """See :meth:`SqlRoster.heard`."""
        if self.is_away:
            return fail(Unavailable("away"))
        self.wrote.append(dict(devices))
        return succeed(None)


class CompanyTests(SynchronousTestCase):
    """Devices come and go."""

    def setUp(self) -> None:
        """Nobody is there."""
        self.clock, self.records = Clock(), Records()
        self.clock.advance(100.0)
        self.roster = CachedRoster(self.records, self.clock, self.clock.seconds)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def test_together(self) -> None:
        """Those who come in one turn are looked up together, and those who come meanwhile after that."""
        self.records.late = Deferred()
        asked = [self.roster.came(ANN), self.roster.came(TV)]
        self.clock.advance(0)
        later = self.roster.came(DeviceAddress(ANN.phone, "later"))
        self.records.late.callback(None)
        self.clock.advance(0)
        self.assertEqual([NOTHING] * 3, [self.successResultOf(each) for each in (*asked, later)])
        self.assertEqual(2, len(self.records.met_at))

    def test_away(self) -> None:
        """While the database is away they wait; a device that leaves meanwhile counts as seen, and is told nothing."""
        self.records.is_away = True
        ann, tv = self.roster.came(ANN), self.roster.came(TV)
        self.clock.advance(0)
        self.roster.went(TV)
        self.records.is_away = False
        self.clock.advance(AGAIN)
        self.assertEqual(NOTHING, self.successResultOf(ann))
        self.assertNoResult(tv)
        self.assertEqual(({ANN: 100.0, TV: 100.0}, []), (self.records.met_at[-1], self.records.wrote))

    def test_late(self) -> None:
        """A device counts as seen when it came first, however late it is looked up: calls since then it has missed."""
        self.records.late = Deferred()
        self.roster.came(ANN)
        self.clock.advance(0)
        self.roster.came(TV)
        self.clock.advance(2.0)
        self.roster.went(TV)
        self.clock.advance(2.0)
        told = self.roster.came(TV)
        self.records.late.callback(None)
        self.assertEqual(NOTHING, self.successResultOf(told))
        self.assertEqual([{ANN: 100.0}, {TV: 100.0}], self.records.met_at)

    def test_comes_again(self) -> None:
        """A lookup does not count if the device has come again since: in between it may have missed a call."""
        self.records.late = Deferred()
        self.roster.came(TV)
        self.clock.advance(0)
        self.roster.went(TV)
        told = self.roster.came(TV)
        late, self.records.late, self.records.answer = self.records.late, succeed(None), A_CALL
        late.callback(None)
        self.assertEqual(A_CALL, self.successResultOf(told))
        self.assertEqual([{TV: A_CALL.missed_until}], self.records.wrote)

    def test_order(self) -> None:
        """A device that comes again while it waits is looked up after those that have come once."""
        for device in (ANN, TV, ANN):
            self.roster.came(device)
        self.clock.advance(0)
        self.assertEqual([[TV, ANN]], [list(each) for each in self.records.met_at])

    def test_leaving(self) -> None:
        """A leaving device is recorded with those that leave soon after, or before its next lookup if it comes back."""
        self.roster.went(ANN)
        self.roster.went(TV)
        self.clock.advance(GATHERED / 2)
        self.roster.came(ANN)
        self.assertEqual([], self.records.wrote)
        self.clock.advance(0)
        heard = {ANN: 100.0 - WRITTEN_LATE, TV: 100.0 - WRITTEN_LATE}
        came = {ANN: 100.0 + GATHERED / 2}
        self.assertEqual(([heard], [came]), (self.records.wrote, self.records.met_at))

    def test_told(self) -> None:
        """A device that was told of missed calls has heard of them, and one that left before the answer has not."""
        self.records.answer, self.records.late = A_CALL, Deferred()
        ann, tv = self.roster.came(ANN), self.roster.came(TV)
        self.clock.advance(0)
        self.roster.went(TV)
        self.records.late.callback(None)
        self.assertEqual(A_CALL, self.successResultOf(ann))
        self.assertNoResult(tv)
        self.assertEqual([{ANN: A_CALL.missed_until}], self.records.wrote)

    def test_stopping(self) -> None:
        """At a stop those who have left are recorded."""
        self.roster.went(ANN)
        self.successResultOf(self.roster.stop())
        self.assertEqual([{ANN: 100.0 - WRITTEN_LATE}], self.records.wrote)

    def test_stopping_while_away(self) -> None:
        """If that cannot be, it is not waited for."""
        self.records.is_away = True
        self.roster.went(ANN)
        self.successResultOf(self.roster.stop())
        self.assertEqual([], self.records.wrote)

    def test_contacts(self) -> None:
        """Lists are asked for at once."""
        self.assertEqual(frozenset([ANN.phone]), self.successResultOf(self.roster.contacts_of(ANN.phone)))
