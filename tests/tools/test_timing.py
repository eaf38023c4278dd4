"""The judge of the proof that the time of an answer tells nothing, and the answers of its callees."""

from __future__ import annotations

import json
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from acceptance.timing.callees import KINDS, phone_of
from acceptance.timing.judge import DELAY, Times, compare, misses
from acceptance.timing.proof import BRIEF, SLOWER, WHOLE
from acceptance.timing.slowed import slow_down
from acceptance.timing.stopwatch import call, phone_told
from callnet.calls.preferences import Policy
from harness.websocket import PONG, TEXT, Frame

NAMES = ("red", "green", "blue")


def times(random: Random, each: int, delay: float, slower: float = 0.0) -> Times:
    """Times of a delay and 0.3 ms, one in three of them up to 5 ms longer; those of ``blue`` are so much longer."""
    return {
        name: [
            delay + random.lognormvariate(-1.2, 0.3) + random.choice((0, 0, 5)) * random.random() + more
            for _ in range(each)
        ]
        for name, more in {**dict.fromkeys(NAMES, 0.0), "blue": slower}.items()
    }


def answer(**fields: str) -> Frame:
    """A frame of a server."""
    return Frame(TEXT, json.dumps(fields).encode())


class JudgeTests(SynchronousTestCase):
    """The findings of the judge."""

    def test_the_same(self) -> None:
        """Those that differ by chance alone are not told from each other, neither by many nor by a few."""
        for plan in (WHOLE, BRIEF):
            for seed in range(20):
                found = compare(times(Random(seed), plan.each * plan.rounds, DELAY))  # noqa: S311
                self.assertEqual([], misses(found, plan.tolerance))

    def test_slower(self) -> None:
        """One kind that takes longer is found out."""
        for plan in (WHOLE, BRIEF):
            found = misses(compare(times(Random(1), plan.each, DELAY, SLOWER)), plan.tolerance)  # noqa: S311
            self.assertTrue(any(miss.startswith("blue: the median is +") for miss in found), found)

    def test_early(self) -> None:
        """An answer that comes before its time is found out."""
        early = {**times(Random(2), 100, DELAY), "red": [DELAY - 0.5] + [DELAY + 0.3] * 99}  # noqa: S311
        self.assertEqual([f"red: an answer came after {DELAY - 0.5:.2f} ms"], misses(compare(early), 1.0))


class CalleesTests(SynchronousTestCase):
    """The callees, and their answers."""

    def test_phones(self) -> None:
        """All phones are other ones, and of one length, and so are the calls."""
        phones = {phone_of(kind, number) for kind in KINDS for number in (0, 7, WHOLE.each)}
        self.assertEqual(3 * len(KINDS), len(phones))
        self.assertEqual({11}, {len(phone) for phone in phones})
        self.assertEqual(1, len({len(call(phone)) for phone in phones}))

    def test_answer(self) -> None:
        """Only ``offline`` is taken for the answer."""
        self.assertEqual("1", phone_told(answer(type="call_failed", reason="offline", to_phone="1")))
        for bad in (
            answer(type="call_failed", reason="busy", to_phone="1"),
            answer(type="call_refuse", reason="offline", to_phone="1"),
            Frame(PONG, b""),
        ):
            self.assertRaises(ValueError, phone_told, bad)

    def test_slowed(self) -> None:
        """The daemon that takes longer decides as any other."""
        self.patch(Policy, "allows", Policy.allows)
        slow_down(1)
        policy = Policy(blocked=frozenset({"1"}))
        self.assertEqual([False, True], [policy.allows(phone, 0.0) for phone in "12"])
