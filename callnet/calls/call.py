"""The rules of a call: (records, event, now) → (changes, reply). Pure.

Every line of protocol §2.3 and §2.4 is here (when: ``times``; in which words: ``telling``; the page's seats:
``seats``) and nowhere else.

========================================  =======================================  ===========================
event                                     RINGING                                  ACTIVE
========================================  =======================================  ===========================
accept by a rung device                   ACTIVE; caller, other rung devices told  no effect
refuse by a rung device                   OVER refused; the same                   no effect
hang-up by the caller                     OVER cancelled; rung devices told        OVER hangup; other told
hang-up by a rung device                  as refuse                                OVER hangup; other told
ring time passes                          OVER no_answer; all told                 --
caller gone longer than the grace         OVER cancelled; rung devices told        OVER connection_lost
callee gone                               rings on; ``called`` when it is back     the same
caller calls someone else                 OVER cancelled; rung devices told        OVER replaced; other told
a callee calls someone else               leaves; the last one refuses (busy)      the same
the call is too old                       --                                       OVER too_long; both told
seats or unseated limit                   --                                       OVER abandoned; both told
revoked                                   caller: cancelled, callee: refuses       OVER revoked; other told
the operator ends it                      OVER shutting_down; all told             the same
a device gave up                          caller: cancelled, callee: leaves        OVER connection_lost; both told
no rung device can be told                rings again, then OVER unavailable       --
========================================  =======================================  ===========================

OVER answers every event with no change; what its sender is told is in :func:`late`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any, Final, TypeAlias

from msgspec import Struct

from callnet.calls import events, extended_rules, seats, sleeping, unheard
from callnet.calls.draft import Draft, parties
from callnet.calls.extended_rules import note_absence, note_dialect
from callnet.calls.merging import newest_two
from callnet.calls.moves import accept, drop_out, leave, refuse
from callnet.calls.place import Ringing, place, rang_in_vain, unreachable
from callnet.calls.sleeping import NOWHERE
from callnet.calls.telling import Missed, decided_at, ending_reason, is_owed_success, told_from
from callnet.calls.times import REMEMBERED, unseated_at
from callnet.config import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, Outcome, Reason, RoomId
from callnet.records import CallRecord, CallState, Changes, DeviceRecord, Known, Owed, Records


class TooLate(Struct, frozen=True):
    """The reply to an acceptance of a call that is over for its sender (§2.3)."""

    reason: Reason


class NotYours(Struct, frozen=True):
    """The reply to a frame that names another's live call (§2.3)."""


class NoSuchCall(Struct, frozen=True):
    """The reply to who ends a call that nobody knows of, though perhaps only just now."""


class Attached(Struct, frozen=True):
    """The reply to a new connection: its generation, and what to send first (§2.4)."""

    generation: int
    missed: Missed
    present: CallRecord | None = None
    """The call that it is in, for an extended client ..."""
    of_phone: tuple[CallRecord, ...] = ()
    """... and the active ones of the other devices of its phone."""
    known: tuple[Known, ...] = ()
    """The outcomes of its calls that it has shown to know."""


class Overtaken(Struct, frozen=True):
    """The reply to a connection that could not be made known at once: a younger one has been, meanwhile."""


_AT_ONCE: Final = 0.1
"""Seconds in which a connection is made known, if nothing is wrong: until then it is the youngest."""

_Late: TypeAlias = TooLate | NotYours | NoSuchCall
Reply: TypeAlias = _Late | Attached | Overtaken | Ringing | Outcome | extended_rules.NotToBeHad | seats.SeatReply | None


class Decision(Struct, frozen=True):
    """What an event comes to: changes to commit, and what its sender is told once they are committed."""

    changes: Changes
    reply: Reply


def decide(records: Records, event: events.Event, now: float, settings: CallSettings) -> Decision:
    """Apply the rules to one event. ``records`` hold at least what the event's phones and rooms name.

    :raises callnet.errors.Unavailable: ``records`` are not complete, and this cannot be decided without the rest.
    """
    draft = Draft(records, now, settings)
    reply = _RULES[type(event)](draft, event)
    return Decision(draft.finish(), reply)


def late(call: CallRecord | None, device: DeviceAddress) -> TooLate | NotYours | None:
    """What a frame is answered that names a call its sender is not in; ``None`` if the sender is in it."""
    if call is None:
        return TooLate(Reason.EXPIRED)
    if device in parties(call):
        return None
    if call.state is CallState.OVER or device in call.rung or device in call.left:
        return TooLate(ending_reason(call, device))
    return NotYours()


def _known(draft: Draft, room: RoomId) -> CallRecord | None:
    """The call of a room, or ``None`` if it has none for certain."""
    call = draft.call(room)
    if call is None and not draft.complete:
        raise Unavailable("only other nodes know this room")
    return call


def _answer(draft: Draft, event: events.Answer) -> Reply:
    call = _known(draft, event.room)
    is_late = late(call, event.device)
    if is_late is not None or call is None:
        return is_late if event.accepted or isinstance(is_late, NotYours) else None
    if event.device in call.ringing:
        if event.accepted:
            accept(draft, call, event.device, by_itself=event.by_itself, extended=event.extended)
        else:
            refuse(draft, call, event.device)
    return None


def _late_answer(draft: Draft, event: events.LateAnswer) -> Reply:
    device = draft.device(event.device)
    if device is not None and device.generation <= event.generation:
        return _answer(draft, event)
    if event.accepted:
        unheard.tell_who_accepted(draft, event)
    return None


def _hang_up(draft: Draft, event: events.HangUp) -> Reply:
    call = _known(draft, event.room)
    if call is None:
        return NoSuchCall()
    is_late = late(call, event.device)
    if is_late is not None:
        return is_late if isinstance(is_late, NotYours) else None
    leave(draft, call, event.device, Reason.HANGUP, by=event.device)
    return None


def _cancel(draft: Draft, event: events.Cancel) -> Reply:
    device, call = draft.device(event.device), draft.call_of(event.device)
    if device is None or device.generation > event.generation:
        return None
    if call is None:
        return NoSuchCall() if _may_have_called_elsewhere(draft, device, event.phone) else None
    if not _has_called(call, event.device, event.phone) or call.placed_at > event.sent_at:
        return None
    answered = call.state is CallState.ACTIVE
    leave(draft, call, event.device, Reason.HANGUP)
    if answered:
        draft.tell(call, event.device)
    return None


def _has_called(call: CallRecord, device: DeviceAddress, phone: str) -> bool:
    """Tell whether ``call`` is what ``device`` takes for its call to ``phone``."""
    if device == call.caller:
        return call.asked.phone == phone
    return call.answered_by_calling and device == call.callee and call.caller.phone == phone


def _may_have_called_elsewhere(draft: Draft, device: DeviceRecord, phone: str) -> bool:
    """Tell whether a device that is in no call may have placed one on a node that was apart until a moment ago."""
    newest = draft.call(device.room)
    is_meant = newest is not None and newest.caller == device.address and newest.asked.phone == phone
    return not is_meant and draft.now - device.generation / 1000 <= draft.settings.grace


def _place(draft: Draft, event: events.Place) -> Outcome | Ringing:
    """Judge a call by somebody who has left other calls first, though the store may not have heard of that."""
    for said in event.said:
        if isinstance(said, events.Cancel):
            _cancel(draft, said)
        elif draft.call(said.room) is not None:
            _RULES[type(said)](draft, said)
    return place(draft, event)


def _gave_up(draft: Draft, event: events.GaveUp) -> None:
    call = _known(draft, event.room)
    if call is None or event.device not in parties(call):
        return
    if call.state is CallState.ACTIVE:
        draft.tell(draft.end(call, Reason.CONNECTION_LOST), *parties(call))
    elif event.device == call.caller:
        leave(draft, call, event.device, Reason.CANCELLED)
    else:
        drop_out(draft, call, event.device, knows=False)


def _connected(draft: Draft, event: events.Connected) -> Attached | Overtaken:
    old = draft.device(event.device)
    is_late = draft.now - event.opened_at > _AT_ONCE
    if old is not None and old.connected and is_late and old.generation > max(event.opened_at * 1000, event.tried):
        return Overtaken()
    if old is None and not draft.complete:
        old = _come_from_elsewhere(draft, event)
    policy = event.policy.in_record_of(event.device.device_id)
    draft.keep_policy(event.device.phone, event.policy)
    if old is None:
        generation = draft.next_generation(0, event.opened_at)
        draft.put_device(
            DeviceRecord(event.device, 0, event.node, generation, True, None, None, None, None, None, policy)
        )
        return _attached(draft, event, generation, Missed(None, None))
    known = draft.resolve(event.known) if event.known is not None else () if old.connected else old.known
    draft.rely_on(old.room, old.previous)
    generation = draft.next_generation(old.generation, event.opened_at)
    there = {"node": event.node, "connected": True, "unheard": None, "lost_at": None, "known": ()}
    new = draft.put_device(old, generation=generation, policy=policy, **there)
    if old.connected or old.node not in (event.node, NOWHERE):
        draft.displace(old, new)  # a node must know, too, that a device is not gone that left it
    accepted = draft.call(event.owed)
    owed = old.owed if accepted is None else Owed(accepted.room, 0.0, inf)
    missed = _missed(draft, old, known, owed)
    call = draft.call_of(event.device)
    if call is not None and call.awaited_until is not None and event.device in call.ringing:
        draft.put_call(call, awaited_until=None)
    note_dialect(draft, event.device, event.extended)
    note_absence(draft, event.device, False)
    return _attached(draft, event, new.generation, missed, (*known, *missed.overtaken))


def _attached(
    draft: Draft, event: events.Connected, generation: int, missed: Missed, known: tuple[Known, ...] = ()
) -> Attached:
    if not event.extended:
        return Attached(generation, missed, known=known)
    device = event.device
    others = [draft.call_of(record.address) for record in draft.devices_of(device.phone) if record.address != device]
    of_phone = [call for call in others if call is not None and call.state is CallState.ACTIVE]
    return Attached(generation, missed, draft.call_of(device), tuple(of_phone), known)


def _come_from_elsewhere(draft: Draft, event: events.Connected) -> DeviceRecord | None:
    """A device that only other nodes knew of, but for the calls that it was in with somebody here."""
    rooms = newest_two(draft.call, event.device, draft.rooms_with(event.device))
    if rooms[0] is None:
        return None
    return DeviceRecord(event.device, 0, event.node, 0, False, None, draft.now, *rooms, None)


def _missed(draft: Draft, device: DeviceRecord, known: tuple[Known, ...], owed: Owed | None) -> Missed:
    """The newest ending, if the device may have missed it, and its present call if it must be told of it (§2.4)."""
    address, present = device.address, draft.call_of(device.address)
    if present is not None and present.state is CallState.ACTIVE:
        return Missed(None, present if _may_not_know_answer(draft, present, address, known) else None)
    rooms = dict.fromkeys((device.previous, device.room, None if owed is None else owed.room))
    calls = list(filter(None, map(draft.call, rooms)))
    placed = max((call for call in calls if call.caller == address), key=lambda call: call.placed_at, default=None)
    endings = []
    for call in calls:
        moment, is_owed = decided_at(call, address), owed is not None and call.room == owed.room
        if moment is not None and owed is not None and is_owed:
            moment = max(moment, owed.since)
        elif moment is not None and moment <= draft.now - REMEMBERED:
            moment = None
        if moment is not None and (placed is None or call is placed or moment > placed.placed_at):
            endings.append((moment, is_owed, call))  # else it has gone on to another call since
    if not endings:
        return Missed(None, present)
    *older, (_, is_owed, newest) = sorted(endings, key=lambda ending: ending[:2])
    if Known(newest.room, True) in known and not is_owed:
        return Missed(None, present)
    return Missed(newest, present, is_owed, tuple(Known(call.room, True) for *_, call in older))


def _may_not_know_answer(draft: Draft, call: CallRecord, device: DeviceAddress, known: tuple[Known, ...]) -> bool:
    """Tell whether a party of an active call is to be told so, since it may have missed it."""
    answered = told_from(call, device)
    is_new = answered is not None and answered > draft.now - REMEMBERED
    return is_new and is_owed_success(call, device) and call.room not in (one.room for one in known)


def _disconnected(draft: Draft, event: events.Disconnected) -> None:
    device = draft.device(event.device)
    if device is not None and device.connected and device.generation == event.generation:
        known = tuple(one for one in draft.resolve(event.known) if one.room in (device.room, device.previous))
        gone = draft.put_device(device, connected=False, lost_at=min(event.at, draft.now), known=known)
        answered = draft.call(event.owed)
        if answered is not None:
            unheard.owe(draft, gone, answered.room)
        note_absence(draft, event.device, True)


def _device_due(draft: Draft, event: events.DeviceDue) -> None:
    device = draft.device(event.device)
    if device is None or device.due is None or device.due > draft.now:
        return
    if device.lost_at is not None and device.lost_at + draft.settings.grace > draft.now:
        draft.put_device(device)  # its node is dead, and nobody has written down yet that it is gone
        note_absence(draft, event.device, True)
        return
    call = draft.call_of(event.device)
    if call is not None and (call.state is CallState.ACTIVE or call.caller == event.device):
        leave(draft, call, event.device, Reason.CONNECTION_LOST, absent=True)
    if call is not None or draft.call(device.room) or draft.call(device.previous):
        draft.put_device(device)
    elif device.can_be_woken:
        sleeping.fall_asleep(draft, device)
    else:
        draft.forget(device)


def _call_due(draft: Draft, event: events.CallDue) -> None:
    call = draft.call(event.room)
    if call is None or call.due is None or call.due > draft.now:
        return
    if call.state is CallState.RINGING:
        if call.placed_at + draft.settings.ring_time <= draft.now:
            draft.tell(draft.end(call, Reason.NO_ANSWER), call.caller, *call.ringing)
        elif call.awaited_until is not None and call.awaited_until <= draft.now:
            draft.tell(draft.end(call, Reason.OFFLINE), call.caller, *call.ringing)
        else:
            draft.put_call(call)  # the ring time was raised while it rang
    elif call.state is CallState.ACTIVE and call.answered_at is not None:
        unseated = unseated_at(call, draft.seats(call.room), draft.settings)
        if call.answered_at + draft.settings.longest <= draft.now:
            draft.tell(draft.end(call, Reason.TOO_LONG), *parties(call))
        elif unseated is not None and unseated <= draft.now:
            draft.tell(draft.end(call, Reason.ABANDONED), *parties(call))
        else:
            draft.put_call(call)


def _revoked(draft: Draft, event: events.Revoked) -> None:
    for device in draft.devices_of(event.device.phone):
        is_meant = not device.connected if event.generation is None else device.generation == event.generation
        call = draft.call_of(device.address)
        if is_meant and call is not None and event.device.covers(device.address):
            leave(draft, call, device.address, Reason.REVOKED)


def _stopped(draft: Draft, event: events.Stopped) -> None:
    call = draft.call(event.room)
    if call is not None and call.state is not CallState.OVER:
        draft.tell(draft.end(call, Reason.SHUTTING_DOWN), *parties(call))


_RULES: Final[dict[type, Callable[[Draft, Any], Reply]]] = {
    events.Place: _place,
    events.Answer: _answer,
    events.LateAnswer: _late_answer,
    events.HangUp: _hang_up,
    events.Cancel: _cancel,
    events.Connected: _connected,
    events.ExtendedConnected: _connected,
    events.Disconnected: _disconnected,
    events.GaveUp: _gave_up,
    events.AcceptedInVain: unheard.accepted_in_vain,
    events.RangInVain: rang_in_vain,
    events.Unreachable: unreachable,
    events.Sleeps: sleeping.sleep,
    events.NotWoken: sleeping.not_woken,
    events.PolicyChanged: sleeping.change_policy,
    events.Revoked: _revoked,
    events.Announced: extended_rules.announce,
    events.Pulled: extended_rules.pull,
    events.Signalled: extended_rules.signal,
    events.Stopped: _stopped,
    events.DeviceDue: _device_due,
    events.CallDue: _call_due,
    events.SeatsDue: seats.due,
    events.SeatTaken: seats.take,
    events.SeatEmptied: seats.empty,
    events.PageHungUp: seats.hang_up,
}
