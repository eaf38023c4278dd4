"""The transitions of a call that changes devices: one takes the place of another of its phone (protocol §2.5). Pure."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls.draft import Draft, other_party
from callnet.calls.events import Pulled
from callnet.calls.telling import ending_reason
from callnet.calls.transitions import NotToBeHad, goes_on, without
from callnet.model import Accepted, DeviceAddress, Reason, RoomId
from callnet.records import Active, CallRecord, Over, Ringing


def unknown_pulled(draft: Draft, _: None, event: Pulled) -> NotToBeHad:
    """Nothing; the device is told that the call is over."""
    return NotToBeHad(Reason.EXPIRED)


def ringing_pulled(draft: Draft, call: CallRecord[Ringing], event: Pulled) -> NotToBeHad:
    """Nothing; the device is told that it cannot have it."""
    return NotToBeHad(None)


def over_pulled(draft: Draft, call: CallRecord[Over], event: Pulled) -> NotToBeHad:
    """Nothing; the device is told that the call is over."""
    is_of_phone = event.device.phone in (call.caller.phone, (call.callee or call.asked).phone)
    return NotToBeHad(ending_reason(call, event.device) if is_of_phone else None)


def active_pulled(draft: Draft, call: CallRecord[Active], event: Pulled) -> Accepted | NotToBeHad:
    """The device takes the place of the other one of its phone, which is told."""
    device, comes = draft.device(event.device), event.device
    if comes in call.parties:
        return Accepted(call.room_for(comes), other_party(call, comes))
    leaves = next((party for party in call.parties if party.phone == comes.phone), None)
    if leaves is None or device is None:
        return NotToBeHad(None)
    own = draft.call_of(comes, device)
    if own is not None:
        goes_on(draft, own, comes)
    moved = _replace(draft, call, leaves, comes, event.alias)
    draft.put_in(call.room, (device,))
    other = other_party(moved, comes)
    draft.tell(moved, leaves)
    if other in moved.extended:
        draft.tell(moved, other)
    return Accepted(event.alias, other)


def _replace(
    draft: Draft, call: CallRecord[Active], leaves: DeviceAddress, comes: DeviceAddress, alias: RoomId
) -> CallRecord[Active]:
    """Put one device in the place of another. It knows the call by ``alias``, which the one that leaves does not."""
    caller, state = call.caller, call.state
    is_caller = leaves == caller
    known = dict(call.aliases)
    common = [(party, call.room_for(party)) for party in (caller, state.callee) if party not in known]
    # The first alias of a device is kept, it may be the one that both parties had; of its later ones the newest is.
    superseded = [(device, room) for device, room in call.aliases if device == comes][1:]
    older = [pair for pair in call.aliases if pair not in superseded]
    moved = replace(
        state,
        callee=state.callee if is_caller else comes,
        absent=without(state.absent, leaves),
        left=(*without(state.left, comes), leaves),
        moved_at=draft.now,
        known_as=state.known_as or (caller, state.callee),
    )
    return draft.put_call(
        call,
        moved,
        caller=comes if is_caller else caller,
        extended=(*without(call.extended, leaves), comes),
        aliases=(*older, *common, (comes, alias)),
    )
