"""The choice of the relays that a client is told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from typing import Final, TypeAlias

from callnet.config.schema import RelaySettings

MOST: Final = 2
"""The number of relays for a client: a second one in case that the first fails. More of them slow ICE down."""

_Networks: TypeAlias = Mapping[int, Sequence[RelaySettings]]
"""Relays by a network's first bits, as a number."""


class RelayChoice:
    """Relays by distance from a client.

    The nearest are those with the longest network that the client is in. Then come those that name no networks, which
    are for everybody, then all others. Relays that are equally near get equal shares of the clients.
    """

    def __init__(self, relays: Sequence[RelaySettings]) -> None:
        self._relays: Final = relays
        self._for_all: Final = [relay for relay in relays if not relay.networks]
        found: dict[int, dict[int, dict[int, list[RelaySettings]]]] = {4: {}, 6: {}}
        for relay in relays:
            for network in map(ip_network, relay.networks):
                rest = network.max_prefixlen - network.prefixlen
                of_length = found[network.version].setdefault(rest, {})
                of_length.setdefault(int(network.network_address) >> rest, []).append(relay)
        self._by_version: Final[Mapping[int, Sequence[tuple[int, _Networks]]]] = {
            version: sorted(of_version.items(), key=lambda each: each[0]) for version, of_version in found.items()
        }
        """By IP version: the networks of each length, the longest first, after the number of their other bits."""

    def of(self, site: str | None, draw: int) -> Sequence[RelaySettings]:
        """The relays for a client, at most :data:`MOST`, the nearest first.

        :param site: the client's (:func:`callnet.util.net.site_of`); ``None``: not known.
        :param draw: a random number, great compared with the number of relays; among equals it decides.
        """
        chosen: list[RelaySettings] = []
        for group in self._groups(site):
            left = [relay for relay in group if relay not in chosen]
            while left and len(chosen) < MOST:
                draw, index = divmod(draw, len(left))
                chosen.append(left.pop(index))
            if len(chosen) == MOST:
                break
        return chosen

    def _groups(self, site: str | None) -> Iterator[Sequence[RelaySettings]]:
        """Relays that are equally near, the nearest first; those of a group may be in later ones too."""
        if site is not None and len(self._for_all) < len(self._relays):
            address = ip_address(site.partition("/")[0])
            for rest, networks in self._by_version[address.version]:
                yield networks.get(int(address) >> rest, ())
        yield self._for_all
        yield self._relays
