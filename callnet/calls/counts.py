"""The calls of this node: what has become of them, as far as it had to do with it, and those that go on."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, get_args

from msgspec import Struct

from callnet.calls import events
from callnet.calls.ports import ICallStore
from callnet.calls.records import Active, CallRecord, Over, Ringing
from callnet.frames.page import MediaPath, MediaSetup
from callnet.model import DeviceAddress, Failed, Outcome, Reason, Refused, RoomId, log_name
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger, threshold

_PEOPLE: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""Bounds for what people take seconds for."""
_MEDIA: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
"""Bounds for how long it takes until media flows."""
REMEMBERED: Final = 200
"""So many calls that failed are remembered."""
_MEANT: Final = frozenset(
    {
        Reason.HANGUP,
        Reason.CANCELLED,
        Reason.REFUSED,
        Reason.ANSWERED_ELSEWHERE,
        Reason.REFUSED_ELSEWHERE,
        Reason.MOVED,
        Reason.REPLACED,
    }
)
"""Ends that somebody wanted."""

log = Logger()


class FailedCall(Struct, frozen=True):
    """A call that nobody wanted to end as it did, or that came to nothing."""

    at: float
    """On the clock of the store."""
    caller: DeviceAddress
    target: DeviceAddress
    """The address as the caller gave it."""
    reason: Reason
    room: RoomId | None = None
    """``None``: it never rang."""


class CallCounts:
    """Since the start of this node. What one node has counted no other counts too.

    :param on_progress: called with each call that rings or was accepted, when it is counted.
    """

    def __init__(self, on_progress: Callable[[CallRecord], None] | None = None) -> None:
        self._on_progress = on_progress
        self.placed = 0
        """Calls that rang because a device of this node placed them."""
        self.answered = 0
        """Calls that were accepted by a device of this node."""
        self.failed: Final[Counter[Reason]] = Counter()
        """Calls whose callers were told here that they failed or were refused, whether they ever rang or not."""
        self.ended: Final[Counter[Reason]] = Counter()
        """Calls that were ended here, those that were never answered among them."""
        self.rang_after: Final = Histogram()
        """How long it took from the placing of calls until devices of this node were told, in seconds."""
        self.answered_after: Final = Histogram(_PEOPLE)
        """How long calls rang until devices of this node accepted them, in seconds."""
        self.recent: Final[deque[FailedCall]] = deque(maxlen=REMEMBERED)
        """Those that failed or ended badly here, the newest last."""
        self.media_setup: Final[Mapping[MediaPath, Histogram]] = {
            path: Histogram(_MEDIA) for path in get_args(MediaPath)
        }
        """How long it took until media flowed, in seconds, by how it goes, as pages of this node have told."""
        self.media_failed = 0
        """How many pages of this node gave up before media ever flowed."""

    def committed(self, event: events.Event, calls: Sequence[CallRecord]) -> None:
        """Count what an event has come to."""
        if threshold.has_details:
            for call in calls:
                log.debug(
                    "call {call}: {state} {reason}",
                    call=log_name(call.room),
                    state=call.state.word,
                    reason=None if call.end is None else call.end.reason,
                )
        for call in calls:
            state = call.state
            if isinstance(state, Over):
                self.ended[state.reason] += 1
                if isinstance(event, events.WHEN_DUE):
                    reason = state.reason.value
                    log.info("call {call} ended by itself: {reason}", call=log_name(call.room), reason=reason)
                if state.reason not in _MEANT:
                    self.recent.append(FailedCall(state.at, call.caller, call.target, state.reason, call.room))
                continue
            if isinstance(state, Ringing) and call.version == 1:
                self.placed += 1
            elif isinstance(state, Active) and isinstance(event, (events.Accept, events.LateAnswer, events.Place)):
                self.answered += 1
                self.answered_after.count(max(0.0, state.since - call.placed_at))
            else:
                continue
            if self._on_progress is not None:
                self._on_progress(call)

    def told(self, outcome: Outcome) -> None:
        """Count what a caller is told."""
        if isinstance(outcome, (Failed, Refused)):
            self.failed[outcome.reason] += 1

    def connected(self, media: MediaSetup) -> None:
        """Count how a page came to be connected, or that it did not."""
        if media.path == "none":
            self.media_failed += 1
        else:
            self.media_setup[media.path].count(media.seconds)

    def told_at_once(self, caller: DeviceAddress, outcome: Outcome, now: float) -> None:
        """Count what a caller is told of a call that never rang."""
        self.told(outcome)
        if isinstance(outcome, Failed):
            self.recent.append(FailedCall(now, caller, outcome.target, outcome.reason))


class LocalCalls:
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
