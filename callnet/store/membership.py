"""The parts of a node that connect it with its cluster, or serve it alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.calls.ports import IBus, ICallStore, IEndedCalls, ILimits, IPresence
from callnet.ops.admin_commands import NodeShown
from callnet.ops.connection_limits import Crowds
from callnet.util.histogram import Histogram


class Membership(Struct, frozen=True):
    """The store, the bus, and how to come and go."""

    store: ICallStore
    presence: IPresence
    bus: IBus
    ended: IEndedCalls
    limits: ILimits
    share: Callable[[str, Crowds], None]
    """Has the sockets of a kind, which is named, be counted on all nodes together."""
    start: Callable[[], None]
    """Join."""
    stop: Callable[[], Deferred[None]]
    """Leave, when the devices and pages of this node are gone."""
    why_away: Callable[[], str | None]
    """Says in a few words why other nodes cannot be reached, if they cannot."""
    nodes: Callable[[], Deferred[Sequence[NodeShown]]]
    """Tells of all nodes, if there are others. It may fail with :class:`callnet.errors.Unavailable`."""
    round_trips: Histogram | None
    """The response time of Redis in seconds, if there is one."""
