"""The interfaces of past events: the history of calls, and the events for webhooks.

As in :mod:`callnet.calls.ports`; all of this may wait for a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface

from callnet.model import DeviceAddress, RoomId


class PastCall(Struct, frozen=True, gc=False):
    """A call from the side of one of its two phones. Times are seconds since 1970."""

    phone: str
    started_at: float
    room: RoomId
    incoming: bool
    device_id: str
    """The phone's own device; ``*``: the phone was called, and none of its devices answered or refused."""
    peer: DeviceAddress
    answered_at: float | None
    ended_at: float
    outcome: str
    """``answered``, ``refused`` or ``missed``; for a failed outgoing call, the reason sent to its caller (§2.1)."""
    auto_answered: bool
    rang: bool = True
    """``False``: the phone was not reached, and it has not been checked that it exists and may be told."""


Sides: TypeAlias = tuple[PastCall, PastCall]
"""The two sides of a call: the caller's phone, and the called one."""


class CallCursor(Struct, frozen=True, array_like=True):
    """The position of a call in the history of a phone."""

    started_at: float
    room: RoomId
    incoming: bool


class IHistory(Interface):
    """The past calls of each phone."""

    def write(calls: Sequence[Sides]) -> Deferred[None]:
        """Write calls, except those already there.

        A phone that was not reached sees a call only if it concerns it: the called device, or for ``*`` the account,
        must exist, and the caller must be allowed to call at some time. Otherwise only the caller's phone sees the
        call.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def past_calls(phone: str, after: CallCursor | None, limit: int) -> Deferred[Sequence[PastCall]]:
        """Calls of a phone, the newest first.

        :param after: only older ones than this.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def forget(before: float) -> Deferred[None]:
        """Remove the calls from before a time.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class OutboxEvent(Struct, frozen=True, gc=False):
    """An event for the operator's webhook."""

    id: str
    event: str
    created_at: float
    """Seconds since 1970, as all times here."""
    body: bytes
    """JSON."""
    phone: str
    """The phones in the event."""
    peer_phone: str | None = None
    unreached: PastCall | None = None
    """The missed call of the event, if it reached nobody: it is sent only if :meth:`IHistory.write` would write that
    call."""


class DueEvent(Struct, frozen=True, gc=False):
    """An event taken for sending."""

    id: str
    body: bytes
    tries: int
    """The number of times it was taken."""


class Tried(Struct, frozen=True, gc=False):
    """The result of an attempt to send an event."""

    event: DueEvent
    failure: str = ""
    """The reason of the failure, in a few words."""
    due_at: float | None = None
    """The time of the next attempt; ``None``: never. After a failure it is a dead letter then, otherwise it was
    delivered."""


class IOutbox(Interface):
    """Events until they are sent. All methods raise :class:`callnet.errors.Unavailable` if the database cannot be
    reached.
    """

    def write(events: Sequence[OutboxEvent], now: float) -> Deferred[None]:
        """Write events, due now, except those with ids already there, sent or not."""

    def take(most: int, now: float, until: float) -> Deferred[Sequence[DueEvent]]:
        """Take the events due for longest, and reserve them until ``until``."""

    def settle(tried: Sequence[Tried], now: float) -> Deferred[None]:
        """Write the results of attempts. Those of an event that was taken again since are ignored."""

    def count(most: int) -> Deferred[tuple[int, int]]:
        """Count the waiting events and the dead letters; of each kind at most ``most`` are counted."""

    def forget(done: float, dead: float) -> Deferred[None]:
        """Remove the ids of events done before one time, and the dead letters from before another."""
