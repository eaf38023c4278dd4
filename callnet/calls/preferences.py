"""The preferences of a phone's owner: permitted callers, quiet hours, and the announcement of calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from callnet.model import DeviceAddress, is_guest

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


IN_RECORDS_MAX: Final = 16
"""Phones that a policy may name and still be stored in each device's record. A longer one is kept once for its phone.
"""
KEPT_ONCE: Final = frozenset([""])
"""``only`` of the policy in a device's record, if the policy of its phone is kept once. No phone has this number: a
node of the previous release, which knows the record alone, admits no calls to the device."""


class QuietExceptions(Struct, frozen=True, gc=False, array_like=True):
    """The exceptions from quiet hours."""

    rings_through: frozenset[str] = frozenset()
    """Phones that may call at any time."""
    second_call_rings: bool = False
    """Each phone may call again (:data:`SECOND_CALL_WITHIN`)."""


SECOND_CALL_AFTER: Final = 2.0
"""Seconds after a call that was turned away in which another one is the same, such as a button pressed twice."""
SECOND_CALL_WITHIN: Final = 180.0
"""Seconds after it in which another one is a second call."""


class Policy(Struct, frozen=True, gc=False, array_like=True):
    """The policy of a phone: its permitted callers, beside its own devices, and its devices that can be woken."""

    blocked: frozenset[str] = frozenset()
    """Blocked phones."""
    only: frozenset[str] | None = None
    """The only phones that may call; ``None``: all others may."""
    quiet: QuietHours | None = None
    """Hours in which no phone may call."""
    wakes: frozenset[str] = frozenset()
    """The ids of its devices that can be woken: they can be called without a socket."""
    quiet_until: float | None = None
    """The time before which no phone may call, in seconds since 1970."""
    exceptions: QuietExceptions | None = None
    """Exceptions from quiet hours. One field: a device's record must stay short."""

    @property
    def is_kept_once(self) -> bool:
        """True if it is too long for the records of devices."""
        through = () if self.exceptions is None else self.exceptions.rings_through
        return len(self.blocked) + len(self.only or ()) + len(through) > IN_RECORDS_MAX

    def in_record_of(self, device_id: str) -> Policy:
        """The part of the policy for the record of a device: all of it if it is short.

        Of the devices that can be woken the record names only its own device.
        """
        wakes = self.wakes & {device_id}
        if self.is_kept_once:
            return Policy(only=KEPT_ONCE, wakes=wakes)
        return self if wakes == self.wakes else replace(self, wakes=wakes)

    def allows(self, phone: str, date: float) -> bool:
        """Return whether a phone may call at a date, in seconds since 1970."""
        rings_through = self.exceptions is not None and phone in self.exceptions.rings_through
        return self.admits(phone) and (rings_through or not self.is_quiet(date))

    def is_quiet(self, date: float) -> bool:
        """Return whether there are quiet hours at a date, in seconds since 1970."""
        return date < (self.quiet_until or 0.0) or (self.quiet is not None and self.quiet.cover(date))

    def allows_again(self, phone: str) -> bool:
        """Return whether a second call of a phone rings at any time."""
        return self.exceptions is not None and self.exceptions.second_call_rings and self.admits(phone)

    def admits(self, phone: str) -> bool:
        """Return whether a phone may call at some time."""
        return phone not in self.blocked and (self.only is None or phone in self.only)


ANYONE: Final = Policy()
NOBODY: Final = Policy(only=frozenset())
"""The policy of a phone whose own policy is unknown."""


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(dict[str, str]).decode


class Preferences(Struct, frozen=True, weakref=True):
    """The policy of a phone, and the announcement of allowed calls to its devices."""

    policy: Policy = ANYONE
    auto_answer: frozenset[str] = frozenset()
    """Phones whose calls its devices may answer automatically."""
    names: bytes = b""
    """Names of other phones, as JSON: there is one copy for each connected device. A link has the phone that its guests
    have in common (:func:`callnet.model.phone_of_link`)."""

    def name_of(self, phone: str) -> str:
        """The owner's name for a phone, or the empty string."""
        return _decode(self.names).get(phone, "") if self.names else ""

    def name_of_caller(self, caller: DeviceAddress) -> str:
        """The name of a caller: what a guest calls itself, or the owner's name for the phone, or the empty string."""
        return caller.device_id if is_guest(caller.phone) else self.name_of(caller.phone)


PLAIN: Final = Preferences()
"""The preferences of nearly all phones."""
UNREADABLE: Final = Preferences(NOBODY)
"""The preferences of a phone while they cannot be read."""


def encode_names(names: Mapping[str, str]) -> bytes:
    """Encode :attr:`Preferences.names`."""
    return _encode(names) if names else b""
