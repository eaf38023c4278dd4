"""The two seats of a page's room (protocol §3, docs/room.md): the rules, pure like those of calls.

A room is a call's or made up by hand. In a call's room the seats follow the call: they meet while it is
ACTIVE and end with it. A made-up room lives while somebody sits in it.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls.draft import Draft, parties
from callnet.calls.events import PageHungUp, SeatEmptied, SeatsDue, SeatTaken
from callnet.calls.page_messages import RoomState, SeatRefusal
from callnet.calls.telling import ending_reason
from callnet.calls.times import SEAT_KEPT, SEAT_PASSES, abandoned_at
from callnet.errors import Unavailable
from callnet.model import Reason
from callnet.records import CallRecord, CallState, Seat, SeatsRecord

FULL: Final = "full"
UNKNOWN_ROOM: Final = "unknown_room"


class Seated(Struct, frozen=True):
    """The reply to a page that got a seat."""

    generation: int
    seats: SeatsRecord
    call: CallRecord | None
    displaced: bool
    """Somebody with the same key sat there: its older socket is to be closed."""


class NoSeat(Struct, frozen=True):
    """The reply to a page that got none."""

    reason: SeatRefusal
    may_wait: bool = False
    """A device has left the call for another one, and its page has not gone yet."""


class RoomOver(Struct, frozen=True):
    """The reply to a page that comes to a room whose call is over."""

    reason: Reason


SeatReply: TypeAlias = Seated | NoSeat | RoomOver


class RoomView(Struct, frozen=True):
    """A room as one of its pages sees it."""

    state: RoomState
    reason: str
    peer: Seat | None
    """The other seat, while the two may meet."""


def view(seats: SeatsRecord, call: CallRecord | None, key: str) -> RoomView:
    """What the page in the seat of ``key`` is shown."""
    if call is not None and call.state is CallState.OVER:
        return RoomView("ended", ending_reason(call, call.caller), None)
    if seats.closed:
        return RoomView("ended", Reason.HANGUP, None)
    peer = next((seat for seat in seats.seats if seat is not None and seat.key != key), None)
    if peer is None or (call is not None and call.state is CallState.RINGING):
        return RoomView("waiting", "", None)
    return RoomView("meeting", "", peer)


def take(draft: Draft, event: SeatTaken) -> SeatReply:
    """Give a page its own seat back, a free one, or one that has been empty long enough."""
    call = draft.call(event.room)
    if call is not None and call.state is CallState.OVER:
        return RoomOver(ending_reason(call, call.caller))
    known = draft.seats(event.room)
    if call is None and known is None and not draft.complete:
        raise Unavailable("only other nodes know this room")
    if call is None and not draft.settings.adhoc_rooms:
        return NoSeat(UNKNOWN_ROOM)
    record = known or SeatsRecord(event.room, 0, (None, None), None)
    taken: tuple[Seat | None, Seat | None] = (None, None) if record.closed else record.seats
    passes = call is not None and call.moved_at is not None and draft.now - call.moved_at < SEAT_PASSES
    index = _choose(taken, event.key, draft.now, 0.0 if passes else SEAT_KEPT)
    if index is None:
        return NoSeat(FULL, passes)
    old = taken[index]
    older = max((seat.generation for seat in record.seats if seat is not None), default=0)
    generation = draft.next_generation(older, draft.now)
    new = Seat(event.key, event.session, event.node, generation, None)
    record = draft.put_seats(record, seats=(new, taken[1]) if index == 0 else (taken[0], new), closed=False)
    displaced = old is not None and old.key == event.key and old.empty_since is None
    return Seated(generation, record, call, displaced)


def _choose(seats: tuple[Seat | None, Seat | None], key: str, now: float, kept_for: float) -> int | None:
    kept = [index for index, seat in enumerate(seats) if seat is not None and seat.key == key]
    free = [index for index, seat in enumerate(seats) if seat is None]
    stale = [index for index, seat in enumerate(seats) if _is_stale(seat, now, kept_for)]
    return next(iter(kept + free + stale), None)


def empty(draft: Draft, event: SeatEmptied) -> None:
    """A page's socket is gone: the seat is kept for it a while."""
    record = draft.seats(event.room)
    if record is None:
        return
    seats = [_leave(seat, event, draft.now) for seat in record.seats]
    if seats == list(record.seats):
        return
    if record.closed and all(seat is None or seat.empty_since is not None for seat in seats):
        draft.forget(record)
    else:
        draft.put_seats(record, seats=(seats[0], seats[1]))


def _leave(seat: Seat | None, event: SeatEmptied, now: float) -> Seat | None:
    if seat is None or seat.key != event.key or seat.generation != event.generation:
        return seat
    return replace(seat, empty_since=now)


def hang_up(draft: Draft, event: PageHungUp) -> None:
    """Someone pressed hang up on the page: the call, or the meeting, is over for both."""
    record = draft.seats(event.room)
    if record is None or all(seat is None or seat.key != event.key for seat in record.seats):
        return
    call = draft.call(event.room)
    if call is None:
        draft.put_seats(record, closed=True)
    elif call.state is CallState.ACTIVE:
        draft.tell(draft.end(call, Reason.HANGUP), *parties(call))


def due(draft: Draft, event: SeatsDue) -> None:
    """Give up seats that were left in a made-up room; end an active call whose seats are empty."""
    record = draft.seats(event.room)
    if record is None or record.due is None or record.due > draft.now:
        return
    call = draft.call(event.room)
    if call is not None:
        abandoned = abandoned_at(record, call)
        if call.state is CallState.ACTIVE and abandoned is not None and abandoned <= draft.now:
            draft.tell(draft.end(call, Reason.ABANDONED), *parties(call))
        else:
            draft.put_seats(record)
        return
    seats = [None if _is_stale(seat, draft.now) else seat for seat in record.seats]
    if any(seats):
        draft.put_seats(record, seats=(seats[0], seats[1]))
    else:
        draft.forget(record)


def _is_stale(seat: Seat | None, now: float, kept_for: float = SEAT_KEPT) -> bool:
    return seat is not None and seat.empty_since is not None and now - seat.empty_since >= kept_for
