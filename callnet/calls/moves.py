"""The ways a call changes hands: it is accepted, it is refused, somebody leaves it."""

from __future__ import annotations

from callnet.calls.draft import Draft, other_party
from callnet.model import DeviceAddress, Reason
from callnet.records import CallRecord, CallState


def accept(
    draft: Draft,
    call: CallRecord,
    callee: DeviceAddress,
    by_calling: bool = False,
    by_itself: bool = False,
    extended: bool = False,
) -> None:
    """Let ``callee`` accept ``call``; the caller and the other rung devices are told."""
    others = [device for device in call.ringing if device != callee]
    call = draft.put_call(
        call,
        state=CallState.ACTIVE,
        callee=callee,
        answered_at=draft.now,
        answered_by_calling=by_calling,
        answered_by_itself=by_itself,
        ringing=(),
        awaited_until=None,
        extended=(*call.extended, callee) if extended else call.extended,
    )
    draft.tell(call, call.caller, *others)


def refuse(draft: Draft, call: CallRecord, device: DeviceAddress, reason: Reason = Reason.REFUSED) -> None:
    """Let a rung device refuse for all; the caller and the other rung devices are told."""
    draft.tell(draft.end(call, reason, device), call.caller, *(other for other in call.ringing if other != device))


def leave(
    draft: Draft,
    call: CallRecord,
    device: DeviceAddress,
    active: Reason,
    by: DeviceAddress | None = None,
    absent: bool = False,
) -> None:
    """Let ``device`` leave a call that it is in. ``active``: the reason if the call was answered.

    ``by``: ``device``, if it said so itself and knows which call it left.
    ``absent``: it was not heard of for too long.
    A caller that ends its own ringing is named too, though nothing is said to it: it need wait no more.
    """
    if call.state is CallState.ACTIVE:
        draft.tell(draft.end(call, active, by), other_party(call, device))
    elif device == call.caller:
        draft.tell(draft.end(call, Reason.CANCELLED, None if absent else device), *call.ringing, device)
    else:
        refuse(draft, call, device)


def goes_on_without(draft: Draft, call: CallRecord, device: DeviceAddress) -> bool:
    """Let a rung device stop ringing if others ring on; if not, nothing has changed, and who asks ends the call."""
    others = tuple(other for other in call.ringing if other != device)
    if others:
        draft.put_call(call, ringing=others)
    return bool(others)


def drop_out(draft: Draft, call: CallRecord, device: DeviceAddress, knows: bool = True) -> None:
    """Let a rung device stop ringing for a call of its own; the last one to do so refuses.

    ``knows``: it has said so itself, and need not be told.
    """
    if goes_on_without(draft, call, device):
        return
    if knows:
        refuse(draft, call, device, Reason.BUSY)
    else:
        draft.tell(draft.end(call, Reason.BUSY), call.caller, device)


def leave_for_another(draft: Draft, call: CallRecord, device: DeviceAddress) -> None:
    """Let ``device`` leave a call that it is in since it goes on with another one."""
    if device in call.ringing:
        drop_out(draft, call, device)
    else:
        leave(draft, call, device, Reason.REPLACED)
