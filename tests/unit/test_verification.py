"""The short code that two people compare (docs/verification.md), and the run that makes it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet_client.emoji import EMOJI
from callnet_client.verification import (
    SIGNS,
    Code,
    Fingerprints,
    NoFingerprint,
    State,
    Verification,
    code_of,
    commitment,
    fingerprint_of,
)
from harness import ROOT

VECTORS: Final = json.loads((Path(__file__).parent / "verification_vectors.json").read_text(encoding="utf-8"))
EMOJI_OF_THE_PAGE: Final = ROOT / "callnet" / "static" / "demo" / "emoji.js"
WORDS_OF_THE_PAGE: Final = ROOT / "callnet" / "static" / "demo" / "words"
OURS: Final = Fingerprints(offerer=b"o" * 32, answerer=b"a" * 32)
KINDS: Final = ("commit", "nonce", "reveal")

PIECES: Final = ("a=fingerprint:", "sha-256 ", "sha-512 ", "\r\n", "\n", " ", ":".join(["0F"] * 32), "0F:" * 31, "0F")
VALUES: Final = st.binary(min_size=32, max_size=32)
FINGERPRINTS: Final = st.builds(Fingerprints, VALUES, VALUES)


def said(text: str | None) -> dict[str, Any]:
    """A note that must have been said."""
    assert text is not None
    note: dict[str, Any] = json.loads(text)
    return note


def note(kind: str, value: bytes | str) -> str:
    """A note of one of the kinds."""
    text = value if isinstance(value, str) else value.hex()
    return json.dumps({"kind": kind, "hash" if kind == "commit" else "nonce": text})


def pair(of_offerer: Fingerprints, of_answerer: Fingerprints) -> tuple[Verification, Verification]:
    """Both sides of one run."""
    return Verification(of_offerer, offers=True), Verification(of_answerer, offers=False)


def run(offerer: Verification, answerer: Verification) -> Sequence[str | None]:
    """Carry the notes of a whole run; returns the results."""
    commit = offerer.begin()
    nonce = answerer.hear(commit or "")
    reveal = offerer.hear(nonce or "")
    return [answerer.begin(), commit, nonce, reveal, answerer.hear(reveal or "")]


class CodeTests(SynchronousTestCase):
    """The computation."""

    def test_vectors(self) -> None:
        """Commitments and codes are those that the page computes, too."""
        for vector in VECTORS["codes"]:
            offerer, answerer, first, second = (
                bytes.fromhex(vector[name])
                for name in ("offerer_fingerprint", "answerer_fingerprint", "offerer_nonce", "answerer_nonce")
            )
            fingerprints = Fingerprints(offerer, answerer)
            self.assertEqual(vector["commitment"], commitment(fingerprints, first).hex())
            code = code_of(fingerprints, first, second)
            self.assertEqual(vector["code"], list(code))
            self.assertEqual(vector["signs"], " ".join(EMOJI[number].sign for number in code))
            self.assertEqual(vector["english"], ", ".join(EMOJI[number].english for number in code))

    def test_fingerprints(self) -> None:
        """The fingerprint of a description is the one that the page reads in it, or there is none for both."""
        for vector in VECTORS["descriptions"]:
            sdp = "".join(f"{line}\r\n" for line in vector["lines"])
            if vector["fingerprint"] is None:
                self.assertRaises(NoFingerprint, fingerprint_of, sdp)
            else:
                self.assertEqual(vector["fingerprint"], fingerprint_of(sdp).hex(), vector["why"])

    @given(FINGERPRINTS, VALUES, VALUES)
    def test_form(self, fingerprints: Fingerprints, first: bytes, second: bytes) -> None:
        """A code is six numbers, each with an emoji."""
        code = code_of(fingerprints, first, second)
        self.assertEqual(SIGNS, len(code))
        for number in code:
            EMOJI[number]

    @given(FINGERPRINTS, VALUES, VALUES, st.integers(0, 3), st.integers(0, 255))
    def test_all_goes_into_it(
        self, fingerprints: Fingerprints, first: bytes, second: bytes, which: int, bit: int
    ) -> None:
        """One bit of either fingerprint or of either nonce changes the code; one of a nonce, the commitment."""
        values = [fingerprints.offerer, fingerprints.answerer, first, second]
        changed = list(values)
        changed[which] = (int.from_bytes(values[which], "big") ^ 1 << bit).to_bytes(32, "big")

        def code(offerer: bytes, answerer: bytes, one: bytes, other: bytes) -> Code:
            return code_of(Fingerprints(offerer, answerer), one, other)

        self.assertNotEqual(code(*values), code(*changed))
        if which < 3:
            self.assertNotEqual(
                commitment(Fingerprints(*values[:2]), values[2]), commitment(Fingerprints(*changed[:2]), changed[2])
            )

    @given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join))
    def test_any_description(self, sdp: str) -> None:
        """Whatever a description is, it has a fingerprint of 32 bytes or none."""
        with contextlib.suppress(NoFingerprint):
            self.assertEqual(32, len(fingerprint_of(sdp)))


class EmojiTests(SynchronousTestCase):
    """The 64 of them."""

    def test_the_same_on_the_page(self) -> None:
        """The page has the same ones, with the same names, in the same order."""
        text = EMOJI_OF_THE_PAGE.read_text(encoding="utf-8")
        signs = re.findall(r'"(.)",', text)
        english, chinese = (
            json.loads((WORDS_OF_THE_PAGE / f"{language}.json").read_text(encoding="utf-8"))["emojiNames"]
            for language in ("en", "zh")
        )
        self.assertEqual([tuple(emoji) for emoji in EMOJI], list(zip(signs, english, chinese, strict=True)))

    def test_each_is_told_from_the_others(self) -> None:
        """There are 64, one sign each, and no sign or name occurs twice."""
        self.assertEqual(64, len(EMOJI))
        for column in zip(*EMOJI, strict=True):
            self.assertEqual(64, len(set(column)))
        self.assertEqual({1}, {len(emoji.sign) for emoji in EMOJI})

    def test_names_are_short(self) -> None:
        """Six of them are read aloud in a breath and stand side by side on a phone."""
        for emoji in EMOJI:
            self.assertLessEqual(len(emoji.english), 10)
            self.assertLessEqual(len(emoji.chinese), 3)


class RunTests(SynchronousTestCase):
    """One run, from both sides."""

    def assert_broken(self, run_of_one: Verification) -> None:
        """There is no code, and nothing brings one any more."""
        for kind in KINDS:
            self.assertIsNone(run_of_one.hear(note(kind, b"x" * 32)))
        self.assertEqual((State.BROKEN, None, ()), (run_of_one.state, run_of_one.code, run_of_one.emoji))

    @given(FINGERPRINTS)
    def test_both_show_the_same(self, fingerprints: Fingerprints) -> None:
        """Two sides with the same fingerprints show the same code, after three notes."""
        offerer, answerer = pair(fingerprints, fingerprints)
        said_in_turn = [text and json.loads(text)["kind"] for text in run(offerer, answerer)]
        self.assertEqual([None, "commit", "nonce", "reveal", None], said_in_turn)
        self.assertEqual((State.SHOWN, State.SHOWN), (offerer.state, answerer.state))
        self.assertEqual(offerer.code, answerer.code)
        self.assertEqual(SIGNS, len(offerer.emoji))

    def test_the_code_is_of_both_nonces(self) -> None:
        """The code is computed from the exchanged nonces."""
        offerer, answerer = pair(OURS, OURS)
        _, commit, nonce, reveal, _ = run(offerer, answerer)
        first, second = (bytes.fromhex(said(text)["nonce"]) for text in (reveal, nonce))
        self.assertEqual(commitment(OURS, first).hex(), said(commit)["hash"])
        self.assertEqual(code_of(OURS, first, second), answerer.code)

    def test_each_run_has_a_code_of_its_own(self) -> None:
        """The same certificates come to another code in another run."""
        codes = set()
        for _ in range(3):
            offerer, answerer = pair(OURS, OURS)
            run(offerer, answerer)
            codes.add(offerer.code)
        self.assertEqual(3, len(codes))

    @given(FINGERPRINTS, FINGERPRINTS)
    def test_other_fingerprints_break_it(self, one: Fingerprints, other: Fingerprints) -> None:
        """If the sides do not see the same two certificates, relaying their notes comes to no code for the answerer."""
        if one != other:
            offerer, answerer = pair(one, other)
            run(offerer, answerer)
            self.assert_broken(answerer)

    @given(FINGERPRINTS, VALUES, VALUES)
    def test_somebody_in_between(
        self, fingerprints: Fingerprints, towards_offerer: bytes, towards_answerer: bytes
    ) -> None:
        """Somebody who speaks with each side by certificates of their own has both show codes, and these differ."""
        to_offerer = Fingerprints(fingerprints.offerer, towards_offerer)
        to_answerer = Fingerprints(towards_answerer, fingerprints.answerer)
        offerer, one = pair(to_offerer, to_offerer)
        other, answerer = pair(to_answerer, to_answerer)
        run(offerer, one)
        run(other, answerer)
        self.assertEqual((State.SHOWN, State.SHOWN), (offerer.state, answerer.state))
        self.assertNotEqual(offerer.code, answerer.code)

    @given(VALUES, VALUES)
    def test_a_nonce_is_bound(self, committed: bytes, revealed: bytes) -> None:
        """An offerer who reveals another nonce than the one committed to comes to no code."""
        answerer = Verification(OURS, offers=False)
        answerer.hear(note("commit", commitment(OURS, committed)))
        answerer.hear(note("reveal", revealed))
        if committed == revealed:
            self.assertIs(State.SHOWN, answerer.state)
        else:
            self.assert_broken(answerer)

    def test_order(self) -> None:
        """Only the right order of up to four notes leads to a code; later notes are ignored."""
        first, second = b"1" * 32, b"2" * 32
        notes = {
            "commit": note("commit", commitment(OURS, first)),
            "nonce": note("nonce", second),
            "reveal": note("reveal", first),
        }
        for length in range(5):
            for order in product(KINDS, repeat=length):
                for offers, right in ((True, ("nonce",)), (False, ("commit", "reveal"))):
                    with self.subTest(order=order, offers=offers):
                        one = Verification(OURS, offers=offers)
                        one.begin()
                        for kind in order:
                            one.hear(notes[kind])
                        if order[: len(right)] == right:
                            self.assertIs(State.SHOWN, one.state)
                        elif order == right[: len(order)]:
                            self.assertIs(State.PENDING, one.state)
                        else:
                            self.assert_broken(one)

    def test_a_code_that_is_shown_stays(self) -> None:
        """Nothing that is said after it changes it, or is answered."""
        for side in (0, 1):
            both = pair(OURS, OURS)
            run(*both)
            code = both[side].code
            for kind in KINDS:
                for value in (b"x" * 32, "x", ""):
                    self.assertIsNone(both[side].hear(note(kind, value)))
            self.assertEqual((State.SHOWN, code), (both[side].state, both[side].code))

    def test_malformed(self) -> None:
        """A note of these kinds that is not as it has to be breaks the run."""
        for value in ("", "0" * 63, "0" * 65, "0" * 63 + "g", "A" * 64, "0" * 64 + "\n", "0" * 63 + "\n", "٠" * 64):
            for offers, kind in ((True, "nonce"), (False, "commit")):
                one = Verification(OURS, offers=offers)
                one.hear(note(kind, value))
                self.assert_broken(one)
        for text in (
            '{"kind":"commit"}',
            '{"kind":"commit","hash":null}',
            '{"kind":"commit","hash":["%s"]}' % ("0" * 64),
        ):
            answerer = Verification(OURS, offers=False)
            answerer.hear(text)
            self.assert_broken(answerer)

    def test_other_notes(self) -> None:
        """Notes of other kinds are ignored."""
        others = ("", "null", "[]", "{}", "x", '"commit"', '{"kind":1}', '{"kind":"bye"}', '{"kind":"chat","text":"x"}')
        for text in (*others, "[" * 100_000, b"\xff", '{"kind":"\\ud800"}'):
            for offers in (True, False):
                one = Verification(OURS, offers=offers)
                self.assertIsNone(one.hear(text))
                self.assertIs(State.PENDING, one.state)

    @given(
        st.booleans(), st.lists(st.binary(max_size=200) | st.builds(note, st.sampled_from(KINDS), VALUES | st.text()))
    )
    def test_anything(self, offers: bool, texts: list[bytes | str]) -> None:
        """Whatever comes, there is a code exactly while it is shown, and once shown it is the same for good."""
        one = Verification(OURS, offers=offers)
        shown = None
        for text in texts:
            one.hear(text)
            self.assertEqual(one.state is State.SHOWN, one.code is not None)
            shown = shown or one.code
            self.assertEqual(shown, one.code)

    def test_new_descriptions(self) -> None:
        """An ICE restart keeps the code; one that brings another certificate takes it back."""
        offerer, answerer = pair(OURS, OURS)
        run(offerer, answerer)
        for one in (offerer, answerer):
            one.recheck(OURS)
            self.assertIs(State.SHOWN, one.state)
            one.recheck(Fingerprints(OURS.offerer, b"m" * 32))
            self.assert_broken(one)
