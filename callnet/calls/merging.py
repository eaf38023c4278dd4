"""Two stories about one thing, the store's and a node's: which one is believed (see ``announcing``)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from math import inf

from msgspec.structs import replace

from callnet.calls.telling import decided_at
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.records import Active, CallRecord, DeviceRecord, Over, Ringing, Seat, SeatsRecord

_Seats = tuple[Seat | None, Seat | None]


def later_call(stored: CallRecord, mine: CallRecord, is_told: bool) -> CallRecord | None:
    """What the store is to hold of a call that both know; ``None``: what it holds.

    Where both have the same version and differ, somebody has to be told: the version is raised.

    :param is_told: one of :func:`who_makes_it_true` has been told of the call as ``mine`` has it.
    """
    ended = stored.end
    if ended is not None and ended.untold:
        return _now_told(stored, ended, mine, is_told)
    if is_doubtful_end(mine) and not is_told and stored.callee is not None:
        return None
    version = max(stored.version, mine.version) + 1
    if ended is not None and isinstance(ended.was, Ringing) and mine.answer is not None:
        return _ended_though_answered(stored, ended, mine.answer, version)
    if mine.end is not None and isinstance(mine.end.was, Ringing) and isinstance(stored.state, Active):
        return _ended_though_answered(mine, mine.end, stored.state, version)
    mine_is, stored_is = mine.age, stored.age
    if ended is not None or mine_is < stored_is or replace(mine, due=stored.due) == stored:
        return None
    if mine_is > stored_is:
        return replace(mine, version=max(mine.version, stored.version + 1))
    return replace(min(stored, mine, key=_first_answered), version=stored.version + 1)


def is_doubtful_end(call: CallRecord) -> bool:
    """Tell whether a call was ended for want of somebody who may have been elsewhere."""
    end = call.end
    return end is not None and (isinstance(end.was, Ringing) or end.reason is Reason.CONNECTION_LOST)


def who_makes_it_true(call: CallRecord) -> tuple[DeviceAddress, ...]:
    """By whom an end that is doubtful is taken for true once they are told of it: they have acted on it."""
    return (call.caller,) if call.callee is None else (call.caller, call.callee)


def began_at(call: CallRecord) -> float:
    """When a call was answered, or else placed."""
    return call.placed_at if call.answer is None else max(call.placed_at, call.answer.since)


def _now_told(untold: CallRecord, end: Over, mine: CallRecord, is_told: bool) -> CallRecord | None:
    """A call that was ended though those could not be told who make it true: unless another node knows better."""
    version = max(untold.version, mine.version) + 1
    if mine.callee is not None and (is_told or not is_doubtful_end(mine)):
        return replace(mine, version=version)
    return replace(untold, state=replace(end, untold=False), version=version) if is_told else None


def _ended_though_answered(ended: CallRecord, end: Over, answer: Active, version: int) -> CallRecord:
    """A call that one node ended unanswered and another had answered: it is over, and both its parties were in it."""
    return replace(ended, version=version, state=replace(end, was=answer, by=None))


def _first_answered(call: CallRecord) -> tuple[float, DeviceAddress, tuple[DeviceAddress, ...]]:
    answer = call.answer
    return (0.0, call.caller, call.parties) if answer is None else (answer.since, answer.callee, ())


def later_device(stored: DeviceRecord | None, mine: DeviceRecord) -> DeviceRecord | None:
    """What the store is to hold of a device whose newest connection this node has; ``None``: what it holds."""
    if stored is None:
        return mine
    if replace(mine, version=stored.version, due=stored.due) == stored:
        return None
    return replace(mine, version=max(mine.version, stored.version + 1))


def newest_rooms(
    known: Callable[[RoomId], CallRecord | None], stored: DeviceRecord | None, mine: DeviceRecord
) -> tuple[RoomId | None, RoomId | None]:
    """The newest two of the calls that a device was put in: one that lives comes first."""
    named = (mine.room, mine.previous, *(() if stored is None else (stored.room, stored.previous)))
    return newest_two(known, mine.address, named)


def newest_two(
    known: Callable[[RoomId], CallRecord | None], device: DeviceAddress, named: Iterable[RoomId | None]
) -> tuple[RoomId | None, RoomId | None]:
    """The newest two of these calls, of which a device may be in one: that comes first."""
    rooms = sorted({room for room in named if room}, key=lambda room: _newness(known(room), device, room))
    newest, second, *_ = (*reversed(rooms), None, None)
    return newest, second


def _newness(call: CallRecord | None, device: DeviceAddress, room: RoomId) -> tuple[bool, float, RoomId]:
    if call is None:
        return False, -inf, room
    return device in call.parties, decided_at(call, device) or call.placed_at, room


def merged_seats(
    stored: SeatsRecord | None, mine: SeatsRecord, names: Collection[str], node: str, call_has_changed: bool
) -> SeatsRecord | None:
    """What the store is to hold of the seats of a room; ``None``: what it holds.

    Pages were told of the room as the node knew it: where anything has changed, the version is greater than that.

    :param names: those of the node that says so, which from now on goes by ``node``.
    :param call_has_changed: the node does not know the room's call as it now is.
    """
    held = [seat and replace(seat, node=node if seat.node in names else seat.node) for seat in mine.seats]
    if stored is None:
        return replace(mine, seats=(held[0], held[1]), version=mine.version + call_has_changed)
    own = [seat for seat in held if seat is not None and seat.node == node]
    seats: list[Seat | None] = [_newer_seat(seat, held, own) for seat in stored.seats]
    taken = {seat.key for seat in seats if seat is not None}
    for seat in own:
        free = _free_seat(seats)
        if seat.key not in taken and seat.empty_since is None and free is not None:
            seats[free] = seat
    new = replace(stored, seats=(seats[0], seats[1]), closed=stored.closed or mine.closed)
    if new == stored and mine.version + call_has_changed <= stored.version:
        return None
    return replace(new, version=max(stored.version, mine.version) + 1)


def _newer_seat(stored: Seat | None, held: list[Seat | None], own: list[Seat]) -> Seat | None:
    """Of two sockets of one seat the newer one; if it is the same, its own node knows best."""
    if stored is None:
        return None
    mine = next((seat for seat in held if seat is not None and seat.key == stored.key), None)
    if mine is None or mine.generation < stored.generation:
        return stored
    return mine if mine.generation > stored.generation or mine in own else stored


def _free_seat(seats: list[Seat | None]) -> int | None:
    """Where one may sit: an empty seat, best one that nobody has left."""
    empty = [(seat is not None, i) for i, seat in enumerate(seats) if seat is None or seat.empty_since is not None]
    return min(empty)[1] if empty else None
