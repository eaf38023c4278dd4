"""Something for an operator to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail, succeed

from callnet.ops.admin_api import AdminCommand, AdminResult
from callnet.ops.metrics import Family, Observed
from callnet.ops.readiness import Report


def looked_at(
    report: Callable[[], Deferred[Report]], families: Callable[[], Deferred[Sequence[Family]]] = lambda: succeed([])
) -> Observed:
    """Something that takes no orders."""

    def refuse(order: AdminCommand) -> Deferred[AdminResult]:
        return fail(AssertionError(f"was ordered {order}"))

    return Observed(report, families, refuse, lambda: None)
