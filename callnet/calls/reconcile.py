"""Reconciling: merges a node's records into those of the shared store. Pure, like all rules.

A node announces its records when the store was away, came back empty or without its last writes, or took the node for
dead. Of two versions of one thing the later one wins: a call goes from RINGING by ACTIVE to OVER and never back, and of
two connections the younger one is the device's.

=============  ==================================================================================
a call         the later state; of two that are in one state the higher version. One that the store
               has forgotten by itself is over. A refused or unanswered end counts for nothing if
               the call was answered, unless the node had a party and told it; nor does an end for
               a lost party, if the call goes on elsewhere, unless the node had one and told it.
               Whoever ended a call that was answered elsewhere since is told of the end, too
a device       the greater generation; equal ones are one connection, which its node knows best
its calls      a live one, then the newest
contradiction  a device in two calls, of which it holds neither, keeps the answered one, unless it
               placed the other one since, else the one that is not a guest's, else the newer: the
               other one is over, a second one that rings, too; a guest's rings on without the
               device. Of two calls that it holds it keeps one in the same way
a seat         the greater generation; one that another page has taken is lost
=============  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import inf

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls.events import DeviceBack, GraceOver
from callnet.calls.machine import happen
from callnet.calls.preferences import ANYONE, Policy
from callnet.calls.records import (
    Active,
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    Known,
    Over,
    Records,
    Ringing,
    Seat,
    SeatsRecord,
    rings_for_guest,
)
from callnet.calls.registration import NOWHERE
from callnet.calls.telling import began_at, end_effective_at, newest_two
from callnet.calls.transaction import REMEMBERED, Transaction, concerned, everyone, over
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId, is_guest


class LocalState(Struct, frozen=True):
    """All or a part of a node's own records."""

    names: Collection[str]
    """The names under which the node has held these records."""
    devices: Sequence[DeviceRecord]
    """Its connected and recently lost devices. None of those in ``calls`` may be left out."""
    calls: Sequence[CallRecord]
    """Their calls, and those of its pages."""
    seats: Sequence[SeatsRecord]
    """The rooms of its pages and of these calls."""
    beside: Sequence[CallRecord] = ()
    """Other calls that its devices name; the node announces them another time."""
    apart_since: float = -inf
    """The node was in touch with the store until then, and its devices were told of everything that concerned them."""
    policies: Mapping[str, Policy] = {}
    """The policies of its devices, by phone."""

    def phones(self) -> set[str]:
        """The phones to read before the announcement, with their devices and the rooms named there."""
        had_to_do = (address for call in self.calls for address in everyone(call))
        return {device.address.phone for device in self.devices} | {address.phone for address in had_to_do}

    def rooms(self) -> set[RoomId]:
        """The other rooms to read, with their calls and seats."""
        named = (room for device in self.devices for room in device.rooms)
        return {*named, *(call.room for call in self.calls), *(record.room for record in self.seats)}


def announce(records: Records, mine: LocalState, node: str, now: float, settings: CallSettings) -> Changes:
    """Merge a node's records into the store's.

    The version of a record in the answer is greater than that of ``records`` and not less than that of ``mine``. Where
    the store knows better nothing is changed: the announcing node then compares its records with the store's, and tells
    its sessions of newer ones.

    :param records: read afresh, the phones and rooms of ``mine``. Not :attr:`~Records.complete`: the store has
        lost its memory, and other nodes have not announced themselves yet.
    :param node: the name under which the devices and pages are held from now on.
    """
    calls = dict(records.calls)
    adopted = [call for one in mine.calls if (call := _believed(records, one, mine, now)) is not None]
    calls.update((call.room, call) for call in (*_known_besides(records, mine), *adopted))
    tx = Transaction(replace(records, calls=calls, complete=True), now, settings)
    _end_contradictions(tx, calls.values(), mine.devices)
    both = [(device, records.device(device.address)) for device in mine.devices]
    for device, stored in both:
        _end_if_left(tx, stored, device)
    _announce_seats(tx, records, mine, node)
    known_here = {call.room: call for call in mine.calls}
    for call in adopted:
        if tx.call(call.room) is call:
            tx.put_as_is(call)
        there, here = records.calls.get(call.room), known_here[call.room]
        if there is not None and not _ended_alike(there, here):
            tx.notify(call, *concerned(call, there, here))
        else:
            tx.notify(call, *unaware(records, mine.devices, call, max(now - REMEMBERED, mine.apart_since)))
    for device, stored in both:
        if stored is not None and stored.generation > device.generation:
            _tell_who_went(tx, stored, device)
            continue
        _announce_device(tx, stored, device, mine, node)
        _announce_back(tx, device)
        _announce_policy(tx, records, stored, device, mine)
        if stored is not None and stored.generation < device.generation:
            _tell_who_came(tx, stored, device)
    for one in mine.calls:
        if one.end is None:  # not all parties of other calls were read
            _seat_in_call(tx, one.room)
    return tx.build()


def _ended_alike(one: CallRecord, other: CallRecord) -> bool:
    """Return whether a call is over in both records, so that no device needs to be told again."""
    return one.end is not None and other.end is not None and one.callee == other.callee


def _known_besides(records: Records, mine: LocalState) -> Iterator[CallRecord]:
    for call in mine.beside:
        stored = records.calls.get(call.room)
        later = call if stored is None else later_call(stored, call, is_told=True)
        if later is not None:
            yield later


def _believed(records: Records, mine: CallRecord, known: LocalState, now: float) -> CallRecord | None:
    """The call to write, if any."""
    stored, end = records.calls.get(mine.room), mine.end
    held = {device.address: device for device in known.devices}
    parties = {party for call in (mine, stored) if call is not None for party in (call.caller, call.callee)}
    is_told = any(party is not None and _knows_end(mine, party, held.get(party)) for party in parties)
    if stored is not None:
        return later_call(_confirmed(records, stored, mine.callee, held), mine, is_told)
    if end is not None:
        untold = is_doubtful_end(mine) and not is_told
        is_news = end.at > min(now - REMEMBERED, known.apart_since)
        return replace(mine, state=replace(end, untold=untold)) if is_news else None
    if records.complete and not held.keys() >= set(mine.parties):
        left: CallState = over(mine.state, Reason.CONNECTION_LOST, now)
        if rings_for_guest(mine) and mine.caller in held:
            left = replace(mine.state, devices=tuple(filter(held.__contains__, mine.state.devices)))
        return replace(mine, version=mine.version + 1, state=left)
    return mine


def _knows_end(call: CallRecord, party: DeviceAddress, device: DeviceRecord | None) -> bool:
    """Return whether a party has ended a call or was told of its end: it has acted on it, and confirms a doubtful one.

    :param device: the record of the party on the node that ended the call, if it had one.
    """
    end = call.end
    if end is not None and end.by == party:
        return True
    return device is not None and (device.lost_at is None or (end is not None and device.lost_at > end.at))


def _confirmed(
    records: Records, stored: CallRecord, callee: DeviceAddress | None, held: Mapping[DeviceAddress, DeviceRecord]
) -> CallRecord:
    """The stored record of a call. An unanswered end is confirmed if the device that has accepted the call was told."""
    end = stored.end
    if callee is None or end is None or not end.untold or isinstance(end.was, Active):
        return stored
    there, here = records.device(callee), held.get(callee)
    if there is not None and (stored.room not in there.rooms or (here and here.generation >= there.generation)):
        there = None
    return replace(stored, state=replace(end, untold=False)) if _knows_end(stored, callee, there) else stored


def _end_contradictions(tx: Transaction, calls: Collection[CallRecord], devices: Iterable[DeviceRecord]) -> None:
    """End calls until no device is in two, apart from one that it holds: answered ones go before ringing ones, a
    guest's after others, newer before older. A guest's call rings on without the devices.

    A party that has placed a call since the answer has left the answered one, whatever became of the other (§2.4, step
    4).
    """
    placed: dict[DeviceAddress, float] = {}
    mine = {device.address: device for device in devices}
    for call in calls:
        if _is_placed(call, tx.device(call.caller), mine.get(call.caller)):
            placed[call.caller] = max(call.placed_at, placed.get(call.caller, -inf))

    def was_left(call: CallRecord) -> bool:
        since = began_at(call)
        return isinstance(call.state, Active) and any(placed.get(one, -inf) > since for one in call.parties)

    def rank(call: CallRecord) -> tuple[bool, bool, float, RoomId]:
        is_answered = isinstance(call.state, Active) and not was_left(call)
        return is_answered, not is_guest(call.caller.phone), call.placed_at, call.room

    busy: set[DeviceAddress] = set()
    holding: set[DeviceAddress] = set()
    live = (call for call in calls if call.end is None)
    for call in sorted(live, key=rank, reverse=True):
        held_by = call.state.held_by if isinstance(call.state, Active) else ()
        others = [party for party in call.parties if party not in held_by]
        if busy.isdisjoint(others) and holding.isdisjoint(held_by) and not was_left(call):
            busy.update(others)
            holding.update(held_by)
        elif rings_for_guest(call) and call.caller not in busy:
            rung = tuple(device for device in call.state.devices if device not in busy)
            tx.put_call(call, replace(call.state, devices=rung), *busy.intersection(call.state.devices))
            busy.update((call.caller, *rung))
        else:
            reason = Reason.REPLACED if isinstance(call.state, Active) else Reason.BUSY
            tx.end(call, reason, *everyone(call))


def _is_placed(call: CallRecord, *callers: DeviceRecord | None) -> bool:
    """Return whether a call changed anything for its caller, given the caller's records.

    If it is over and none of them names it, the caller's own node does not know of it: the device was told that it
    failed as ``unavailable``, which changes nothing. Nor do all nodes come across such a call when they announce.
    """
    if call.end is not None and call.end.reason is Reason.UNAVAILABLE:
        return False
    is_named = any(device is not None and call.room in device.rooms for device in callers)
    return is_named or call.end is None


def _end_if_left(tx: Transaction, stored: DeviceRecord | None, device: DeviceRecord) -> None:
    """End the call of a device after its grace period, unless it is elsewhere."""
    if stored is not None and stored.generation > device.generation:
        return
    for call in map(tx.call, newest_rooms(tx.call, stored, device)):
        if call is not None and device.address in call.parties and _is_lost(tx, device):
            happen(tx, call, GraceOver(device.address))


def _is_lost(tx: Transaction, device: DeviceRecord) -> bool:
    return device.lost_at is not None and device.lost_at + tx.settings.grace <= tx.now


def _announce_device(
    tx: Transaction, stored: DeviceRecord | None, device: DeviceRecord, mine: LocalState, node: str
) -> None:
    room, previous = newest_rooms(tx.call, stored, device)
    if stored is None and _is_lost(tx, device) and not (tx.call(room) or tx.call(previous)):
        return
    new = replace(device, node=node, room=room, previous_room=previous)
    if stored is not None:
        if replace(new, version=stored.version, due=stored.due) == stored:
            return
        new = replace(new, version=max(device.version, stored.version + 1))
        if stored.generation < device.generation and (stored.connected or stored.node not in mine.names):
            tx.displace(stored, new)
    tx.put_as_is(new)


def _announce_back(tx: Transaction, device: DeviceRecord) -> None:
    """Have the other parties told that a connected device is back, if other nodes took it for lost meanwhile."""
    for call in tx.calls_of(tx.device(device.address)) if device.connected else ():
        if isinstance(call.state, Active) and device.address in call.state.absent:
            happen(tx, call, DeviceBack(device.address, device.address in call.extended))


def _announce_policy(
    tx: Transaction, records: Records, stored: DeviceRecord | None, device: DeviceRecord, mine: LocalState
) -> None:
    """Keep the policy of a phone once if the store may lack it, or has another."""
    phone = device.address.phone
    policy = mine.policies.get(phone, ANYONE)
    if tx.device(device.address) is not stored or records.policies.get(phone) != policy:
        tx.keep_policy(phone, policy)


def _announce_seats(tx: Transaction, records: Records, mine: LocalState, node: str) -> None:
    known = {call.room: call.age for call in mine.calls}
    for seats in mine.seats:
        call = tx.call(seats.room)
        has_changed = call is not None and (call.room not in known or known[call.room] < call.age)
        merged = merged_seats(records.seats.get(seats.room), seats, mine.names, node, has_changed)
        if merged is not None:
            tx.put_as_is(merged)


def _seat_in_call(tx: Transaction, room: RoomId) -> None:
    """Let the records of all parties of a call name it; a party without a record is awaited as if just lost."""
    call = tx.call(room)
    if call is None:
        return
    for address in call.parties:
        device = tx.device(address)
        if device is None:
            tx.put_as_is(DeviceRecord(address, 1, NOWHERE, 0, False, lost_at=tx.now, room=room))
        elif device.room != room and tx.call_of(address) in (None, call):
            tx.put_device(device, room=room, previous_room=device.room or device.previous_room)
            tx.notify(call, address)
        elif room not in device.rooms:  # one of the two is held
            current, second = newest_two(tx.call, address, (room, *device.rooms))
            tx.put_device(device, room=current, previous_room=second)
            tx.notify(call, address)


# The choice between two records


def later_call(stored: CallRecord, mine: CallRecord, is_told: bool) -> CallRecord | None:
    """The record to store of a call known to both; ``None``: no change.

    Where both have the same version and differ, a device has to be told: the version is raised. A device may have heard
    an alias from either of the nodes, by which it will be told.

    :param is_told: the caller or the callee has been told of the call as ``mine`` has it.
    """
    later = _later(stored, mine, is_told)
    if stored.aliases == mine.aliases:
        return later
    of_both = [pair for call in sorted((stored, mine), key=_moved_at) for pair in call.aliases]
    aliases = tuple(dict.fromkeys(of_both))  # of a device's the newest is last
    if aliases == (later or stored).aliases:
        return later
    return replace(later or replace(stored, version=max(stored.version, mine.version) + 1), aliases=aliases)


def _moved_at(call: CallRecord) -> float:
    answer = call.answer
    return 0.0 if answer is None else answer.moved_at or 0.0


def _later(stored: CallRecord, mine: CallRecord, is_told: bool) -> CallRecord | None:
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
    if ended is not None:
        return _ended_for_all(stored, mine, version)
    mine_is, stored_is = mine.age, stored.age
    if mine_is < stored_is or replace(mine, due=stored.due) == stored:
        return None
    if mine_is > stored_is:
        return _ended_for_all(mine, stored, version) or replace(mine, version=max(mine.version, stored.version + 1))
    return replace(min(stored, mine, key=_first_answered), version=stored.version + 1)


def is_doubtful_end(call: CallRecord) -> bool:
    """Return whether a call ended because of a missing party, possibly connected elsewhere."""
    end = call.end
    return end is not None and (isinstance(end.was, Ringing) or end.reason is Reason.CONNECTION_LOST)


def _now_told(untold: CallRecord, end: Over, mine: CallRecord, is_told: bool) -> CallRecord | None:
    """The record of a call with an unconfirmed end, unless another node knows better."""
    version = max(untold.version, mine.version) + 1
    if mine.callee is not None and (is_told or not is_doubtful_end(mine)):
        return replace(mine, version=version)
    return replace(untold, state=replace(end, untold=False), version=version) if is_told else None


def _ended_though_answered(ended: CallRecord, end: Over, answer: Active, version: int) -> CallRecord:
    """The record of a call ended unanswered on one node and answered on another: over, with both parties in it."""
    return replace(ended, version=version, state=replace(end, was=answer, by=None))


def _ended_for_all(ended: CallRecord, other: CallRecord, version: int) -> CallRecord | None:
    """The record of a call answered on one node after a device had ended it on another: that device is to be told, too.

    ``None``: it was not.
    """
    end, answer = ended.end, other.answer
    if end is None or end.by is None or answer is None or answer.since <= end.at:
        return None
    return replace(ended, version=version, state=replace(end, by=None))


def _first_answered(call: CallRecord) -> tuple[float, DeviceAddress, tuple[DeviceAddress, ...]]:
    answer = call.answer
    return (0.0, call.caller, call.parties) if answer is None else (answer.since, answer.callee, ())


def newest_rooms(
    known: Callable[[RoomId], CallRecord | None], stored: DeviceRecord | None, mine: DeviceRecord
) -> tuple[RoomId | None, RoomId | None]:
    """The newest two of a device's calls, a live one first."""
    return newest_two(known, mine.address, mine.rooms if stored is None else (*mine.rooms, *stored.rooms))


def merged_seats(
    stored: SeatsRecord | None, mine: SeatsRecord, names: Collection[str], node: str, call_has_changed: bool
) -> SeatsRecord | None:
    """The record to store of the seats of a room; ``None``: no change.

    Pages were told of the room as the node knew it: where anything has changed, the version is greater than that.

    :param names: those of the announcing node, which from now on goes by ``node``.
    :param call_has_changed: the node does not know the current state of the room's call.
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
    """The newer of two sockets of one seat; if they are the same, its own node knows best."""
    if stored is None:
        return None
    mine = next((seat for seat in held if seat is not None and seat.key == stored.key), None)
    if mine is None or mine.generation < stored.generation:
        return stored
    return mine if mine.generation > stored.generation or mine in own else stored


def _free_seat(seats: list[Seat | None]) -> int | None:
    """The index of a free seat, preferably a never used one."""
    empty = [(seat is not None, i) for i, seat in enumerate(seats) if seat is None or seat.empty_since is not None]
    return min(empty)[1] if empty else None


# Changes, above all ends of calls, that devices may have missed while nodes were apart. A device that changes its node
# then is at one that does not know its calls, and messages to the node that it left reach nobody.


def unaware(
    records: Records, devices: Iterable[DeviceRecord], call: CallRecord, since: float
) -> Iterator[DeviceAddress]:
    """The node's devices without knowledge of the end of a call known to this node only.

    :param since: they know of earlier ends.
    """
    for device in devices:
        stored = records.device(device.address)
        if stored is not None and device.generation < stored.generation:
            if _missed_at(call, device, stored.generation, since) is not None:
                yield device.address
        elif _came_after(call, device, since):
            yield device.address


def _tell_who_came(tx: Transaction, stored: DeviceRecord, mine: DeviceRecord) -> None:
    """Tell a device its missed changes after it came here during an outage of the store (§2.4)."""
    calls = filter(None, map(tx.call, reversed(stored.rooms)))
    since = tx.now - REMEMBERED
    for call in calls:  # it may believe that it is in either of them
        if _missed_at(call, stored, mine.generation, since) is not None:
            tx.notify(call, mine.address)
    present = tx.call_of(mine.address)
    answer = None if present is None else present.answer
    if present is not None and (answer is None or answer.since > since):
        tx.notify(present, mine.address)


def _tell_who_went(tx: Transaction, stored: DeviceRecord, mine: DeviceRecord) -> None:
    """Add a departed device's calls here to its record, and have it told of them elsewhere."""
    room, previous = newest_rooms(tx.call, stored, mine)
    calls = filter(None, map(tx.call, reversed(mine.rooms)))
    since = tx.now - REMEMBERED
    missed = [
        call
        for call in calls
        if call.room not in stored.rooms
        and (call.end is None or _missed_at(call, mine, stored.generation, since) is not None)
    ]
    second = tx.call(previous)
    if missed and missed[-1].room != room and (second is None or mine.address not in second.parties):
        previous = missed[-1].room  # it knows of a call that it entered elsewhere since then
    if {room, previous} == {stored.room, stored.previous_room}:
        return
    tx.put_device(stored, room=room, previous_room=previous)
    for call in missed:
        if call.room in (room, previous):
            tx.notify(call, mine.address)


def _came_after(call: CallRecord, device: DeviceRecord, since: float) -> bool:
    """Return whether a device connected after the end of its call, which its record does not name."""
    moment = end_effective_at(call, device.address) if device.address in everyone(call) else None
    if moment is None or not device.connected or call.room in device.rooms:
        return False
    return since < moment < device.generation / 1000


def _missed_at(call: CallRecord, older: DeviceRecord, newer: int, since: float) -> float | None:
    """The time of a possibly missed end of a call; ``None``: it was not missed.

    :param older: the connection that the end was told to, or would have been.
    :param newer: the generation of the next one, whose node did not know of the end.
    :param since: earlier ends need not be told.
    """
    end = call.end
    if end is None or end.by == older.address or older.address not in everyone(call):
        return None
    moment = end_effective_at(call, older.address)
    if moment is None and end.at * 1000 >= newer:
        moment = end.at  # it was taken for gone, and was not
    if Known(call.room, True) in older.known:
        return None
    return moment if moment is not None and moment > since else None
