"""The judge of the proof that the time of an answer tells nothing, and what its callees say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from acceptance.timing.callees import KINDS, phone_of
from acceptance.timing.judge import MEDIAN, P95, TENTH, Times, compare, quantile
from acceptance.timing.proof import BRIEF, WHOLE
from acceptance.timing.slowed import slow_down
from acceptance.timing.stopwatch import call, check
from callnet.records import Policy
from harness.websocket import TEXT, server_frame

NAMES = ("red", "green", "blue")


def times(random: Random, each: int, slower: int = 0) -> Times:
    """Times about 100 µs, with a tail; those of ``blue`` are so many nanoseconds longer."""
    return {
        name: [int(random.lognormvariate(11.5, 0.3)) + (slower if name == "blue" else 0) for _ in range(each)]
        for name in NAMES
    }


def answer(**fields: str) -> bytes:
    """A frame of a server."""
    return server_frame(TEXT, json.dumps(fields).encode())


class JudgeTests(SynchronousTestCase):
    """What is found out."""

    def misses(self, rounds: Sequence[Times], tolerance: dict[str, float]) -> list[str]:
        """What is off too far."""
        return [miss for compared in compare(rounds) for miss in compared.misses(tolerance)]

    def test_the_same(self) -> None:
        """Of ten thousand that differ by chance alone none is off by 5 %."""
        for seed in range(5):
            random = Random(seed)  # noqa: S311
            rounds = [times(random, 1000) for _ in range(10)]
            self.assertEqual([], self.misses(rounds, {MEDIAN: 0.05, P95: 0.05}))

    def test_slower(self) -> None:
        """Of two thousand of which one kind takes 50 µs longer, that one is found out."""
        random = Random(1)  # noqa: S311
        misses = self.misses([times(random, 1000, 50_000) for _ in range(2)], {MEDIAN: 0.05, P95: 0.05})
        self.assertTrue(any(miss.startswith("blue: the median is +") for miss in misses), misses)

    def test_the_tail(self) -> None:
        """One that is slow only at times is found out by its 95th percentile."""
        random = Random(2)  # noqa: S311
        rounds = [dict(times(random, 1000))]
        rounds[0]["red"] = [took * 3 if number % 10 == 0 else took for number, took in enumerate(rounds[0]["red"])]
        self.assertEqual([], self.misses(rounds, {MEDIAN: 0.1}))
        self.assertTrue(self.misses(rounds, {P95: 0.2})[0].startswith("red: the 95th percentile is +"))

    def test_brief(self) -> None:
        """A slice does not find fault by chance, however much of the time the machine does something else."""
        for seed in range(50):
            random = Random(seed)  # noqa: S311
            rounds = []
            for _ in range(BRIEF.rounds):
                one = times(random, BRIEF.each)
                rounds.append(
                    {name: [took + random.choice((0, 0, 10_000_000)) for took in of] for name, of in one.items()}
                )
            self.assertEqual([], self.misses(rounds, {TENTH: 0.4}))

    def test_quantile(self) -> None:
        """A part of all is not greater."""
        self.assertEqual([1.0, 3.0, 5.0], [quantile([5, 3, 1, 2, 4], part) for part in (0.0, 0.5, 0.99)])

    def test_error(self) -> None:
        """Rounds that say the same leave no doubt; nor can one alone say of any."""
        one = times(Random(3), 100)  # noqa: S311
        for rounds in ([one], [one, one]):
            self.assertEqual({0.0}, {off.error for each in compare(rounds) for off in each.parts.values()})


class CalleesTests(SynchronousTestCase):
    """Who is called, and how that is answered."""

    def test_phones(self) -> None:
        """All phones are other ones, and of one length, and so are the calls."""
        phones = {phone_of(kind, number) for kind in KINDS for number in (0, 7, WHOLE.each)}
        self.assertEqual(3 * len(KINDS), len(phones))
        self.assertEqual({11}, {len(phone) for phone in phones})
        self.assertEqual(1, len({len(call(phone)) for phone in phones}))

    def test_check(self) -> None:
        """Nothing but one whole frame that says ``offline`` is taken for the answer."""
        check(answer(type="call_failed", reason="offline", to_phone="1" * 150))
        check(answer(type="call_failed", reason="offline"))
        good = answer(type="call_failed", reason="offline")
        for bad in (
            answer(type="call_failed", reason="busy"),
            answer(type="call_refuse", reason="offline"),
            good[:-1],
            good + good,
            b"\x8a\x00",
            b"",
        ):
            self.assertRaises(ValueError, check, bad)

    def test_slowed(self) -> None:
        """The daemon that must be found out decides as any other."""
        self.patch(Policy, "allows", Policy.allows)
        slow_down(1)
        policy = Policy(blocked=frozenset({"1"}))
        self.assertEqual([False, True], [policy.allows(phone, 0.0) for phone in "12"])
