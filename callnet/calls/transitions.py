"""The transitions of a call: the effect of each event in each state (protocol §2.3 to §2.5). Pure. Those of a call that
is placed are in :mod:`callnet.calls.placing`.

Each is named by its state and its event, and stands in the table of :mod:`callnet.calls.machine`. It writes the next
record into the transaction and names the devices to notify: their messages are derived from the record
(:mod:`callnet.calls.telling`), and so are its deadlines (:mod:`callnet.calls.transaction`).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.records import Active, CallRecord, DeviceRecord, Over, Ringing, S
from callnet.calls.telling import began_at, ending_reason
from callnet.calls.transaction import Transaction, can_be_held, other_in, other_party, without
from callnet.errors import Unavailable
from callnet.model import Accepted, DeviceAddress, Reason, RoomId, is_guest

UNREACHED: Final = frozenset({Reason.OFFLINE, Reason.BUSY})
"""Reasons for which a call rings no device."""


class Rings(Struct, frozen=True):
    """The reply to a ringing call: its outcome follows."""

    room: RoomId


class TooLate(Struct, frozen=True):
    """The reply to an acceptance or a takeover after the call's end for its sender (§2.3)."""

    reason: Reason


class NotYours(Struct, frozen=True):
    """The reply to a frame about a live call of other devices, or one that cannot be taken over (§2.3, §2.5)."""


class NoSuchCall(Struct, frozen=True):
    """The reply to the end of a call unknown so far."""


def unreached(
    caller: DeviceAddress, asked: DeviceAddress, room: RoomId, reason: Reason, now: float
) -> CallRecord[Over]:
    """The record of a call without any ringing, for the history alone."""
    return CallRecord(room, 0, Over(Ringing(()), reason, now), caller, asked, (), now)


# A device answers


def late(call: CallRecord, device: DeviceAddress) -> TooLate | NotYours | None:
    """The reply to a frame about a call of others; ``None`` if the sender is in it."""
    if device in call.parties:
        return None
    if isinstance(call.state, Over) or device in call.targets or device in call.transferred_from:
        return TooLate(ending_reason(call, device))
    return NotYours()


def _not_yours(call: CallRecord, device: DeviceAddress) -> NotYours | None:
    """The same for a request to end a call: the sender need not be told that it is over."""
    is_late = late(call, device)
    return is_late if isinstance(is_late, NotYours) else None


def unknown_taken(tx: Transaction, _: None, event: events.Accept | events.Resumed | events.Pulled) -> TooLate:
    """Nothing; the device is told that the call is over."""
    require_complete(tx)
    return TooLate(Reason.EXPIRED)


def unknown_named(tx: Transaction, _: None, event: events.Refuse | events.GaveUp) -> None:
    """Nothing."""
    require_complete(tx)


def require_complete(tx: Transaction) -> None:
    """Raise :class:`callnet.errors.Unavailable` if there may be a call that this node does not know."""
    if not tx.records.complete:
        raise Unavailable("call state unavailable: Redis is down")


def ringing_accepted(tx: Transaction, call: CallRecord[Ringing], event: events.Accept) -> TooLate | NotYours | None:
    """ACTIVE: ``call_success`` to the caller; other rung devices are told."""
    if event.device not in call.state.devices:
        return late(call, event.device)
    device = tx.device(event.device)
    if device is not None and device.generation > event.generation:
        return None  # it is rung on a newer connection
    if device is not None and device.room != call.room:
        leave_first(tx, call, device, hold=event.hold)
    accept(tx, call, Active(event.device, tx.now, by_itself=event.by_itself), event.extended)
    return None


def _has_moved(tx: Transaction, event: events.Accept | events.Refuse | events.HangUp | events.GaveUp) -> bool:
    """Return whether the sender has a newer connection."""
    of_phone = tx.records.devices.get(event.device.phone)
    device = None if of_phone is None else of_phone.get(event.device.device_id)
    return device is not None and device.generation > event.generation


def leave_first(tx: Transaction, second: CallRecord, device: DeviceRecord, *, hold: bool = False) -> None:
    """Let a device leave its call for the second one, or hold it."""
    first = tx.call_of(device.address, device)
    if first is not None and first.room != second.room:
        (_hold if hold else goes_on)(tx, first, device.address)
    tx.put_in(second.room, (device,))


def accept(tx: Transaction, call: CallRecord[Ringing], state: Active, extended: bool) -> None:
    """Let a call be answered. ``extended``: the callee speaks ``callnet.v2``."""
    speak = (*call.extended, state.callee) if extended else call.extended
    tx.put_call(call, state, call.caller, *filter(state.callee.__ne__, call.state.devices), extended=speak)


def answered_accepted(
    tx: Transaction, call: CallRecord[Active | Over], event: events.Accept
) -> TooLate | NotYours | None:
    """A device that is no longer in it is told so; if it rang as a second call, the first is OVER ``replaced``.

    A first one that was to be held goes on.
    """
    is_late = late(call, event.device)
    if isinstance(is_late, TooLate) and not event.hold:
        _leave_first_for(tx, call, event)
    return is_late


def _leave_first_for(tx: Transaction, second: CallRecord, event: events.Accept | events.GaveUp) -> None:
    """Let a device leave its call for a second one that it accepted and cannot have."""
    device = event.device
    first = tx.call_of(device)
    is_talking = first is not None and isinstance(first.state, Active) and device in second.targets
    if first is not None and is_talking and second.placed_at > began_at(first) and not _has_moved(tx, event):
        goes_on(tx, first, device)


def ringing_refused(tx: Transaction, call: CallRecord[Ringing], event: events.Refuse) -> NotYours | None:
    """OVER ``refused``: ``call_refuse`` to the caller; other rung devices are told."""
    if event.device not in call.state.devices:
        return _not_yours(call, event.device)
    if not _has_moved(tx, event):
        _refuse(tx, call, event.device)
    return None


def _refuse(tx: Transaction, call: CallRecord[Ringing], device: DeviceAddress) -> None:
    """Let a rung device refuse for all."""
    tx.end(call, Reason.REFUSED, call.caller, *filter(device.__ne__, call.state.devices), by=device)


def active_refused(tx: Transaction, call: CallRecord[Active], event: events.Refuse) -> NotYours | None:
    """Nothing."""
    return _not_yours(call, event.device)


def ringing_refused_by_ticket(tx: Transaction, call: CallRecord[Ringing], event: events.RefusedByTicket) -> bool:
    """OVER ``refused``: ``call_refuse`` to the caller; all rung devices are told."""
    if event.device not in call.state.devices:
        return False
    _refuse_for_all(tx, call, event.device)
    return True


def _refuse_for_all(tx: Transaction, call: CallRecord[Ringing], device: DeviceAddress) -> None:
    """Let a rung device refuse, which may not know that it has: it is told too."""
    tx.end(call, Reason.REFUSED, call.caller, *call.state.devices, by=device)


# A device leaves


def unknown_hung_up(tx: Transaction, _: None, event: events.HangUp) -> NoSuchCall:
    """Nothing; it is retried for 15 s."""
    require_complete(tx)
    return NoSuchCall()


def ringing_hung_up(tx: Transaction, call: CallRecord[Ringing], event: events.HangUp) -> NotYours | None:
    """The caller: OVER ``cancelled``, all rung devices are told; a rung device refuses."""
    if event.device not in call.parties:
        return _not_yours(call, event.device)
    (_cancel if event.device == call.caller else _refuse)(tx, call, event.device)
    if _has_moved(tx, event):
        tx.notify(call, event.device)
    return None


def _cancel(tx: Transaction, call: CallRecord[Ringing], by: DeviceAddress | None) -> None:
    """End it for its caller. That is notified too, to stop waiting, though it is sent nothing."""
    tx.end(call, Reason.CANCELLED, *call.state.devices, call.caller, by=by)


def active_hung_up(tx: Transaction, call: CallRecord[Active], event: events.HangUp) -> NotYours | None:
    """OVER ``hangup``: the other is told."""
    device, caller, callee = event.device, call.caller, call.state.callee
    if device not in (caller, callee):
        return _not_yours(call, device)
    tx.end(call, Reason.HANGUP, callee if device == caller else caller, by=device)
    if event.is_late or _has_moved(tx, event):
        tx.notify(call, device)
    return None


def free_cancels(tx: Transaction, _: None, event: events.Cancel) -> NoSuchCall | None:
    """Nothing; if the call may have been placed on a node that was apart until a moment ago, it is retried for 15 s."""
    device = tx.device(event.device)
    if device is None:
        return None
    newest = tx.call(device.room)
    is_new = tx.now - device.generation / 1000 <= tx.settings.grace
    return NoSuchCall() if is_new and (newest is None or not _is_meant(newest, event)) else None


def ringing_cancelled(tx: Transaction, call: CallRecord[Ringing], event: events.Cancel) -> None:
    """The caller: OVER ``cancelled``, all rung devices are told; a rung device refuses, and all are told."""
    if _is_meant(call, event):
        (_cancel if event.device == call.caller else _refuse_for_all)(tx, call, event.device)


def active_cancelled(tx: Transaction, call: CallRecord[Active], event: events.Cancel) -> None:
    """OVER ``hangup``: both are told."""
    if _is_meant(call, event):
        tx.end(call, Reason.HANGUP, *call.parties)


def _is_meant(call: CallRecord, event: events.Cancel) -> bool:
    """Return whether a call is the one that its party ends without naming its room."""
    return other_party(call, event.device).phone == event.phone and call.placed_at <= event.sent_at


def ringing_gave_up(tx: Transaction, call: CallRecord[Ringing], event: events.GaveUp) -> None:
    """The caller: OVER ``cancelled``; a rung device leaves, and after the last one OVER ``busy``."""
    if event.device == call.caller:
        _cancel(tx, call, event.device)
    elif event.device in call.state.devices and not _has_moved(tx, event):
        if event.has_left_first:
            _leave_first_for(tx, call, event)
        _stop_ringing(tx, call, event.device, Reason.BUSY, event.device)


def active_gave_up(tx: Transaction, call: CallRecord[Active], event: events.GaveUp) -> None:
    """OVER ``connection_lost``: both are told."""
    if event.device in call.parties:
        if not _has_moved(tx, event):
            tx.end(call, Reason.CONNECTION_LOST, *call.parties)
    elif event.has_left_first:
        _leave_first_for(tx, call, event)


def over_gave_up(tx: Transaction, call: CallRecord[Over], event: events.GaveUp) -> None:
    """If it rang as a second call, and was accepted, the first is OVER ``replaced``."""
    if event.has_left_first:
        _leave_first_for(tx, call, event)


def ringing_lost_token(tx: Transaction, call: CallRecord[Ringing], event: events.LostToken) -> None:
    """As if it had hung up."""
    (_cancel if event.device == call.caller else _refuse)(tx, call, event.device)


def active_lost_token(tx: Transaction, call: CallRecord[Active], event: events.LostToken) -> None:
    """OVER ``revoked``: the other is told."""
    tx.end(call, Reason.REVOKED, other_in(call, call.state, event.device))


def ringing_grace_over(tx: Transaction, call: CallRecord[Ringing], event: events.GraceOver) -> None:
    """The caller: OVER ``cancelled``; a rung device rings on."""
    if event.device == call.caller:
        _cancel(tx, call, None)


def active_grace_over(tx: Transaction, call: CallRecord[Active], event: events.GraceOver) -> None:
    """OVER ``connection_lost``: the other is told."""
    tx.end(call, Reason.CONNECTION_LOST, other_in(call, call.state, event.device))


def live_stopped(tx: Transaction, call: CallRecord[Ringing | Active], event: events.Stopped) -> None:
    """OVER ``shutting_down``: all are told."""
    tx.end(call, Reason.SHUTTING_DOWN, *call.parties)


def active_meeting_over(tx: Transaction, call: CallRecord[Active], event: events.MeetingOver) -> None:
    """OVER ``hangup`` or ``abandoned``: both are told."""
    tx.end(call, event.reason, *call.parties)


def goes_on(tx: Transaction, call: CallRecord[Any], device: DeviceAddress) -> None:
    """Let a party leave its call for another one."""
    state = call.state
    if isinstance(state, Active):
        tx.end(call, Reason.REPLACED, other_in(call, state, device))
    elif isinstance(state, Ringing) and device == call.caller:
        _cancel(tx, call, device)
    elif isinstance(state, Ringing):
        _stop_ringing(tx, call, device, Reason.BUSY, by=device)


def leave_second(tx: Transaction, device: DeviceRecord, *, held: bool = True) -> None:
    """Let a device that is in a call stop ringing for a second one, or leave one that it holds, unless not ``held``."""
    second = tx.second_call_of(device)
    if second is not None and (held or isinstance(second.state, Ringing)):
        goes_on(tx, second, device.address)


# A call is held


def _hold(tx: Transaction, call: CallRecord, device: DeviceAddress) -> None:
    """Let a party hold its call for another one; if it cannot be held the party leaves it, and is told so."""
    state = call.state
    if isinstance(state, Active) and can_be_held(call, device):
        held_by = (*without(state.held_by, device), device)
        tx.put_call(call, replace(state, held_by=held_by), other_in(call, state, device), device)
    else:
        goes_on(tx, call, device)
        tx.notify(call, device)


def ringing_taken(tx: Transaction, call: CallRecord[Ringing], event: events.Resumed | events.Pulled) -> NotYours:
    """Nothing; the device is told that it cannot have it."""
    return NotYours()


def answered_resumed(
    tx: Transaction, call: CallRecord[Active | Over], event: events.Resumed
) -> TooLate | NotYours | None:
    """``peer_state`` to the other, and to the other party of the device's current call, which it holds now."""
    device, before = tx.device(event.device), call.state
    if device is None or not isinstance(before, Active) or event.device not in call.parties:
        return late(call, event.device)
    if device.generation > event.generation:
        return None
    current = tx.call_of(event.device, device)
    if current is not None and current.room != call.room:
        if began_at(current) >= event.sent_at:
            return None
        _hold(tx, current, event.device)
    if device.room != call.room:
        tx.put_in(call.room, (device,))
    if event.device in before.held_by:
        state = replace(before, held_by=without(before.held_by, event.device))
        tx.put_call(call, state, other_in(call, state, event.device), event.device)
    return None


# Deadlines


def ringing_due(tx: Transaction, call: CallRecord[Ringing], event: events.CallDue) -> None:
    """OVER ``no_answer`` after 45 s, ``offline`` if a dropped party has not reconnected: all are told."""
    due = _still_due(tx, call)
    if due is not None:
        has_rung = call.placed_at + tx.settings.ring_time <= tx.now
        tx.end(due, Reason.NO_ANSWER if has_rung else Reason.OFFLINE, *call.parties)


def active_due(tx: Transaction, call: CallRecord[Active], event: events.CallDue) -> None:
    """OVER ``too_long`` after 12 h, ``abandoned`` if nobody came to its room: both are told."""
    due = _still_due(tx, call)
    if due is not None:
        has_lasted = call.state.since + tx.settings.longest <= tx.now
        tx.end(due, Reason.TOO_LONG if has_lasted else Reason.ABANDONED, *call.parties)


def _still_due(tx: Transaction, call: CallRecord) -> CallRecord | None:
    """The record of a call, if it is due. Its deadline may have changed: the settings have, or there are seats."""
    if call.due is None or call.due > tx.now:
        return None
    again = tx.put_call(call, call.state)
    return again if again.due is not None and again.due <= tx.now else None


# A device cannot be reached, or is back


def ringing_in_vain(tx: Transaction, call: CallRecord[Ringing], event: events.RangInVain) -> None:
    """They are rung once more; then OVER ``unavailable``: all are told. That of a guest goes on, and rings nobody."""
    if call.version != event.version:
        return
    if not event.is_last:
        tx.put_call(call, call.state, *call.state.devices)
    elif is_guest(call.caller.phone):
        tx.put_call(call, replace(call.state, devices=()), *call.state.devices)
    else:
        tx.end(call, Reason.UNAVAILABLE, *call.parties)


def ringing_not_woken(tx: Transaction, call: CallRecord[Ringing], event: events.NotWoken) -> None:
    """The others ring on; if there are none OVER ``offline``, unless a guest calls, or it was there when it rang."""
    device = tx.device(event.device)
    if event.device not in call.state.devices or (device is not None and _has_rung_on_socket(call, device)):
        return
    _stop_ringing(tx, replace(call, woken=without(call.woken, event.device)), event.device, Reason.OFFLINE)


def _has_rung_on_socket(call: CallRecord, device: DeviceRecord) -> bool:
    return device.connected or (device.lost_at is not None and device.lost_at >= call.placed_at)


def ringing_lost_device(tx: Transaction, call: CallRecord[Ringing], event: events.LostDevice) -> None:
    """A rung device that can be woken is woken; any other is waited for."""
    lost, device = event.device, tx.device(event.device)
    if lost in call.state.devices and device is not None and device.can_be_woken:
        tx.put_call(call, call.state, woken=(*without(call.woken, lost), lost))


def _stop_ringing(
    tx: Transaction,
    call: CallRecord[Ringing],
    device: DeviceAddress,
    reason: Reason,
    *notified: DeviceAddress,
    by: DeviceAddress | None = None,
) -> None:
    """Let a rung device stop ringing; after the last one the call is over, and the caller is notified. A guest is not
    told that nobody is there.
    """
    others = without(call.state.devices, device)
    if others or (reason is Reason.OFFLINE and is_guest(call.caller.phone)):
        tx.put_call(call, replace(call.state, devices=others))
    else:
        tx.end(call, reason, call.caller, *notified, by=by)


def active_lost_device(tx: Transaction, call: CallRecord[Active], event: events.LostDevice) -> None:
    """``peer_state`` to the other, if it is extended."""
    state, other = call.state, other_in(call, call.state, event.device)
    if event.device not in state.absent and other in call.extended:
        tx.put_call(call, replace(state, absent=(*state.absent, event.device)), other)


def ringing_device_back(tx: Transaction, call: CallRecord[Ringing], event: events.DeviceBack) -> None:
    """``called`` again to a rung device."""
    if event.device == call.caller:
        _note_dialect(tx, call, event)
    elif call.state.awaited_until is not None:
        tx.put_call(call, replace(call.state, awaited_until=None))


def active_device_back(tx: Transaction, call: CallRecord[Active], event: events.DeviceBack) -> None:
    """``peer_state`` to the other, if it knows of the loss; ``call_success`` to a party that may have missed it.

    A party that holds it goes on with it, if it has no other call.
    """
    call = _note_dialect(tx, call, event)
    absent, held_by = (without(devices, event.device) for devices in (call.state.absent, call.state.held_by))
    current = tx.call_of(event.device)
    if current is None or current.room != call.room:
        held_by = call.state.held_by
    state = replace(call.state, absent=absent, held_by=held_by)
    if state != call.state:
        tx.put_call(call, state, other_in(call, state, event.device))


def _note_dialect(tx: Transaction, call: CallRecord[S], event: events.DeviceBack) -> CallRecord[S]:
    """Record the dialect of a party's new connection."""
    if (event.device in call.extended) == event.extended:
        return call
    others = without(call.extended, event.device)
    return tx.put_call(call, call.state, extended=(*others, event.device) if event.extended else others)


# Extended devices (§2.5)


def ringing_announced(tx: Transaction, call: CallRecord[Ringing], event: events.Announced) -> None:
    """``call_ringing`` to the caller, if it is extended."""
    state = call.state
    if event.device in state.devices and call.caller in call.extended and not state.announced:
        tx.put_call(call, replace(state, announced=True), call.caller)


def active_signalled(tx: Transaction, call: CallRecord[Active], event: events.Signalled) -> None:
    """Pages are no longer expected."""
    if not call.state.signalled and event.device in call.parties:
        tx.put_call(call, replace(call.state, signalled=True))


def over_pulled(tx: Transaction, call: CallRecord[Over], event: events.Pulled) -> TooLate | NotYours:
    """Nothing; the device is told that the call is over."""
    is_of_phone = event.device.phone in (call.caller.phone, (call.callee or call.target).phone)
    return TooLate(ending_reason(call, event.device)) if is_of_phone else NotYours()


def active_pulled(tx: Transaction, call: CallRecord[Active], event: events.Pulled) -> Accepted | NotYours:
    """The device replaces the other one of its phone, which is told."""
    device, comes = tx.device(event.device), event.device
    if comes in call.parties:
        return Accepted(call.room_for(comes), other_party(call, comes))
    leaves = next((party for party in call.parties if party.phone == comes.phone), None)
    if leaves is None or device is None:
        return NotYours()
    own = tx.call_of(comes, device)
    if own is not None:
        leave_second(tx, device)
        goes_on(tx, own, comes)
    moved = tx.transfer(call, leaves, comes, event.alias)
    tx.put_in(call.room, (device,))
    other = other_party(moved, comes)
    tx.notify(moved, leaves)
    if other in moved.extended:
        tx.notify(moved, other)
    return Accepted(event.alias, other)
