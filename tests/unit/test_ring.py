"""The key that signs, the keys that are accepted, and changes while tokens are issued."""

from __future__ import annotations

from math import inf

import jwt
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.errors import TokenInvalid
from callnet.model import DeviceAddress
from tests.unit.test_tokens import CLAIMS, NOW, TV, forge

FIRST = Key.of(b"1" * 32)
SECOND = Key.of(b"2" * 32, NOW - 100)
THIRD = Key.of(b"3" * 32, NOW + 100)


class RingTests(SynchronousTestCase):
    """Which key signs at a time."""

    def test_first_key_alone(self) -> None:
        """The first key by itself signs for ever."""
        ring = KeyRing.of(FIRST)
        self.assertEqual((ring.signing(0), ring.signing(NOW)), (FIRST, FIRST))
        self.assertEqual((ring.next_change(0), ring.next_change(NOW)), (inf, inf))

    def test_the_newest_whose_time_has_come(self) -> None:
        """The newest of the keys whose time has come signs, from that very moment on."""
        ring = KeyRing.of(FIRST, [THIRD, SECOND])
        for now, key, change in (
            (NOW - 101, FIRST, NOW - 100),
            (NOW - 100, SECOND, NOW + 100),
            (NOW + 99, SECOND, NOW + 100),
            (NOW + 100, THIRD, inf),
        ):
            self.assertEqual((ring.signing(now), ring.next_change(now)), (key, change))

    def test_before_the_time_of_any(self) -> None:
        """While the time of none has come, the one whose time comes first signs."""
        ring = KeyRing.of(None, [THIRD, SECOND])
        self.assertEqual((ring.signing(NOW - 200), ring.next_change(NOW - 200)), (SECOND, NOW + 100))
        ring = KeyRing.of(None, [THIRD])
        self.assertEqual((ring.signing(NOW), ring.next_change(NOW)), (THIRD, inf))

    def test_at_the_same_time(self) -> None:
        """If two keys sign from the same moment, all nodes choose the same."""
        one, other = Key.of(b"a" * 32, NOW), Key.of(b"b" * 32, NOW)
        self.assertEqual(KeyRing.of(FIRST, [one, other]), KeyRing.of(FIRST, [other, one]))

    @given(st.lists(st.integers(1, 20), min_size=1), st.booleans(), st.integers(0, 25))
    def test_any_ring(self, times: list[int], has_first: bool, now: int) -> None:
        """A reader that asks only when the next change has come always has the key that signs."""
        others = [Key.of(bytes([number]) * 32, time) for number, time in enumerate(times)]
        ring = KeyRing.of(FIRST if has_first else None, others)
        signing, change = ring.signing(now), ring.next_change(now)
        self.assertIn(signing, ring.keys)
        self.assertGreater(change, now)
        for later in range(now, 26):
            self.assertEqual(ring.signing(later) is signing, later < change)
            if later >= change:
                break


class ChangingTests(SynchronousTestCase):
    """Tokens while their keys change."""

    def setUp(self) -> None:
        """Tokens of the first key."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.tokens = Tokens(KeyRing.of(FIRST), 3600, self.clock.seconds)

    def issue(self, key: Key) -> str:
        """Make a token, which must be this key's."""
        token = self.tokens.issue(TV)
        self.assertEqual(jwt.get_unverified_header(token)["kid"], key.kid)
        jwt.decode(token, key.secret, ["HS256"], options={"verify_exp": False, "verify_iat": False})
        return token

    def accepted(self, token: str) -> DeviceAddress | None:
        """The device of a token."""
        try:
            return self.tokens.verify(token).device
        except TokenInvalid:
            return None

    def test_new_key(self) -> None:
        """A new key signs at once, and the tokens of the old one go on to be accepted."""
        old = self.issue(FIRST)
        self.tokens.use(KeyRing.of(FIRST, [SECOND]))
        self.assertEqual((self.accepted(old), self.accepted(self.issue(SECOND))), (TV, TV))

    def test_key_of_later(self) -> None:
        """A key whose time comes later is accepted at once, and signs by itself when its time comes."""
        elsewhere = Tokens(KeyRing.of(None, [THIRD]), 3600, self.clock.seconds).issue(TV)
        self.assertIsNone(self.accepted(elsewhere))
        self.tokens.use(KeyRing.of(FIRST, [SECOND, THIRD]))
        self.assertEqual(self.accepted(elsewhere), TV)
        self.issue(SECOND)
        self.clock.advance(99.5)
        self.issue(SECOND)
        self.clock.advance(0.5)
        self.assertEqual(self.accepted(self.issue(THIRD)), TV)
        self.clock.advance(1000)
        self.issue(THIRD)

    def test_tokens_without_a_key_id(self) -> None:
        """They are the first key's, whichever signs, in any spelling of their header."""
        self.tokens.use(KeyRing.of(FIRST, [SECOND]))
        for header in ({}, {"x": 1}):
            self.assertEqual(self.accepted(forge(CLAIMS, FIRST.secret, **header)), TV)
            self.assertIsNone(self.accepted(forge(CLAIMS, SECOND.secret, **header)))

    def test_first_key_retired(self) -> None:
        """Without the first key neither its tokens are accepted nor any without a key id."""
        tokens = [self.issue(FIRST), *(forge(CLAIMS, FIRST.secret, **header) for header in ({}, {"x": 1}))]
        self.assertEqual([self.accepted(token) for token in tokens], [TV] * 3)
        self.tokens.use(KeyRing.of(None, [SECOND]))
        self.assertEqual([self.accepted(token) for token in tokens], [None] * 3)
        self.assertIsNone(self.accepted(forge(CLAIMS, SECOND.secret)))
        self.assertEqual(self.accepted(self.issue(SECOND)), TV)

    def test_another_key_retired(self) -> None:
        """Without another key its tokens are refused alone."""
        self.tokens.use(KeyRing.of(FIRST, [SECOND]))
        second = self.issue(SECOND)
        self.tokens.use(KeyRing.of(FIRST, [Key.of(b"4" * 32, NOW)]))
        self.assertIsNone(self.accepted(second))
        self.assertEqual(self.accepted(forge(CLAIMS, FIRST.secret, kid=FIRST.kid)), TV)
