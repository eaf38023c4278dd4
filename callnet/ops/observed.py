"""The interface for operators to one process, or to a parent with its workers."""

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
    """The readiness."""
    families: Callable[[], Deferred[Sequence[Family]]]
    """The metrics."""
    obey: Callable[[Order], Deferred[Outcome]]
    """Carries out an order. It fails with :class:`callnet.errors.Unavailable` if that cannot be done now."""
    stop: Callable[[], None]
    """Have it stop as SIGTERM does."""
