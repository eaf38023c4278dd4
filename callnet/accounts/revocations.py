"""The tokens that are refused though they have not expired, as this node knows them (protocol §1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import ceil

from callnet.accounts.token import Token
from callnet.config import TOKEN_LIFETIME_MAX
from callnet.model import DeviceAddress
from callnet.storage_interfaces import Revocation


class Revocations:
    """What is asked about every token that is shown, so everything is in memory."""

    def __init__(self) -> None:
        self._by_phone: dict[str, Sequence[Revocation]] = {}

    @property
    def phones(self) -> Collection[str]:
        """The phones of which tokens are revoked."""
        return self._by_phone.keys()

    def know(self, revoked: Mapping[str, Sequence[Revocation]]) -> Sequence[Revocation]:
        """Take over all that is revoked of these phones; what of it was not known yet."""
        new: list[Revocation] = []
        for phone, of_phone in revoked.items():
            known = self._by_phone.get(phone, ())
            new += (one for one in of_phone if one not in known)
            if of_phone:
                self._by_phone[phone] = of_phone
            else:
                self._by_phone.pop(phone, None)
        return new

    def forget_expired(self, now: float) -> None:
        """Forget what only concerns tokens that have expired."""
        self.know(
            {phone: [one for one in known if one.expires_at >= now] for phone, known in list(self._by_phone.items())}
        )

    def cover(self, token: Token) -> bool:
        """Tell whether a token is revoked."""
        of_phone = self._by_phone.get(token.device.phone)
        return of_phone is not None and any(covers(revoked, token) for revoked in of_phone)

    def valid_from(self, device: DeviceAddress) -> int:
        """The first second in which a token of this device may be issued so that it is not revoked; since 1970."""
        of_phone = self._by_phone.get(device.phone, ())
        ends = (one.before for one in of_phone if one.before is not None and one.device.covers(device))
        return ceil(max(ends, default=0))


def of_all(device: DeviceAddress, now: float) -> Revocation:
    """What revokes every token that a device, or with ``*`` any device of a phone, got until ``now``."""
    return Revocation(device, now + TOKEN_LIFETIME_MAX, before=now)


def covers(revoked: Revocation, token: Token) -> bool:
    """Tell whether a token is one of those that are revoked."""
    if not revoked.device.covers(token.device):
        return False
    if revoked.before is not None and token.issued_at < revoked.before:
        return True
    return revoked.jti is not None and revoked.jti == token.jti
