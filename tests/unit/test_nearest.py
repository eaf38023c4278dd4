"""The choice of relays by a client's network, and the clients that are told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import lcm
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import CallSettings, LimitSettings, RelaySettings, TurnSettings
from callnet.ops.ice import RELAYS_MAX, RelayChoice
from callnet.util.net import site_of
from tests.support.account_fixture import TV, ServiceFixture
from tests.support.api_case import ApiTestCase
from tests.support.room_case import KEYS, SESSIONS
from tests.support.turn_case import SECRET
from tests.support.wires import World

FEW: Final = 4
"""Relays of a test."""


def _network(address: int, bits: int, is_ipv4: bool) -> str:
    if is_ipv4:
        return str(IPv4Network((address >> 96, bits // 2), strict=False))
    return str(IPv6Network((address, bits), strict=False))


ADDRESSES: Final = st.integers(0, 15).map(lambda top: top << 124) | st.integers(0, 2**128 - 1)
"""Some of which are often in one network."""
NETWORKS: Final = st.builds(_network, ADDRESSES, st.integers(0, 64), st.booleans())
HOSTS: Final = st.builds(
    lambda address, is_ipv4: str(IPv4Address(address >> 96) if is_ipv4 else IPv6Address(address)),
    ADDRESSES,
    st.booleans(),
)


@st.composite
def relays_of(draw: st.DrawFn) -> Sequence[RelaySettings]:
    """Relays with networks, or none."""
    number = draw(st.integers(0, FEW))
    networks = st.lists(NETWORKS, max_size=3, unique=True).map(tuple)
    return [RelaySettings((f"turn:relay{index}.example",), (), draw(networks)) for index in range(number)]


def nearness(relay: RelaySettings, host: str) -> int:
    """The length of the longest network of a relay that an address is in; -1: the relay has none; -2: it is in none."""
    address = ip_address(host)
    found = [network.prefixlen for network in map(ip_network, relay.networks) if address in network]
    return max(found, default=-2 if relay.networks else -1)


class RelayChoiceTests(SynchronousTestCase):
    """Any relays and clients."""

    @given(relays_of(), HOSTS, st.integers(0, 2**64 - 1))
    def test_nearest_first(self, relays: Sequence[RelaySettings], host: str, draw: int) -> None:
        """The nearest come first, and there are two where there are as many."""
        site = site_of(host)
        chosen = RelayChoice(relays).of(site, draw)
        self.assertEqual(min(RELAYS_MAX, len(relays)), len(chosen))
        self.assertEqual(len(chosen), len(set(chosen)))
        far = [-2 if relay.networks else -1 for relay in relays]
        near = far if site is None else [nearness(relay, site.partition("/")[0]) for relay in relays]
        ranked = sorted(near, reverse=True)[: len(chosen)]
        self.assertEqual(ranked, [near[list(relays).index(relay)] for relay in chosen])

    @given(st.integers(1, FEW), st.booleans())
    def test_equal_shares(self, number: int, is_near: bool) -> None:
        """Relays that are equally near get equal shares, in the first place and in the second."""
        networks = ("192.0.2.0/24",) if is_near else ()
        relays = [RelaySettings((f"turn:relay{index}.example",), (), networks) for index in range(number)]
        choice = RelayChoice(relays)
        draws = lcm(number, number * max(1, number - 1))
        chosen = [choice.of("192.0.2.7", draw) for draw in range(draws)]
        for place in range(min(RELAYS_MAX, number)):
            self.assertEqual(
                dict.fromkeys(relays, draws // number), dict(Counter(relays_[place] for relays_ in chosen))
            )

    def test_longest_prefix(self) -> None:
        """A network in another one goes before it; a client in no network gets a relay that is for everybody."""
        wide = RelaySettings(("turn:wide.example",), (), ("203.0.113.0/24", "2001:db8::/32"))
        narrow = RelaySettings(("turn:narrow.example",), (), ("203.0.113.128/25", "2001:db8:7::/48"))
        anyone = RelaySettings(("turn:anyone.example",))
        choice = RelayChoice((wide, narrow, anyone))
        for host, expected in (
            ("203.0.113.200", [narrow, wide]),
            ("203.0.113.7", [wide, anyone]),
            ("2001:db8:7::1", [narrow, wide]),
            ("2001:db8::1", [wide, anyone]),
            ("::ffff:203.0.113.200", [narrow, wide]),
        ):
            for draw in range(6):
                self.assertEqual(expected, choice.of(site_of(host), draw), host)
        for host in ("192.0.2.7", "2001:db9::1", "127.0.0.1", "not an address"):
            seen = [choice.of(site_of(host), draw) for draw in range(6)]
            self.assertEqual({anyone}, {first for first, _ in seen}, host)
            self.assertEqual({wide, narrow}, {second for _, second in seen}, host)


NEAR: Final = RelaySettings(("turn:near.example",), ("stun:near.example",), ("192.0.2.0/24",))
OTHERS: Final = tuple(
    RelaySettings((f"turn:far{index}.example",), (), (f"198.51.100.{index}",)) for index in range(FEW)
)
TURN: Final = TurnSettings(relays=(*OTHERS, NEAR), secret=SECRET, adhoc=True)


class ServedTests(ApiTestCase):
    """Clients at 192.0.2.7, which is near one relay of several."""

    def setUp(self) -> None:
        """Start a server."""
        super().setUp()
        self.world = World(CallSettings(), turn=TURN, limits=LimitSettings())
        self.addCleanup(self.world.stop)
        self.fixture = ServiceFixture(world=self.world)
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)

    def assert_near(self, servers: list[dict[str, Any]]) -> None:
        """The near relay comes first, with its STUN server, and there is another one."""
        stun, turn = servers
        self.assertEqual(list(NEAR.stun), stun["urls"])
        first, second = turn["urls"]
        self.assertEqual(NEAR.urls[0], first)
        self.assertIn((second,), [relay.urls for relay in OTHERS])

    def test_device(self) -> None:
        """A device that asks, and an extended one that connects."""
        self.assert_near(self.post("/ice", {"token": self.login(*TV)}).json()["ice_servers"])
        self.assert_near(self.world.extended(*TV).hears()["ice_servers"])

    def test_page(self) -> None:
        """The page, when two meet."""
        pages = [self.world.page() for _ in range(2)]
        for page, key, session in zip(pages, KEYS, SESSIONS, strict=False):
            page.say("join", room_id="a", key=key, session=session)
        for page in pages:
            self.assert_near(page.heard()[-1]["ice_servers"])

    def test_others_change(self) -> None:
        """Clients do not all get the same second relay."""
        ask = partial(self.world.ice.for_newcomer, "192.0.2.7")
        self.assertEqual(FEW, len({ask()[1].urls[1] for _ in range(200)}))
