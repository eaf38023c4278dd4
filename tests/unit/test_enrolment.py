"""Which phones and device ids may log in."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import callnet
from callnet.accounts.validation import is_device_id, phone_rule
from callnet.errors import PhoneInvalid, StartError

ARABIC_DIGITS = "١٢٣٤٥٦٧٨٩٠١"
UNSPEAKABLE = ("\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x80", "\x9f", "\ud800", "\udfff")


class PhoneRuleTests(SynchronousTestCase):
    """The setting ``phone_format``."""

    def assert_rule(self, phone_format: str, good: list[str], bad: list[str]) -> None:
        """Assert that the rule takes all valid numbers, and no invalid ones."""
        rule = phone_rule(phone_format)
        self.assertEqual([phone for phone in good if rule.read(phone) != phone], [])
        self.assertEqual([phone for phone in bad if rule.read(phone) is not None], [])
        spoilt = [phone + character for phone in good for character in UNSPEAKABLE]
        self.assertEqual([phone for phone in spoilt if rule.read(phone) is not None], [])

    def test_words(self) -> None:
        """The web phone knows the words of each rule, and says it in the person's language."""
        sentences = Path(callnet.__file__).with_name("static") / "phone" / "sentences.js"
        for phone_format in ("number", "cn-mobile", "e164"):
            self.assertIn(json.dumps(phone_rule(phone_format).words), sentences.read_text(encoding="utf-8"))

    def test_number(self) -> None:
        """``number`` is 3 to 15 ASCII digits, with or without a leading ``+``."""
        good = ["110", "+49", "13651884967", "+8613651884967", "123456789012345", "+123456789012345", "007"]
        bad = ["", "+", "12", "+12", "1234567890123456", "++49301", "49+301", "1a3", "tel:110", "110x", "１１０"]
        self.assert_rule("number", [one for one in good if one != "+49"], [*bad, ARABIC_DIGITS])

    def test_punctuation(self) -> None:
        """It drops spaces, dashes and brackets, and nothing else: with and without ``+`` a number is another one."""
        rule = phone_rule("number")
        for text in ("+49 (30) 123-45", "+49[30]12345", " +49-30-123 45 ", "(+49)3012345"):
            self.assertEqual("+493012345", rule.read(text), text)
        self.assertEqual("493012345", rule.read("49 30 12345"))
        for text in ("49.30.12345", "49/3012345", "49\u00a03012345", "49\t3012345", "(" * 30 + "123", "- - -"):
            self.assertIsNone(rule.read(text), text)

    def test_refused_with_the_rule(self) -> None:
        """The answer to a number that is refused names the rule."""
        for phone_format, words in (
            ("number", "3 to 15 digits"),
            ("cn-mobile", "11 digits that begin with 1"),
            ("e164", "country code"),
            ("[5-9]{4}", "[5-9]{4}"),
        ):
            error = self.assertRaises(PhoneInvalid, phone_rule(phone_format).require, "1", "phone")
            self.assertTrue(str(error).startswith("phone is not a valid number: "), str(error))
            self.assertIn(words, str(error))

    def test_cn_mobile(self) -> None:
        """``cn-mobile`` is 11 ASCII digits beginning with 1."""
        bad = ["", "1365188496", "136518849670", "23651884967", "+13651884967", " 13651884967", "1365188496x"]
        self.assert_rule(
            "cn-mobile", ["13651884967", "10000000000"], [*bad, ARABIC_DIGITS, "1365188496٧", "１3651884967"]
        )

    def test_e164(self) -> None:
        """``e164`` is the international form and no other spelling of it, of a length that the country uses."""
        good = ["+8613651884967", "+442079460123", "+12125550123", "+4930123456"]
        bad = ["", "+", "13651884967", "008613651884967", "+86 136 5188 4967", "+86-13651884967", "tel:+8613651884967"]
        odd = [
            "+861365188496712345",
            "+1212555012",
            "+9991234567",
            "+8613651884967;ext=1",
            "+8613651884967x1",
            "+440207946012345",
        ]
        self.assert_rule("e164", good, [*bad, *odd, "＋8613651884967", "+" + ARABIC_DIGITS])

    def test_regular_expression(self) -> None:
        r"""Anything else is a regular expression that must match all of the number; its ``\d`` is ASCII."""
        self.assert_rule(r"\d{4}|x\w*", ["1234", "x", "xabc"], ["12345", "1234 ", "١٢٣٤", "xé", "y"])
        self.assert_rule(".*", ["1", "é" * 32], ["", "1" * 33])

    def test_wrong_regular_expression(self) -> None:
        """An invalid regular expression stops the start with one line that names the setting."""
        for wrong in ("(", "[", "*", "(?P<x", "a{99999999999}", "(?<=a+)b"):
            error = self.assertRaises(StartError, phone_rule, wrong)
            self.assertTrue(str(error).startswith("accounts.phone_format: "), str(error))
            self.assertEqual(len(str(error).splitlines()), 1)

    @given(st.text(max_size=40), st.sampled_from(["number", "cn-mobile", "e164", "[0-9]+", ".*"]))
    def test_any_text(self, text: str, phone_format: str) -> None:
        """No text is an exception to any rule, and an accepted one can be stored."""
        number = phone_rule(phone_format).read(text)
        if number is not None:
            self.assertTrue(number.encode() and len(number) <= 32 and "\0" not in number)


class DeviceIdTests(SynchronousTestCase):
    """Valid device ids."""

    def test_good(self) -> None:
        """A device id is any text of 1 to 50 characters."""
        for text in ("tv888", "x" * 50, "中" * 50, "\U0001f4fa" * 50, "a b", "**", "-", "' OR 1=1"):
            self.assertTrue(is_device_id(text), text)

    def test_bad(self) -> None:
        """It is not empty, not ``*``, not longer, and has no control characters."""
        for text in (
            "",
            "*",
            "x" * 51,
            "x" * 10_000_000,
            *UNSPEAKABLE,
            *(f"a{character}b" for character in UNSPEAKABLE),
        ):
            self.assertFalse(is_device_id(text))
