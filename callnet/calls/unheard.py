"""What devices may not have heard of while nodes were apart: ends of their calls, above all (see ``announcing``).

A device that changes its node meanwhile is at one that knows nothing of its calls, and what is told to the
one that it left reaches nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from callnet.calls.draft import Draft, everyone
from callnet.calls.merging import began_at, newest_rooms
from callnet.calls.telling import decided_at
from callnet.calls.times import REMEMBERED
from callnet.calls.transitions import owe
from callnet.model import DeviceAddress
from callnet.records import CallRecord, DeviceRecord, Known, Over, Records


def unaware(
    records: Records, devices: Iterable[DeviceRecord], call: CallRecord, since: float
) -> Iterator[DeviceAddress]:
    """Those of a node's devices who may not have heard of the end of a call that only this node knew of.

    :param since: of earlier ends they have heard.
    """
    for device in devices:
        stored = records.device(device.address)
        if stored is not None and device.generation < stored.generation:
            if _missed_at(call, device, stored.generation, since) is not None:
                yield device.address
        elif _came_after(call, device, since):
            yield device.address


def tell_what_it_missed(draft: Draft, stored: DeviceRecord | None, mine: DeviceRecord) -> None:
    """Tell a device that has been at two nodes, which did not know of each other, what only one of them knew.

    :param stored: what the store said of it; if that is the younger connection it is told elsewhere.
    """
    if stored is None or stored.generation == mine.generation:
        return
    if stored.generation < mine.generation:
        _tell_who_came(draft, stored, mine)
    else:
        _tell_who_went(draft, stored, mine)


def let_it_be_missed(draft: Draft, call: CallRecord, node: str) -> None:
    """Have devices that are nowhere just now told when they are back what only ``node`` knew, however long ago."""
    for device in filter(None, map(draft.device, everyone(call))):
        is_elsewhere = device.connected or device.node == node
        if not is_elsewhere and device.owed is None and _may_believe_in(draft, call, device):
            owe(draft, device, call.room)


def _may_believe_in(draft: Draft, call: CallRecord, device: DeviceRecord) -> bool:
    """Tell whether a device may take itself for a party of a call that is over, and not of a later one."""
    is_named = call.room in (device.room, device.previous)
    if decided_at(call, device.address) is None or not is_named or Known(call.room, True) in device.known:
        return False
    if not isinstance(call.state, Over) or device.address not in (call.caller, call.callee):
        return False
    others = (other for other in map(draft.call, (device.room, device.previous)) if other and other.room != call.room)
    took_part = (other for other in others if device.address in (other.caller, other.callee))
    return all(began_at(other) < call.placed_at for other in took_part)


def _tell_who_came(draft: Draft, stored: DeviceRecord, mine: DeviceRecord) -> None:
    """Tell a device that came here while the store was away what it would have been told then (§2.4)."""
    calls = filter(None, map(draft.call, (stored.previous, stored.room)))
    since = draft.now - REMEMBERED
    moments = [(_missed_at(call, stored, mine.generation, since), call) for call in calls]
    missed = [(moment, call.room, call) for moment, call in moments if moment is not None]
    for *_, call in sorted(missed):  # it may believe that it is in either of them
        draft.tell(call, mine.address)
    present = draft.call_of(mine.address)
    answer = None if present is None else present.answer
    if present is not None and (answer is None or answer.since > draft.now - REMEMBERED):
        draft.tell(present, mine.address)


def _tell_who_went(draft: Draft, stored: DeviceRecord, mine: DeviceRecord) -> None:
    """Let a device that went elsewhere be known to have been in its calls here, and be told of them."""
    room, previous = newest_rooms(draft.call, stored, mine)
    calls = filter(None, map(draft.call, (mine.previous, mine.room)))
    missed = [call for call in calls if _is_missed(draft, call, stored, mine)]
    if missed and missed[-1].room != room:
        previous = missed[-1].room  # what it was put in elsewhere since then it has heard of
    if {room, previous} == {stored.room, stored.previous}:
        return
    draft.put_device(stored, room=room, previous=previous)
    for call in missed:
        if call.room in (room, previous):
            draft.tell(call, mine.address)


def _is_missed(draft: Draft, call: CallRecord, stored: DeviceRecord, mine: DeviceRecord) -> bool:
    """Tell whether a device that went elsewhere must be told there of a call that it was in here."""
    if call.room in (stored.room, stored.previous) or _rang_before(call, mine.address, stored.generation):
        return False
    since = draft.now - REMEMBERED
    return call.end is None or _missed_at(call, mine, stored.generation, since) is not None


def _came_after(call: CallRecord, device: DeviceRecord, since: float) -> bool:
    """Tell whether a device came when its call was over, and nobody knew that it was the device's."""
    moment = decided_at(call, device.address) if device.address in everyone(call) else None
    if moment is None or not device.connected or call.room in (device.room, device.previous):
        return False
    return since < moment < device.generation / 1000


def _rang_before(call: CallRecord, device: DeviceAddress, generation: int) -> bool:
    """Tell whether somebody else had answered a call that a device was to ring for when it connected.

    On that connection it does not ring for it, and perhaps it never did: its node was apart.
    """
    answer = call.answer
    if answer is None or device in (call.caller, answer.callee):
        return False
    return answer.since * 1000 < generation


def _missed_at(call: CallRecord, older: DeviceRecord, newer: int, since: float) -> float | None:
    """When a call ended so that its device may have heard nothing of it; ``None``: it has.

    :param older: the connection that the end was told to, or would have been.
    :param newer: the generation of the next one, at which nobody knew of the end.
    :param since: earlier ends need not be told.
    """
    end = call.end
    if end is None or end.by == older.address or older.address not in everyone(call):
        return None
    if _rang_before(call, older.address, newer):
        return None
    moment = decided_at(call, older.address)
    if moment is None and end.at * 1000 >= newer:
        moment = end.at  # it was taken for gone, and was not
    if Known(call.room, True) in older.known:
        return None
    return moment if moment is not None and moment > since else None
