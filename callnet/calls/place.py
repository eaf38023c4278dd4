"""Placing a call: the seven steps in which a ``call`` is judged (protocol §2.4).

Of step 1 ``self`` and ``unavailable`` are here.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from callnet.calls.draft import Draft, other_party
from callnet.calls.events import Place, RangInVain, Unreachable
from callnet.calls.moves import accept, leave_for_another
from callnet.calls.times import SECOND_TAP
from callnet.errors import Unavailable
from callnet.model import (
    EVERY_DEVICE,
    Accepted,
    DeviceAddress,
    Failed,
    Outcome,
    Reason,
    RoomId,
    Withdrawn,
    alias_of,
)
from callnet.records import CallRecord, CallState, DeviceRecord


class Ringing(Struct, frozen=True):
    """The reply to a call that rings: its outcome is to be waited for."""

    room: RoomId
    asleep: tuple[DeviceAddress, ...] = ()
    """Those who are to be woken."""


UNREACHED: Final = frozenset({Reason.OFFLINE, Reason.BUSY})
"""Why a call rings nobody that somebody wanted to make."""


def unreached(caller: DeviceAddress, asked: DeviceAddress, room: RoomId, reason: Reason, now: float) -> CallRecord:
    """The record of a call that rang nobody, for the history alone."""
    return CallRecord(
        room, 0, CallState.OVER, caller, asked, (), (), placed_at=now, due=None, reason=reason, ended_at=now
    )


def place(draft: Draft, event: Place) -> Outcome | Ringing:
    """Judge a call, in the order of §2.4; ``unavailable`` is judged where it is known that it makes a difference.

    :raises callnet.errors.Unavailable: only other nodes know whether the target has a socket.
    """
    caller = draft.device(event.caller)
    if caller is None:
        return Failed(event.target, Reason.UNAVAILABLE)
    if caller.generation > event.generation:
        return Withdrawn()
    if event.target == event.caller:
        return Failed(event.target, Reason.SELF)
    own = draft.call_of(event.caller, caller)
    outcome = None if own is None else _meet(draft, own, event)
    if outcome is not None:
        return outcome
    if not draft.complete:
        _require_known(draft, event.target)
    if own is not None:
        leave_for_another(draft, own, event.caller)
        caller = draft.put_device(caller, room=None)
    rung = _free_devices(draft, event)
    if isinstance(rung, Reason):
        again = _call_again(draft, caller, own, event) if rung is Reason.OFFLINE else None
        return again or Failed(event.target, rung)
    return _ring(draft, caller, rung, event, None)


def rang_in_vain(draft: Draft, event: RangInVain) -> None:
    """Ring those again who could not be told."""
    call = draft.call(event.room)
    if call is not None and call.state is CallState.RINGING and call.version == event.version:
        draft.tell(draft.put_call(call), *call.ringing)


def unreachable(draft: Draft, event: Unreachable) -> None:
    """End a call for which nobody can be rung."""
    call = draft.call(event.room)
    if call is not None and call.state is CallState.RINGING and call.version == event.version:
        draft.tell(draft.end(call, Reason.UNAVAILABLE), call.caller, *call.ringing)


def _require_known(draft: Draft, target: DeviceAddress) -> None:
    known = (device for device in draft.devices_of(target.phone) if target.covers(device.address))
    if not any(device.connected or device.can_be_woken for device in known):
        raise Unavailable("only other nodes know this phone")


def _meet(draft: Draft, own: CallRecord, event: Place) -> Outcome | None:
    """Steps 2 and 3: the call concerns the one that its sender is in already."""
    caller, target = event.caller, event.target
    if own.state is CallState.RINGING:
        if own.caller == caller:
            return Withdrawn() if own.asked == target else None
        if target.covers(own.caller):
            accept(draft, own, caller, by_calling=True, extended=event.extended)
            return Accepted(own.room_for(caller), own.caller)
        return None
    other = other_party(own, caller)
    tapped_twice = own.answered_at is not None and draft.now - own.answered_at <= SECOND_TAP
    return Accepted(own.room_for(caller), other) if tapped_twice and target.covers(other) else None


def _free_devices(draft: Draft, event: Place) -> list[DeviceRecord] | Reason:
    """Steps 5 to 7: the devices to ring, which may sleep, or why there is none."""
    if event.target.device_id != EVERY_DEVICE:
        device = draft.device(event.target)
        if device is None or not draft.may_call(event.caller.phone, device, event.date):
            return Reason.OFFLINE
        if draft.call_of(event.target, device) is not None:
            return Reason.BUSY
        return [device] if device.connected or device.can_be_woken else Reason.OFFLINE
    others = (device for device in draft.devices_of(event.target.phone) if device.address != event.caller)
    allowed = (device for device in others if draft.may_call(event.caller.phone, device, event.date))
    there = [device for device in allowed if device.connected or device.can_be_woken]
    free = [device for device in there if draft.call_of(device.address, device) is None]
    return free or (Reason.BUSY if there else Reason.OFFLINE)


def _call_again(draft: Draft, caller: DeviceRecord, own: CallRecord | None, event: Place) -> Ringing | None:
    """Step 7, call again after a drop: the other party of the call just replaced is waited for in its grace."""
    if own is None or own.state is not CallState.ACTIVE:
        return None
    other = draft.device(other_party(own, event.caller))
    if other is None or other.lost_at is None or not event.target.covers(other.address):
        return None
    if not draft.may_call(event.caller.phone, other, event.date):
        return None
    grace_ends = other.lost_at + draft.settings.grace
    return _ring(draft, caller, [other], event, grace_ends) if grace_ends > draft.now else None


def _ring(
    draft: Draft, caller: DeviceRecord, rung: list[DeviceRecord], event: Place, awaited_until: float | None
) -> Ringing:
    addresses: tuple[DeviceAddress, ...] = tuple(device.address for device in rung)
    # An alias that other nodes cannot look up would have a page there wait in a room made up by hand.
    has_aliases = len(addresses) > 1 and not draft.alone
    call = draft.put_call(
        CallRecord(
            room=event.room,
            version=0,
            state=CallState.RINGING,
            caller=event.caller,
            asked=event.target,
            rung=addresses,
            ringing=addresses,
            placed_at=draft.now,
            due=None,
            awaited_until=awaited_until,
            extended=(event.caller,) if event.extended else (),
            aliases=tuple((device, alias_of(event.secret, number)) for number, device in enumerate(addresses))
            if has_aliases
            else (),
        )
    )
    for device in (caller, *rung):
        draft.put_device(device, room=event.room, previous=device.room)
    draft.tell(call, *addresses)
    return Ringing(event.room, tuple(device.address for device in rung if device.can_be_woken))
