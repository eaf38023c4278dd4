"""Quiet hours: the silent part of each day for a phone."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

TIME_ZONE_MAX: Final = 64
"""The maximum length of a time zone's name, in characters."""
_STEADY: Final = 15 * 60
"""Seconds in which the UTC offset of a zone is constant: clocks change only at multiples of it."""
DAY: Final = 24 * 60
"""Minutes."""
TIME: Final = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
"""A time of the day, as a regular expression for a full match, in Python and in JSON Schema alike."""


class QuietHours(Struct, frozen=True, gc=False, array_like=True):
    """Quiet hours of each day."""

    begins: int
    """The first quiet minute of the day, from 0 to 1439, in local time."""
    ends: int
    """The first one after it that is not quiet; the same as ``begins``: it is always quiet."""
    time_zone: str
    """The IANA name of the zone. An unknown one counts as UTC."""

    def cover(self, now: float) -> bool:
        """Return whether it is quiet at a moment, in seconds since 1970."""
        second = int(now)
        since_begin = (second // 60 + _minutes_ahead(self.time_zone, second // _STEADY) - self.begins) % DAY
        return since_begin < ((self.ends - self.begins) % DAY or DAY)

    def fields(self) -> dict[str, str]:
        """The fields of ``do_not_disturb`` (protocol §1)."""
        return {"from": _time_of(self.begins), "to": _time_of(self.ends), "time_zone": self.time_zone}


def minute_of(time: str) -> int:
    """The minute of the day at a :data:`TIME`."""
    hours, _, minutes = time.partition(":")
    return int(hours) * 60 + int(minutes)


def _time_of(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


@lru_cache(1024)
def _minutes_ahead(zone: str, quarter: int) -> int:
    """The UTC offset of a zone in minutes, in a quarter of an hour counted from 1970."""
    there = datetime.fromtimestamp(quarter * _STEADY, time_zone(zone) or UTC)
    offset = there.utcoffset()
    return 0 if offset is None else int(offset.total_seconds()) // 60


def time_zone(name: str) -> tzinfo | None:
    """The time zone of an IANA name, if this machine knows it."""
    if len(name) > TIME_ZONE_MAX:
        return None
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, LookupError):  # zoneinfo's errors for a folder, a path and an unknown name
        return None
