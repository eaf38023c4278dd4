"""Links that ring: who has one calls the phone of its owner without an account (protocol §1)."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec import UNSET, Struct, UnsetType
from twisted.internet.defer import Deferred

from callnet.accounts.enrolment import require_plain_text, secret_hash
from callnet.accounts.guests import link_id_of
from callnet.accounts.tokens import Tokens
from callnet.calls.preferences import QuietHours, time_zone
from callnet.errors import DataInvalid, DeviceInvalid
from callnet.model import LINK_NAME_MAX, LINKS_MAX
from callnet.storage.links import SqlLinks, StoredLink, columns_of

_SECRET_BYTES: Final = 16
"""The size of a link's secret, in random bytes: 22 characters."""


class LinkChanges(Struct, frozen=True):
    """Changes of a link; values that are ``UNSET`` stay."""

    name: str | UnsetType = UNSET
    is_on: bool | UnsetType = UNSET
    hours: QuietHours | UnsetType | None = UNSET
    expires_at: float | UnsetType | None = UNSET
    calls_left: int | UnsetType | None = UNSET


class Links:
    """The links of phones, for their claimed devices.

    All methods raise :class:`Unavailable` if the database cannot be reached.

    :param look: makes this node read what has changed now; fires when that is done.
    """

    def __init__(self, links: SqlLinks, tokens: Tokens, look: Callable[[], Deferred[None]]) -> None:
        self._links = links
        self._tokens = tokens
        self._look = look

    async def of(self, token: str) -> list[StoredLink]:
        """The links of the token's phone, by name.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        return list(await self.of_phone(self._owner(token)))

    async def make(self, token: str, wanted: LinkChanges) -> StoredLink:
        """Make a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or the phone has the maximum number of links.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
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
        await self._look()
        return new

    async def change(self, token: str, link_id: str, wanted: LinkChanges) -> StoredLink:
        """Change a link of the token's phone.

        :raises DataInvalid: a value is not acceptable, or there is no such link.
        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        phone = self._owner(token)
        changed = await self._links.change(phone, link_id, _values(wanted), self._tokens.now())
        if changed is None:
            raise DataInvalid("there is no such link")
        await self._look()
        return changed

    async def remove(self, token: str, link_id: str) -> None:
        """Remove a link of the token's phone, if there is one.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        """
        await self.discard(self._owner(token), link_id)

    async def of_phone(self, phone: str) -> Sequence[StoredLink]:
        """The links of a phone, by name."""
        return await self._links.of(phone)

    async def discard(self, phone: str, link_id: str) -> bool:
        """Remove a link of a phone, and return whether there was one."""
        is_removed = await self._links.remove(phone, link_id, self._tokens.now())
        await self._look()
        return is_removed

    def _owner(self, token: str) -> str:
        found = self._tokens.verify(token)
        if not found.claimed:
            raise DeviceInvalid("only a device that has logged in with its secret may see and change links")
        return found.device.phone


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
