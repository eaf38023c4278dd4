"""The calls that go on, and who is in one, as far as this node knows: when it stops they are not to be disturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from callnet.interfaces import ICallStore
from callnet.model import DeviceAddress, RoomId
from callnet.records import CallRecord


class Unfinished:
    """Looks at the records that are here, and asks nobody."""

    def __init__(self, store: ICallStore) -> None:
        self._store = store

    def calls(self) -> Iterator[CallRecord]:
        """Those that devices of this node are in, or that ring them."""
        return (call for call in self._store.known().calls.values() if call.end is None)

    def placed_here(self) -> Counter[str]:
        """How many go on, by state, whose callers are at this node, or were last: of each call one node says so."""
        known = self._store.known()
        callers = ((call.state.word, known.device(call.caller)) for call in self.calls())
        return Counter(state for state, caller in callers if caller is not None and caller.node == self._store.node)

    def of(self, device: DeviceAddress) -> CallRecord | None:
        """The call that a device of this node is in, be it one that rings."""
        known = self._store.known()
        record = known.device(device)
        call = None if record is None or record.room is None else known.calls.get(record.room)
        return call if call is not None and device in call.parties else None

    def has(self, device: DeviceAddress) -> bool:
        """Tell whether a device of this node is in a call, be it one that rings."""
        return self.of(device) is not None

    def fills(self, room: RoomId) -> bool:
        """Tell whether a room is that of a call that goes on, or both of its seats are taken."""
        known = self._store.known()
        call, seats = known.calls.get(room), known.seats.get(room)
        if call is not None:
            return call.end is None
        return seats is not None and all(seat is not None and seat.empty_since is None for seat in seats.seats)
