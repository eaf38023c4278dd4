"""Dates of moments on a clock that is never set."""

from __future__ import annotations

from msgspec.structs import replace
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.records import CallRecord, Changes, Over, Ringing
from callnet.calls.transitions import unreached
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.store.ended import dated
from callnet.store.memory import Dates, MemoryCallStore

ANN, TV = DeviceAddress("13651884967", "phone"), DeviceAddress("13800138000", "tv")


def call(placed_at: float) -> CallRecord[Over]:
    """A failed call."""
    return unreached(ANN, TV, RoomId("0" * 32), Reason.OFFLINE, placed_at)


class DatesTests(SynchronousTestCase):
    """The wall clock is set while the other goes on."""

    def setUp(self) -> None:
        """Begin some time after the machine was started."""
        self.steady = Clock()
        self.steady.advance(50)
        self.ahead = 1_800_000_000.0
        self.dates = Dates(self.steady.seconds, self.wall)

    def wall(self) -> float:
        """The time."""
        return self.ahead + self.steady.seconds()

    def test_set(self) -> None:
        """A moment before the clock was set has the date that it would have had by the clock as it is now."""
        self.assertEqual(1_800_000_020.0, self.dates.of(20))
        self.ahead += 3600
        self.assertEqual(1_800_003_620.0, self.dates.of(20))

    def test_read_late(self) -> None:
        """A few milliseconds between the readings of two clocks do not change a date."""
        self.ahead += 0.05
        self.assertEqual(1_800_000_020.0, self.dates.of(20))

    def test_ended_call(self) -> None:
        """An ended call is recorded by the clock as it is then."""
        store = MemoryCallStore(self.steady, self.wall)
        store.failed(call(30.0))
        self.ahead -= 3 * 86400
        (ended,) = self.successResultOf(store.ended.take(10))
        self.assertEqual(dated(call(30.0), store.date_of(0.0)), ended.call)
        end = ended.call.end
        self.assertEqual((1_799_740_830.0,) * 2, (ended.call.placed_at, end and end.at))
        self.assertEqual(50.0, store.now())

    def test_goes_on(self) -> None:
        """A call is written down when it is over, not before."""
        store = MemoryCallStore(self.steady, self.wall)
        ended = call(30.0)
        store.try_commit(Changes(calls=[replace(ended, version=1, state=Ringing((TV,)))]))
        self.assertEqual([], self.successResultOf(store.ended.take(10)))
        store.try_commit(Changes(calls=[replace(ended, version=2)]))
        self.assertEqual([ended.room], [one.call.room for one in self.successResultOf(store.ended.take(10))])
