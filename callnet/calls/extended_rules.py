"""The rules of what only extended clients ask for and are told (protocol §2.5), pure like those of calls."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from callnet.calls.draft import Draft, other_party, parties
from callnet.calls.events import Announced, Pulled, Signalled
from callnet.calls.moves import leave_for_another
from callnet.calls.telling import ending_reason
from callnet.model import Accepted, DeviceAddress, Reason, RoomId
from callnet.records import CallRecord, CallState


class NotToBeHad(Struct, frozen=True):
    """The reply to a device that wants a call which it cannot take over."""

    reason: Reason | None
    """Why it is over; ``None``: it rings still, or is no call of its phone."""


PullReply: TypeAlias = Accepted | NotToBeHad | None


def announce(draft: Draft, event: Announced) -> None:
    """Have an extended caller told that a device rings."""
    call = draft.call(event.room)
    if call is not None and event.device in call.ringing and call.caller in call.extended and not call.announced:
        draft.tell(draft.put_call(call, announced=True), call.caller)


def signal(draft: Draft, event: Signalled) -> None:
    """Take note that nobody will come to the call's page."""
    call = draft.call(event.room)
    if call is not None and call.state is CallState.ACTIVE and not call.signalled and event.device in parties(call):
        draft.put_call(call, signalled=True)


def note_dialect(draft: Draft, device: DeviceAddress, extended: bool) -> None:
    """Take note of what a party speaks on its new connection."""
    call = draft.call_of(device)
    if call is None or device in call.ringing or (device in call.extended) == extended:
        return
    others = tuple(party for party in call.extended if party != device)
    draft.put_call(call, extended=(*others, device) if extended else others)


def note_absence(draft: Draft, device: DeviceAddress, is_absent: bool) -> None:
    """Have an extended party of an active call told that the other one has lost its socket, or is back."""
    call = draft.call_of(device)
    if call is None or call.state is not CallState.ACTIVE or (device in call.absent) == is_absent:
        return
    other = other_party(call, device)
    if is_absent and other not in call.extended:
        return
    others = tuple(party for party in call.absent if party != device)
    draft.tell(draft.put_call(call, absent=(*others, device) if is_absent else others), other)


def pull(draft: Draft, event: Pulled) -> PullReply:
    """Let a device take the place of another one of its phone in an active call, and leave its own first."""
    device, call = draft.device(event.device), draft.call(event.room)
    if device is None or device.generation > event.generation:
        return None
    if call is None:
        return NotToBeHad(Reason.EXPIRED)
    if call.state is CallState.OVER:
        is_of_phone = event.device.phone in (call.caller.phone, (call.callee or call.asked).phone)
        return NotToBeHad(ending_reason(call, event.device) if is_of_phone else None)
    if call.state is not CallState.ACTIVE or call.callee is None:
        return NotToBeHad(None)
    if event.device in parties(call):
        return Accepted(call.room_for(event.device), other_party(call, event.device))
    leaves = next((party for party in parties(call) if party.phone == event.device.phone), None)
    if leaves is None:
        return NotToBeHad(None)
    own = draft.call_of(event.device)
    if own is not None:
        leave_for_another(draft, own, event.device)
    moved = _replace(draft, call, leaves, event.device, event.alias)
    draft.put_device(device, room=call.room, previous=device.room)
    other = other_party(moved, event.device)
    draft.tell(moved, leaves)
    if other in moved.extended:
        draft.tell(moved, other)
    return Accepted(event.alias, other)


def _replace(draft: Draft, call: CallRecord, leaves: DeviceAddress, comes: DeviceAddress, alias: RoomId) -> CallRecord:
    """Put one device in the place of another. It knows the call by ``alias``, which the one that leaves does not."""
    caller, callee = call.caller, call.callee or call.asked
    is_caller = leaves == caller
    known = dict(call.aliases)
    common = [(party, call.room_for(party)) for party in (caller, callee) if party not in known]
    # The first alias of a device is kept, it may be the one that both parties had; of its later ones the newest is.
    superseded = [(device, room) for device, room in call.aliases if device == comes][1:]
    older = [pair for pair in call.aliases if pair not in superseded]
    return draft.put_call(
        call,
        caller=comes if is_caller else caller,
        callee=callee if is_caller else comes,
        extended=(*(party for party in call.extended if party != leaves), comes),
        absent=tuple(party for party in call.absent if party != leaves),
        left=(*(device for device in call.left if device != comes), leaves),
        moved_at=draft.now,
        known_as=call.known_as or (caller, callee),
        aliases=(*older, *common, (comes, alias)),
    )
