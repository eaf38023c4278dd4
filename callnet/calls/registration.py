"""The registration of a device: its node, its socket's state, and the policy of its phone. Pure.

A device is unknown, connected, lost, or asleep. While it is lost its call waits for it, for the grace period; then it
is forgotten, or falls asleep if it can be woken: a call to it rings as if it were connected (protocol §1,
``/devices/push``).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.machine import happen
from callnet.calls.records import Active, CallRecord, DeviceRecord, Known
from callnet.calls.telling import began_at, end_effective_at, is_owed_success, newest_two
from callnet.calls.transaction import REMEMBERED, Transaction, has_pulled
from callnet.calls.transitions import leave_second, require_complete
from callnet.model import DeviceAddress, Reason

NOWHERE: Final = ""
"""The node of a device that is asleep, or that no node has announced yet."""
_AT_ONCE: Final = 0.1
"""Seconds in which a connection is normally registered: until then it is the youngest."""


class Attached(Struct, frozen=True):
    """The reply to a new connection: its generation, and the first messages (§2.4)."""

    generation: int
    ended: CallRecord | None
    """The call whose end it must be told first, since it may have missed it."""
    current: CallRecord | None
    """The call that it is in and must be told of, or whose outcome it waits for."""
    known: tuple[Known, ...]
    """The outcomes of its calls that the device has shown to know, or need not be told any more: a newer one is."""
    present: tuple[CallRecord, ...] = ()
    """The current call and the held one, for an extended client ..."""
    of_phone: tuple[CallRecord, ...] = ()
    """... and the active ones of the other devices of its phone."""


class Overtaken(Struct, frozen=True):
    """The reply to a connection with a delayed registration: a younger one has been registered first."""


def connected(tx: Transaction, event: events.Connected) -> Attached | Overtaken:
    """Register a connection, if it is the device's youngest, and find its first messages."""
    old = tx.device(event.device)
    is_late = tx.now - event.opened_at > _AT_ONCE
    if old is not None and old.connected and is_late and old.generation > max(event.opened_at * 1000, event.tried):
        return Overtaken()
    if old is None:  # what only other nodes know of it may follow from its calls with devices of this one
        rooms = (None, None) if tx.records.complete else newest_two(tx.call, event.device, tx.rooms_with(event.device))
        old = DeviceRecord(event.device, 0, event.node, 0, False, None, None, *rooms)
    policy = event.policy.in_record_of(event.device.device_id)
    tx.keep_policy(event.device.phone, event.policy)
    known = tx.resolve(event.known) if event.known is not None else () if old.connected else old.known
    tx.require_unchanged(old.rooms)
    generation = tx.next_generation(old.generation, event.opened_at)
    there = {"node": event.node, "connected": True, "unheard": None, "lost_at": None, "known": ()}
    new = tx.put_device(old, generation=generation, policy=policy, call_waiting=event.call_waiting, **there)
    if old.connected or old.node not in (event.node, NOWHERE):
        tx.displace(old, new)  # a node must learn, too, that a device which left it is not lost
    leave_second(tx, old, held=not event.extended)
    ended, current, overtaken = _missed(tx, old, known)
    for call in tx.calls_of(new):
        happen(tx, call, events.DeviceBack(event.device, event.extended))
    attached = Attached(generation, ended, current, (*known, *overtaken))
    if not event.extended:
        return attached
    present, of_phone = seen_by(tx, event.device)
    return replace(attached, present=present, of_phone=of_phone)


def seen_by(tx: Transaction, device: DeviceAddress) -> tuple[tuple[CallRecord, ...], tuple[CallRecord, ...]]:
    """The calls of an extended device, and the active ones of the other devices of its phone.

    A second call that rings is left out: the device is told of it by ``called``.
    """
    own = tx.calls_of(tx.device(device))
    others = [tx.calls_of(one) for one in tx.devices_of(device.phone) if one.address != device]
    of_phone = tuple(call for calls in others for call in calls if isinstance(call.state, Active))
    return tuple(call for call in own if call is own[0] or isinstance(call.state, Active)), of_phone


def _missed(
    tx: Transaction, device: DeviceRecord, known: tuple[Known, ...]
) -> tuple[CallRecord | None, CallRecord | None, list[Known]]:
    """The newest possibly missed end, the present call if the device must be told of it, and older ends (§2.4)."""
    address, present = device.address, tx.call_of(device.address)
    if present is not None and isinstance(present.state, Active):
        return None, present if _may_not_know_answer(tx, present, address, known) else None, []
    calls = list(filter(None, map(tx.call, reversed(device.rooms))))
    placed = max((call for call in calls if call.caller == address), key=lambda call: call.placed_at, default=None)
    endings = []
    for call in calls:
        moment = end_effective_at(call, address)
        if moment is None or moment <= tx.now - REMEMBERED or Known(call.room, True) in known:
            continue
        if placed is None or call is placed or not _was_left(call, placed, moment):
            endings.append((moment, call))
    if not endings:
        return None, present, []
    *older, (_, newest) = sorted(endings, key=lambda ending: ending[0])
    return newest, present, [Known(call.room, True) for _, call in older]


def _was_left(call: CallRecord, placed: CallRecord, moment: float) -> bool:
    """Return whether a device left a call for its last placed one, and needs no further news of it.

    :param moment: the time of the decision that ended the call. It counts for nothing if the call was replaced by the
        other one, which may be found out much later.
    """
    is_replaced = call.end is not None and call.end.reason is Reason.REPLACED
    return moment <= placed.placed_at or (is_replaced and began_at(call) < placed.placed_at)


def _may_not_know_answer(tx: Transaction, call: CallRecord, device: DeviceAddress, known: tuple[Known, ...]) -> bool:
    """Return whether a party of an active call must be told of the answer, since it may have missed it."""
    answer = call.answer
    began = None if answer is None else answer.moved_at if has_pulled(call, device) else answer.since
    is_new = began is not None and began > tx.now - REMEMBERED
    return is_new and is_owed_success(call, device) and call.room not in (one.room for one in known)


def disconnected(tx: Transaction, event: events.Disconnected) -> None:
    """Mark a device as lost if its newest connection has closed."""
    device = tx.device(event.device)
    if device is not None and device.connected and device.generation == event.generation:
        known = tuple(one for one in tx.resolve(event.known) if one.room in device.rooms)
        tx.put_device(device, connected=False, lost_at=min(event.at, tx.now), known=known)
        _happen_to(tx, device, events.LostDevice(event.device))


def due(tx: Transaction, event: events.DeviceDue) -> None:
    """End the call of a device after its grace period; then forget the device, or let it sleep.

    A node on its own keeps it: it could announce neither later, and looks at the device again in a while.
    """
    device = tx.device(event.device)
    if device is None or device.due is None or device.due > tx.now:
        return
    if device.lost_at is not None and device.lost_at + tx.settings.grace > tx.now:
        tx.put_device(device)  # its node is dead, and its loss has not been recorded yet
        _happen_to(tx, device, events.LostDevice(event.device))
        return
    for call in tx.calls_of(device):
        happen(tx, call, events.GraceOver(event.device))
    if tx.records.alone or any(map(tx.call, device.rooms)):
        tx.put_device(device)
    elif device.can_be_woken:
        nothing = {"unheard": None, "lost_at": None, "room": None, "previous_room": None, "due": None, "known": ()}
        tx.put_device(device, node=NOWHERE, **nothing)  # it falls asleep
    else:
        tx.forget(device)


def revoke(tx: Transaction, event: events.Revoked) -> None:
    """Remove devices with revoked tokens from their calls."""
    for device in tx.devices_of(event.device.phone):
        is_meant = not device.connected if event.generation is None else device.generation == event.generation
        if is_meant and event.device.covers(device.address):
            _happen_to(tx, device, events.LostToken(device.address))


def _happen_to(tx: Transaction, device: DeviceRecord, event: events.LostDevice | events.LostToken) -> None:
    """Apply an event to the calls of a device, which leaves a second one that rings."""
    leave_second(tx, device, held=False)
    for call in tx.calls_of(device):
        happen(tx, call, event)


def sleep(tx: Transaction, event: events.Sleeps) -> None:
    """Record an unknown device as asleep.

    :raises callnet.errors.Unavailable: the records are incomplete.
    """
    if tx.device(event.device) is None:
        require_complete(tx)  # another node may have it
        policy = event.policy.in_record_of(event.device.device_id)
        tx.put_device(DeviceRecord(event.device, 0, NOWHERE, 0, connected=False, policy=policy))
        tx.keep_policy(event.device.phone, event.policy)


def change_policy(tx: Transaction, event: events.PolicyChanged) -> None:
    """Apply a changed policy of a phone."""
    devices = tx.devices_of(event.device.phone)
    if not devices:
        require_complete(tx)  # one may be asleep
    for device in devices:
        if tx.records.policy_of(device) != event.policy:
            tx.keep_policy(event.device.phone, event.policy)
        policy = event.policy.in_record_of(device.address.device_id)
        if device.policy == policy:
            continue
        changed = tx.put_device(device, policy=policy)
        is_asleep = not device.connected and device.lost_at is None
        if is_asleep and not changed.can_be_woken and tx.call_of(device.address) is None:
            tx.put_device(changed, lost_at=tx.now)  # it is forgotten soon
