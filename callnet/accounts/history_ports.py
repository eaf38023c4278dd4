"""The contracts of what has happened: the history of calls, and the events that a program of the operator's is told.

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
    """A call as one of the two phones sees it that took part. Times are seconds since 1970."""

    phone: str
    started_at: float
    room: RoomId
    incoming: bool
    device_id: str
    """The phone's own device; ``*``: it was called as a whole, and none answered or refused."""
    peer: DeviceAddress
    answered_at: float | None
    ended_at: float
    outcome: str
    """``answered``, ``refused`` or ``missed``; of a call that went out why it failed, as its caller was told (§2.1)."""
    auto_answered: bool
    rang: bool = True
    """``False``: the phone was not reached, and nobody has looked yet whether there is one that wants to know."""


Sides: TypeAlias = tuple[PastCall, PastCall]
"""One call: as its caller's phone sees it, and as the called one does."""


class CallCursor(Struct, frozen=True, array_like=True):
    """A place in the history of a phone: that of a call in it."""

    started_at: float
    room: RoomId
    incoming: bool


class IHistory(Interface):
    """The past calls of each phone."""

    def write(calls: Sequence[Sides]) -> Deferred[None]:
        """Write these down, but those that are there already.

        Of a phone that was not reached only what concerns it: the called device, or for ``*`` the account, must be
        there, and the caller one who may call at some time. Else the caller's phone alone sees the call.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def past_calls(phone: str, after: CallCursor | None, limit: int) -> Deferred[Sequence[PastCall]]:
        """Calls of a phone, the newest first.

        :param after: only older ones than this.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def forget(before: float) -> Deferred[None]:
        """Remove calls that began before a time.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class OutboxEvent(Struct, frozen=True, gc=False):
    """A webhook event."""

    id: str
    event: str
    created_at: float
    """Seconds since 1970, as all times here."""
    body: bytes
    """JSON."""
    phone: str
    """The phone that it names."""
    peer_phone: str | None = None
    unreached: PastCall | None = None
    """The missed call that it tells of, if that reached nobody: it is told if :meth:`IHistory.write` would write it."""


class DueEvent(Struct, frozen=True, gc=False):
    """An event that somebody was handed out to send."""

    id: str
    body: bytes
    tries: int
    """The number of times it was handed out."""


class Tried(Struct, frozen=True, gc=False):
    """The outcome of sending an event."""

    event: DueEvent
    failure: str = ""
    """Why it was not taken, in a few words."""
    due_at: float | None = None
    """The time to send it again; ``None``: never. With a failure it is then a dead letter, else it was accepted."""


class IOutbox(Interface):
    """Events until they are sent. All of it raises :class:`callnet.errors.Unavailable` while it cannot be reached."""

    def write(events: Sequence[OutboxEvent], now: float) -> Deferred[None]:
        """Write down events that are due now, but those whose ids are there already, sent or not."""

    def take(most: int, now: float, until: float) -> Deferred[Sequence[DueEvent]]:
        """So many of those that have been due for longest, which nobody else is handed out ``until`` then."""

    def settle(tried: Sequence[Tried], now: float) -> Deferred[None]:
        """Write down what came of sending these: nothing if one was not taken, and was handed out again since."""

    def count(most: int) -> Deferred[tuple[int, int]]:
        """The numbers of waiting events and of dead letters, each counted up to ``most``."""

    def forget(done: float, dead: float) -> Deferred[None]:
        """Remove the ids of what was done with before one time, and the dead letters of before another."""
