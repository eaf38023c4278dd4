"""The contracts between the parts of callnet, one for each noun.

Every method that may wait on another machine or thread returns a Deferred. Addresses, phones and room
ids are well formed when they come here: the edges have checked them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface

from callnet.model import DeviceAddress, RoomId
from callnet.records import (
    CallRecord,
    Changes,
    DeviceRecord,
    Displaced,
    Notice,
    Records,
    Relay,
    SeatNotice,
    SeatsRecord,
)


class Contact(Struct, frozen=True):
    """One device of a contact. ``name`` is what the owner of the list calls the contact."""

    phone: str
    device_id: str
    name: str = ""


class IAccounts(Interface):
    """The phones and devices that callnet knows."""

    def enrol(address: DeviceAddress) -> Deferred[None]:
        """Make sure that the account of this phone and this device of it exist.

        Nothing is written for a device that is known.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IContacts(Interface):
    """Whom each phone may see in its list."""

    def contacts_of(
        phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Deferred[Sequence[Contact]]:
        """One entry for each device of each contact, by phone, then by device id, in the order of Unicode.

        A contact without a device has no entry.

        :param after: leave out the entries up to this one; it need not be there any more.
        :param limit: at most so many entries; ``None``: all.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IPresence(Interface):
    """Who is connected just now, on any node."""

    def online(addresses: Collection[DeviceAddress]) -> Deferred[frozenset[DeviceAddress]]:
        """Those of ``addresses`` that hold a live socket."""


class ICallStore(Interface):
    """Keeps versioned records of devices, calls and seats, and decides nothing.

    Who wants to change something reads, lets the rules decide, and commits; if somebody else was
    faster the commit does not happen, and one reads and decides again.
    """

    def read(phones: Collection[str], rooms: Collection[RoomId]) -> Deferred[Records]:
        """All devices of these phones, these rooms' calls and seats, and the calls and seats of every
        room that one of those devices names. The answer may hold more than was asked for.
        """

    def commit(changes: Changes) -> Deferred[bool]:
        """Write all of ``changes`` and publish its notices, in order, if every version still holds.

        Fires with ``False``, and nothing was written or published, if one does not.
        """

    def due(now: float) -> Deferred[Sequence[DeviceRecord | CallRecord | SeatsRecord]]:
        """Records whose ``due`` is not after ``now``.

        They are named again by a later call until a newer version of them is committed.
        """


BusMessage = Notice | SeatNotice | Relay | Displaced
"""What travels between nodes."""


class IBus(Interface):
    """Carries messages to the node that holds a device or a page, at most once each."""

    def subscribe(receiver: Callable[[BusMessage], None]) -> None:
        """Have ``receiver`` called with what is for this node. It must not raise."""

    def publish(messages: Iterable[BusMessage]) -> None:
        """Send each message to where its addressee is."""


class IPeer(Interface):
    """The socket of one device, as far as the heart knows of it."""

    def send(payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""

    def close(code: int, reason: str) -> None:
        """Close the socket with a WebSocket close code (protocol §2) and a few ASCII words."""

    def heard_at() -> float:
        """When anything was last received, in seconds on the clock of the signaling factory."""
