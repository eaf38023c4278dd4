"""The transitions of a call that is placed, by a device or by a guest: the steps 2 to 7 of protocol §2.4. Pure.

``call`` is the current call of who places it.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final, TypeGuard

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import SECOND_CALL_WITHIN
from callnet.calls.records import (
    TURNED_AWAY_MAX,
    Active,
    CallRecord,
    DeviceRecord,
    Ringing,
    TurnedAway,
    is_ringing,
    rings_for_guest,
)
from callnet.calls.transaction import SECOND_TAP, Transaction, other_in, without
from callnet.calls.transitions import Rings, accept, goes_on, leave_first, leave_second, require_complete
from callnet.model import EVERY_DEVICE, Accepted, DeviceAddress, Failed, Outcome, Reason, Withdrawn, alias_of

_address: Final = attrgetter("address")
_connected: Final = attrgetter("connected")


def free_calls(tx: Transaction, _: None, event: events.Place) -> Outcome | Rings:
    """RINGING: ``called`` to the rung devices; or ``call_failed`` to the caller."""
    rung = _free_devices(tx, event)
    return _ring(tx, rung, event) if isinstance(rung, list) else _not_free(tx, rung, event)


def ringing_calls(tx: Transaction, call: CallRecord[Ringing], event: events.Place) -> Outcome | Rings:
    """The same call again: nothing; its caller: ACTIVE; else the party leaves, and the new call begins."""
    if call.caller == event.caller:
        if call.target == event.target:
            return Withdrawn()
    elif event.target.covers(call.caller):
        caller = tx.device(event.caller)
        if caller is not None and caller.room != call.room:
            leave_first(tx, call, caller)
        accept(tx, call, Active(event.caller, tx.now, by_calling=True), event.extended)
        return Accepted(call.room_for(event.caller), call.caller)
    _go_on_to_another(tx, call, event)
    return free_calls(tx, None, event)


def active_calls(tx: Transaction, call: CallRecord[Active], event: events.Place) -> Outcome | Rings:
    """The other party again within 2 s: the same ``call_success``; else OVER ``replaced``, and the new call begins."""
    other = other_in(call, call.state, event.caller)
    if tx.now - call.state.since <= SECOND_TAP and event.target.covers(other):
        return Accepted(call.room_for(event.caller), other)
    caller = tx.device(event.caller)
    second = None if caller is None else tx.second_call_of(caller)
    if is_ringing(second) and event.target.covers(second.caller):
        return ringing_calls(tx, second, event)
    _go_on_to_another(tx, call, event)
    placed = free_calls(tx, None, event)
    if isinstance(placed, Failed) and placed.reason is Reason.OFFLINE:
        return _call_again(tx, other, event) or placed
    return placed


def _go_on_to_another(tx: Transaction, call: CallRecord, event: events.Place) -> None:
    """Step 4: the caller leaves its current call, and one that waits or is held."""
    caller = tx.device(event.caller)
    if caller is not None:
        leave_second(tx, caller)
        tx.put_device(caller, room=None)
    goes_on(tx, call, event.caller)


def _free_devices(tx: Transaction, event: events.Place) -> list[DeviceRecord] | Reason:
    """Steps 5 to 7: the devices to ring, possibly asleep, or the reason why there is none. They leave guests."""
    target = event.target
    if target.device_id != EVERY_DEVICE:
        device = tx.device(target)
        if device is None or not tx.records.may_ring(event.caller.phone, device, event.date):
            return Reason.OFFLINE
        call = tx.call_of(target, device)
        if call is not None and not _rings_for_guest(call, target):
            return Reason.BUSY
        if not (device.connected or device.can_be_woken):
            return Reason.OFFLINE
        if call is not None:
            _leave_guest(tx, call, target)
        return [device]
    others = (device for device in tx.devices_of(target.phone) if device.address != event.caller)
    allowed = (device for device in others if tx.records.may_ring(event.caller.phone, device, event.date))
    there = [device for device in allowed if device.connected or device.can_be_woken]
    free = []
    for device in there:
        call = tx.call_of(device.address, device)
        if call is None:
            free.append(device)
        elif _rings_for_guest(call, device.address):
            _leave_guest(tx, call, device.address)
            free.append(device)
    return free or (Reason.BUSY if there else Reason.OFFLINE)


def _rings_for_guest(call: CallRecord, device: DeviceAddress) -> TypeGuard[CallRecord[Ringing]]:
    """Return whether a device only rings for a guest by its call."""
    return device != call.caller and rings_for_guest(call)


def _leave_guest(tx: Transaction, call: CallRecord[Ringing], device: DeviceAddress) -> None:
    """Have a device that a guest rings ring for somebody else. The guest's call goes on: it is not told of that."""
    rang = tx.records.calls[call.room].parties
    woken = tuple([one for one in call.woken if one in rang])  # others that made way before have been told
    tx.put_call(call, replace(call.state, devices=without(call.state.devices, device)), device, woken=woken)


def _not_free(tx: Transaction, reason: Reason, event: events.Place) -> Failed | Rings:
    """``call_failed``; or, if an extended device calls, ``called`` to those in a call that can show it (§2.5)."""
    devices = tx.devices_of(event.target.phone) if reason is Reason.BUSY and event.extended else ()
    talking = [device for device in devices if event.target.covers(device.address) and _can_show(tx, device, event)]
    if not talking:
        require_complete(tx)  # the callee may be free elsewhere, or the caller in a call there, which it would leave
        if reason is Reason.OFFLINE:
            _note_turned_away(tx, event)
        return Failed(event.target, reason)
    rings = _ring(tx, talking, event)
    for before in talking:
        first, device = tx.call_of(before.address, before), tx.device(before.address)
        if first is not None and device is not None:  # it stays in its first call
            tx.put_device(device, room=first.room, previous_room=rings.room)
    return rings


def _note_turned_away(tx: Transaction, event: events.Place) -> None:
    """Note the call in the record of a device that would ring if it were not quiet, if a second call rings there."""
    phone = event.caller.phone
    for device in tx.devices_of(event.target.phone):
        is_there = event.target.covers(device.address) and (device.connected or device.can_be_woken)
        is_again = is_there and tx.records.policy_of(device).allows_again(phone)
        if is_again and not tx.records.may_call(phone, device, event.date):
            since = event.date - SECOND_CALL_WITHIN
            others = [one for one in device.turned_away if one.phone != phone and one.date > since]
            newest = (*others, TurnedAway(phone, event.date))[-TURNED_AWAY_MAX:]
            tx.put_device(device, turned_away=newest)
            return


def _can_show(tx: Transaction, device: DeviceRecord, event: events.Place) -> bool:
    if not device.call_waiting or not device.connected or device.address == event.caller:
        return False
    call = tx.call_of(device.address, device)
    is_talking = call is not None and isinstance(call.state, Active) and tx.second_call_of(device) is None
    return is_talking and tx.records.may_ring(event.caller.phone, device, event.date)


def _call_again(tx: Transaction, other: DeviceAddress, event: events.Place) -> Rings | None:
    """Step 7, call again after a drop: the other party of the call just replaced is awaited in its grace period."""
    device = tx.device(other)
    if device is None or device.lost_at is None or not event.target.covers(other):
        return None
    if not tx.records.may_ring(event.caller.phone, device, event.date):
        return None
    grace_ends = device.lost_at + tx.settings.grace
    return _ring(tx, [device], event, grace_ends) if grace_ends > tx.now else None


def _ring(tx: Transaction, rung: list[DeviceRecord], event: events.Place, awaited_until: float | None = None) -> Rings:
    room, caller = event.room, tx.device(event.caller)
    addresses = tuple(map(_address, rung))
    asleep = () if all(map(_connected, rung)) else [one.address for one in rung if one.can_be_woken]
    # A page on another node, which cannot look the alias up, would wait in a room made up by hand.
    has_aliases = len(addresses) > 1 and not tx.records.alone
    aliases = [(one, alias_of(event.secret, number)) for number, one in enumerate(addresses)] if has_aliases else ()
    speak = (event.caller,) if event.extended else ()
    call = CallRecord(room, 0, Ringing(addresses, awaited_until), event.caller, event.target, addresses, tx.now)
    tx.put_call(call, call.state, *addresses, extended=speak, aliases=tuple(aliases), woken=tuple(asleep))
    tx.put_in(room, rung if caller is None else (caller, *rung))
    return Rings(room)


# A guest calls, by a link (§1)


def free_guest_calls(tx: Transaction, _: None, event: events.PlaceAsGuest) -> Failed | Rings:
    """RINGING: ``called`` to the free devices, to none while a guest rings one; or ``call_failed`` ``busy``."""
    there = [
        device
        for device in tx.devices_of(event.target.phone)
        if device.address != event.caller
        and (device.connected or device.can_be_woken)
        and not tx.records.is_quiet(device, event.date)
    ]
    calls = [tx.call_of(device.address, device) for device in there]
    if calls and all(call is not None and isinstance(call.state, Active) for call in calls):
        return Failed(event.target, Reason.BUSY)
    free = [device for device, call in zip(there, calls, strict=True) if call is None]
    return _ring(tx, [] if any(rings_for_guest(call) for call in calls if call) else free, event)


def ringing_guest_calls(tx: Transaction, call: CallRecord[Ringing], event: events.PlaceAsGuest) -> Withdrawn:
    """Nothing: it goes on ringing."""
    return Withdrawn()


def active_guest_calls(tx: Transaction, call: CallRecord[Active], event: events.PlaceAsGuest) -> Failed | Rings:
    """OVER ``replaced``, and the new call begins."""
    _go_on_to_another(tx, call, event)
    return free_guest_calls(tx, None, event)
