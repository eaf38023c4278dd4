"""Interfaces of durable state: accounts, lists, settings and revocations, one for each noun.

As in :mod:`callnet.calls.ports`; all of this may wait for a database.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum

from msgspec import Struct, UnsetType
from twisted.internet.defer import Deferred
from zope.interface import Interface

from callnet.calls.preferences import Preferences
from callnet.calls.quiet_hours import QuietHours
from callnet.model import DeviceAddress


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
    is_unused: bool = False
    """A login made it, and nothing has been done with it since."""


class IAccounts(Interface):
    """The phones and devices that callnet knows."""

    def enrol(address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:
        """Make sure that the account of this phone and this device of it exist.

        Nothing is written for a device that is known.

        :param offer: what a device that is made now is offered. If the answer names it, it was made by this call.
        :raises callnet.errors.DeviceInvalid: the phone has as many devices that logins have made as it may have.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def find(address: DeviceAddress) -> Deferred[Enrolled | None]:
        """Look for a device.

        :raises callnet.errors.PhoneInvalid: nor is the phone known.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def used(address: DeviceAddress) -> None:
        """Take note that a device is used: it has connected, or logged in again.

        Devices that logins have made, and that were never used, are forgotten. Nobody waits for it, and if it cannot
        be written down it is the next time.
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
    """The owner of the tokens; ``*``: every device of the phone."""
    expires_at: float
    """From then on all of them have expired."""
    before: float | None = None
    """Those of logins that were earlier, by the clock of :class:`IChanges`."""
    sid: str | None = None
    """Those of the login session with this id."""


class IRevocations(Interface):
    """Tokens that were revoked, on any node: of each phone at most :data:`callnet.model.REVOCATIONS_MAX`.

    Instead of more, the device that has most of them is made to log in again.
    """

    def revoke(revoked: Revocation) -> Deferred[None]:
        """Revoke tokens, and let every node know.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def revoke_all(device: DeviceAddress) -> Deferred[None]:
        """Revoke all tokens that a device, or with ``*`` any device of a phone, has until now, and let every node know.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def revoked(phones: Collection[str] | None = None) -> Deferred[Mapping[str, Sequence[Revocation]]]:
        """The revocations that have not expired, by phone.

        :param phones: of these alone, each of which is in the answer; ``None``: of all.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class ICodes(Interface):
    """The newest one-time code of each phone, and how often it was guessed at. Times are seconds since 1970."""

    def put(phone: str, digest: bytes, now: float, valid_for: float, most: int) -> Deferred[bool]:
        """Keep a code in the place of the one before; tell whether that may be.

        :param most: the maximum number of codes for a phone in an hour.
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


class IPreferenceRecords(Interface):
    """The stored preferences of phones' owners."""

    def restricted(most: int) -> Deferred[Collection[str] | None]:
        """The phones that not everybody may call at all times, or of which devices can be woken; ``None``: there are
        more than ``most``, or all are.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def wakeful(after: str, most: int) -> Deferred[Sequence[str]]:
        """So many of the phones that have devices which can be woken, in order.

        :param after: only those that come after this one.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def announced(most: int) -> Deferred[Collection[str] | None]:
        """The phones that have names for others, or answer some by themselves; ``None``: there are more than ``most``.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def read(phones: Collection[str]) -> Deferred[Mapping[str, Preferences]]:
        """The preferences of the owners of these phones.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class Changed(Struct, frozen=True):
    """The changes since the last look."""

    phones: Collection[str]
    """The phones about which something has changed."""
    time: float
    """The time of the look, in seconds since 1970: that of the database's clock, which all nodes have in common. Of a
    file of SQLite that is the machine's."""
    is_all: bool = False
    """Anything else may have changed as well: it was the first look, or the last was too long ago."""


class IChanges(Interface):
    """Changes in the database of data that nodes cache, whoever made them."""

    def new() -> Deferred[Changed]:
        """Look at it.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IContacts(Interface):
    """The contact list and the blocked phones of each phone. Either may exist without the other.

    What changes a list lets every node know; what is so already changes nothing. Times are seconds since 1970.
    """

    def contacts_of(
        phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Deferred[Sequence[Contact]]:
        """One entry for each device of each contact, by phone, then by device id, in the order of Unicode.

        A contact without a device has no entry.

        :param after: leave out the entries up to this one; it need not be there any more.
        :param limit: the maximum number of entries; ``None``: all.

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


class PhoneSettings(Struct, frozen=True):
    """The settings of a phone."""

    quiet: QuietHours | None
    auto_answer: Sequence[str]
    """Phones whose calls its devices may answer by themselves, in order."""


class IPhoneSettings(Interface):
    """The settings of phones. Every change is announced to every node."""

    def change(
        phone: str, quiet: QuietHours | UnsetType | None, answered: Collection[str] | UnsetType, now: float
    ) -> Deferred[PhoneSettings]:
        """Set some of it, and tell what is set now.

        :param quiet: ``None``: the phone rings at all times.
        :param answered: each of them once.
        :param now: in seconds since 1970.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class PushKind(StrEnum):
    """The kind of a push registration, as on the wire (protocol §1)."""

    WEBHOOK = "webhook"
    """The operator's gateway."""
    WEBPUSH = "webpush"
    """The push service of its browser."""


class PushRegistration(Struct, frozen=True):
    """The push registration of a device."""

    device: DeviceAddress
    kind: PushKind
    target: str
    """At most :data:`callnet.model.PUSH_TARGET_MAX` characters. It means something only to who wakes the device."""
    created_at: float
    """Seconds since 1970."""


class IPushRegistrations(Interface):
    """Push registrations, at most one for each device. Revoking a device's tokens removes it."""

    def put(registration: PushRegistration, is_revoked: Callable[[Sequence[Revocation]], bool]) -> Deferred[bool]:
        """Keep a registration in the place of the device's last one; tell whether that was done.

        :param is_revoked: given all that is revoked of the phone, in another thread, it tells whether the token is that
            the registration came with. If so nothing is done: of a revocation at the same time none is left.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def of(address: DeviceAddress) -> Deferred[Sequence[PushRegistration]]:
        """The registrations of a device, or for ``*`` of all devices of a phone, by device id.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def forget(device: DeviceAddress, now: float) -> Deferred[None]:
        """Wake a device no more.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def drop(registration: PushRegistration, now: float) -> Deferred[None]:
        """Remove a registration, unless the device has made another one since.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
