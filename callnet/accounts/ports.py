"""The interfaces to the database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, UnsetType
from twisted.internet.defer import Deferred
from zope.interface import Interface

from callnet.calls.preferences import Preferences
from callnet.calls.quiet_hours import QuietHours
from callnet.model import DeviceAddress, RoomId


class Contact(Struct, frozen=True):
    """One device of a contact. ``name`` is the contact's name in the list."""

    phone: str
    device_id: str
    name: str = ""


class Enrolled(Struct, frozen=True):
    """A known device."""

    secret: bytes | None = None
    """SHA-256 of the secret that its logins require, if it has one."""
    offered: bytes | None = None
    """SHA-256 of the secret that it was offered when it was created, and has not used yet."""
    is_unused: bool = False
    """True if it was created by a login, and has not been used since."""


class IAccounts(Interface):
    """The known phones and devices."""

    def enrol(address: DeviceAddress, offer: bytes) -> Deferred[Enrolled]:
        """Create the account of this phone and this device of it, unless they exist.

        Nothing is written for a known device.

        :param offer: the offer to a new device. If the answer names it, the device was created by this call.
        :raises callnet.errors.DeviceInvalid: the phone has the maximum number of devices created by logins.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def find(address: DeviceAddress) -> Deferred[Enrolled | None]:
        """Look for a device.

        :raises callnet.errors.PhoneInvalid: the phone is not known either.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def used(address: DeviceAddress) -> None:
        """Record that a device is used: it has connected, or logged in again.

        Devices created by logins and never used are forgotten. This does not wait, and a failed write is repeated at
        the next use.
        """

    def offer(address: DeviceAddress, offer: bytes, now: float) -> Deferred[None]:
        """Offer another secret to a known device; its current one is valid until this one is used.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def claim(address: DeviceAddress, offered: bytes, now: float) -> Deferred[bool]:
        """Require the offered secret of a device from now on. Return whether it was still offered.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class Revocation(Struct, frozen=True):
    """Revoked, unexpired tokens. Times are seconds since 1970."""

    device: DeviceAddress
    """The device of the tokens; ``*``: every device of the phone."""
    expires_at: float
    """The time at which all of them have expired."""
    before: float | None = None
    """Tokens of earlier logins are revoked, by the clock of :class:`IChanges`."""
    sid: str | None = None
    """Tokens of the login session with this id are revoked."""


class IRevocations(Interface):
    """Revoked tokens, on all nodes: of each phone at most :data:`callnet.model.REVOCATIONS_MAX`.

    Over the limit, the device that has most of them must log in again.
    """

    def revoke(revoked: Revocation) -> Deferred[None]:
        """Revoke tokens, and notify every node.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def revoke_all(device: DeviceAddress) -> Deferred[None]:
        """Revoke all present tokens of a device, or with ``*`` of all devices of a phone, and notify every node.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def revoked(phones: Collection[str] | None = None) -> Deferred[Mapping[str, Sequence[Revocation]]]:
        """Revocations of unexpired tokens, by phone.

        :param phones: of these alone, each of which is in the answer; ``None``: of all.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class ICodes(Interface):
    """The newest one-time code of each phone, and its number of guesses. Times are seconds since 1970."""

    def put(phone: str, digest: bytes, now: float, valid_for: float, most: int) -> Deferred[bool]:
        """Store a code in the place of the previous one; return whether that is within the limit.

        :param most: the maximum number of codes for a phone in an hour.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def try_(phone: str, now: float, most: int) -> Deferred[bytes | None]:
        """Count a guess, and return the stored code; ``None``: there is no valid one, or it had the maximum of guesses.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def spend(phone: str, digest: bytes) -> Deferred[bool]:
        """Invalidate a code; return whether it was valid until now.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IPreferenceRecords(Interface):
    """The stored preferences of phones for calls to them."""

    def restricted(most: int) -> Deferred[Collection[str] | None]:
        """The phones with restricted callers or hours, or with devices that can be woken; ``None``: there are more than
        ``most``, or all are.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def wakeful(after: str, most: int) -> Deferred[Sequence[str]]:
        """The first phones with wakeable devices, in order, at most ``most``.

        :param after: only those that come after this one.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def announced(most: int) -> Deferred[Collection[str] | None]:
        """The phones with names for others, or with automatic answers; ``None``: there are more than ``most``.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def read(phones: Collection[str]) -> Deferred[Mapping[str, Preferences]]:
        """The preferences of each of these phones.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class Changed(Struct, frozen=True):
    """The changes since the last read."""

    phones: Collection[str]
    """The changed phones."""
    time: float
    """The time of the read, in seconds since 1970, by the database's clock, which all nodes share. Of a file of SQLite
    that is the machine's."""
    is_all: bool = False
    """True if anything else may have changed as well: it was the first read, or the last was too long ago."""


class IChanges(Interface):
    """Changes of cached data in the database, by any process."""

    def new() -> Deferred[Changed]:
        """Read the new changes.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class IContacts(Interface):
    """The contacts and blocked phones of each phone. A phone may be one without the other.

    A change of a list notifies every node; one without effect does not. Times are seconds since 1970.
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
        """Add a phone to the list of ``owner``.

        :param name: the owner's name for it; ``None``: unchanged.
        :raises callnet.errors.DataInvalid: it is not there, and :data:`callnet.model.CONTACTS_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def remove(owner: str, phone: str, now: float) -> Deferred[None]:
        """Remove a phone from the list of ``owner``. A blocked phone stays blocked.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def block(owner: str, phone: str, now: float) -> Deferred[None]:
        """Block a phone for ``owner``. A contact stays in the list.

        :raises callnet.errors.DataInvalid: it is not blocked, and :data:`callnet.model.BLOCKED_MAX` others are.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def unblock(owner: str, phone: str, now: float) -> Deferred[None]:
        """Unblock a phone for ``owner``.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def blocked_by(phone: str) -> Deferred[frozenset[str]]:
        """The phones blocked by this phone.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class PhoneSettings(Struct, frozen=True):
    """The settings of a phone."""

    quiet: QuietHours | None
    auto_answer: Sequence[str]
    """Phones whose calls its devices may answer automatically, in order."""


class IPhoneSettings(Interface):
    """The settings of each phone. A change notifies every node."""

    def change(
        phone: str, quiet: QuietHours | UnsetType | None, answered: Collection[str] | UnsetType, now: float
    ) -> Deferred[PhoneSettings]:
        """Change some settings, and return all.

        :param quiet: ``None``: the phone rings at all times.
        :param answered: each of them once.
        :param now: in seconds since 1970.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


class PushKind(StrEnum):
    """The waking service of a device, by its name on the wire (protocol §1)."""

    WEBHOOK = "webhook"
    """The operator's gateway."""
    WEBPUSH = "webpush"
    """The push service of its browser."""


class PushRegistration(Struct, frozen=True):
    """A device's registration to be woken."""

    device: DeviceAddress
    kind: PushKind
    target: str
    """At most :data:`callnet.model.PUSH_TARGET_MAX` characters, for the service that wakes the device."""
    created_at: float
    """Seconds since 1970."""


class IPushRegistrations(Interface):
    """The registrations of devices to be woken, at most one for each. A revocation of a device's tokens removes its
    own.
    """

    def put(registration: PushRegistration, is_revoked: Callable[[Sequence[Revocation]], bool]) -> Deferred[bool]:
        """Store a registration in the place of the device's last one; return whether that was done.

        :param is_revoked: called in another thread with all revocations of the phone; returns whether the token of the
            request is revoked. If so nothing is done: a revocation at the same time leaves no registration.
        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def of(address: DeviceAddress) -> Deferred[Sequence[PushRegistration]]:
        """The registrations of a device, or for ``*`` of all devices of a phone, by device id.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def forget(device: DeviceAddress, now: float) -> Deferred[None]:
        """Remove the registration of a device.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """

    def drop(registration: PushRegistration, now: float) -> Deferred[None]:
        """Remove a registration, unless the device has made another one since.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """


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
