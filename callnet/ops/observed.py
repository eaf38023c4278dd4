"""What an operator can look at, and give orders to: one process, or a parent with its workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.ops.admin_commands import Order, Outcome
from callnet.ops.metrics import Family
from callnet.ops.readiness import Report


class Observed(Struct, frozen=True):
    """Something to look at, whose Deferreds never fail then."""

    report: Callable[[], Deferred[Report]]
    """Whether devices may be sent here."""
    families: Callable[[], Deferred[Sequence[Family]]]
    """What was counted."""
    obey: Callable[[Order], Deferred[Outcome]]
    """Carries out an order. It fails with :class:`callnet.errors.Unavailable` if that cannot be done just now."""
    stop: Callable[[], None]
    """Have it stop as SIGTERM does."""
