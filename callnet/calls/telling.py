"""The messages about a call, derived from its record: for a device, and for the caller who waits for its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import ceil, inf

from callnet.calls.records import Active, CallRecord, CallState, Over, Ringing
from callnet.calls.transaction import first_party, has_pulled, other_in
from callnet.frames import base
from callnet.model import Accepted, DeviceAddress, Failed, Outcome, Reason, Refused, RoomId, Withdrawn, is_guest

_TO_OTHERS = {
    Reason.REFUSED: Reason.REFUSED_ELSEWHERE,
    Reason.OFFLINE: Reason.EXPIRED,
    Reason.UNAVAILABLE: Reason.EXPIRED,
}
"""The reasons that ``calling_be_hangup`` replaces by other ones."""
_CLOCKS_DIFFER = 0.1
"""Seconds by which the clocks of two nodes may differ; a difference this small is no further second of ringing."""


def outcome_of(call: CallRecord) -> Outcome | None:
    """The outcome of a call for its caller; ``None`` while it rings."""
    state: CallState = call.state
    if type(state) is Ringing:
        return None
    answered = state.was if type(state) is Over else state
    if type(answered) is Active:
        return Accepted(call.room_for(call.caller) if call.aliases else call.room, answered.callee)
    return _outcome_of_ringing(call, state) if type(state) is Over else None


def _outcome_of_ringing(call: CallRecord, end: Over) -> Outcome:
    if end.reason in base.REFUSALS:
        return Refused(call.room_for(call.caller), call.target, end.reason)
    if end.reason is Reason.CANCELLED:
        # A caller that others took for gone may still be connected, to a node that they could not reach.
        return Failed(call.target, Reason.UNAVAILABLE) if end.by is None else Withdrawn()
    return Failed(call.target, end.reason)


def answer(outcome: Outcome) -> base.CallSuccess | base.CallRefuse | base.CallFailed | None:
    """The answer to a caller for an outcome (§2.1)."""
    if isinstance(outcome, Accepted):
        room, callee = outcome.room, outcome.callee
        return base.CallSuccess(callee.phone, callee.device_id, room, base.PAGE_OF + room)
    if isinstance(outcome, Refused):
        return base.CallRefuse(outcome.target.phone, outcome.target.device_id, outcome.room, outcome.reason)
    return base.call_failed(outcome.target, outcome.reason) if isinstance(outcome, Failed) else None


def notification_for(
    call: CallRecord, device: DeviceAddress, now: float, ring_time: float, goes_on: bool = False
) -> base.Message | None:
    """The message to ``device`` about ``call`` in its current state, if any.

    A caller hears the outcome as the answer to its request; this is for everyone else, for changes after the outcome,
    and for a caller that is back.

    :param goes_on: the device was told on its connection that the call is live. If it has ended it itself, it did so
        before, and the store had lost that.
    """
    state: CallState = call.state
    room = call.room_for(device) if call.aliases else call.room
    if type(state) is Ringing:
        rings_until = call.placed_at + ring_time
        if device not in state.devices and device in call.targets and is_guest(call.caller.phone):
            return base.CallingBeHangup(*call.caller, room, Reason.REPLACED)
        if device not in state.devices or now >= rings_until:
            return None
        left = max(ceil(rings_until - now - _CLOCKS_DIFFER), 1)
        return base.Called(call.caller.phone, call.caller.device_id, room, left, base.PAGE_OF + room)
    answered = state.was if type(state) is Over else state
    if type(answered) is Active and device not in (call.caller, answered.callee):
        reason = ending_reason(call, device)
    elif type(state) is Active:
        return answer(Accepted(room, _known_party(call, answered, device))) if is_owed_success(call, device) else None
    elif type(answered) is Ringing and device == call.caller:
        return answer(_outcome_of_ringing(call, state))
    elif (device == state.by and not goes_on) or (type(answered) is Ringing and answered.awaited_until is not None):
        return None
    else:
        reason = _TO_OTHERS.get(state.reason, state.reason)
    fire = _known_party(call, answered, device)
    return base.CallingBeHangup(fire.phone, fire.device_id, room, reason)


def _known_party(call: CallRecord, state: Ringing | Active, device: DeviceAddress) -> DeviceAddress:
    """The other party, by its name for ``device``: for a base client it does not move."""
    if type(state) is Active and state.original_parties is not None and device not in call.extended:
        return first_party(call, device)
    return other_in(call, state, device)


def is_owed_success(call: CallRecord, device: DeviceAddress) -> bool:
    """Return whether a party of an active call is owed ``call_success``, though it may have accepted the call."""
    answered = call.answer
    return device == call.caller or (answered is not None and answered.by_calling) or has_pulled(call, device)


def ending_reason(call: CallRecord, device: DeviceAddress) -> Reason:
    """The reason of a call's end for ``device``, in the terms of ``calling_be_hangup`` (§2.3)."""
    if device in call.transferred_from:
        return Reason.MOVED
    if _lost_fork(call, device):
        return Reason.ANSWERED_ELSEWHERE
    end = call.end
    if end is None and call.answer is None:
        return Reason.REPLACED  # it still rings others; this device left it by placing a call
    if end is None:
        return Reason.MOVED  # it has taken the call over, and so has another device, while nodes were apart
    return _TO_OTHERS.get(end.reason, end.reason)


def began_at(call: CallRecord) -> float:
    """The time of a call's answer, or of its placing if there was none."""
    return call.placed_at if call.answer is None else max(call.placed_at, call.answer.since)


def end_effective_at(call: CallRecord, device: DeviceAddress) -> float | None:
    """The time of the decision to end ``call`` for ``device``; ``None`` if there is nothing to tell it."""
    answered, end = call.answer, call.end
    if answered is not None and device in answered.transferred_from:
        return answered.moved_at
    if answered is not None and _lost_fork(call, device):
        return answered.since
    if end is None or device == end.by:
        return None
    if isinstance(end.was, Ringing):
        # A device that was awaited until the end never heard that it was to ring.
        silent = end.reason is Reason.CANCELLED if device == call.caller else end.was.awaited_until is not None
        if silent:
            return None
    return end.at


def _lost_fork(call: CallRecord, device: DeviceAddress) -> bool:
    answered = call.answer
    return answered is not None and device != answered.callee and device in call.targets


def newest_two(
    known: Callable[[RoomId], CallRecord | None], device: DeviceAddress, named: Iterable[RoomId]
) -> tuple[RoomId | None, RoomId | None]:
    """The newest two of these calls, the device's current one first: an active one before a held or ringing one."""
    rooms = sorted(set(named), key=lambda room: _newness(known(room), device, room))
    newest, second, *_ = (*reversed(rooms), None, None)
    return newest, second


def _newness(call: CallRecord | None, device: DeviceAddress, room: RoomId) -> tuple[int, float, RoomId]:
    if call is None:
        return 0, -inf, room
    is_in = device in call.parties
    rank = int(is_in)
    if is_in and isinstance(call.state, Active):
        rank = 2 if device in call.state.held_by else 3
    return rank, end_effective_at(call, device) or call.placed_at, room
