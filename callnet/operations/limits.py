"""How often something may be done, in memory: each node counts by itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Final

from callnet.config import LimitSettings
from callnet.errors import RateLimited
from callnet.model import PHONE_MAX

KEYS_MAX: Final = 50_000
"""Of so many keys it is known how often they came; those that have not come for the longest are forgotten."""

_IPV6_SITE: Final = 64
"""The bits of an IPv6 address that tell one customer of a network from the other."""


class Limiter:
    """Allows so many of a kind in a while, for each key: the generic cell rate algorithm (ITU-T I.371).

    :param count: so many may come at once; 0: any number.
    :param seconds: after so long as many may come again; a part of them after a part of it.
    :param now: the time, in seconds.
    """

    def __init__(self, count: int, seconds: float, now: Callable[[], float]) -> None:
        self._count = count
        self._spacing = seconds / max(count, 1)
        self._now = now
        self._free_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, key: str) -> float:
        """Count one more, and answer 0; or if it is too many do not, and answer after how long it is not."""
        if not self._count:
            return 0.0
        now = self._now()
        free_at = max(self._free_at.pop(key, now), now)
        too_early = free_at + self._spacing - now - self._count * self._spacing
        is_allowed = too_early <= 1e-9  # what is left of the sums of fractions
        self._free_at[key] = free_at + self._spacing if is_allowed else free_at
        if len(self._free_at) > KEYS_MAX:
            self._free_at.popitem(last=False)
        return 0.0 if is_allowed else too_early


class LoginLimits:
    """How often devices may log in and have codes sent."""

    def __init__(self, settings: LimitSettings, now: Callable[[], float]) -> None:
        self._logins_from = Limiter(settings.logins_a_minute_from_an_address, 60.0, now)
        self._logins_of = Limiter(settings.logins_a_minute_of_a_phone, 60.0, now)
        self._codes_from = Limiter(settings.codes_an_hour_from_an_address, 3600.0, now)

    def login(self, host: str, phone: str) -> None:
        """Count a login.

        :param host: the address that it comes from, if that is known.
        :raises RateLimited: it is one too many.
        """
        site = site_of(host)
        if site is not None:
            _require(self._logins_from, site, "too many logins from this address")
        if len(phone) <= PHONE_MAX:
            _require(self._logins_of, phone, "too many logins of this phone")

    def code(self, host: str) -> None:
        """Count a request for a code.

        :raises RateLimited: it is one too many.
        """
        site = site_of(host)
        if site is not None:
            _require(self._codes_from, site, "too many codes asked for from this address")


def _require(limiter: Limiter, key: str, complaint: str) -> None:
    wait = limiter.wait(key)
    if wait:
        raise RateLimited(complaint, ceil(wait))


def site_of(host: str) -> str | None:
    """Whose address this is: itself, or the network of an IPv6 address; ``None`` if it tells nothing of a client.

    So it is with loopback addresses: whoever comes from there is on this machine, or behind a proxy on it that
    does not say for whom it asks.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    if address.is_loopback:
        return None
    if isinstance(address, IPv6Address):
        return str(ip_network((address.packed, _IPV6_SITE), strict=False))
    return str(address)
