"""Limits of rates and of open connections, counted in memory.

Whatever is limited by address is limited by *site*, which is an address of IPv4 or a /64 of IPv6, and by *network*, the
/48 of an IPv6 site, of which one customer may have all sites (:mod:`callnet.util.net`).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from itertools import islice
from math import ceil
from typing import Any, Final, TypeAlias

from msgspec import Struct
from zope.interface import Interface, implementer

from callnet.config.schema import LimitSettings
from callnet.errors import RateLimited
from callnet.model import DeviceAddress
from callnet.util.deferreds import Ready, Soon
from callnet.util.net import hidden, network_of, site_of

KEYS_MAX: Final = 50_000
"""The maximum number of keys that are counted; the least recently used are forgotten."""

SITES_OF_NETWORK: Final = 10
"""The limit of a network, as a multiple of that of a site."""
SITES_OF_NETWORK_CONNECTED: Final = 4
"""The same for HTTP connections, of which one network must not have all that a process takes."""

_FRACTIONS: Final = 1e-9
"""The rounding error of sums of fractions of a second."""


class TooMany(Struct, frozen=True):
    """A limit was exceeded."""

    which: int
    """The index of the exceeded limit."""
    wait: float
    """Seconds until the next attempt is allowed."""


class ILimiter(Interface):
    """A rate limit by key. It answers at once, from the knowledge of this node."""

    def wait(key: str) -> float:
        """Count one use and return 0; or, over the limit, count nothing and return the seconds to wait."""

    def would_wait(key: str) -> bool:
        """Return whether one more use would exceed the limit now."""

    def allow(count: int) -> None:
        """Change the limit."""


class IGate(Interface):
    """Several limits of one request."""

    def enter(keys: Sequence[str | None]) -> Soon[TooMany | None]:
        """Count one use for each limit in order, up to the first that is exceeded: that and the following are not
        counted.

        :param keys: one for each limit; ``None``: this limit does not apply.
        """

    def allow(counts: Sequence[int]) -> None:
        """Change each limit."""


class ILimits(Interface):
    """Makes rate limits shared by all nodes.

    A name stands for the same limit on every node. A limit of 0 allows any number.
    """

    def limiter(name: str, count: int, seconds: float) -> ILimiter:
        """A limit that never waits: ``count`` at once, and as many in each ``seconds``. A node learns of uses on other
        nodes within about a second.
        """

    def gate(limits: Sequence[tuple[str, int, float]]) -> IGate:
        """A limit that may wait: exact across nodes as long as they are in touch. Otherwise, or if the answer takes too
        long, each node counts by itself.

        :param limits: name, count and seconds of each: ``count`` at once, and as many in each ``seconds``.
        """


@implementer(ILimiter)
class Limiter:
    """Limits events in a period, for each key: the generic cell rate algorithm (ITU-T I.371).

    :param count: the number that may come at once; 0: any number.
    :param seconds: after so long as many may come again; a part of them after a part of it.
    :param now: the time, in seconds.
    """

    def __init__(self, count: int, seconds: float, now: Callable[[], float]) -> None:
        self._now = now
        self._window = seconds
        self._free_at: OrderedDict[str, float] = OrderedDict()
        self.allow(count)

    def allow(self, count: int) -> None:
        """Apply a new limit. Earlier events still count."""
        self._count = count
        self._spacing = self._window / max(count, 1)

    def wait(self, key: str) -> float:
        """Count one more, and answer 0; or if it is too many do not, and answer after how long it is not."""
        if not self._count:
            return 0.0
        now = self._now()
        free_at = max(self._free_at.pop(key, now), now)
        next_free_at = free_at + self._spacing
        too_early = next_free_at - now - self._window
        if too_early > _FRACTIONS:
            self._keep(key, free_at, now)
            return too_early
        self._keep(key, next_free_at, now)
        return 0.0

    def would_wait(self, key: str) -> bool:
        """Tell whether one more would be too many now."""
        if not self._count:
            return False
        return self._free_at.get(key, 0.0) + self._spacing - self._now() > self._window + _FRACTIONS

    def learn(self, key: str, ahead: float) -> None:
        """Take over what others have let through for a key.

        :param ahead: seconds until the key would be as good as new.
        """
        now = self._now()
        until = now + ahead
        self._keep(key, max(self._free_at.pop(key, until), until), now)

    def _keep(self, key: str, free_at: float, now: float) -> None:
        """Know of a key from when on it is as good as new; of the oldest that are so by now, two are forgotten."""
        known = self._free_at
        known[key] = free_at
        if len(known) > KEYS_MAX:
            known.popitem(last=False)
        for oldest in list(islice(known, 2)):
            if known[oldest] > now:
                break
            del known[oldest]


@implementer(IGate)
class Gate:
    """Limits of one node that something must pass together.

    :param limits: how many may come at once, and in how many seconds as many again.
    """

    def __init__(self, limits: Sequence[tuple[int, float]], now: Callable[[], float]) -> None:
        self._limiters = [Limiter(count, seconds, now) for count, seconds in limits]

    def enter(self, keys: Sequence[str | None]) -> Ready[TooMany | None]:
        """See :meth:`IGate.enter`."""
        for which, (limiter, key) in enumerate(zip(self._limiters, keys, strict=True)):
            wait = 0.0 if key is None else limiter.wait(key)
            if wait:
                return Ready(TooMany(which, wait))
        return _ENTERED

    def allow(self, counts: Sequence[int]) -> None:
        """See :meth:`IGate.allow`."""
        for limiter, count in zip(self._limiters, counts, strict=True):
            limiter.allow(count)

    def learn(self, which: int, key: str, ahead: float) -> None:
        """See :meth:`Limiter.learn`."""
        self._limiters[which].learn(key, ahead)


_ENTERED: Final[Ready[TooMany | None]] = Ready(None)


@implementer(ILimits)
class LimitsAlone:
    """Limits of a node that is alone."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now

    def limiter(self, name: str, count: int, seconds: float) -> Limiter:  # noqa: ARG002  nobody else need know it
        """See :meth:`ILimits.limiter`."""
        return Limiter(count, seconds, self._now)

    def gate(self, limits: Sequence[tuple[str, int, float]]) -> Gate:
        """See :meth:`ILimits.gate`."""
        return Gate([(count, seconds) for _, count, seconds in limits], self._now)


class SiteLimiter:
    """A limit of sites and their networks that never waits.

    :param name: its name on all nodes.
    """

    def __init__(self, limits: ILimits, name: str, count: int, seconds: float) -> None:
        self._site = limits.limiter(name, count, seconds)
        self._network = limits.limiter(f"{name}-network", SITES_OF_NETWORK * count, seconds)

    def allow(self, count: int) -> None:
        """See :meth:`ILimiter.allow`."""
        self._site.allow(count)
        self._network.allow(SITES_OF_NETWORK * count)

    def wait(self, site: str | None) -> float:
        """See :meth:`ILimiter.wait`; ``None``: it is not counted."""
        wait = 0.0 if site is None else self._site.wait(hidden(site))
        network = network_of(site)
        return wait if wait or network is None else self._network.wait(hidden(network))


_LiveLimit: TypeAlias = tuple[str, Callable[[], int], float]
"""The name of a limit on all nodes, its count by the settings as they are, and its seconds."""


def _of_site_and_network(name: str, count: Callable[[], int], seconds: float) -> tuple[_LiveLimit, _LiveLimit]:
    """The limits of a gate for the keys :func:`_site_and_network`."""
    return (name, count, seconds), (f"{name}-network", lambda: SITES_OF_NETWORK * count(), seconds)


def _site_and_network(host: str) -> tuple[str | None, str | None]:
    site = site_of(host)
    return site, network_of(site)


class _LiveLimits:
    """Limits that go by settings, which may change."""

    def __init__(self, limits: ILimits) -> None:
        self._limits = limits
        self._allowed: list[Callable[[], None]] = []

    def changed(self) -> None:
        """Go by the settings as they now are."""
        for allow in self._allowed:
            allow()

    def _limiter(self, name: str, count: Callable[[], int], seconds: float) -> ILimiter:
        limiter = self._limits.limiter(name, count(), seconds)
        self._allowed.append(lambda: limiter.allow(count()))
        return limiter

    def _gate(self, *limits: _LiveLimit) -> IGate:
        gate = self._limits.gate([(name, count(), seconds) for name, count, seconds in limits])
        self._allowed.append(lambda: gate.allow([count() for _, count, _ in limits]))
        return gate


class SignalLimits(_LiveLimits):
    """Rate limits for calls and connections of devices (protocol §2, §2.1)."""

    def __init__(self, settings: LimitSettings, limits: ILimits) -> None:
        super().__init__(limits)
        self._calls_of = self._limiter("calls", lambda: settings.calls_a_minute_of_a_device, 60.0)
        self._calls_of_phone = self._limiter("calls-of", lambda: 2 * settings.calls_a_minute_of_a_device, 60.0)
        self._calls_between = self._limiter("pairs", lambda: settings.calls_a_minute_between_phones, 60.0)
        self._displacements = self._limiter("displaced", lambda: settings.displacements_a_minute, 60.0)

    def may_call(self, caller: DeviceAddress, phone: str) -> bool:
        """Count a call; tell whether it is not one too many."""
        if self._calls_of.wait("\n".join(caller)) or self._calls_of_phone.wait(caller.phone):
            return False
        return not self._calls_between.wait(f"{caller.phone}\n{phone}")

    def may_change_call(self, device: DeviceAddress) -> bool:
        """Count a takeover or an exchange of calls; tell whether it is not one too many."""
        return not self._calls_of.wait("\n".join(device))

    def displaced(self, device: DeviceAddress) -> None:
        """Count a connection that was closed for a newer one of its device."""
        self._displacements.wait("\n".join(device))

    def may_connect(self, device: DeviceAddress) -> bool:
        """Tell whether a device has not been displaced too often: two with one id must not fight forever."""
        return not self._displacements.would_wait("\n".join(device))


class LoginLimits(_LiveLimits):
    """Rate limits for logins, refreshes, logouts, codes, and requests that carry a token, or something in its place."""

    def __init__(self, settings: LimitSettings, limits: ILimits) -> None:
        super().__init__(limits)

        def of_address() -> int:
            return settings.logins_a_minute_from_an_address

        self._logins = self._gate(
            *_of_site_and_network("logins-from", of_address, 60.0),
            ("logins-of", lambda: settings.logins_a_minute_of_a_phone, 60.0),
        )
        self._codes = self._gate(
            *_of_site_and_network("codes-from", lambda: settings.codes_an_hour_from_an_address, 3600.0)
        )
        self._without_token = self._gate(*_of_site_and_network("without-token-from", of_address, 60.0))
        self._photos = self._gate(
            *_of_site_and_network("photos-from", lambda: settings.photos_an_hour_from_an_address, 3600.0)
        )
        self._requests_of_device = self._limiter("asks", lambda: settings.account_requests_a_minute_of_a_device, 60.0)
        self._requests_of_phone = self._limiter("asks-of", lambda: settings.account_requests_a_minute_of_a_phone, 60.0)
        self._refreshes = self._gate(("refreshes-of", lambda: settings.refreshes_an_hour_of_a_device, 3600.0))
        self._logouts = self._gate(("logouts-of", lambda: settings.logouts_an_hour_of_a_device, 3600.0))

    async def login(self, host: str, phone: str | None) -> None:
        """Count a login.

        :param host: the address that it comes from, if that is known.
        :param phone: ``None``: what it gives is no phone number.
        :raises RateLimited: it is one too many.
        """
        too_many = await self._logins.enter([*_site_and_network(host), phone])
        _admit(too_many, "too many logins", *_FROM_HERE, "for this phone")

    async def code(self, host: str) -> None:
        """Count a request for a code.

        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._codes, host, "code requests")

    async def without_token(self, host: str) -> None:
        """Count a request that carries a ticket or a subscription in place of a token. As many are allowed as logins.

        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._without_token, host, "requests without a token")

    async def photo(self, host: str) -> None:
        """Count a photo that is to be stored.

        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._photos, host, "photos")

    def request(self, device: DeviceAddress) -> None:
        """Count a request that carries a token, for its device and for the phone of that.

        It waits for nobody: nodes tell each other of such requests as of calls.

        :raises RateLimited: it is one too many.
        """
        for limiter, key, who in (
            (self._requests_of_device, "\n".join(device), "device"),
            (self._requests_of_phone, device.phone, "phone"),
        ):
            wait = limiter.wait(key)
            if wait:
                raise RateLimited(f"too many requests from this {who}", ceil(wait))

    async def refresh(self, device: DeviceAddress) -> None:
        """Count a refresh of a device's token.

        :raises RateLimited: it is one too many.
        """
        await _enter(self._refreshes, device, "refreshes")

    async def logout(self, device: DeviceAddress) -> None:
        """Count a logout of a device.

        :raises RateLimited: it is one too many.
        """
        await _enter(self._logouts, device, "logouts")


class PairingLimits(_LiveLimits):
    """Rate limits for devices that wait to be let in, and for guesses at the codes that they show.

    :param interval: seconds between two questions of a device.
    """

    _CODES: Final = 5
    """The number of codes that the devices of a phone may look for at once ..."""
    _CODES_TIME: Final = 600.0
    """... and the seconds in which as many may come again."""
    _CODES_FROM_ADDRESS: Final = 20
    """The same for all phones of an address, since a stranger may have any number of phones."""
    _BEGUN_TIME: Final = 600.0
    """The seconds for which a device waits: those that begin in these may begin at once."""

    def __init__(self, settings: LimitSettings, limits: ILimits, interval: float) -> None:
        super().__init__(limits)
        self._settings = settings
        self._interval = interval
        self._begun = self._gate(*_of_site_and_network("pairings-from", self._begun_at_once, self._BEGUN_TIME))
        # A device may ask twice in the time for two questions: what is on its way does not always take as long.
        self._polls = self._gate(
            *_of_site_and_network("pairing-polls-from", self._polls_a_minute, 60.0),
            ("pairing-polls-of", lambda: 2, 2 * interval),
        )
        self._codes = self._gate(
            ("pairing-codes-of", lambda: self._CODES, self._CODES_TIME),
            *_of_site_and_network("pairing-codes-from", lambda: self._CODES_FROM_ADDRESS, self._CODES_TIME),
        )

    def _begun_at_once(self) -> int:
        """Those of an address."""
        return ceil(self._settings.pairings_an_hour_from_an_address * self._BEGUN_TIME / 3600.0)

    def _polls_a_minute(self) -> int:
        """The questions from an address that all devices there may ask that have begun in an hour."""
        return ceil(60.0 / self._interval) * self._settings.pairings_an_hour_from_an_address

    async def begin(self, host: str) -> None:
        """Count a device that begins to wait.

        :param host: the address that it comes from, if that is known.
        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._begun, host, "pairings")

    async def poll(self, host: str, device: str) -> None:
        """Count a question of a device that waits.

        :param device: a name for it.
        :raises RateLimited: it comes too soon, or there are too many from its address.
        """
        too_many = await self._polls.enter([*_site_and_network(host), device])
        if too_many is not None:
            raise RateLimited("asked too soon", ceil(too_many.wait))

    async def code(self, host: str, phone: str) -> None:
        """Count a code that a device of a phone looks for, right or wrong.

        :param host: the address that it comes from, if that is known.
        :raises RateLimited: it is one too many.
        """
        too_many = await self._codes.enter([phone, *_site_and_network(host)])
        _admit(too_many, "too many codes were entered", "by devices of this phone", *_FROM_HERE)


class GuestLimits(_LiveLimits):
    """Rate limits for guests and their calls."""

    def __init__(self, settings: LimitSettings, limits: ILimits) -> None:
        super().__init__(limits)

        def of_address() -> int:
            return settings.guest_calls_an_hour_from_an_address

        self._entered = self._gate(*_of_site_and_network("guests-from", of_address, 3600.0))
        self._from = self._gate(*_of_site_and_network("guest-calls-from", of_address, 3600.0))
        self._calls = self._gate(
            ("guest-calls-by", lambda: settings.guest_calls_an_hour_of_a_link, 3600.0),
            ("guest-calls-to", lambda: settings.guest_calls_an_hour_of_a_phone, 3600.0),
        )

    async def enter(self, host: str) -> None:
        """Count a guest that shows a link, good or not.

        :param host: the address that it comes from, if that is known.
        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._entered, host, "guests")

    async def call(self, host: str) -> None:
        """Count a call of a guest, whatever link it has.

        :param host: the address that it comes from, if that is known.
        :raises RateLimited: it is one too many.
        """
        await _enter_from(self._from, host, "calls of guests")

    async def may_ring(self, link_id: str, phone: str | None) -> bool:
        """Count a call by a link; return whether it is within the limits. Nobody is told of them.

        :param phone: the phone that it calls; ``None``: its link is none.
        """
        return await self._calls.enter([link_id, phone]) is None


_FROM_HERE: Final = "from this address", "from this network"


def _admit(too_many: TooMany | None, what: str, *who: str) -> None:
    """Raise an error if a limit was exceeded; ``who`` names each that it can be."""
    if too_many is not None:
        raise RateLimited(f"{what} {who[too_many.which]}", ceil(too_many.wait))


async def _enter_from(gate: IGate, host: str, what: str) -> None:
    _admit(await gate.enter(_site_and_network(host)), f"too many {what}", *_FROM_HERE)


async def _enter(gate: IGate, device: DeviceAddress, what: str) -> None:
    _admit(await gate.enter(["\n".join(device)]), f"too many {what}", "by this device")


class PerAddress:
    """Counts the connections of each site and network while they last, handshakes included.

    :param most: the maximum number from a site; 0: any number.
    :param sites_of_network: from a network there may be this multiple.
    """

    def __init__(self, most: int, sites_of_network: int = SITES_OF_NETWORK) -> None:
        self._sites_of_network = sites_of_network
        self.allow(most)
        self._counts: dict[str, int] = {}
        self.large: Final[dict[str, int]] = {}
        """The sites and networks that hold a hundredth of their limit or more, with their counts."""
        self.elsewhere: Mapping[str, int] = {}
        """The connections that other nodes have from the same ones, as far as known."""

    def allow(self, most: int) -> None:
        """Apply a new limit to new ones; those that are there stay."""
        self._most = most

    def join(self, transport: Any) -> str | None:
        """Count a connection. Answers with the site that it comes from; ``None``: that tells nothing of a client."""
        if not self._most:
            return None
        site = site_of(str(getattr(transport.getPeer(), "host", "")))
        self._count(site, 1)
        return site

    def leave(self, site: str | None) -> None:
        """Count one less."""
        self._count(site, -1)

    def is_too_large(self, site: str | None) -> bool:
        """Tell whether there are too many from a site, or from its network."""
        if self._most:
            for key, most in self._limits_of(site):
                if self._counts[key] + self.elsewhere.get(key, 0) > most:
                    return True
        return False

    def _limits_of(self, site: str | None) -> Sequence[tuple[str, int]]:
        """The site, and its network if it has one, with their limits."""
        if site is None:
            return ()
        network, most = network_of(site), self._most
        return ((site, most),) if network is None else ((site, most), (network, self._sites_of_network * most))

    def _count(self, site: str | None, more: int) -> None:
        for key, most in self._limits_of(site):
            self._counts[key] = count = self._counts.get(key, 0) + more
            if count >= max(1, most // 100):
                self.large[key] = count
            else:
                self.large.pop(key, None)
            if not count:
                del self._counts[key]


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
        self._crowds = PerAddress(limits.connections_of_an_address, SITES_OF_NETWORK_CONNECTED)

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
