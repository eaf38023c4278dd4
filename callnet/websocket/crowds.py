"""How many connections there are from each address."""

from __future__ import annotations

from typing import Any

from callnet.client_site import site_of


class Crowds:
    """Counts them while they last, handshakes included.

    :param most: so many may there be from an address, of IPv6 from a /64; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._counts: dict[str, int] = {}

    def join(self, transport: Any) -> str | None:
        """Count a connection. Answers with where it comes from; ``None``: that tells nothing of a client."""
        if not self._most:
            return None
        site = site_of(str(getattr(transport.getPeer(), "host", "")))
        if site is not None:
            self._counts[site] = self._counts.get(site, 0) + 1
        return site

    def leave(self, site: str | None) -> None:
        """Count one less."""
        if site is not None:
            left = self._counts.pop(site) - 1
            if left:
                self._counts[site] = left

    def is_too_large(self, site: str | None) -> bool:
        """Tell whether there are too many from there."""
        return site is not None and self._counts[site] > self._most
