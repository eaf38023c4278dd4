"""One timer for whatever comes first."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.util.timers import EarliestTimer


class AlarmTests(SynchronousTestCase):
    """It goes off once, at the earliest of the times that it was set to."""

    def setUp(self) -> None:
        """Nothing is set."""
        self.clock = Clock()
        self.rings: list[float] = []
        self.alarm = EarliestTimer(self.clock, lambda: self.rings.append(self.clock.seconds()))

    def test_earliest(self) -> None:
        """The earliest of several times counts, in whatever order they came; then it is unset."""
        for pause in (3.0, 1.0, 2.0):
            self.alarm.set_in(pause)
        self.clock.pump([0.5] * 10)
        self.assertEqual(([1.0], []), (self.rings, self.clock.getDelayedCalls()))

    def test_again(self) -> None:
        """It may be set again, also when it goes off."""

        def ring() -> None:
            self.rings.append(self.clock.seconds())
            alarm.set_in(2.0)

        alarm = EarliestTimer(self.clock, ring)
        alarm.set_in(1.0)
        self.clock.pump([0.5] * 11)
        self.assertEqual([1.0, 3.0, 5.0], self.rings)

    def test_unset(self) -> None:
        """An unset alarm does not go off, and can be set again; unsetting it twice does nothing."""
        self.alarm.unset()
        self.alarm.set_in(1.0)
        self.alarm.unset()
        self.assertEqual([], self.clock.getDelayedCalls())
        self.alarm.set_in(2.0)
        self.clock.advance(2.0)
        self.assertEqual([2.0], self.rings)

    def test_stop(self) -> None:
        """A stopped alarm never goes off again, whatever it is set to."""
        self.alarm.set_in(1.0)
        self.alarm.stop()
        self.alarm.set_in(1.0)
        self.assertEqual([], self.clock.getDelayedCalls())
