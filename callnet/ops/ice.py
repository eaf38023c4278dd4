"""The STUN and TURN servers that clients are told of, and their credentials."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from math import ceil, inf
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from callnet.config.schema import LimitSettings, RelaySettings, TurnSettings
from callnet.errors import RateLimited, StartError
from callnet.frames.ice import SECRET_MAX, SECRET_MIN, IceServer, PageServers, is_secret, turn_server
from callnet.ops.limits import ILimits, SiteLimiter
from callnet.util import files

_SETTING: Final = "turn.secret_file"
_MOST_LINES: Final = 2


class TurnSecret:
    """The secret that credentials are made with from now on. It may be changed at any time."""

    def __init__(self, value: str) -> None:
        self.value = value


def read_turn_secret(settings: TurnSettings) -> str:
    """Read the secret; it is empty if there is no TURN server.

    Of two lines in the file the first is it. The other is for people: what the servers still accept.

    :raises StartError: the file cannot be read, is open to others, or holds no secret.
    """
    if not settings.all_urls or not settings.secret_file:
        return settings.secret
    content = files.read_private(settings.secret_file, _SETTING)
    lines = content.decode("latin-1").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 1 <= len(lines) <= _MOST_LINES or not all(map(is_secret, lines)):
        raise StartError(
            f"{_SETTING}: {settings.secret_file} must have one or two lines, each of {SECRET_MIN} to {SECRET_MAX}"
            " ASCII characters without spaces"
        )
    return lines[0]


RELAYS_MAX: Final = 2
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
        """The relays for a client, at most :data:`RELAYS_MAX`, the nearest first.

        :param site: the client's (:func:`callnet.util.net.site_of`); ``None``: not known.
        :param draw: a random number, great compared with the number of relays; among equals it decides.
        """
        chosen: list[RelaySettings] = []
        for group in self._groups(site):
            left = [relay for relay in group if relay not in chosen]
            while left and len(chosen) < RELAYS_MAX:
                draw, index = divmod(draw, len(left))
                chosen.append(left.pop(index))
            if len(chosen) == RELAYS_MAX:
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


Recipient: TypeAlias = Literal["device", "page"]

_NAME_BYTES: Final = 12
_DRAW_BITS: Final = 64


class IceOffer(Struct, frozen=True):
    """The ICE servers for a device."""

    ice_servers: Sequence[IceServer]
    """``RTCIceServer`` of WebRTC."""
    expires_in: int
    """Seconds for which they are good. A device that needs them then asks again before."""


class IceServers:
    """Hands out the servers. What it has handed out is good until it expires: nobody can take it back.

    Credentials are counted by where they go, a site and its network, on all nodes together.

    :param now: the time on the clock that the TURN servers go by, in seconds since 1970.
    """

    def __init__(
        self,
        settings: TurnSettings,
        secret: TurnSecret,
        limits: LimitSettings,
        shared: ILimits,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._secret = secret
        self._now = now
        self._limits = limits
        self._limiter = SiteLimiter(shared, "turn", limits.turn_credentials_a_minute_from_an_address, 60.0)
        self._choose()
        self.given: Final[dict[Recipient, int]] = {"device": 0, "page": 0}
        """Credentials that were handed out, by who got them."""
        self.refused: Final[dict[Recipient, int]] = {"device": 0, "page": 0}
        """Those that were not, since an address had too many."""

    def changed(self) -> None:
        """Go by the settings as they now are."""
        self._limiter.allow(self._limits.turn_credentials_a_minute_from_an_address)
        self._choose()

    def _choose(self) -> None:
        self._has_turn = bool(self._settings.all_urls)
        self._choice = RelayChoice(self._settings.all_relays)

    def for_device(self, site: str | None) -> IceOffer:
        """The servers for a device that asks for them.

        :param site: where it comes from (:func:`callnet.util.net.site_of`); ``None``: it is not counted, and near no
            relay.
        :raises RateLimited: credentials have gone there too often.
        """
        wait = self._wait("device", site)
        if wait:
            raise RateLimited("too many requests for TURN credentials from this address", ceil(wait))
        return IceOffer(self._servers(site, self._settings.lifetime), self._settings.lifetime)

    def for_newcomer(self, site: str | None) -> Sequence[IceServer]:
        """The servers for a device that has just connected: STUN alone if credentials have gone there too often."""
        return self._servers(site, 0 if self._wait("device", site) else self._settings.lifetime)

    def for_call(self, site: str | None, seconds: float) -> PageServers:
        """The servers for a page in a call that may last at most this many seconds; credentials last no longer.

        They are STUN alone if credentials have gone there too often.
        """
        good_for = int(min(self._settings.lifetime, seconds))
        if good_for <= 0:
            return PageServers(self._servers(site, 0), inf)
        wait = self._wait("page", site)
        if wait:
            return PageServers(self._servers(site, 0), wait)
        lasts = not self._has_turn or good_for + 1 > seconds
        return PageServers(self._servers(site, good_for), inf if lasts else good_for / 2)

    def for_made_up_room(self, site: str | None) -> PageServers:
        """The servers for a page in a room without a call: STUN alone, unless the settings want more."""
        return self.for_call(site, inf) if self._settings.adhoc else PageServers(self._servers(site, 0), inf)

    def _wait(self, to: Recipient, site: str | None) -> float:
        """Count credentials that go somewhere; if they must not, answer with the seconds until they may."""
        if not self._has_turn:
            return 0.0
        wait = self._limiter.wait(site)
        counted = self.refused if wait else self.given
        counted[to] += 1
        return wait

    def _servers(self, site: str | None, good_for: int) -> Sequence[IceServer]:
        """The servers for a client; STUN alone if credentials are to be good for 0 seconds."""
        relays = self._choice.of(site, secrets.randbits(_DRAW_BITS))
        stun = [uri for relay in relays for uri in relay.stun]
        servers = [IceServer(stun)] if stun else []
        if good_for and self._has_turn:
            urls = [uri for relay in relays for uri in relay.urls]
            name = secrets.token_hex(_NAME_BYTES)
            servers.append(turn_server(urls, self._secret.value, int(self._now()) + good_for, name))
        return servers
