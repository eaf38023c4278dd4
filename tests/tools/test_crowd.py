"""The devices of the proofs under load: their reaction to lost connections, and the calls they take for lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from acceptance.crowd.handset import Handset, Link
from acceptance.crowd.seen import Seen
from acceptance.crowd.talk import Talk
from acceptance.faults.line import Door
from acceptance.soak import Sample, growth
from bench.devices import address_of
from harness.websocket import Refused
from tests.tools.test_bench_devices import CALLED, HANG_UP, ROOM, SUCCESS, Line

RANDOM: Final = Random(7)  # noqa: S311  it draws times
DOOR: Final = Door(0, 1, 2, 3)
FAILED: Final = {"type": "call_failed", "to_phone": SUCCESS["to_phone"], "to_device_id": SUCCESS["to_device_id"]}


class Two:
    """A caller and a callee that have been connected for long."""

    def __init__(self, extended: bool = False) -> None:
        self.seen: Final = Seen()
        devices = [Handset(address_of(number), [DOOR], self.seen, RANDOM, extended) for number in range(2)]
        self.caller, self.callee = devices
        self.at_caller, self.at_callee = map(self.connected, devices)
        self.talk: Final = Talk(self.caller, self.callee, self.seen, RANDOM, 0.0)

    def connected(self, device: Handset) -> Line:
        """The server's end of a new connection of a device."""
        device.back_since = 0.0
        device.link = Link(device, DOOR)
        return Line(device.link)

    async def ring(self) -> asyncio.Task[bool]:
        """Have the call ring."""
        begins = asyncio.create_task(self.talk.begin())
        await _turn()
        self.at_callee.say(CALLED)
        return begins

    async def answer(self) -> None:
        """Have the call ring and be answered."""
        begins = await self.ring()
        await _turn()
        self.at_caller.say(SUCCESS)
        await begins


async def _turn() -> None:
    """Let due work be done."""
    for _ in range(5):
        await asyncio.sleep(0)


class TalkTests(SynchronousTestCase):
    """The judge of a call."""

    def with_two(self, test: Callable[[Two], Awaitable[None]], extended: bool = False) -> Seen:
        """Run a test; returns the observations of the two."""

        async def run() -> Seen:
            two = Two(extended)
            await test(two)
            return two.seen

        return asyncio.run(run())

    def test_in_order(self) -> None:
        """A call that rings, is answered, and ends when one of the two hangs up, is not lost."""

        async def test(two: Two) -> None:
            await two.answer()
            self.assertTrue(two.talk.is_talked_in)
            ends = asyncio.create_task(two.talk.end(two.caller))
            await _turn()
            two.at_callee.say({**HANG_UP, "reason": "hangup"})
            await ends
            two.talk.close()
            said = [frame["type"] for frame in two.at_caller.heard()]
            self.assertEqual(["call", "calling_hangup"], said)

        seen = self.with_two(test)
        self.assertEqual((1, 1, [], []), (seen.placed, seen.ended, seen.lost, seen.wrong))

    def test_ended_by_nobody(self) -> None:
        """It is lost if it ends though nobody has hung up; then both are made to leave it."""

        async def test(two: Two) -> None:
            await two.answer()
            two.at_callee.say({**HANG_UP, "reason": "connection_lost"})
            self.assertFalse(two.talk.in_progress)
            two.talk.close()
            self.assertTrue(two.caller.is_free)
            self.assertEqual("calling_hangup", two.at_caller.heard()[-1]["type"])

        self.assertIn("was told connection_lost, and nobody had hung up", self.with_two(test).lost[0])

    def test_refused_for_now(self) -> None:
        """It is not lost if it is refused because its node stops, but if that is said when it has rung."""

        async def refused(two: Two) -> None:
            begins = asyncio.create_task(two.talk.begin())
            await _turn()
            two.at_caller.say({**FAILED, "reason": "shutting_down"})
            begins.cancel()

        async def refused_late(two: Two) -> None:
            begins = await two.ring()
            two.at_caller.say({**FAILED, "reason": "shutting_down"})
            self.assertFalse(await begins)

        seen = self.with_two(refused)
        self.assertEqual(({"shutting_down": 1}, []), (seen.refused, seen.lost))
        self.assertIn("its caller was told shutting_down", self.with_two(refused_late).lost[0])

    def test_offline(self) -> None:
        """A callee may be said to be offline when it has no connection, or had none just now, and else not."""

        async def said(two: Two, connected: bool) -> None:
            if not connected:
                two.callee.cut(silently=True)
            begins = asyncio.create_task(two.talk.begin())
            await _turn()
            two.at_caller.say({**FAILED, "reason": "offline"})
            begins.cancel()

        self.assertEqual([], self.with_two(lambda two: said(two, False)).lost)
        self.assertEqual(1, len(self.with_two(lambda two: said(two, True)).lost))

    def test_answer_not_heard(self) -> None:
        """A callee that is rung again when it is back accepts again."""

        async def test(two: Two) -> None:
            begins = await two.ring()
            await _turn()
            two.callee.cut(silently=True)
            again = two.connected(two.callee)
            again.say(CALLED)
            self.assertEqual(["called_success"], [frame["type"] for frame in again.heard()])
            begins.cancel()

        self.assertEqual([], self.with_two(test).lost)

    def test_forgotten(self) -> None:
        """It is lost if a device that is back is welcomed as one that is in no call."""

        async def test(two: Two, call: object) -> None:
            await two.answer()
            two.callee.cut(silently=True)
            two.connected(two.callee).say({"type": "welcome", "call": call})

        self.assertEqual([], self.with_two(lambda two: test(two, {"room_id": ROOM}), extended=True).lost)
        self.assertEqual(1, len(self.with_two(lambda two: test(two, None), extended=True).lost))

    def test_told_of_nothing(self) -> None:
        """A message about a call to a device without one is a fault."""

        async def test(two: Two) -> None:
            two.talk.close()
            two.at_callee.say(CALLED)

        self.assertEqual(1, len(self.with_two(test).wrong))


class FigureTests(SynchronousTestCase):
    """The figures that are read."""

    def test_retry_after(self) -> None:
        """A refusal has its status, and when one may come again if it says so."""
        refused = Refused(b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0")
        self.assertEqual((503, 5), (refused.status, refused.retry_after))
        self.assertIsNone(Refused(b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0").retry_after)

    def test_growth(self) -> None:
        """The growth of memory is the slope of the line that fits best, in KiB in a minute."""
        samples = [Sample(5.0 * number, 50_000 + 10 * number + (-1) ** number, 9, 0) for number in range(100)]
        self.assertAlmostEqual(120.0, growth(samples), places=1)
