"""Enrolment: who may become a device."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

from callnet.errors import StartError
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, PHONE_MAX, is_plain_text

_SECRET_BYTES: Final = 24
"""The size of a device's secret, in random bytes."""


def new_secret() -> str:
    """Generate the secret of a device."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """The stored hash of a secret. A secret is random and long enough for SHA-256 to suffice."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


PhoneRule: TypeAlias = Callable[[str], bool]
"""Returns whether a text is an acceptable phone number. It accepts any text, and never raises."""

_CN_MOBILE = re.compile(r"1[0-9]{10}")
_E164 = re.compile(r"\+[1-9][0-9]{1,14}")


def is_device_id(text: str) -> bool:
    """Return whether ``text`` is a valid device id."""
    return text not in ("", EVERY_DEVICE) and is_plain_text(text, DEVICE_ID_MAX)


def is_well_formed_phone(text: str) -> bool:
    """Return whether ``text`` may be a phone number under any rule."""
    return text != "" and is_plain_text(text, PHONE_MAX)


def is_cn_mobile(text: str) -> bool:
    """Return whether ``text`` is 11 digits beginning with 1."""
    return _CN_MOBILE.fullmatch(text) is not None


def e164_rule() -> PhoneRule:
    """Make the rule for numbers in E.164's own form: ``+``, country code, number, and no more.

    A number must have a length that its country uses. The range is not checked: ranges are opened faster than the
    library learns of them.
    """
    import phonenumbers  # takes 25 ms, which a start with another rule saves

    def is_e164(text: str) -> bool:
        if _E164.fullmatch(text) is None:
            return False
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException:
            return False
        if not phonenumbers.is_possible_number(number):
            return False
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == text

    return is_e164


def phone_rule(phone_format: str) -> PhoneRule:
    r"""Make the rule for the setting ``phone_format``.

    :param phone_format: ``cn-mobile``, ``e164``, or a regular expression that must match all of the
        number; its classes such as ``\d`` are those of ASCII.
    :raises StartError: it is none of these.
    """
    if phone_format == "cn-mobile":
        return is_cn_mobile
    if phone_format == "e164":
        return e164_rule()
    try:
        pattern = re.compile(phone_format, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise StartError(f"accounts.phone_format: not cn-mobile, e164 or a regular expression: {error}") from None
    return lambda text: is_well_formed_phone(text) and pattern.fullmatch(text) is not None
