"""Announcing: what a node knows, merged into what the shared store says. Pure, like all rules.

A node announces when the store was away, came back empty or without its last writes, or took the node for
dead. Of two stories about one thing the later one is believed: a call goes from RINGING by ACTIVE to OVER and
never back, and of two connections the younger one is the device's.

=============  ==================================================================================
a call         the later state; of two that are in one state the higher version. One that the store
               has forgotten by itself is over. That it was refused, or not answered in time, counts for
               nothing if it was answered, unless the node had its caller and told it; nor does that a
               party was gone for too long, if it goes on elsewhere, unless the node had one and told it
a device       the greater generation; equal ones are one connection, which its node knows best
its calls      one that lives, then the newest
contradiction  a device in two calls keeps the answered one, unless it placed the other one since,
               else the newer: the other one is over
a seat         the greater generation; one that somebody else has taken is lost
=============  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from callnet.calls.call import happen
from callnet.calls.draft import Draft, concerned, everyone, over
from callnet.calls.events import GraceOver
from callnet.calls.merging import (
    began_at,
    is_doubtful_end,
    later_call,
    later_device,
    merged_seats,
    newest_rooms,
    who_makes_it_true,
)
from callnet.calls.times import REMEMBERED
from callnet.calls.unheard import let_it_be_missed, tell_what_it_missed, unaware
from callnet.config import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.records import ANYONE, Active, CallRecord, Changes, DeviceRecord, Policy, Records, SeatsRecord

NOBODY: Final = ""
"""The node of a device that no node has spoken of yet."""


class Mine(Struct, frozen=True):
    """What a node knows by itself, or a part of it."""

    names: Collection[str]
    """The names under which it has held what is in here."""
    devices: Sequence[DeviceRecord]
    """Those that are connected to it, and those that were a moment ago. None of those in ``calls`` may be left out."""
    calls: Sequence[CallRecord]
    """Their calls, and those of its pages."""
    seats: Sequence[SeatsRecord]
    """The rooms of its pages and of these calls."""
    beside: Sequence[CallRecord] = ()
    """Other calls that its devices name, which it announces another time."""
    apart_since: float = -inf
    """Until then the node was in touch with the store, and its devices were told of whatever concerned them."""
    policies: Mapping[str, Policy] = {}
    """By phone, who may call its devices."""

    def phones(self) -> set[str]:
        """Phones whose devices must be read before this is announced, with the rooms that they name."""
        had_to_do = (address for call in self.calls for address in everyone(call))
        return {device.address.phone for device in self.devices} | {address.phone for address in had_to_do}

    def rooms(self) -> set[RoomId]:
        """Rooms whose calls and seats must be read besides."""
        named = (room for device in self.devices for room in (device.room, device.previous) if room is not None)
        return {*named, *(call.room for call in self.calls), *(record.room for record in self.seats)}


def announce(records: Records, mine: Mine, node: str, now: float, settings: CallSettings) -> Changes:
    """Merge what a node knows into what the store says.

    The version of a record in the answer is greater than that of ``records`` and not less than that of
    ``mine``. Where the store knows better nothing is changed: whoever announces compares what it holds with
    what the store says afterwards, and has its sessions look at what is newer.

    :param records: read afresh, the phones and rooms of ``mine``. Not :attr:`~Records.complete`: the store has
        lost its memory, and other nodes have not announced themselves yet.
    :param node: the name under which the devices and pages are held from now on.
    """
    calls = dict(records.calls)
    adopted = [call for one in mine.calls if (call := _believed(records, one, mine, now)) is not None]
    calls.update((call.room, call) for call in (*_known_besides(records, mine), *adopted))
    draft = Draft(replace(records, calls=calls, complete=True), now, settings)
    _end_contradictions(draft, calls.values(), mine.devices)
    both = [(device, records.device(device.address)) for device in mine.devices]
    for device, stored in both:
        _end_if_left(draft, stored, device)
    known_here = {call.room: call for call in mine.calls}
    for call in adopted:
        if draft.call(call.room) is call:
            draft.adopt(call)
        there, here = records.calls.get(call.room), known_here[call.room]
        if there is not None and not _ended_alike(there, here):
            draft.tell(call, *concerned(call, there, here))
        else:
            draft.tell(call, *unaware(records, mine.devices, call, max(now - REMEMBERED, mine.apart_since)))
    for device, stored in both:
        if stored is None or stored.generation <= device.generation:
            _announce_device(draft, stored, device, mine, node)
            _announce_policy(draft, records, stored, device, mine)
        tell_what_it_missed(draft, stored, device)
    for call in adopted:
        let_it_be_missed(draft, call, node)
    for one in mine.calls:
        if one.end is None:  # of other calls not all who are in them by now were read
            _seat_in_call(draft, one.room)
    _announce_seats(draft, records, mine, node)
    return draft.finish()


def _ended_alike(one: CallRecord, other: CallRecord) -> bool:
    """Tell whether a call was over in both stories, so that nobody who has heard of that need hear of it again."""
    return one.end is not None and other.end is not None and one.callee == other.callee


def _known_besides(records: Records, mine: Mine) -> Iterator[CallRecord]:
    for call in mine.beside:
        stored = records.calls.get(call.room)
        later = call if stored is None else later_call(stored, call, is_told=True)
        if later is not None:
            yield later


def _believed(records: Records, mine: CallRecord, known: Mine, now: float) -> CallRecord | None:
    """The call as it is to be written, if it is to be."""
    stored = records.calls.get(mine.room)
    held = {device.address for device in known.devices}
    end = mine.end
    is_told = end is not None and end.by == mine.caller
    is_told = is_told or any(_was_here_at_the_end(mine, one) for one in known.devices)
    if stored is not None:
        return later_call(stored, mine, is_told)
    if end is not None:
        untold = is_doubtful_end(mine) and not is_told
        return replace(mine, state=replace(end, untold=untold)) if end.at + REMEMBERED > now else None
    if records.complete and not held.issuperset(mine.parties):
        return replace(mine, version=mine.version + 1, state=over(mine.state, Reason.CONNECTION_LOST, now))
    return mine


def _was_here_at_the_end(call: CallRecord, device: DeviceRecord) -> bool:
    """Tell whether a device makes the end of a call true, and was told of it here."""
    if device.address not in who_makes_it_true(call):
        return False
    return device.lost_at is None or (call.end is not None and device.lost_at > call.end.at)


def _end_contradictions(draft: Draft, calls: Collection[CallRecord], devices: Iterable[DeviceRecord]) -> None:
    """End calls until no device is in two: answered ones go before ringing ones, newer before older.

    Who has placed a call since it was in an answered one has left that, whatever became of the other (§2.4, step 4).
    """
    placed: dict[DeviceAddress, float] = {}
    mine = {device.address: device for device in devices}
    for call in calls:
        if _is_placed(call, draft.device(call.caller), mine.get(call.caller)):
            placed[call.caller] = max(call.placed_at, placed.get(call.caller, -inf))

    def was_left(call: CallRecord) -> bool:
        since = began_at(call)
        return isinstance(call.state, Active) and any(placed.get(one, -inf) > since for one in call.parties)

    def rank(call: CallRecord) -> tuple[bool, float, RoomId]:
        return isinstance(call.state, Active) and not was_left(call), call.placed_at, call.room

    busy: set[DeviceAddress] = set()
    live = (call for call in calls if call.end is None)
    for call in sorted(live, key=rank, reverse=True):
        if busy.isdisjoint(call.parties) and not was_left(call):
            busy.update(call.parties)
        else:
            reason = Reason.REPLACED if isinstance(call.state, Active) else Reason.BUSY
            draft.tell(draft.end(call, reason), *everyone(call))


def _is_placed(call: CallRecord, *callers: DeviceRecord | None) -> bool:
    """Tell whether a call changed anything for its caller, of whom these are the records.

    If it is over and none of them names it, the caller's own node does not know of it: the device was told that it
    failed as ``unavailable``, which changes nothing. Nor do all nodes come across such a call when they announce.
    """
    if call.end is not None and call.end.reason is Reason.UNAVAILABLE:
        return False
    is_named = any(device is not None and call.room in (device.room, device.previous) for device in callers)
    return is_named or call.end is None


def _end_if_left(draft: Draft, stored: DeviceRecord | None, device: DeviceRecord) -> None:
    """End the call of a device whose grace is over, unless it is elsewhere."""
    if stored is not None and stored.generation > device.generation:
        return
    call = draft.call(newest_rooms(draft.call, stored, device)[0])
    if call is not None and device.address in call.parties and _is_lost(draft, device):
        happen(draft, call, GraceOver(device.address))


def _is_lost(draft: Draft, device: DeviceRecord) -> bool:
    return device.lost_at is not None and device.lost_at + draft.settings.grace <= draft.now


def _announce_device(draft: Draft, stored: DeviceRecord | None, device: DeviceRecord, mine: Mine, node: str) -> None:
    room, previous = newest_rooms(draft.call, stored, device)
    if stored is None and _is_lost(draft, device) and not (draft.call(room) or draft.call(previous)):
        return
    new = later_device(stored, replace(device, node=node, room=room, previous=previous))
    if new is None:
        return
    draft.adopt(new)
    is_younger = stored is not None and stored.generation < device.generation
    if stored is not None and is_younger and (stored.connected or stored.node not in mine.names):
        draft.displace(stored, new)


def _announce_policy(
    draft: Draft, records: Records, stored: DeviceRecord | None, device: DeviceRecord, mine: Mine
) -> None:
    """Keep the policy of a phone once if the store may not have it, or goes by another."""
    phone = device.address.phone
    policy = mine.policies.get(phone, ANYONE)
    if draft.device(device.address) is not stored or records.policies.get(phone) != policy:
        draft.keep_policy(phone, policy)


def _announce_seats(draft: Draft, records: Records, mine: Mine, node: str) -> None:
    known = {call.room: call.age for call in mine.calls}
    for seats in mine.seats:
        call = draft.call(seats.room)
        has_changed = call is not None and (call.room not in known or known[call.room] < call.age)
        merged = merged_seats(records.seats.get(seats.room), seats, mine.names, node, has_changed)
        if merged is not None:
            draft.adopt(merged)


def _seat_in_call(draft: Draft, room: RoomId) -> None:
    """Let the records of all who are in a call name it; who has none is waited for as if it had just gone."""
    call = draft.call(room)
    for address in () if call is None else call.parties:
        device = draft.device(address)
        if device is None:
            draft.adopt(DeviceRecord(address, 1, NOBODY, 0, False, None, draft.now, room, None, None))
        elif draft.call_of(address) is None:
            draft.put_device(device, room=room, previous=device.room or device.previous)
            if call is not None:
                draft.tell(call, address)
