"""The index of due records."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.store.tables import DueIndex

Step = tuple[float, str, float | None]

STEPS = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.25, 1.0, 7.3, 500.0)),
        st.sampled_from("abcd"),
        st.none() | st.floats(-3.0, 600.0, width=32),
    ),
    max_size=40,
)
"""Steps: the time that passes, and a key with its time from then on in seconds (negative: it is late already)."""


class DueIndexTests(SynchronousTestCase):
    """Keys are named when their time has come, and until it is changed."""

    @settings(max_examples=300)
    @given(STEPS, st.sampled_from((0.0, 1.5, 1.7e9)))
    def test_like_a_plain_table(self, steps: list[Step], start: float) -> None:
        """Whatever is due is named, each time it is asked for, and nothing else."""
        index: DueIndex[str] = DueIndex()
        plain: dict[str, float | None] = {}
        now = start
        for later, key, delay in steps:
            now += later
            due = None if delay is None else max(now + delay, 0.0)
            index.move(key, plain.get(key), due)
            plain[key] = due
            self.check(index, plain, now)
        for later in (1.0, 300.0, 1000.0):
            self.check(index, plain, now + later)

    def check(self, index: DueIndex[str], plain: dict[str, float | None], now: float) -> None:
        """Assert that the index names the records of the table, once each."""
        named = index.until(now)
        self.assertEqual(len(named), len(set(named)))
        for key, due in plain.items():
            if due is not None and due <= now:
                self.assertIn(key, named)
            else:
                self.assertNotIn(key, named)

    def test_nothing_remains(self) -> None:
        """A key that is never due again leaves nothing behind, whether it was named or not."""
        index: DueIndex[str] = DueIndex()
        index.move("a", None, 5.0)
        index.move("b", None, 50.0)
        self.assertEqual(["a"], index.until(10.0))
        index.move("a", 5.0, None)
        index.move("b", 50.0, None)
        self.assertEqual({}, index._buckets)

    def test_key_that_was_not_there(self) -> None:
        """Moving a key from where it is not is the same as adding it."""
        index: DueIndex[str] = DueIndex()
        index.move("a", 3.0, 4.0)
        self.assertEqual(["a"], index.until(4.0))
