"""The lag of the event loop."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.app.operations import LAG_EVERY, Lag


class LagTests(SynchronousTestCase):
    """A loop that stands still now and then."""

    def test_late(self) -> None:
        """Each look counts by how much it comes late; those after it are not late because of that."""
        clock = Clock()
        lag = Lag(clock)
        lag.start()
        clock.pump([LAG_EVERY, LAG_EVERY, LAG_EVERY + 2, LAG_EVERY])
        self.assertAlmostEqual(2, lag.took.sum)
        counts = dict(lag.took.buckets())
        self.assertEqual((4, 5), (counts[0.001], counts[2.5]))

    def test_stopped(self) -> None:
        """It can be stopped."""
        clock = Clock()
        lag = Lag(clock)
        lag.start()
        self.successResultOf(lag.stop())
        self.assertEqual([], clock.getDelayedCalls())
