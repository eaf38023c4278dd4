"""A node's handle on its cluster, of many nodes or of one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.calls.ports import IBus, ICallStore, IEndedCalls, IPresence
from callnet.ops.admin_api import NodeShown
from callnet.ops.limits import ILimits, PerAddress
from callnet.util.histogram import Histogram


class ClusterHandle(Struct, frozen=True):
    """The store, the bus, and the functions to join and leave."""

    store: ICallStore
    presence: IPresence
    bus: IBus
    ended: IEndedCalls
    limits: ILimits
    share: Callable[[str, PerAddress], None]
    """Shares the counts of sockets of a named kind with all nodes."""
    start: Callable[[], None]
    """Join."""
    stop: Callable[[], Deferred[None]]
    """Leave, after the devices and pages of this node have gone."""
    on_loss: Callable[[Callable[[], None]], None]
    """Has a function called each time that the shared store has lost records, even if each node has announced its own.
    """
    why_away: Callable[[], str | None]
    """Returns a short reason if other nodes cannot be reached."""
    nodes: Callable[[], Deferred[Sequence[NodeShown]]]
    """Lists all nodes, if there are others. It may fail with :class:`callnet.errors.Unavailable`."""
    round_trips: Histogram | None
    """Redis' response times in seconds, if it is in use."""
