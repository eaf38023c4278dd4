"""How often a daemon looks for garbage."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from callnet.operations.garbage import look_for_it_less_often


class GarbageTests(SynchronousTestCase):
    """What Python is told."""

    def test_less_often(self) -> None:
        """It looks less often than it would by itself, and does not cease to."""
        before = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *before)
        gc.set_threshold(700, 10, 10)
        look_for_it_less_often()
        self.assertTrue(all(0 < default < now for default, now in zip((700, 10, 10), gc.get_threshold(), strict=True)))
        self.assertTrue(gc.isenabled())
