"""The contracts between the parts of callnet, one for each noun.

Every method that may wait on another machine or thread returns a Deferred, or what is there at once if that
is the rule (:data:`callnet.util.deferreds.Soon`). Addresses, phones and room
ids are well formed when they come here: the edges have checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import Enum
from typing import ClassVar, Final, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from callnet.calls.preferences import Preferences
from callnet.calls.records import (
    CallRecord,
    Changes,
    DeviceRecord,
    DeviceRelay,
    Displaced,
    Notice,
    Over,
    Policy,
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
    """The devices that are connected, on any node."""

    def online(addresses: Collection[DeviceAddress], asker: str | None = None) -> Deferred[frozenset[DeviceAddress]]:
        """Those of ``addresses`` that hold a live socket.

        :param asker: only those that this phone may call; ``None``: all.
        """


class Roster(Struct, frozen=True):
    """The contacts and missed calls that an extended device is told of when it connects."""

    contacts: frozenset[str]
    """The phones that its own lists."""
    missed: Sequence[MissedCall]
    """The newest calls that its phone has missed since the device was there last, the latest first."""
    missed_until: float = 0.0
    """The latest end of these calls, in seconds since 1970."""


class IRoster(Interface):
    """The other devices that concern an extended device."""

    def came(device: DeviceAddress) -> Deferred[Roster]:
        """Look up what a device is to be told that has connected; when this fires it has heard of the missed calls."""

    def contacts_of(phone: str) -> Deferred[frozenset[str]]:
        """The phones that this one lists."""

    def went(device: DeviceAddress) -> None:
        """Take note that the device has heard of all calls that the history has, unless it was not told yet of those
        that it missed.
        """


class IRosterRecords(Interface):
    """Rosters in the database."""

    def met(devices: Collection[DeviceAddress], now: float) -> Deferred[Mapping[DeviceAddress, Roster]]:
        """Look up what these are to be told that have connected, and note that they were here.

        A device that was never here has missed nothing.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def contacts_of(phone: str) -> Deferred[frozenset[str]]:
        """The phones that this one lists.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def heard(devices: Mapping[DeviceAddress, float]) -> Deferred[None]:
        """Note that these have heard of all calls that ended until then, in seconds since 1970, or later ones.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IPreferences(Interface):
    """The preferences of phones' owners, as far as they are loaded."""

    def policy_of(phone: str) -> Soon[Policy]:
        """The policy of this phone; if it cannot be loaded now, nobody may call it."""

    def of(phone: str) -> Soon[Preferences]:
        """All that is wanted. It may have to be read though it is known who may call."""

    def subscribe(changed: Callable[[str, Preferences], Soon[None]]) -> None:
        """Have ``changed`` called when it has changed what the owner of a phone wants."""


class Fate(Enum):
    """The fate of what was sent to somebody."""

    TAKEN = "taken"
    FAILED = "failed"
    """It was not taken, or it is not known that it was."""
    GONE = "gone"
    """The receiver does not know the recipient (any more)."""


class CallLimits(Protocol):
    """The limits on what a device does and others notice."""

    def may_call(self, caller: DeviceAddress, phone: str) -> bool:
        """Count a call; tell whether it is not one too many."""

    def displaced(self, device: DeviceAddress) -> None:
        """Count a connection that was closed for a newer one of its device."""


class Servers(Protocol):
    """The servers by which two clients may reach each other (docs/turn.md), as they are offered to a site."""

    def for_newcomer(self, site: str | None) -> Sequence[IceServer]:
        """Those that a device is told of when it connects."""

    def for_call(self, site: str | None, seconds: float) -> PageServers:
        """Those for a page of a call that may last so long."""

    def for_made_up_room(self, site: str | None) -> PageServers:
        """Those for a page of a room without a call."""


class TooMany(Struct, frozen=True):
    """Something was done too often."""

    which: int
    """Of which of the things that were asked about, by its place."""
    wait: float
    """Seconds after which it may be done again."""


class ILimiter(Interface):
    """A rate limit for each key. It answers at once from what this node knows."""

    def wait(key: str) -> float:
        """Count one more, and answer 0; or if it is too many do not, and answer after how many seconds it is not."""

    def would_wait(key: str) -> bool:
        """Tell whether one more would be too many now."""

    def allow(count: int) -> None:
        """Apply a new limit."""


class IGate(Interface):
    """Several limits that something must pass together."""

    def enter(keys: Sequence[str | None]) -> Soon[TooMany | None]:
        """Count one more for each limit in its order, until one is too many: that, and what follows, is not counted.

        :param keys: one for each limit; ``None``: this one does not go by it.
        """

    def allow(counts: Sequence[int]) -> None:
        """Apply new limits."""


class ILimits(Interface):
    """Makes what counts how often something is done on all nodes together.

    A name stands for the same limit on every node. A limit of 0 allows any number.
    """

    def limiter(name: str, count: int, seconds: float) -> ILimiter:
        """For work that must not wait: ``count`` at once, and as many in each period. A node learns in a second
        or so what was let through by others.
        """

    def gate(limits: Sequence[tuple[str, int, float]]) -> IGate:
        """For what may wait: no more are let through than if there were one node, as long as nodes can meet. Else, or
        if it takes long to ask, each node counts by itself.

        :param limits: the name of each, how many may come at once, and in how many seconds as many again.
        """


BusMessage = Notice | SeatNotice | Relay | DeviceRelay | Displaced | PresenceChanged
"""A message that travels between nodes."""


class Commit(Struct, frozen=True, gc=False):
    """The result of a commit."""

    held: bool
    """True if it was written. Otherwise another commit was faster, and nothing was written or published."""
    here: Sequence[BusMessage] = ()
    """The messages for this node, in order: whoever commits delivers them."""
    unreached: tuple[DeviceAddress, ...] = ()
    """Devices that a :class:`Notice` was for and that are connected, on a node that could not be told."""


PHONES_AT_ONCE: Final = 50
"""Phones that are read together where many are looked at: a shared store does nothing else meanwhile."""

OVERTAKEN: Final = Commit(False)


class Asked(Protocol):
    """A read request; see :meth:`ICallStore.read`."""

    fresh: ClassVar[bool]
    guess: ClassVar[bool]

    def phones(self) -> Collection[str]:
        """Phones whose devices are wanted, with the calls that they name."""

    def rooms(self) -> Collection[RoomId]:
        """Rooms whose calls and seats are wanted."""


class ICallStore(Interface):
    """Keeps versioned records of devices, calls and seats, and decides nothing.

    Who wants to change something reads, lets the rules decide, and commits; if somebody else was
    faster the commit does not happen, and one reads and decides again.

    A store that is shared by nodes may be out of reach. It then goes on with the records that this node
    knows (:attr:`Records.complete`), and takes commits that concern this node's own devices and pages
    alone, or that end a call; the others learn of them when it is back.
    """

    node: str = Attribute("""The name under which this node holds devices and pages. It may change.""")

    def now() -> float:
        """The time, in seconds on the clock of the store, which all nodes share."""

    def date_of(moment: float) -> float:
        """A moment on the clock of the store, in seconds since 1970 by the wall clock as it is set now."""

    def view(asked: Asked, again: bool = False) -> Records | None:
        """The answer of :meth:`read`, if it is here already; ``None``: others have to be asked.

        It is live: whoever decides on it commits before anything else happens.

        :param again: a commit has found out that a guess was wrong.
        """

    def read(
        phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False, guess: bool = False
    ) -> Deferred[Records]:
        """All devices of these phones, these rooms' calls and seats, and the calls and seats of every
        room that one of those devices names. The answer may hold more than was asked for.

        A device or page whose node is dead is shown as gone since then.

        :param fresh: if it is false and ``phones`` is empty, calls and seats may be as this node last heard
            of them; a commit finds out.
        :param guess: the answer may be that nothing is known of these phones, without asking; a commit finds out.
        """

    def known() -> Records:
        """All that this node knows of its own devices and pages, and of their calls, without asking anybody. It is
        live; others may know more.
        """

    def try_commit(changes: Changes) -> Commit | None:
        """Do what :meth:`commit` does at once; ``None``: others have to be asked, and nothing was done.

        :param changes: decided on a :meth:`view` just now, or on what :meth:`read` has just answered.
        :raises callnet.errors.Unavailable: as of :meth:`commit`.
        """

    def commit(changes: Changes) -> Deferred[Commit]:
        """Write all of ``changes`` and publish its notices to other nodes, in order, if every version still holds.

        :raises callnet.errors.Unavailable: it is not known whether it was written; or the store is out of
            reach and this cannot do without it, and nothing was written.
        """

    def failed(call: CallRecord[Over]) -> None:
        """Take note of a call that came to nothing and has no record, for :class:`IEndedCalls`."""

    def due(now: float) -> Deferred[Iterable[DeviceRecord | CallRecord | SeatsRecord]]:
        """Records whose ``due`` is not after ``now``, and that it is for this node to look at.

        There may be very many: each is looked up only when the answer is read as far as that.

        They are named again by a later call until a newer version of them is committed. A call that is
        over is not named: the store forgets it when it is due, with the seats of its room.
        """


class Ended(Struct, frozen=True):
    """A call that is over, and is to be written down."""

    call: CallRecord[Over]
    key: bytes = b""
    """The id under which :class:`IEndedCalls` knows it."""


class IEndedCalls(Interface):
    """Calls that are over, until somebody has written down that they were. Their times are seconds since 1970.

    Each is handed out until it is done with, which may be more than once, and not always as the same record.
    """

    dropped: int = Attribute("""The number of those that were dropped here because too many waited.""")

    def take(most: int) -> Deferred[Sequence[Ended]]:
        """So many of those that nobody else is about to write down, the oldest first.

        :raises callnet.errors.Unavailable: it is not known whether there are any.
        """

    def done(ended: Sequence[Ended]) -> Deferred[None]:
        """Hand these, which were taken last, out no more.

        :raises callnet.errors.Unavailable: they may be handed out again.
        """


EVERY_NODE: Final = "*"
"""The address of messages to all nodes."""


class IBus(Interface):
    """Carries messages to the node that holds a device or a page, at most once each."""

    def subscribe(receiver: Callable[[BusMessage], None]) -> None:
        """Have ``receiver`` called with what is for this node. It must not raise."""

    def publish(node: str, message: BusMessage) -> None:
        """Send a message to a node, which may be this one; or to :data:`EVERY_NODE`, this one included."""


class IPeer(Interface):
    """The socket of one device, as far as the heart knows of it."""

    def send(payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""

    def close(code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code (protocol §2) and a few ASCII words."""

    def heard_at() -> float:
        """The time when anything was last received before the socket began to close, in seconds on the signaling
        factory's clock.
        """
