"""Which phones and device ids may log in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.enrolment import is_device_id, phone_rule
from callnet.errors import StartError

ARABIC_DIGITS = "١٢٣٤٥٦٧٨٩٠١"
UNSPEAKABLE = ("\0", "\n", "\r", "\t", "\x1b", "\x7f", "\x80", "\x9f", "\ud800", "\udfff")


class PhoneRuleTests(SynchronousTestCase):
    """The setting ``phone_format``."""

    def assert_rule(self, phone_format: str, good: list[str], bad: list[str]) -> None:
        """Assert that the rule takes all valid numbers, and no invalid ones."""
        rule = phone_rule(phone_format)
        self.assertEqual([phone for phone in good if not rule(phone)], [])
        self.assertEqual([phone for phone in bad if rule(phone)], [])
        spoilt = [phone + character for phone in good for character in UNSPEAKABLE]
        self.assertEqual([phone for phone in spoilt if rule(phone)], [])

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

    @given(st.text(max_size=40), st.sampled_from(["cn-mobile", "e164", "[0-9]+", ".*"]))
    def test_any_text(self, text: str, phone_format: str) -> None:
        """No text is an exception to any rule, and an accepted one can be stored."""
        if phone_rule(phone_format)(text):
            self.assertTrue(text.encode() and len(text) <= 32 and "\0" not in text)


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
