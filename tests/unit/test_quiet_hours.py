"""Hours in which a phone does not ring."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.preferences import DAY, TIME_ZONE_MAX, QuietHours, time_zone

BERLIN = "Europe/Berlin"
ZONES = ("UTC", BERLIN, "Asia/Shanghai", "America/St_Johns", "Australia/Lord_Howe")


def at(zone: str, text: str) -> float:
    """A moment, by the clocks there."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


class QuietHoursTests(SynchronousTestCase):
    """They are by the clocks of the place."""

    def test_over_midnight(self) -> None:
        """From evening until morning; the first minute is quiet, the last named one is not."""
        night = QuietHours(22 * 60 + 30, 7 * 60, BERLIN)
        for time, quiet in (
            ("22:29:59", False),
            ("22:30:00", True),
            ("23:59:59", True),
            ("00:00:00", True),
            ("06:59:59", True),
            ("07:00:00", False),
            ("12:00:00", False),
        ):
            self.assertEqual(quiet, night.cover(at(BERLIN, f"2026-11-25T{time}")), time)

    def test_within_a_day(self) -> None:
        """From noon until two."""
        nap = QuietHours(12 * 60, 14 * 60, "Asia/Shanghai")
        for time, quiet in (("11:59", False), ("12:00", True), ("13:59", True), ("14:00", False), ("00:00", False)):
            self.assertEqual(quiet, nap.cover(at("Asia/Shanghai", f"2026-11-25T{time}")), time)

    def test_summer_time(self) -> None:
        """Seven o'clock is seven o'clock, in summer and in winter."""
        night = QuietHours(22 * 60, 7 * 60, BERLIN)
        for day in ("2026-07-01", "2026-12-01", "2026-03-29", "2026-10-25"):
            self.assertTrue(night.cover(at(BERLIN, f"{day}T06:59")), day)
            self.assertFalse(night.cover(at(BERLIN, f"{day}T07:00")), day)

    def test_whole_day(self) -> None:
        """From a time to the same time is always."""
        for minute in (0, 1, DAY - 1):
            for hour in range(24):
                self.assertTrue(QuietHours(minute, minute, "UTC").cover(hour * 3600.0))

    @given(st.integers(0, DAY - 1), st.integers(0, DAY - 1), st.sampled_from(ZONES), st.integers(0, 2**32))
    def test_the_rest_of_the_day(self, begins: int, ends: int, zone: str, now: int) -> None:
        """Each moment is in exactly one of two parts that make up the day."""
        if begins != ends:
            parts = QuietHours(begins, ends, zone), QuietHours(ends, begins, zone)
            self.assertEqual(1, sum(part.cover(now) for part in parts))

    def test_unknown_zone(self) -> None:
        """A time zone that is not known (any more) is taken for UTC: no call fails for it."""
        for name in ("Nowhere/Else", "", "/etc/passwd", "../UTC", "Europe", "x\0", "\ud800", "x" * 5000):
            self.assertTrue(QuietHours(60, 61, name).cover(3600.0))
            self.assertFalse(QuietHours(60, 61, name).cover(3660.0))

    @given(st.text(max_size=TIME_ZONE_MAX + 5))
    def test_any_name(self, name: str) -> None:
        """Whatever a name is, it is a time zone or none."""
        time_zone(name)
