"""The targets of the proofs of closed phones and of pairing."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from acceptance.closed import RINGS_WITHIN, VAPID_LASTS, WITHDRAWN_WITHIN, Seen, is_signed
from acceptance.pairing import CODES_OF_A_PHONE, CODES_OF_AN_ADDRESS, Guessed

IN_TIME = 0.1


class ClosedTests(SynchronousTestCase):
    """The calls to closed phones of one kind."""

    def test_in_time(self) -> None:
        """Five in a hundred may take longer to be heard, but no withdrawal."""
        seen = Seen([*[IN_TIME] * 19, RINGS_WITHIN + 1], [IN_TIME])
        self.assertEqual([], seen.late("message"))

    def test_late(self) -> None:
        """Two of twenty that are heard late are too many, whatever others of its kind take; so is none at all."""
        seen = Seen([*[IN_TIME] * 18, *[RINGS_WITHIN + 1] * 2], [IN_TIME, WITHDRAWN_WITHIN + 1])
        self.assertEqual(["95 in 100 messages took 2.50 s", "a withdrawal took 2.00 s"], seen.late("message"))
        self.assertEqual(["95 in 100 notifications took inf s", "a withdrawal took inf s"], Seen().late("notification"))

    def test_signature(self) -> None:
        """A signature whose claims are known has an end, within a day."""
        for claims, is_valid in (
            (None, True),
            ({}, False),
            ({"exp": 100.0}, False),
            ({"exp": 101.0}, True),
            ({"exp": 100.0 + VAPID_LASTS}, True),
            ({"exp": 101.0 + VAPID_LASTS}, False),
        ):
            self.assertEqual(is_valid, is_signed(claims, 100.0), claims)


class GuessedTests(SynchronousTestCase):
    """The guesses of strangers."""

    def guessed(self, **fields: int) -> Guessed:
        """All that the limits let through of one address, and some that they refused."""
        answers = Counter(ERROR_CODE_CODE_INVALID=CODES_OF_AN_ADDRESS, ERROR_CODE_RATE_LIMITED=5)
        given = {"most_of_a_phone": CODES_OF_A_PHONE, "most_of_an_address": CODES_OF_AN_ADDRESS} | fields
        return Guessed(answers, begun=50, **({"still_waiting": 50} | given))

    def test_met(self) -> None:
        """As many are let through as the limits say, and none gets in."""
        self.assertEqual([], self.guessed().misses(1))

    def test_missed(self) -> None:
        """A guess that gets in or is one too many of a phone or an address is a miss; so is a device that has gone."""
        for field, value, miss in (
            ("got_in", 1, "1 guesses got in"),
            ("most_of_a_phone", 6, "6 guesses of a phone were let through instead of 5 at most"),
            ("most_of_an_address", 21, "21 guesses of an address were let through instead of 20 at most"),
            ("still_waiting", 49, "of 50 devices only 49 still waited when their slice ended"),
        ):
            self.assertEqual([miss], self.guessed(**{field: value}).misses(1))
        self.assertEqual(["20 guesses were let through instead of 40"], self.guessed().misses(2))
