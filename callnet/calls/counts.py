"""What has become of calls, as far as this node had to do with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from callnet.calls import events
from callnet.errors import Unavailable
from callnet.model import Failed, Outcome, Reason, Refused
from callnet.operations.histogram import Histogram
from callnet.records import CallRecord, CallState

_PEOPLE: Final = (1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0)
"""Bounds for what people take seconds for."""


class CallCounts:
    """Since the start of this node. What one node has counted no other counts too."""

    on_progress: Callable[[CallRecord], None] | None = None
    """Called with each call that rings or was accepted, when it is counted."""

    def __init__(self) -> None:
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

    def committed(self, event: events.Event, calls: Sequence[CallRecord]) -> None:
        """Count what an event has come to."""
        for call in calls:
            if call.state is CallState.OVER:
                if call.reason is not None:
                    self.ended[call.reason] += 1
            elif call.state is CallState.RINGING:
                if call.version == 1:
                    self.placed += 1
                    self._goes_on(call)
            elif isinstance(event, (events.Answer, events.Place)):
                self.answered += 1
                self.answered_after.count(max(0.0, (call.answered_at or call.placed_at) - call.placed_at))
                self._goes_on(call)

    def _goes_on(self, call: CallRecord) -> None:
        if self.on_progress is not None:
            self.on_progress(call)

    def told(self, outcome: Outcome) -> None:
        """Count what a caller is told."""
        if isinstance(outcome, (Failed, Refused)):
            self.failed[outcome.reason] += 1

    def not_placed(self, error: Exception) -> None:
        """Count a call that could not be placed, which its caller is told."""
        self.failed[Reason.UNAVAILABLE if isinstance(error, Unavailable) else Reason.INTERNAL] += 1
