"""When a record must be looked at again: every deadline of the protocol, read off the records."""

from __future__ import annotations

from typing import Final

from callnet.calls.records import Active, CallRecord, CallState, DeviceRecord, Ringing, SeatsRecord
from callnet.config.schema import CallSettings

REMEMBERED: Final = 120.0
"""How long a call that is over is remembered, in seconds (protocol §2.3)."""

KNOWN_AFTER: Final = 2.0
"""What a device was told that many seconds before anything is received from it, it knows (§2.4)."""

OLD_END_AFTER: Final = 1.0
"""Seconds after it has connected at which a base device is sent an old end, unless it has placed a call (§2.4)."""

SECOND_TAP: Final = 2.0
"""Calling the other party again so soon after the accept is an impatient second tap (§2.4)."""

SEAT_KEPT: Final = 10.0
"""How long an empty seat is kept for its key (docs/room.md)."""

SEAT_PASSES: Final = 10.0
"""For so long after a device has taken a call over, in seconds, its page may have the seat of the one that left."""

BOTH_SEATS_EMPTY: Final = 30.0
"""A call whose seats have been empty that long is abandoned (§2.4)."""

ONE_SEAT_EMPTY: Final = 120.0
"""A call of which one of two seats has been empty that long is abandoned (§2.4)."""


def call_due(state: CallState, placed_at: float, seats: SeatsRecord | None, settings: CallSettings) -> float:
    """When something must happen to a call in ``state`` by itself."""
    if isinstance(state, Ringing):
        rings_until = placed_at + settings.ring_time
        return rings_until if state.awaited_until is None else min(rings_until, state.awaited_until)
    if isinstance(state, Active):
        limit = settings.longest
        if settings.unseated_limit and seats is None and not state.signalled:
            limit = min(limit, settings.unseated_limit)
        return state.since + limit
    return state.at + REMEMBERED


def unseated_at(state: Active, seats: SeatsRecord | None, settings: CallSettings) -> float | None:
    """When an active call is abandoned because nobody came to its room, if it ever is."""
    if state.signalled or seats is not None or not settings.unseated_limit:
        return None
    return state.since + settings.unseated_limit


def device_due(device: DeviceRecord, in_call: bool, now: float, settings: CallSettings) -> float | None:
    """When a device that is gone loses its call, or is looked at to be forgotten, which is not urgent."""
    if device.lost_at is None:
        return None
    grace_ends = device.lost_at + settings.grace
    return grace_ends if in_call and grace_ends > now else max(grace_ends, now + REMEMBERED / 2)


def seats_due(seats: SeatsRecord, call: CallRecord | None) -> float | None:
    """When the seats of a room must be looked at: to give one up, or to end a call that was left."""
    if call is None:
        emptied = [seat.empty_since for seat in seats.seats if seat is not None and seat.empty_since is not None]
        return min(emptied) + SEAT_KEPT if emptied else None
    return abandoned_at(seats, call.state) if isinstance(call.state, Active) else None


def abandoned_at(seats: SeatsRecord, call: Active) -> float | None:
    """When an active call is over because its seats are empty (§2.4), if they are."""
    taken = [seat for seat in seats.seats if seat is not None]
    emptied = [max(seat.empty_since, call.since) for seat in taken if seat.empty_since is not None]
    limits = []
    if taken and len(emptied) == len(taken):
        limits.append(max(emptied) + BOTH_SEATS_EMPTY)
    if len(taken) == len(seats.seats) and emptied:
        limits.append(min(emptied) + ONE_SEAT_EMPTY)
    return min(limits) if limits else None
