"""Links that ring: who has one calls the phone of its owner without an account (protocol §1)."""

from __future__ import annotations

import hmac
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from twisted.python.failure import Failure

from callnet.accounts.enrolment import require_plain_text, secret_hash
from callnet.accounts.guests import Guest, GuestTokens, link_id_of
from callnet.accounts.tokens import Tokens
from callnet.calls.preferences import QuietHours, time_zone
from callnet.errors import DataInvalid, DeviceInvalid, Unavailable
from callnet.model import LINK_NAME_MAX, LINKS_MAX, Accepted, Failed, Outcome, Refused
from callnet.storage.links import SqlLinks, StoredLink, columns_of
from callnet.util.logger import Logger

_SECRET_BYTES: Final = 16
"""The size of a link's secret, in random bytes: 22 characters."""

log = Logger()


class LinkChanges(Struct, frozen=True):
    """What is to change of a link; what is ``UNSET`` stays."""

    name: str | UnsetType = UNSET
    is_on: bool | UnsetType = UNSET
    hours: QuietHours | UnsetType | None = UNSET
    expires_at: float | UnsetType | None = UNSET
    calls_left: int | UnsetType | None = UNSET


class Links:
    """The links of phones, for their claimed devices, and for guests.

    :param may_ring: counts a call of a guest: from a site, by the link with an id, to a phone if there is such a link.
        Returns whether it is within the limits.
    """

    def __init__(
        self,
        links: SqlLinks,
        tokens: Tokens,
        guests: GuestTokens,
        may_ring: Callable[[str | None, str, str | None], Awaitable[bool]],
    ) -> None:
        self._links = links
        self._tokens = tokens
        self._guests = guests
        self._may_ring = may_ring
        self.enter: Final = guests.enter
        self.counts: Final[Counter[str]] = Counter(
            {"answered": 0, "refused": 0, "busy": 0, "no_answer": 0, "failed": 0}
        )
        """The calls of guests of this node, by how they came out."""
        self.in_vain: Final[Counter[str]] = Counter({"link": 0, "limit": 0})
        """Those that were to ring nobody, since their link does not ring, or since there were too many."""

    async def of(self, token: str) -> list[StoredLink]:
        """The links of the token's phone, by name.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        :raises Unavailable: the database cannot be reached.
        """
        return list(await self.of_phone(self._owner(token)))

    async def make(self, token: str, wanted: LinkChanges) -> StoredLink:
        """Make a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or the phone has the maximum number of links.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        :raises Unavailable: the database cannot be reached.
        """
        phone = self._owner(token)
        values = _values(wanted)
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        now = self._tokens.now()
        new = StoredLink(
            link_id_of(secret_hash(secret)),
            phone,
            secret,
            values["name"],
            values.get("is_on", True),
            None if isinstance(wanted.hours, UnsetType) else wanted.hours,
            values.get("expires_at"),
            values.get("calls_left"),
            now,
        )
        if not await self._links.make(new, LINKS_MAX, now):
            raise DataInvalid(f"a phone has at most {LINKS_MAX} links; remove one first")
        return new

    async def change(self, token: str, link_id: str, wanted: LinkChanges) -> StoredLink:
        """Change a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or there is no such link.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        :raises Unavailable: the database cannot be reached.
        """
        phone = self._owner(token)
        changed = await self._links.change(phone, link_id, _values(wanted), self._tokens.now())
        if changed is None:
            raise DataInvalid("there is no such link")
        return changed

    async def remove(self, token: str, link_id: str) -> None:
        """Remove a link of the token's phone, if there is one.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        :raises Unavailable: the database cannot be reached.
        """
        await self.discard(self._owner(token), link_id)

    async def of_phone(self, phone: str) -> Sequence[StoredLink]:
        """The links of a phone, by name.

        :raises Unavailable: the database cannot be reached.
        """
        return await self._links.of(phone)

    async def discard(self, phone: str, link_id: str) -> bool:
        """Remove a link of a phone, and return whether there was one.

        :raises Unavailable: the database cannot be reached.
        """
        return await self._links.remove(phone, link_id, self._tokens.now())

    def _owner(self, token: str) -> str:
        found = self._tokens.verify(token)
        if not found.claimed:
            raise DeviceInvalid("only a device that has logged in with its secret may see and change links")
        return found.device.phone

    def guest(self, token: str, site: str | None) -> UsedLink:
        """The link that the guest of a token uses.

        :param site: the origin of the guest for rate limits.
        :raises TokenInvalid: the token is not valid.
        """
        return UsedLink(self, self._guests.verify(token), site)

    async def owner(self, guest: Guest, site: str | None) -> str | None:
        """See :meth:`callnet.calls.ports.GuestLink.owner`."""
        link_id = link_id_of(guest.link)
        found = await self._links.find(link_id)
        is_shown = found is not None and hmac.compare_digest(secret_hash(found.secret), guest.link)
        owner = found.phone if found is not None and is_shown and found.rings(self._tokens.now()) else None
        is_within = await self._may_ring(site, link_id, owner)
        if owner is None or not is_within:
            self.in_vain["limit" if owner else "link"] += 1
            return None
        return owner

    def told(self, guest: Guest, outcome: Outcome) -> None:
        """See :meth:`callnet.calls.ports.GuestLink.told`."""
        match outcome:
            case Accepted():
                self.counts["answered"] += 1
                self._links.answered(link_id_of(guest.link), self._tokens.now()).addErrback(_not_counted)
            case Refused(reason=reason) | Failed(reason=reason):
                self.counts[reason.value if reason.value in self.counts else "failed"] += 1


class UsedLink:
    """The link that a guest uses (:class:`callnet.calls.ports.GuestLink`)."""

    def __init__(self, links: Links, guest: Guest, site: str | None) -> None:
        self._links = links
        self._guest = guest
        self._site = site
        self.address: Final = guest.address

    async def owner(self) -> str | None:
        """See :meth:`callnet.calls.ports.GuestLink.owner`."""
        return await self._links.owner(self._guest, self._site)

    def told(self, outcome: Outcome) -> None:
        """See :meth:`callnet.calls.ports.GuestLink.told`."""
        self._links.told(self._guest, outcome)


def _values(wanted: LinkChanges) -> dict[str, Any]:
    """The columns of what is to change.

    :raises DataInvalid: a value is not acceptable.
    """
    if not isinstance(wanted.name, UnsetType):
        require_plain_text(wanted.name, LINK_NAME_MAX, "name")
    if isinstance(wanted.hours, QuietHours) and time_zone(wanted.hours.time_zone) is None:
        raise DataInvalid("hours.time_zone is no known time zone")
    values = {
        name: value
        for name in ("name", "is_on", "expires_at", "calls_left")
        if (value := getattr(wanted, name)) is not UNSET
    }
    return values if isinstance(wanted.hours, UnsetType) else {**values, **columns_of(wanted.hours)}


def _not_counted(failure: Failure) -> None:
    if not failure.check(Unavailable):
        log.failure("failed to count an answered call of a guest", failure)
