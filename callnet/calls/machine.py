"""The machine of a call: its table of states and events (protocol §2.3 to §2.5). Pure.

:data:`TABLE` has the transitions by state and event; :data:`IGNORED` has the reasons for the missing pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final

from callnet.calls import events, placing, transitions
from callnet.calls.records import Active, CallRecord, Over, Ringing
from callnet.calls.transaction import Transaction
from callnet.calls.transitions import Rings
from callnet.model import Failed, Outcome, Reason, Withdrawn


def happen(tx: Transaction, call: CallRecord | None, event: events.Event) -> Any:
    """Apply an event to a call; ``None``: no call is known in its room.

    :raises callnet.errors.Unavailable: the records are incomplete, and the decision needs the rest.
    """
    transition = TABLE.get((NoneType if call is None else type(call.state), type(event)))
    return None if transition is None else transition(tx, call, event)


def place(tx: Transaction, event: events.Place) -> Outcome | Rings:
    """Decide on a placed call, in the order of §2.4, but on ``unavailable`` only if it makes a difference.

    Earlier requests of the caller are applied first, since the store may not have them.
    """
    for said in event.said:
        if isinstance(said, events.Cancel):
            of_device(tx, said)
        elif (meant := tx.call(said.room)) is not None:
            happen(tx, meant, said)
    caller = tx.device(event.caller)
    if caller is None:
        return Failed(event.target, Reason.UNAVAILABLE)
    if caller.generation > event.generation:
        return Withdrawn()
    if event.target == event.caller:
        return Failed(event.target, Reason.SELF)
    own = tx.call_of(event.caller, caller)
    outcome: Outcome | Rings = TABLE[NoneType if own is None else type(own.state), type(event)](tx, own, event)
    return outcome


def of_device(tx: Transaction, event: events.Cancel | events.Pulled) -> Any:
    """Apply an event of a device, if this is its newest connection, to its own call, or the one that it takes over."""
    device = tx.device(event.device)
    if device is None or device.generation > event.generation:
        return None
    call = tx.call_of(event.device, device) if isinstance(event, events.Cancel) else tx.call(event.room)
    return happen(tx, call, event)


def refuse_by_ticket(tx: Transaction, event: events.RefusedByTicket) -> bool:
    """End the call that rings a device, if it is meant; return whether it was."""
    call = tx.call_of(event.device)
    if call is None:
        transitions.require_complete(tx)
        return False
    return event.is_meant(call.room_for(event.device)) and bool(happen(tx, call, event))


TABLE: Final[Mapping[tuple[type, type], Callable[[Transaction, Any, Any], Any]]] = {
    (NoneType, events.Place): placing.free_calls,
    (Ringing, events.Place): placing.ringing_calls,
    (Active, events.Place): placing.active_calls,
    (NoneType, events.PlaceAsGuest): placing.free_guest_calls,
    (Ringing, events.PlaceAsGuest): placing.ringing_guest_calls,
    (Active, events.PlaceAsGuest): placing.active_guest_calls,
    (NoneType, events.Accept): transitions.unknown_taken,
    (Ringing, events.Accept): transitions.ringing_accepted,
    (Active, events.Accept): transitions.answered_accepted,
    (Over, events.Accept): transitions.answered_accepted,
    (NoneType, events.Refuse): transitions.unknown_named,
    (Ringing, events.Refuse): transitions.ringing_refused,
    (Active, events.Refuse): transitions.active_refused,
    (Ringing, events.RefusedByTicket): transitions.ringing_refused_by_ticket,
    (NoneType, events.HangUp): transitions.unknown_hung_up,
    (Ringing, events.HangUp): transitions.ringing_hung_up,
    (Active, events.HangUp): transitions.active_hung_up,
    (NoneType, events.Cancel): transitions.free_cancels,
    (Ringing, events.Cancel): transitions.ringing_cancelled,
    (Active, events.Cancel): transitions.active_cancelled,
    (Ringing, events.LostToken): transitions.ringing_lost_token,
    (Active, events.LostToken): transitions.active_lost_token,
    (Ringing, events.LostDevice): transitions.ringing_lost_device,
    (Active, events.LostDevice): transitions.active_lost_device,
    (Ringing, events.DeviceBack): transitions.ringing_device_back,
    (Active, events.DeviceBack): transitions.active_device_back,
    (Ringing, events.GraceOver): transitions.ringing_grace_over,
    (Active, events.GraceOver): transitions.active_grace_over,
    (Ringing, events.CallDue): transitions.ringing_due,
    (Active, events.CallDue): transitions.active_due,
    (Active, events.MeetingOver): transitions.active_meeting_over,
    (Ringing, events.Stopped): transitions.live_stopped,
    (Active, events.Stopped): transitions.live_stopped,
    (NoneType, events.GaveUp): transitions.unknown_named,
    (Ringing, events.GaveUp): transitions.ringing_gave_up,
    (Active, events.GaveUp): transitions.active_gave_up,
    (Over, events.GaveUp): transitions.over_gave_up,
    (Ringing, events.RangInVain): transitions.ringing_in_vain,
    (Ringing, events.NotWoken): transitions.ringing_not_woken,
    (Ringing, events.Announced): transitions.ringing_announced,
    (Active, events.Signalled): transitions.active_signalled,
    (NoneType, events.Resumed): transitions.unknown_taken,
    (Ringing, events.Resumed): transitions.ringing_taken,
    (Active, events.Resumed): transitions.answered_resumed,
    (Over, events.Resumed): transitions.answered_resumed,
    (NoneType, events.Pulled): transitions.unknown_taken,
    (Ringing, events.Pulled): transitions.ringing_taken,
    (Active, events.Pulled): transitions.active_pulled,
    (Over, events.Pulled): transitions.over_pulled,
}
"""The transition of each state and event; the state is ``None`` if no call is known."""

_OF_PARTIES: Final = (
    events.RefusedByTicket,
    events.LostToken,
    events.LostDevice,
    events.DeviceBack,
    events.GraceOver,
    events.MeetingOver,
)
_WHILE_RINGING: Final = (events.RangInVain, events.NotWoken, events.Announced)
_WHILE_LIVE: Final = (events.Stopped, events.Signalled, *_WHILE_RINGING)

IGNORED: Final[Mapping[tuple[type, type], str]] = {
    (state, event): reason
    for state, ignored, reason in (
        (Over, (events.Refuse, events.HangUp), "It is over for its sender too."),
        (Over, (events.Place, events.PlaceAsGuest, events.Cancel, *_OF_PARTIES), "Nobody is in a call that is over."),
        (Over, (events.CallDue,), "The store forgets it."),
        (Over, _WHILE_LIVE, "It ended in the meantime."),
        (NoneType, (events.CallDue, *_OF_PARTIES, *_WHILE_LIVE), "There is no such call, or not any more."),
        (Active, (events.RefusedByTicket, *_WHILE_RINGING), "It was answered in the meantime."),
        (Ringing, (events.MeetingOver,), "The pages of a call that rings do not meet."),
        (Ringing, (events.Signalled,), "It has not been answered."),
    )
    for event in ignored
}
"""The reason why a state and an event do not go together: nothing changes, and nothing is sent."""
