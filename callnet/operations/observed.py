"""What an operator can look at: one process, or a parent with its workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.operations.metrics import Family
from callnet.operations.readiness import Report


class Observed(Struct, frozen=True):
    """Something to look at. Its Deferreds never fail."""

    report: Callable[[], Deferred[Report]]
    """Whether devices may be sent here."""
    families: Callable[[], Deferred[Sequence[Family]]]
    """What was counted."""
