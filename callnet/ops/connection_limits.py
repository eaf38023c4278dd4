"""The connections of each phone, and the number of those of each address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, Generic, TypeVar

from callnet.config.schema import LimitSettings
from callnet.util.net import site_of

T = TypeVar("T")


class PerOwner(Generic[T]):
    """Knows what is there at the same time of each of many.

    :param most: so much may there be; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._there: dict[str, tuple[T, ...]] = {}
        self.allow(most)

    def allow(self, most: int) -> None:
        """Apply a new limit to new ones; those that are there stay."""
        self._most = most

    def of(self, whose: str) -> Sequence[T]:
        """The members that ``whose`` has."""
        return self._there.get(whose, ())

    def come(self, whose: str, one: T) -> None:
        """Take one more in."""
        self._there[whose] = (*self.of(whose), one)

    def go(self, whose: str, one: T) -> None:
        """Let one go."""
        left = tuple(other for other in self._there[whose] if other is not one)
        if left:
            self._there[whose] = left
        else:
            del self._there[whose]

    def are_full(self, whose: str) -> bool:
        """Tell whether one more would be too many."""
        return self._most > 0 and len(self.of(whose)) >= self._most


class PerAddress:
    """Counts them while they last, handshakes included.

    :param most: the maximum number from an address, of IPv6 from a /64; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self.allow(most)
        self._counts: dict[str, int] = {}
        self.large: Final[dict[str, int]] = {}
        """The sites that hold a hundredth of the limit or more, with their counts."""
        self.elsewhere: Mapping[str, int] = {}
        """The connections that other nodes have from the same addresses, as far as known."""

    def allow(self, most: int) -> None:
        """Apply a new limit to new ones; those that are there stay."""
        self._most = most
        self._large_from = max(1, most // 100)

    def join(self, transport: Any) -> str | None:
        """Count a connection. Answers with where it comes from; ``None``: that tells nothing of a client."""
        if not self._most:
            return None
        site = site_of(str(getattr(transport.getPeer(), "host", "")))
        if site is not None:
            self._set(site, self._counts.get(site, 0) + 1)
        return site

    def leave(self, site: str | None) -> None:
        """Count one less."""
        if site is not None:
            self._set(site, self._counts[site] - 1)

    def is_too_large(self, site: str | None) -> bool:
        """Tell whether there are too many from there."""
        most = self._most
        return site is not None and most > 0 and self._counts[site] + self.elsewhere.get(site, 0) > most

    def _set(self, site: str, count: int) -> None:
        if count:
            self._counts[site] = count
        else:
            del self._counts[site]
        if count >= self._large_from:
            self.large[site] = count
        else:
            self.large.pop(site, None)


class LimitedConnections:
    """The open connections of one kind, limited by address and in all.

    :param limits: ``connections_of_an_address`` and ``connections_of_a_process``.
    """

    def __init__(self, limits: LimitSettings) -> None:
        self.connections = 0
        """The number of open ones."""
        self.refused: Final[Counter[int]] = Counter()
        """Those that were one too many, by status: 429 from an address, 503 in all."""
        self._limits = limits
        self._crowds = PerAddress(limits.connections_of_an_address)

    def changed(self) -> None:
        """Go by the settings as they now are."""
        self._crowds.allow(self._limits.connections_of_an_address)

    def join(self, transport: Any) -> str | None:
        """Count a connection. Answers with where it comes from, if that counts."""
        self.connections += 1
        return self._crowds.join(transport)

    def leave(self, client_site: str | None) -> None:
        """Count one less."""
        self.connections -= 1
        self._crowds.leave(client_site)

    def too_many(self, client_site: str | None) -> HTTPStatus | None:
        """Tell why a connection that has just been counted is one too many, if it is; it counts as refused then."""
        if self._crowds.is_too_large(client_site):
            status = HTTPStatus.TOO_MANY_REQUESTS
        elif 0 < self._limits.connections_of_a_process < self.connections:
            status = HTTPStatus.SERVICE_UNAVAILABLE
        else:
            return None
        self.refused[status.value] += 1
        return status
