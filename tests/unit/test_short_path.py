"""The short paths of a whole server: they save time, and nothing else is different."""

from __future__ import annotations

from hypothesis import given, settings
from twisted.trial.unittest import SynchronousTestCase

from tests.support.streams import Step, play, streams


class ShortPathTests(SynchronousTestCase):
    """Two servers; one leaves everything to its libraries."""

    @settings(max_examples=300, deadline=None)
    @given(streams)
    def test_no_difference(self, steps: list[Step]) -> None:
        """Whatever two devices and two pages send, the same happens and the same bytes leave."""
        self.assertEqual(play(steps, short=False), play(steps, short=True))
