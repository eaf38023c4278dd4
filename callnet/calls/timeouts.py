"""The deadlines of records: every time limit of the protocol, derived from the records."""

from __future__ import annotations

from typing import Final

from callnet.calls.records import Active, CallRecord, DeviceRecord, SeatsRecord
from callnet.config.schema import CallSettings

REMEMBERED: Final = 120.0
"""Seconds for which an ended call is remembered (protocol §2.3)."""

KNOWN_AFTER: Final = 2.0
"""Seconds after which a device that is still heard from counts as knowing a message (§2.4)."""

OLD_END_AFTER: Final = 1.0
"""Seconds after it has connected at which a base device is sent an old end, unless it has placed a call (§2.4)."""

SECOND_TAP: Final = 2.0
"""Seconds after the accept in which calling the other party again is an impatient second tap (§2.4)."""

SEAT_KEPT: Final = 10.0
"""Seconds for which an empty seat is kept for its key (docs/room.md)."""

SEAT_PASSES: Final = 10.0
"""Seconds after a transfer in which the new device's page may have the seat of the one that left."""

BOTH_SEATS_EMPTY: Final = 30.0
"""Seconds after which a call with empty seats is abandoned (§2.4)."""

ONE_SEAT_EMPTY: Final = 120.0
"""Seconds after which a call with one empty seat of two is abandoned (§2.4)."""


def unseated_at(state: Active, seats: SeatsRecord | None, settings: CallSettings) -> float | None:
    """The time of an active call's abandonment because nobody came to its room, if any."""
    if state.signalled or seats is not None or not settings.unseated_limit:
        return None
    return state.since + settings.unseated_limit


def device_due(device: DeviceRecord, in_call: bool, now: float, settings: CallSettings) -> float | None:
    """The time for a lost device to lose its call, or to be forgotten, which is not urgent."""
    if device.lost_at is None:
        return None
    grace_ends = device.lost_at + settings.grace
    return grace_ends if in_call and grace_ends > now else max(grace_ends, now + REMEMBERED / 2)


def seats_due(seats: SeatsRecord, call: CallRecord | None) -> float | None:
    """The due time of a room's seats: to free one, or to end an abandoned call."""
    if call is None:
        emptied = [seat.empty_since for seat in seats.seats if seat is not None and seat.empty_since is not None]
        return min(emptied) + SEAT_KEPT if emptied else None
    return abandoned_at(seats, call.state) if isinstance(call.state, Active) else None


def abandoned_at(seats: SeatsRecord, call: Active) -> float | None:
    """The end of an active call with empty seats (§2.4), if they are empty."""
    taken = [seat for seat in seats.seats if seat is not None]
    emptied = [max(seat.empty_since, call.since) for seat in taken if seat.empty_since is not None]
    limits = []
    if taken and len(emptied) == len(taken):
        limits.append(max(emptied) + BOTH_SEATS_EMPTY)
    if len(taken) == len(seats.seats) and emptied:
        limits.append(min(emptied) + ONE_SEAT_EMPTY)
    return min(limits) if limits else None
