"""The contract of limits, with one node or many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from callnet.ops.limits import IGate, ILimiter, ILimits, LimitsAlone

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object

WINDOW = 60.0
"""Seconds in which three may come again: Redis forgets by its own clock, however slow the machine."""


class LimitsContract(_Base):
    """Tests of limits that nobody else goes by."""

    late = 0.0
    """Seconds after which a use may be counted, so that those after it wait longer."""

    async def make_limits(self) -> ILimits:
        """Make them."""
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        raise NotImplementedError

    async def ways(self, gate: IGate, keys: Sequence[str | None], times: int) -> list[int | None]:
        """Enter so often; which limit was too much each time, if any was."""
        found = [await gate.enter(keys) for _ in range(times)]
        return [None if too_many is None else too_many.which for too_many in found]

    async def test_limiter(self) -> None:
        """A burst is allowed, then one after each interval; each key has its own count."""
        limits = await self.make_limits()
        verifyObject(ILimits, limits)
        limiter = limits.limiter("calls", 3, WINDOW)
        verifyObject(ILimiter, limiter)
        self.assertEqual([0, 0, 0], [limiter.wait("a") for _ in range(3)])
        self.assertTrue(limiter.would_wait("a"))
        self.assertFalse(limiter.would_wait("b"))
        self.assertEqual(0, limiter.wait("b"))
        waits: list[float] = []
        while wait := limiter.wait("a"):
            await self.pass_time(wait)
            waits.append(wait)
        self.assertTrue(0 < sum(waits) <= WINDOW / 3 + self.late * len(waits), waits)
        self.assertLess(0, limiter.wait("a"))

    async def test_any_number(self) -> None:
        """A limit of 0 is none."""
        limits = await self.make_limits()
        limiter, gate = limits.limiter("calls", 0, 60.0), limits.gate([("logins", 0, 60.0)])
        self.assertEqual({0.0}, {limiter.wait("a") for _ in range(1000)})
        self.assertFalse(limiter.would_wait("a"))
        self.assertEqual([None] * 50, await self.ways(gate, ["a"], 50))

    async def test_gate(self) -> None:
        """A gate admits a use that exceeds none of its limits, and says when to come again."""
        gate = (await self.make_limits()).gate([("from", 3, WINDOW), ("of", 2, WINDOW)])
        verifyObject(IGate, gate)
        self.assertEqual([None, None, 1], await self.ways(gate, ["a", "b"], 3))
        self.assertEqual([0], await self.ways(gate, ["a", "c"], 1))
        self.assertEqual([None], await self.ways(gate, ["other", "c"], 1))
        too_many = await gate.enter(["a", "c"])
        assert too_many is not None
        self.assertTrue(0 < too_many.wait <= WINDOW / 3)
        await self.pass_time(too_many.wait)
        self.assertEqual([None], await self.ways(gate, ["a", "c"], 1))

    async def test_what_follows_is_not_counted(self) -> None:
        """Attempts after the refused one are not counted."""
        gate = (await self.make_limits()).gate([("from", 1, 60.0), ("of", 2, 60.0)])
        self.assertEqual([None, 0, 0, 0], await self.ways(gate, ["a", "b"], 4))
        self.assertEqual([None, 1], await self.ways(gate, [None, "b"], 2))

    async def test_without_a_key(self) -> None:
        """A limit that something does not go by lets it through."""
        gate = (await self.make_limits()).gate([("from", 1, 60.0), ("of", 1, 60.0)])
        self.assertEqual([None] * 3, await self.ways(gate, [None, None], 3))
        self.assertEqual([None, 1], await self.ways(gate, [None, "b"], 2))
        self.assertEqual([None, 0], await self.ways(gate, ["a", None], 2))

    async def test_any_text(self) -> None:
        """A key is any text."""
        gate = (await self.make_limits()).gate([("from", 1, 60.0)])
        for key in ("", "\n:", "\x00", "\ud800", "电话" * 20):
            self.assertEqual([None, 0], await self.ways(gate, [key], 2))


class AloneTests(LimitsContract, TestCase):
    """Limits in memory."""

    async def make_limits(self) -> ILimits:
        """Make them."""
        self.clock = Clock()
        self.clock.advance(1e9)
        return LimitsAlone(self.clock.seconds)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)
