"""This node's copy of the revoked, unexpired tokens (protocol §1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from math import inf
from typing import Final

from callnet.accounts.token import Token
from callnet.errors import Unavailable
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage.revoking import Revocation

_SWEPT_AT_ONCE: Final = 50
"""The number of phones that are checked for expired revocations in one go."""


class Revocations:
    """All revocations, in memory: every presented token is checked here.

    :param as_of: see :attr:`as_of`.
    """

    def __init__(self, as_of: float | None = None) -> None:
        self.as_of = as_of
        """All revocations until this time are known; ``None``: none are yet. Seconds since 1970, by the clock of
        revocations (see ``SqlChanges``)."""
        self.count = 0
        """The number of revocations."""
        self._by_phone: OrderedDict[str, frozenset[Revocation]] = OrderedDict()
        self._sessions: set[tuple[DeviceAddress, str]] = set()
        self._before: dict[DeviceAddress, float] = {}

    @property
    def phones(self) -> Collection[str]:
        """The phones with revoked tokens."""
        return self._by_phone.keys()

    def known_at(self) -> float:
        """:attr:`as_of`.

        :raises Unavailable: nothing is known yet.
        """
        if self.as_of is None:
            raise Unavailable("revoked tokens are not loaded yet; try again")
        return self.as_of

    def know(self, revoked: Mapping[str, Collection[Revocation]]) -> Collection[Revocation]:
        """Replace the revocations of these phones; return the new ones."""
        new: list[Revocation] = []
        for phone, of_phone in revoked.items():
            new += self._replace(phone, frozenset(of_phone))
        return new

    def forget_expired(self, now: float) -> None:
        """Check some phones, different ones each time, and forget revocations of expired tokens."""
        for phone in list(islice(self._by_phone, _SWEPT_AT_ONCE)):
            known = self._by_phone[phone]
            self._by_phone.move_to_end(phone)
            self._replace(phone, frozenset(one for one in known if one.expires_at >= now))

    def cover(self, token: Token) -> bool:
        """Return whether a token is revoked."""
        device = token.device
        return device.phone in self._by_phone and (
            token.auth_time < self._begins(device) or (token.sid is not None and (device, token.sid) in self._sessions)
        )

    def login_time(self, device: DeviceAddress) -> float:
        """The time of a login of this device now: everything that the login relied on was known then, and no known
        revocation covers it. A later one does.

        :raises Unavailable: nothing is known yet.
        """
        return max(self.known_at(), self._begins(device))

    def _begins(self, device: DeviceAddress) -> float:
        """The time from which logins of this device are valid."""
        every = DeviceAddress(device.phone, EVERY_DEVICE)
        return max(self._before.get(device, -inf), self._before.get(every, -inf))

    def _replace(self, phone: str, new: frozenset[Revocation]) -> Collection[Revocation]:
        """Replace the revocations of a phone; return the new ones."""
        old = self._by_phone.get(phone, frozenset())
        if new == old:
            return ()
        for one in old:
            self._before.pop(one.device, None)
            if one.sid is not None:
                self._sessions.discard((one.device, one.sid))
        for one in new:
            if one.before is not None:
                self._before[one.device] = max(one.before, self._before.get(one.device, -inf))
            if one.sid is not None:
                self._sessions.add((one.device, one.sid))
        if new:
            self._by_phone[phone] = new
        else:
            self._by_phone.pop(phone, None)
        self.count += len(new) - len(old)
        return new - old


def is_revoked(token: Token, revoked: Iterable[Revocation]) -> bool:
    """Return whether any of these revocations covers a token."""
    return any(covers(one, token) for one in revoked)


def covers(revoked: Revocation, token: Token) -> bool:
    """Return whether a revocation covers a token."""
    if not revoked.device.covers(token.device):
        return False
    if revoked.before is not None and token.auth_time < revoked.before:
        return True
    return revoked.sid is not None and revoked.sid == token.sid
