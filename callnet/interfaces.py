"""The contracts between the parts of callnet, one for each noun.

Every method that may wait on another machine or thread returns a Deferred, or what is there at once if that
is the rule (:data:`callnet.soon.Soon`). Addresses, phones and room
ids are well formed when they come here: the edges have checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from callnet.model import DeviceAddress, RoomId
from callnet.records import (
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Policy,
    Records,
    Relay,
    SeatNotice,
    SeatsRecord,
)
from callnet.soon import Soon


class Contact(Struct, frozen=True):
    """One device of a contact. ``name`` is what the owner of the list calls the contact."""

    phone: str
    device_id: str
    name: str = ""


class Enrolled(Struct, frozen=True):
    """A device that callnet knows."""

    secret: bytes | None = None
    """SHA-256 of the secret without which it may not log in, if it has one."""
    offered: bytes | None = None
    """SHA-256 of the secret that it was offered when it was made, and has not used yet."""


class IAccounts(Interface):
    """The phones and devices that callnet knows."""

    def enrol(address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:
        """Make sure that the account of this phone and this device of it exist.

        Nothing is written for a device that is known.

        :param offer: what a device that is made now is offered. If the answer names it, it was made by this call.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def find(address: DeviceAddress) -> Deferred[Enrolled | None]:
        """Look for a device.

        :raises callnet.errors.PhoneInvalid: nor is the phone known.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def offer(address: DeviceAddress, offer: bytes, now: float) -> Deferred[None]:
        """Offer another secret to a device that is there; the one that it has is good until this one is used.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def claim(address: DeviceAddress, offered: bytes, now: float) -> Deferred[bool]:
        """Let a device need from now on the secret that it was offered. Tells whether that was so still.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class Revocation(Struct, frozen=True):
    """Tokens that are refused though they have not expired. Times are seconds since 1970."""

    device: DeviceAddress
    """Whose tokens; ``*``: those of every device of the phone."""
    expires_at: float
    """From then on all of them have expired."""
    before: float | None = None
    """Those that were issued earlier."""
    jti: str | None = None
    """The one with this id."""


class IRevocations(Interface):
    """Tokens that were revoked, on any node."""

    def revoke(revoked: Revocation, now: float) -> Deferred[None]:
        """Revoke tokens, and let every node know.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def revoked(now: float, phones: Collection[str] | None = None) -> Deferred[Mapping[str, Sequence[Revocation]]]:
        """What is revoked and has not expired, by phone.

        :param phones: of these alone, each of which is in the answer; ``None``: of all.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class ICodes(Interface):
    """The newest one-time code of each phone, and how often it was guessed at. Times are seconds since 1970."""

    def put(phone: str, digest: bytes, now: float, valid_for: float, most: int) -> Deferred[bool]:
        """Keep a code in the place of the one before; tell whether that may be.

        :param most: so many codes a phone may be sent in an hour.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def try_(phone: str, now: float, most: int) -> Deferred[bytes | None]:
        """Count a guess, and answer with what is kept; ``None``: nothing that is valid, or it had enough of them.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def spend(phone: str, digest: bytes) -> Deferred[bool]:
        """Let a code be good no more; tell whether it was until now.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IPolicyRecords(Interface):
    """Who may call which phone, where it is kept."""

    def restricted(most: int) -> Deferred[Collection[str] | None]:
        """The phones that not everybody may call; ``None``: there are more of them than ``most``, or all are.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def read(phones: Collection[str]) -> Deferred[Mapping[str, Policy]]:
        """Who may call each of these phones.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IChanges(Interface):
    """What has changed in the database, by whomever, that nodes remember."""

    def new() -> Deferred[Collection[str]]:
        """The phones about which something has changed since the last look; at first, not long ago.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IContacts(Interface):
    """Whom each phone has in its list, and whom it blocks. Either may be without the other.

    What changes a list lets every node know; what is so already changes nothing. Times are seconds since 1970.
    """

    def contacts_of(
        phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Deferred[Sequence[Contact]]:
        """One entry for each device of each contact, by phone, then by device id, in the order of Unicode.

        A contact without a device has no entry.

        :param after: leave out the entries up to this one; it need not be there any more.
        :param limit: at most so many entries; ``None``: all.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def add(owner: str, phone: str, name: str | None, now: float) -> Deferred[None]:
        """Put a phone in the list of ``owner``.

        :param name: what the owner calls it; ``None``: what it did before, or nothing.
        :raises callnet.errors.DataInvalid: it is not there, and :data:`callnet.model.CONTACTS_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def remove(owner: str, phone: str, now: float) -> Deferred[None]:
        """Take a phone out of the list of ``owner``. It stays blocked if it is.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def block(owner: str, phone: str, now: float) -> Deferred[None]:
        """Have ``owner`` block a phone. It stays in the list if it is there.

        :raises callnet.errors.DataInvalid: it is not blocked, and :data:`callnet.model.BLOCKED_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def unblock(owner: str, phone: str, now: float) -> Deferred[None]:
        """Have ``owner`` block a phone no more.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def blocked_by(phone: str) -> Deferred[frozenset[str]]:
        """The phones that this phone blocks.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IPresence(Interface):
    """Who is connected just now, on any node."""

    def online(addresses: Collection[DeviceAddress], asker: str | None = None) -> Deferred[frozenset[DeviceAddress]]:
        """Those of ``addresses`` that hold a live socket.

        :param asker: only those that this phone may call; ``None``: all.
        """


class IPolicies(Interface):
    """Who may call which phone."""

    def of(phone: str) -> Soon[Policy]:
        """Who may call this phone, as far as it is known: if it cannot be known just now, nobody."""


class Commit(Struct, frozen=True):
    """What came of a commit."""

    held: bool
    """Whether it was written. If not, somebody else was faster, and nothing was written or published."""
    unreached: tuple[DeviceAddress, ...] = ()
    """Devices that a :class:`Notice` was for and that are connected, on a node that could not be told."""


COMMITTED: Final = Commit(True)
OVERTAKEN: Final = Commit(False)


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

    def heard_until() -> float:
        """Until when this node has surely heard of all that others decided about its devices, by the same clock."""

    def read(
        phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False, guess: bool = False
    ) -> Soon[Records]:
        """All devices of these phones, these rooms' calls and seats, and the calls and seats of every
        room that one of those devices names. The answer may hold more than was asked for.

        A device or page whose node is dead is shown as gone since then.

        :param fresh: if it is false and ``phones`` is empty, calls and seats may be as this node last heard
            of them; a commit finds out.
        :param guess: the answer may be that nothing is known of these phones, without asking; a commit finds out.
        """

    def commit(changes: Changes) -> Soon[Commit]:
        """Write all of ``changes`` and publish its notices, in order, if every version still holds.

        :raises callnet.errors.Unavailable: it is not known whether it was written; or the store is out of
            reach and this cannot do without it, and nothing was written.
        """

    def due(now: float) -> Deferred[Iterable[DeviceRecord | CallRecord | SeatsRecord]]:
        """Records whose ``due`` is not after ``now``, and that it is for this node to look at.

        There may be very many: each is looked up only when the answer is read as far as that.

        They are named again by a later call until a newer version of them is committed. A call that is
        over is not named: the store forgets it when it is due, with the seats of its room.
        """


BusMessage = Notice | SeatNotice | Relay | Displaced
"""What travels between nodes."""


class IBus(Interface):
    """Carries messages to the node that holds a device or a page, at most once each."""

    def subscribe(receiver: Callable[[BusMessage], None]) -> None:
        """Have ``receiver`` called with what is for this node. It must not raise."""

    def publish(node: str, message: BusMessage) -> None:
        """Send a message to a node, which may be this one."""


class IPeer(Interface):
    """The socket of one device, as far as the heart knows of it."""

    def send(payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""

    def close(code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code (protocol §2) and a few ASCII words."""

    def heard_at() -> float:
        """When anything was last received, in seconds on the clock of the signaling factory."""
