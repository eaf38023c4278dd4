"""What is said about a call, read off its record: to a device, and to whoever waits for its outcome."""

from __future__ import annotations

from math import ceil

from msgspec import Struct

from callnet.calls.draft import has_pulled, known_party
from callnet.calls.messages import (
    Called,
    CallFailed,
    CallingBeHangup,
    CallRefuse,
    CallSuccess,
    Message,
    call_failed,
    page_path,
)
from callnet.calls.reasons import REFUSALS
from callnet.model import Accepted, DeviceAddress, Failed, Outcome, Reason, Refused, RoomId, Withdrawn
from callnet.records import CallRecord, CallState, Known

_BY_THE_CALLER = (Reason.CANCELLED,)
_TO_OTHERS = {
    Reason.REFUSED: Reason.REFUSED_ELSEWHERE,
    Reason.OFFLINE: Reason.EXPIRED,
    Reason.UNAVAILABLE: Reason.EXPIRED,
}
"""The reasons that ``calling_be_hangup`` has other words for."""
_CLOCKS_DIFFER = 0.1
"""Seconds by which two nodes may not agree on the time; so little more is no further second of ringing."""


class Missed(Struct, frozen=True):
    """What a device that is back may have missed (protocol §2.4)."""

    ended: CallRecord | None
    """The call whose ending it must be told first."""
    present: CallRecord | None
    """The call that it is in and must be told of, or whose outcome it waits for."""
    is_owed: bool = False
    """It may believe to be in the call that has ended, above all others."""
    overtaken: tuple[Known, ...] = ()
    """Ends that it need not be told any more, since a newer one is."""


def outcome_of(call: CallRecord) -> Outcome | None:
    """How a call came out for its caller; ``None`` while it rings."""
    if call.callee is not None:
        return Accepted(call.room_for(call.caller) if call.aliases else call.room, call.callee)
    if call.state is CallState.RINGING or call.reason is None:
        return None
    if call.reason in REFUSALS:
        return Refused(call.room_for(call.caller), call.asked, call.reason)
    if call.reason in _BY_THE_CALLER:
        # A caller that others took for gone may be there still, on a node that they could not reach.
        return Failed(call.asked, Reason.UNAVAILABLE) if call.ended_by is None else Withdrawn()
    return Failed(call.asked, call.reason)


def answer(outcome: Outcome) -> CallSuccess | CallRefuse | CallFailed | None:
    """The frame that tells a caller the outcome (§2.1)."""
    match outcome:
        case Accepted(room, callee):
            return CallSuccess(callee.phone, callee.device_id, room, page_path(room))
        case Refused(room, asked, reason):
            return CallRefuse(asked.phone, asked.device_id, room, reason)
        case Failed(asked, reason):
            return call_failed(asked, reason)
        case Withdrawn():
            return None


def be_hangup(fire: DeviceAddress, room: str, reason: Reason) -> CallingBeHangup:
    """The frame that stops the ringing and ends calls (§2.3); ``fire``: the other party."""
    return CallingBeHangup(fire.phone, fire.device_id, room, reason)


def news(call: CallRecord, device: DeviceAddress, now: float, ring_time: float) -> Message | None:
    """What ``device`` is told of ``call`` as it stands, if anything.

    A caller hears the outcome by its waiter; this is for everyone else, for what comes after the
    outcome, and for a caller that is back.
    """
    if device in call.left:
        return be_hangup(known_party(call, device), call.room_for(device), Reason.MOVED)
    if call.state is CallState.RINGING:
        rings = device in call.ringing and now < call.placed_at + ring_time
        room = call.room_for(device) if call.aliases else call.room
        return _called(call, room, now, ring_time) if rings else None
    if call.state is CallState.ACTIVE and not _lost_fork(call, device):
        if not is_owed_success(call, device):
            return None
        return answer(Accepted(call.room_for(device), known_party(call, device)))
    if device == call.caller and call.callee is None:
        outcome = outcome_of(call)
        return None if outcome is None else answer(outcome)
    if decided_at(call, device) is None:
        return None
    room = call.room_for(device) if call.aliases else call.room
    return be_hangup(known_party(call, device), room, ending_reason(call, device))


def is_owed_success(call: CallRecord, device: DeviceAddress) -> bool:
    """Tell whether a party of an active call is told so by ``call_success``, though it may have accepted it."""
    return device == call.caller or call.answered_by_calling or has_pulled(call, device)


def ending_reason(call: CallRecord, device: DeviceAddress) -> Reason:
    """Why a call is over for ``device``, in the words of ``calling_be_hangup`` (§2.3)."""
    if device in call.left:
        return Reason.MOVED
    if _lost_fork(call, device):
        return Reason.ANSWERED_ELSEWHERE
    if call.reason is None:
        return Reason.REPLACED  # it still rings others; this device left it by calling someone
    return _TO_OTHERS.get(call.reason, call.reason)


def decided_at(call: CallRecord, device: DeviceAddress) -> float | None:
    """When it was decided what ends ``call`` for ``device``; ``None`` if there is nothing to tell it."""
    if device in call.left:
        return call.moved_at
    if _lost_fork(call, device):
        return call.answered_at
    if call.state is not CallState.OVER or device == call.ended_by:
        return None
    if call.callee is None:
        # A device that was waited for until the end never heard that it was to ring.
        silent = call.reason in _BY_THE_CALLER if device == call.caller else call.awaited_until is not None
        if silent:
            return None
    return call.ended_at


def told_from(call: CallRecord, device: DeviceAddress) -> float | None:
    """When it was decided what :func:`news` says of ``call``; ``None`` if it says nothing that must be heard."""
    if call.state is not CallState.ACTIVE or device in call.left:
        return decided_at(call, device)
    return call.moved_at if has_pulled(call, device) else call.answered_at


def _lost_fork(call: CallRecord, device: DeviceAddress) -> bool:
    return call.callee is not None and device != call.callee and device in call.rung


def _called(call: CallRecord, room: RoomId, now: float, ring_time: float) -> Called:
    left = max(ceil(call.placed_at + ring_time - now - _CLOCKS_DIFFER), 1)
    return Called(call.caller.phone, call.caller.device_id, room, left, page_path(room))
