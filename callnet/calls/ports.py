"""The interfaces between the parts of callnet, one for each noun.

Every method that may wait on another machine or thread returns a Deferred, or the result itself where it is usually
available at once (:data:`callnet.util.deferreds.Soon`). Addresses, phones and room ids are well formed here: the edges
have checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from enum import Enum
from typing import Final, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from callnet.calls.events import Event
from callnet.calls.preferences import Policy, Preferences
from callnet.calls.records import (
    CallRecord,
    Changes,
    DeviceRecord,
    DeviceRelay,
    Displaced,
    Notice,
    Over,
    PresenceChanged,
    Records,
    Relay,
    SeatNotice,
    SeatsRecord,
)
from callnet.frames.ice import IceServer, PageServers
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress, RoomId
from callnet.util.deferreds import Soon


class IPresence(Interface):
    """The presence of devices on all nodes."""

    def online(addresses: Collection[DeviceAddress], asker: str | None = None) -> Deferred[frozenset[DeviceAddress]]:
        """Return the connected devices of ``addresses``.

        :param asker: only those that this phone may call; ``None``: all.
        """


class Roster(Struct, frozen=True):
    """The contacts and missed calls of an extended device at its connection."""

    contacts: frozenset[str]
    """The contacts of its phone."""
    missed: Sequence[MissedCall]
    """The newest calls that its phone has missed since the device was last connected, the latest first."""
    missed_until: float = 0.0
    """The latest end of these calls, in seconds since 1970."""


class IRoster(Interface):
    """The contacts and missed calls of extended devices."""

    def came(device: DeviceAddress) -> Deferred[Roster]:
        """Look up a connected device's roster; when this fires it has been told of the missed calls.

        It does not fire if the device has left by then, or has connected again.
        """

    def contacts_of(phone: str) -> Deferred[frozenset[str]]:
        """The contacts of a phone."""

    def went(device: DeviceAddress) -> None:
        """Record that the device knows all calls in the history, unless it has yet to be told of its missed ones."""


class IPreferences(Interface):
    """The owners' preferences for calls to their phones, as far as they are known."""

    def policy_of(phone: str) -> Soon[Policy]:
        """The policy of a phone; it admits nobody if it cannot be read at the moment."""

    def of(phone: str) -> Soon[Preferences]:
        """All preferences of a phone. They may have to be read though the policy is known."""

    def subscribe(changed: Callable[[str, Preferences], Deferred[None]]) -> None:
        """Have ``changed`` called when an owner's preferences have changed."""


class DeliveryResult(Enum):
    """The result of a delivery."""

    TAKEN = "taken"
    FAILED = "failed"
    """It was not accepted, or the result is unknown."""
    GONE = "gone"
    """The addressee is unknown there, or no longer known."""


class CallLimits(Protocol):
    """The rate limits of one device."""

    def may_call(self, caller: DeviceAddress, phone: str) -> bool:
        """Count a call; return whether it is within the limit."""

    def may_change_call(self, device: DeviceAddress) -> bool:
        """Count a takeover or an exchange of calls; return whether it is within the limit."""

    def displaced(self, device: DeviceAddress) -> None:
        """Count a connection closed for a newer one of its device."""


class GuestLink(Protocol):
    """The link that a guest uses, if it is one."""

    @property
    def address(self) -> DeviceAddress:
        """The guest."""

    async def owner(self) -> str | None:
        """The phone that the link rings now, with one more call counted; ``None``: it is to ring nobody.

        :raises RateLimited: the guest calls too often, whatever link it has.
        :raises Unavailable: the database cannot be reached.
        """


class Servers(Protocol):
    """The ICE servers of clients (docs/turn.md), as they are offered to a site."""

    def for_newcomer(self, site: str | None) -> Sequence[IceServer]:
        """The servers for a new connection of a device."""

    def for_call(self, site: str | None, seconds: float) -> PageServers:
        """The servers for a page of a call with at most ``seconds`` left."""

    def for_made_up_room(self, site: str | None) -> PageServers:
        """The servers for a page of a made-up room."""


BusMessage = Notice | SeatNotice | Relay | DeviceRelay | Displaced | PresenceChanged
"""A message between nodes."""


class Commit(Struct, frozen=True, gc=False):
    """The result of a commit."""

    held: bool
    """True if it was written. Otherwise another commit was faster, and nothing was written or published."""
    here: Sequence[BusMessage] = ()
    """The messages for this node, in order, for the committer to deliver."""
    unreached: tuple[DeviceAddress, ...] = ()
    """Connected addressees of a :class:`Notice` on a node that could not be notified."""


PHONES_AT_ONCE: Final = 50
"""The maximum number of phones read together: a shared store does nothing else meanwhile."""

OVERTAKEN: Final = Commit(False)


class ICallStore(Interface):
    """Keeps versioned records of devices, calls and seats, and decides nothing.

    A change is a read, a decision by the rules, and a commit; if another commit was faster it fails, and the change is
    tried again from the read.

    A store that is shared by nodes may be out of reach. It then goes on with the records that this node knows
    (:attr:`Records.complete`), and takes commits that concern this node's own devices and pages alone, or that end a
    call; the others learn of them when it is back.
    """

    node: str = Attribute("""The name under which this node holds devices and pages. It may change.""")

    def now() -> float:
        """The time, in seconds on the clock of the store, which all nodes share."""

    def date_of(moment: float) -> float:
        """A time on the clock of the store, in seconds since 1970 by the current wall clock."""

    def view(event: Event, again: bool = False) -> Records | None:
        """The result of :meth:`read` for an event, if it is available at once; ``None``: the store must be queried.

        It is live: the decision must be committed before anything else happens.

        :param again: a commit has shown that a guess was wrong.
        """

    def read(phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False) -> Deferred[Records]:
        """All devices of these phones, these rooms' calls and seats, and the calls and seats of every room that one of
        those devices names. The answer may hold more than was requested.

        A device or page whose node is dead is shown as gone since then.

        :param fresh: if it is false and ``phones`` is empty, calls and seats may be as this node last read them; a
            commit detects stale ones.
        """

    def known() -> Records:
        """All records of this node's own devices and pages and of their calls, without a query. It is live; other nodes
        may know more.
        """

    def try_commit(changes: Changes) -> Commit | None:
        """Do the work of :meth:`commit` at once; ``None``: the store must be queried, and nothing was done.

        :param changes: decided on a :meth:`view` just now, or on a fresh answer of :meth:`read`.
        :raises callnet.errors.Unavailable: as of :meth:`commit`.
        """

    def commit(changes: Changes) -> Deferred[Commit]:
        """Write all of ``changes`` and publish its notices to other nodes, in order, if every version still holds.

        :raises callnet.errors.Unavailable: the result is unknown; or the store is out of reach and this cannot do
            without it, and nothing was written.
        """

    def failed(call: CallRecord[Over]) -> None:
        """Record a failed call without a record, for :class:`IEndedCalls`."""

    def due(now: float) -> Deferred[Iterable[DeviceRecord | CallRecord | SeatsRecord]]:
        """The records for this node to process with a ``due`` of at most ``now``.

        There may be very many: each is read only when the iteration gets to it.

        A later call names them again until a newer version of them is committed. A call that is over is not named: the
        store forgets it when it is due, with the seats of its room.
        """


class Ended(Struct, frozen=True):
    """An ended call for the history."""

    call: CallRecord[Over]
    key: bytes = b""
    """The key of the call in :class:`IEndedCalls`."""


class IEndedCalls(Interface):
    """Ended calls until they are written to the history. Their times are seconds since 1970.

    Each is handed out until it is done with, which may be more than once, and not always as the same record.
    """

    dropped: int = Attribute("""The number of those that were dropped here because too many waited.""")

    def take(most: int) -> Deferred[Sequence[Ended]]:
        """Take at most ``most`` calls not taken by another writer, the oldest first.

        :raises callnet.errors.Unavailable: the store could not be queried.
        """

    def done(ended: Sequence[Ended]) -> Deferred[None]:
        """Remove the calls taken last.

        :raises callnet.errors.Unavailable: they may be handed out again.
        """


EVERY_NODE: Final = "*"
"""The address of a message for all nodes."""


class IBus(Interface):
    """Carries messages to the node of a device or a page, at most once each."""

    def subscribe(receiver: Callable[[BusMessage], None]) -> None:
        """Have ``receiver`` called with the messages for this node. It must not raise."""

    def publish(node: str, message: BusMessage) -> None:
        """Send a message to a node, possibly this one; or to :data:`EVERY_NODE`, this one included."""


class IPeer(Interface):
    """The socket of one device, as the core sees it."""

    def send(payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""

    def close(code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code (protocol §2) and a short ASCII reason."""

    def heard_at() -> float:
        """The time of the last received data before the socket began to close, in seconds on the signaling factory's
        clock.
        """
