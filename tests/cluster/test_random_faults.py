"""Nobody is left wrong, whatever goes wrong: devices at random, which hold calls, and nodes that die and come back."""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness.redis_server import shared
from tests.cluster.random_faults import Crowd

WORLDS: Final = 40


class RandomFaultsTests(SynchronousTestCase):
    """Three nodes and eight devices in simulated time."""

    def test_nobody_is_left_wrong(self) -> None:
        """Half a minute after the last fault every device believes that it is in the calls in which it is."""
        for seed in range(WORLDS):
            crowd = Crowd(shared("redis"), seed)
            self.addCleanup(crowd.world.close)
            self.assertEqual([], crowd.run(), seed)
