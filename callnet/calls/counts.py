"""Counters of this node's calls, and the calls in progress."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, get_args

from msgspec import Struct

from callnet.calls import events
from callnet.calls.ports import ICallStore
from callnet.calls.records import Active, CallRecord, CallState, Over, Ringing
from callnet.calls.transaction import calls_in
from callnet.frames.page import MediaPath, MediaSetup
from callnet.model import DeviceAddress, Failed, Outcome, Reason, RoomId, is_guest, log_name
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger, threshold

_PEOPLE: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""Bucket bounds for actions of people, in seconds."""
_MEDIA: Final = (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0, 30.0, 60.0)
"""Bucket bounds for the setup of media, in seconds."""
REMEMBERED: Final = 200
"""The number of failed calls that are remembered."""
_MEANT: Final = frozenset({Reason.HANGUP, Reason.CANCELLED, Reason.REFUSED, Reason.REPLACED})
"""Reasons of an intended end."""

log = Logger()


class FailedCall(Struct, frozen=True):
    """A failed or unintentionally ended call."""

    at: float
    """The time on the store's clock."""
    caller: DeviceAddress
    target: DeviceAddress
    """The address as the caller gave it."""
    reason: Reason
    room: RoomId | None = None
    """``None`` if it never rang."""


class CallCounts:
    """Counters since the start of this node. Each event is counted by one node only.

    :param on_progress: called with each counted call that rings or was accepted.
    :param guest_answered: called with the phone of a guest whose call was accepted.
    """

    def __init__(
        self,
        on_progress: Callable[[CallRecord], None] | None = None,
        guest_answered: Callable[[str], None] | None = None,
    ) -> None:
        self._on_progress = on_progress
        self._guest_answered = guest_answered
        self.placed = 0
        """Calls that rang because a device of this node placed them."""
        self.answered = 0
        """Calls that were accepted by a device of this node."""
        self.failed: Final[Counter[Reason]] = Counter()
        """Calls that failed or were refused, by the outcome reported to callers here, whether they rang or not."""
        self.ended: Final[Counter[Reason]] = Counter()
        """Calls that were ended here, including those that were never answered."""
        self.of_guests: Final = Counter(dict.fromkeys(("answered", "refused", "busy", "no_answer", "failed"), 0))
        """Calls of guests that were answered here, or came out otherwise, by how."""
        self.rang_after: Final = Histogram()
        """Time from the placing of a call until devices of this node were notified, in seconds."""
        self.answered_after: Final = Histogram(_PEOPLE)
        """Time from the placing of a call until a device of this node accepted it, in seconds."""
        self.recent: Final[deque[FailedCall]] = deque(maxlen=REMEMBERED)
        """Calls that failed or ended badly here, the newest last."""
        self.media_setup: Final[Mapping[MediaPath, Histogram]] = {
            path: Histogram(_MEDIA) for path in get_args(MediaPath)
        }
        """Time until media flowed, in seconds, by path, as reported by pages of this node."""
        self.media_failed = 0
        """Pages of this node that gave up before media flowed."""
        self.media_failed_without_relay = 0
        """Those of them whose room had no TURN server."""
        self.media_failed_relay_unreachable = 0
        """Those of them to which no TURN server of their room answered."""

    def committed(self, event: events.Event, calls: Sequence[CallRecord]) -> None:
        """Count the result of an event."""
        for call in calls:
            state: CallState = call.state
            if threshold.has_details:
                reason = state.reason if isinstance(state, Over) else None
                log.debug("call {call}: {state} {reason}", call=log_name(call.room), state=state.word, reason=reason)
            if is_guest(call.caller.phone) and not self._rings_for_guest(event, call):
                continue
            if type(state) is Over:
                self.ended[state.reason] += 1
                if type(event) in events.WHEN_DUE:
                    log.info("call {call} timed out: {reason}", call=log_name(call.room), reason=state.reason.value)
                if state.reason not in _MEANT:
                    self.recent.append(FailedCall(state.at, call.caller, call.target, state.reason, call.room))
                continue
            if type(state) is Ringing and call.version == 1:
                self.placed += 1
            elif type(state) is Active and isinstance(event, (events.Accept, events.Place)) and not state.held_by:
                self.answered += 1
                self.answered_after.count(max(0.0, state.since - call.placed_at))
            else:
                continue
            if self._on_progress is not None:
                self._on_progress(call)

    def connected(self, media: MediaSetup) -> None:
        """Count the media setup of a page, or its failure."""
        if media.path == "none":
            self.media_failed += 1
            if not media.relay_offered:
                self.media_failed_without_relay += 1
            elif not media.relay_answered:
                self.media_failed_relay_unreachable += 1
        else:
            self.media_setup[media.path].count(media.seconds)

    def count_at_once(self, caller: DeviceAddress, outcome: Outcome, now: float) -> None:
        """Count the outcome of a call without any ringing."""
        if isinstance(outcome, Failed):
            self.failed[outcome.reason] += 1
            self.recent.append(FailedCall(now, caller, outcome.target, outcome.reason))
            if is_guest(caller.phone):
                self._outcome_for_guest(outcome.reason)

    def _rings_for_guest(self, event: events.Event, call: CallRecord) -> bool:
        """Count the outcome of a guest's call, and return whether it rings or rang anybody."""
        state = call.state
        if isinstance(state, Over):
            if isinstance(state.was, Ringing):
                self._outcome_for_guest(state.reason)
        elif isinstance(state, Active) and isinstance(event, (events.Accept, events.Place)):
            self.of_guests["answered"] += 1
            if self._guest_answered is not None:
                self._guest_answered(call.caller.phone)
        return bool(call.targets)

    def _outcome_for_guest(self, reason: Reason) -> None:
        if reason is not Reason.CANCELLED:
            self.of_guests[reason.value if reason.value in self.of_guests else "failed"] += 1


class LocalCalls:
    """The calls in the records of this node; no other node is queried."""

    def __init__(self, store: ICallStore) -> None:
        self._store = store
        self._known = store.known()

    def calls(self) -> Iterator[CallRecord]:
        """The calls with ringing or connected parties on this node."""
        return (call for call in self._known.calls.values() if call.end is None)

    def placed_here(self) -> Counter[str]:
        """Live calls by state, counted only at the current or last node of the caller; none that rings nobody."""
        callers = ((call.state.word, self._known.device(call.caller)) for call in self.calls() if call.targets)
        return Counter(state for state, caller in callers if caller is not None and caller.node == self._store.node)

    def of(self, device: DeviceAddress) -> CallRecord | None:
        """The call of a device of this node, ringing or active."""
        record = self._known.device(device)
        return None if record is None else next(iter(calls_in(self._known.calls.get, record)), None)

    def fills(self, room: RoomId) -> bool:
        """Return whether a room belongs to a live call or both of its seats are taken."""
        call, seats = self._known.calls.get(room), self._known.seats.get(room)
        if call is not None:
            return call.end is None
        return seats is not None and all(seat is not None and seat.empty_since is None for seat in seats.seats)
