"""The two seats of a page's room (protocol §3, docs/room.md): the rules, pure like those of calls.

A room belongs to a call or is made up by hand. In a call's room the seats follow the call: they meet while it is ACTIVE
and end with it. A made-up room lives while a page sits in it.

A page is identified by the room id that it names and by nothing else. Only the ids of a call's parties admit it: while
several devices ring there is no seat, since the answering device is not known yet. When a device takes the call over,
its page comes by an alias of its own. The id that the two had in common is then that of the other party alone, but the
device that left knows it, too: from then on it admits to one seat only, which goes to no new key except while no page
sits by it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls.events import MeetingOver, PageHungUp, SeatEmptied, SeatsDue, SeatTaken
from callnet.calls.machine import happen
from callnet.calls.records import Active, CallRecord, Over, Ringing, Seat, SeatsRecord
from callnet.calls.telling import ending_reason
from callnet.calls.transaction import SEAT_KEPT, SEAT_PASSES, Transaction, abandoned_at
from callnet.errors import Unavailable
from callnet.frames.page import RoomState, SeatRefusal
from callnet.model import Reason, RoomId

FULL: Final = "full"
UNKNOWN_ROOM: Final = "unknown_room"


class Seated(Struct, frozen=True):
    """The reply with a seat."""

    generation: int
    seats: SeatsRecord
    call: CallRecord | None


class NoSeat(Struct, frozen=True):
    """The reply without a seat."""

    reason: SeatRefusal
    may_wait: bool = False
    """The seat may become free: a device has left the call for another one and its page is still there, or several
    ring."""


class RoomOver(Struct, frozen=True):
    """The reply to a page in the room of an ended call."""

    reason: Reason


SeatReply: TypeAlias = Seated | NoSeat | RoomOver


class RoomView(Struct, frozen=True):
    """A room as one of its pages sees it."""

    state: RoomState
    reason: str
    peer: Seat | None
    """The other seat, while the two may meet."""


def view(seats: SeatsRecord, call: CallRecord | None, key: str) -> RoomView:
    """The view of the page in the seat of ``key``."""
    if call is not None and isinstance(call.state, Over):
        return RoomView("ended", ending_reason(call, call.caller), None)
    if seats.closed:
        return RoomView("ended", Reason.HANGUP, None)
    own = next((seat for seat in seats.taken if seat.key == key), None)
    peer = next((seat for seat in seats.taken if seat.key != key), None)
    if call is not None and call.aliases and isinstance(call.state, Active) and own is not None:
        admitted = _admitted(call)
        if _came_by(own, call) not in admitted:
            return RoomView("ended", Reason.MOVED, None)
        if peer is not None and {_came_by(own, call), _came_by(peer, call)} != set(admitted):
            peer = None
    if peer is None or (call is not None and isinstance(call.state, Ringing)):
        return RoomView("waiting", "", None)
    return RoomView("meeting", "", peer)


def _admitted(call: CallRecord) -> tuple[RoomId, RoomId]:
    """The room ids of the two parties of an active call: a common one until one of them moves."""
    return call.room_for(call.caller), call.room_for(call.callee or call.target)


def _came_by(seat: Seat, call: CallRecord) -> RoomId:
    return seat.came_by or call.room


def take(tx: Transaction, event: SeatTaken) -> SeatReply:
    """Give a page its own seat back, a free one, or a stale one."""
    call = tx.call(event.room)
    if call is not None and isinstance(call.state, Over):
        return RoomOver(ending_reason(call, call.caller))
    if call is not None and call.aliases:
        if isinstance(call.state, Ringing):
            return NoSeat(FULL, may_wait=True)
        if event.room not in _admitted(call):
            return RoomOver(_why_not_admitted(call, event.room))
    room = event.room if call is None else call.room
    known = tx.seats(room)
    if call is None and known is None and not tx.records.complete:
        raise Unavailable("room state unavailable: Redis is down")
    if call is None and not tx.settings.adhoc_rooms:
        return NoSeat(UNKNOWN_ROOM)
    record = known or SeatsRecord(room, 0, (None, None), None)
    taken: tuple[Seat | None, Seat | None] = (None, None) if record.closed else record.seats
    active = None if call is None else call.answer
    if call is None or active is None or active.moved_at is None:
        passes = False
        index = _choose(taken, event.key, tx.now)
    else:
        passes = tx.now - active.moved_at < SEAT_PASSES
        index = _choose_after_move(taken, call, active, event, tx.now, 0.0 if passes else SEAT_KEPT)
    if index is None:
        return NoSeat(FULL, passes)
    generation = tx.next_generation(max((seat.generation for seat in record.taken), default=0), tx.now)
    alias = None if event.room == room else event.room
    new = Seat(event.key, event.session, event.node, generation, None, alias)
    record = tx.put_seats(record, seats=(new, taken[1]) if index == 0 else (taken[0], new), closed=False)
    return Seated(generation, record, call)


def _why_not_admitted(call: CallRecord, room: RoomId) -> Reason:
    owner = next((device for device, alias in call.aliases if alias == room), None)
    return Reason.ANSWERED_ELSEWHERE if owner is None else ending_reason(call, owner)


def _choose(seats: tuple[Seat | None, Seat | None], key: str, now: float) -> int | None:
    kept = [index for index, seat in enumerate(seats) if seat is not None and seat.key == key]
    free = [index for index, seat in enumerate(seats) if seat is None]
    stale = [index for index, seat in enumerate(seats) if _is_stale(seat, now)]
    return next(iter(kept + free + stale), None)


def _in_common(call: CallRecord, active: Active) -> RoomId | None:
    """The common room id of both parties before the first transfer, still known to the device that left."""
    callee = active.original_parties and active.original_parties[1]
    return next((alias for device, alias in call.aliases if device == callee), None)


def _choose_after_move(
    seats: tuple[Seat | None, Seat | None],
    call: CallRecord,
    active: Active,
    event: SeatTaken,
    now: float,
    kept_for: float,
) -> int | None:
    """The index of a seat after a transfer: each party has its own room id for one seat."""
    admitted, both = _admitted(call), list(enumerate(seats))
    free = [index for index, seat in both if seat is None or _came_by(seat, call) not in admitted]
    same = [(index, seat) for index, seat in both if seat is not None and _came_by(seat, call) == event.room]
    kept = [index for index, seat in same if seat.key == event.key]
    if event.room == _in_common(call, active):
        is_sought = not active.signalled and all(seat.empty_since is not None for _, seat in same)
        return next(iter(kept + (free if is_sought else [])), None)
    if same:
        stale = [index for index, seat in same if _is_stale(seat, now)]
        return next(iter(kept + stale), None)
    left = [index for index, seat in both if index not in free and _is_stale(seat, now, kept_for)]
    return next(iter(left + free), None)


def empty(tx: Transaction, event: SeatEmptied) -> None:
    """Mark a seat as empty after the close of its page's socket; it is kept for its key."""
    record = tx.seats(event.room)
    page = (event.key, event.generation)
    left = None if record is None else next((one for one in record.taken if (one.key, one.generation) == page), None)
    if record is None or left is None:
        return
    if record.closed and all(seat is left or seat.empty_since is not None for seat in record.taken):
        tx.forget(record)
    else:
        empty_seat = replace(left, empty_since=tx.now)
        tx.put_seats(record, seats=tuple(empty_seat if seat is left else seat for seat in record.seats))


def hang_up(tx: Transaction, event: PageHungUp) -> None:
    """Handle a page's hangup: the meeting is over for both, and the call if the two meet."""
    call = tx.call(event.room)
    record = tx.seats(event.room if call is None else call.room)
    if record is None or all(seat.key != event.key for seat in record.taken):
        return
    if call is None:
        tx.put_seats(record, closed=True)
    elif view(record, call, event.key).state == "meeting":
        happen(tx, call, MeetingOver(Reason.HANGUP))


def due(tx: Transaction, event: SeatsDue) -> None:
    """Free stale seats in a made-up room; end an active call with empty seats."""
    record = tx.seats(event.room)
    if record is None or record.due is None or record.due > tx.now:
        return
    call = tx.call(event.room)
    if call is not None:
        abandoned = abandoned_at(record, call.state) if isinstance(call.state, Active) else None
        if abandoned is not None and abandoned <= tx.now:
            happen(tx, call, MeetingOver(Reason.ABANDONED))
        else:
            tx.put_seats(record)
        return
    seats = [None if _is_stale(seat, tx.now) else seat for seat in record.seats]
    if any(seats):
        tx.put_seats(record, seats=tuple(seats))
    else:
        tx.forget(record)


def _is_stale(seat: Seat | None, now: float, kept_for: float = SEAT_KEPT) -> bool:
    return seat is not None and seat.empty_since is not None and now - seat.empty_since >= kept_for
