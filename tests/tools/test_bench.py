"""The load generator: its tokens, and its figures."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from bench.__main__ import LIMITS
from bench.devices import KEY, address_of, sign_token
from bench.figures import Figures, Limit, percentile, table, typical
from bench.servers import OVER_TLS, WAYS
from bench.watched import read, watch
from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.errors import TokenInvalid

GOOD = Figures(call=100.0, connection=200.0, login=400.0, memory=8.0, p50=0.5, p99=2.0)
REFERENCE = Figures(call=160.0, connection=300.0, memory=10.5, p50=0.4, p99=1.0)


class TokenTests(SynchronousTestCase):
    """Tokens that the generator signs itself."""

    def test_tokens_are_as_good_as_those_of_a_login(self) -> None:
        """A callnet with the same key takes them, until they expire."""
        token = sign_token(address_of(7), KEY, expires=1000)
        self.assertEqual(address_of(7), Tokens(KeyRing.of(Key.of(KEY)), 60, lambda: 999.0).verify(token).device)
        with self.assertRaises(TokenInvalid):
            Tokens(KeyRing.of(Key.of(KEY)), 60, lambda: 1000.0).verify(token)


class FiguresTests(SynchronousTestCase):
    """Calculations from the figures."""

    def test_percentile_is_the_nearest_rank(self) -> None:
        """The percentile is a value that was measured, whatever their order."""
        values = [float(value) for value in range(100, 0, -1)]
        self.assertEqual([50.0, 99.0, 100.0], [percentile(values, share) for share in (0.5, 0.99, 1.0)])
        self.assertEqual(3.0, percentile([3.0], 0.01))

    def test_one_bad_round_spoils_nothing(self) -> None:
        """The median of each figure counts, of the waiting the best; a figure that nobody has stays unknown."""
        rounds = [GOOD, replace(GOOD, call=900.0, p99=90.0), replace(GOOD, call=101.0, p99=1.5)]
        middle = typical(rounds)
        self.assertEqual((101.0, 400.0, 1.5), (middle.call, middle.login, middle.p99))
        self.assertTrue(math.isnan(typical([REFERENCE]).login))

    def test_table_sets_servers_side_by_side(self) -> None:
        """Every figure has a row, with the requested ratios; an unknown value is a dash."""
        labels = {"call": "CPU of a call", "login": "CPU of a login"}
        ratios = [("callnet", "Autobahn"), ("callnet", "Node")]
        lines = table({"callnet": GOOD, "Autobahn": REFERENCE}, labels, ratios).splitlines()
        self.assertEqual(3, len(lines))
        self.assertEqual(["callnet", "Autobahn", "callnet", ":", "Autobahn"], lines[0].split())
        self.assertEqual(["100.0", "160.0", "0.62"], lines[1].split()[-3:])
        self.assertEqual(["400.0", "–", "–"], lines[2].split()[-3:])
        self.assertEqual(1, len({len(line) for line in lines}))


class LimitTests(SynchronousTestCase):
    """The check of limits."""

    def test_figure(self) -> None:
        """A limit of one figure is met or loudly missed, with the figure."""
        limit = Limit("memory ≤ 12 KiB", "memory", "callnet", 12.0)
        self.assertEqual("memory ≤ 12 KiB: met (8.00)", limit.verdict({"callnet": GOOD}))
        self.assertEqual("memory ≤ 12 KiB: MISSED (12.10)", limit.verdict({"callnet": replace(GOOD, memory=12.1)}))

    def test_ratio(self) -> None:
        """A limit of the ratio to another server too."""
        limit = Limit("call", "call", "callnet", 1.3, "Autobahn")
        self.assertEqual("call: met (0.62)", limit.verdict({"callnet": GOOD, "Autobahn": REFERENCE}))
        slow = replace(GOOD, call=210.0)
        self.assertEqual("call: MISSED (1.31)", limit.verdict({"callnet": slow, "Autobahn": REFERENCE}))

    def test_goal(self) -> None:
        """A limit may have a goal beside it, which is told where it is not reached."""
        limit = Limit("call", "call", "callnet", 1.3, "Autobahn", goal=0.6)
        self.assertEqual(
            "call: met (0.62), the goal of 0.6 is not", limit.verdict({"callnet": GOOD, "Autobahn": REFERENCE})
        )
        fast = replace(GOOD, call=90.0)
        self.assertEqual("call: met (0.56)", limit.verdict({"callnet": fast, "Autobahn": REFERENCE}))

    def test_two_figures_of_one_server(self) -> None:
        """A limit of the ratio to another figure."""
        limit = Limit("waits", "p99", "callnet", 5.0, "callnet", compared="p50")
        self.assertEqual("waits: met (4.00)", limit.verdict({"callnet": GOOD}))

    def test_nothing_is_claimed(self) -> None:
        """Where one of the two is not there, or was not measured, the limit is not met."""
        limit = Limit("call", "call", "callnet", 1.3, "Autobahn")
        self.assertEqual("call: not measured, Autobahn is not there", limit.verdict({"callnet": GOOD}))
        unknown = {"callnet": GOOD, "Autobahn": Figures()}
        self.assertEqual("call: not measured", limit.verdict(unknown))

    def test_limits_name_what_is_measured(self) -> None:
        """Each limit of a run is of a figure that there is, and of a way to run callnet."""
        for limit in LIMITS:
            self.assertIn(limit.figure, Figures.__struct_fields__)
            self.assertIn(limit.server, [way.name for way in (*WAYS, OVER_TLS)])
            self.assertIn(limit.reference, ["", "Autobahn", "Node", "Node over TLS", *(way.name for way in WAYS)])
            self.assertIn(limit.compared or limit.figure, Figures.__struct_fields__)


class FakeReactor:
    """Has the watched parts of a reactor; everything happens at once."""

    def __init__(self) -> None:
        self.handled: list[object] = []

    def _doReadOrWrite(self, selectable: object, *_: object) -> None:
        busy(0.003 if isinstance(selectable, str) else 0.0)
        self.handled.append(selectable)

    def callLater(self, delay: float, function: Callable[..., object], *args: object) -> object:
        """Call it at once."""
        return delay, function(*args)

    def callFromThread(self, function: Callable[..., object], *args: object) -> None:
        """Call it at once."""
        function(*args)


def busy(seconds: float) -> float:
    """Use so much CPU."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass
    return seconds


class WatchedTests(SynchronousTestCase):
    """Recording of long events."""

    def test_events(self) -> None:
        """Every kind of event is measured, does its work, and is named if it took long."""
        gc.disable()  # a collection would make a short event long
        self.addCleanup(gc.enable)
        reactor: Any = FakeReactor()
        path = Path(self.mktemp())
        with path.open("w", buffering=1) as file:
            watch(reactor, file.write)
            for selectable in ("slow", 7):
                reactor._doReadOrWrite(selectable, 0, 0)
            self.assertEqual((4, 0.002), reactor.callLater(4, busy, 0.002))
            self.assertEqual((4, 0.0), reactor.callLater(4, busy, 0.0))
            reactor.callFromThread(busy, 0.001)
        self.assertEqual(["slow", 7], reactor.handled)
        events = read(path)
        self.assertEqual(["str", "busy", "busy"], [event.name for event in events])
        for event, least in zip(events, (0.003, 0.002, 0.001), strict=True):
            self.assertGreaterEqual(event.took, least)
            self.assertLessEqual(event.at, time.monotonic() + 0.001)  # it is rounded
