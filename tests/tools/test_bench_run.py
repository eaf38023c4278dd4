"""``make bench``, in a few moments for each way to run callnet."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Sequence

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from bench.figures import Figures
from bench.load import Pairs
from bench.measures import Plan, measure
from bench.servers import ALONE, OVER_TLS, WAYS
from bench.stalls import longest_event
from bench.without import STEPS

MOMENT = Plan(
    rounds=1,
    pairs=4,
    rooms=4,
    seconds=0.2,
    rate=20,
    connections=50,
    connections_over_tls=20,
    beside=(5, 20),
    logins=10,
    known_devices=5,
    forgotten=0.5,
)

BESIDE = ("beside_few", "beside_many", "stall")
BY_CALLLOAD = ("busy", "saturated_calls", "saturated_call")
"""Figures that need the generator in C."""


class RunTests(SynchronousTestCase):
    """Every way to run callnet bears the load; how fast it is does not matter here."""

    def measured(self, name: str) -> Figures:
        """Measure the way of that name."""
        (way,) = [way for way in (*WAYS, OVER_TLS) if way.name == name]
        return asyncio.run(measure(way, MOMENT, min(os.sched_getaffinity(0))))

    def assert_measured(self, figures: Figures, *unknown: str) -> None:
        """Every figure is known but these."""
        self.assertEqual(
            set(unknown),
            {name for name in Figures.__struct_fields__ if not math.isfinite(getattr(figures, name))},
        )
        self.assertGreater(figures.call, 0)
        self.assertGreater(figures.connection, 0)

    def test_one_process(self) -> None:
        """One process has no store beside it."""
        self.assert_measured(self.measured("callnet"), "stall", *BY_CALLLOAD, "store_call", "store_connection")

    def test_without_a_step(self) -> None:
        """Callnet also works without any one of the steps that make it fast."""
        for step in STEPS:
            way = replace(ALONE, program=("-m", "bench.without", step))
            with way.running(min(os.sched_getaffinity(0))) as server:
                asyncio.run(self.call(server.ports_of("signaling")))

    async def call(self, ports: Sequence[int]) -> None:
        """Have devices call each other for a moment."""
        pairs = Pairs(ports, 2)
        await pairs.connect()
        self.assertGreater(len(await pairs.call_in_turn(0.05)), 0)
        pairs.close()

    def test_stalls(self) -> None:
        """The length of one event is measured, with Redis as well."""
        for way in WAYS[:2]:
            self.assertLess(0, asyncio.run(longest_event(way, MOMENT, min(os.sched_getaffinity(0)))))

    def test_over_tls(self) -> None:
        """One process that is reached over TLS."""
        unknown = ("login", "relay", *BESIDE, *BY_CALLLOAD, "store_call", "store_connection")
        self.assert_measured(self.measured("callnet over TLS"), *unknown)

    def test_redis(self) -> None:
        """One node with Redis."""
        self.assert_measured(self.measured("Redis"), "login", *BESIDE, *BY_CALLLOAD)

    def test_two_nodes(self) -> None:
        """Two nodes: every call is between them."""
        self.assert_measured(self.measured("2 nodes"), "login", *BESIDE, *BY_CALLLOAD)

    def test_two_workers(self) -> None:
        """Two workers of one parent, which is not counted."""
        self.assert_measured(self.measured("2 workers"), "login", *BESIDE, *BY_CALLLOAD)
