"""Checks of what clients give: phone numbers, device ids, texts, secrets, and cursors."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from callnet.errors import DataInvalid, DeviceInvalid, PhoneInvalid, StartError
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, PHONE_MAX, is_guest, is_plain_text, is_seen

_SECRET_BYTES: Final = 24
"""The size of a device's secret, in random bytes."""


def new_secret() -> str:
    """Generate the secret of a device."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """The stored hash of a secret. A secret is random and long enough for SHA-256 to suffice."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


_NUMBER: Final = re.compile(r"\+?[0-9]{3,15}")
_PUNCTUATION: Final = str.maketrans("", "", " -()[]")
"""The characters that only make a number easier to read."""
_CN_MOBILE: Final = re.compile(r"1[0-9]{10}")
_E164: Final = re.compile(r"\+[1-9][0-9]{1,14}")


class PhoneRule(Struct, frozen=True):
    """A rule for phone numbers."""

    words: str
    """The rule, for people whose number is refused."""
    read: Callable[[str], str | None]
    """Returns the number that a text names, or ``None``. It takes any text, and never raises."""

    def require(self, text: str, field: str) -> str:
        """Return the number that the text of a field names.

        :raises PhoneInvalid: it names none; the message has the rule.
        """
        number = self.read(text)
        if number is None:
            raise PhoneInvalid(f"{field} is not a valid number: {self.words}")
        return number


def is_device_id(text: str) -> bool:
    """Return whether ``text`` is a valid device id."""
    return text not in ("", EVERY_DEVICE) and is_plain_text(text, DEVICE_ID_MAX)


def require_device_id(text: str) -> None:
    """Check that ``text`` is a valid device id.

    :raises DeviceInvalid: it is not.
    """
    if not is_device_id(text):
        raise DeviceInvalid("device_id is empty, too long, or has characters that are not allowed")


def require_name(text: str, longest: int, field: str) -> str:
    """Return the name that a field has: the empty string, which is none, if nothing of it is seen.

    :raises DataInvalid: it has more than ``longest`` characters, or control characters.
    """
    if not is_plain_text(text, longest):
        raise DataInvalid(f"{field} has more than {longest} characters or control characters")
    return text if is_seen(text) else ""


def is_well_formed_phone(text: str) -> bool:
    """Return whether ``text`` may be a phone number under any rule. Guests have phones, but no numbers."""
    return text != "" and is_plain_text(text, PHONE_MAX) and not is_guest(text)


def _read_number(text: str) -> str | None:
    if len(text) > PHONE_MAX:
        return None
    number = text.translate(_PUNCTUATION)
    return number if _NUMBER.fullmatch(number) else None


def read_cn_mobile(text: str) -> str | None:
    """Return ``text`` if it is 11 digits beginning with 1."""
    return text if _CN_MOBILE.fullmatch(text) else None


def _e164_reader() -> Callable[[str], str | None]:
    """Make the reader of numbers in E.164's own form: ``+``, country code, number, and no more.

    A number must have a length that its country uses. The range is not checked: ranges are opened faster than the
    library learns of them.
    """
    import phonenumbers  # takes 25 ms, which a start with another rule saves

    def read(text: str) -> str | None:
        if _E164.fullmatch(text) is None:
            return None
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException:
            return None
        if not phonenumbers.is_possible_number(number):
            return None
        return text if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == text else None

    return read


def phone_rule(phone_format: str) -> PhoneRule:
    r"""Make the rule for the setting ``phone_format``.

    :param phone_format: ``number``, ``cn-mobile``, ``e164``, or a regular expression that must match all of the
        number; its classes such as ``\d`` are those of ASCII.
    :raises StartError: it is none of these.
    """
    if phone_format == "number":
        return PhoneRule("3 to 15 digits, with or without a leading +", _read_number)
    if phone_format == "cn-mobile":
        return PhoneRule("11 digits that begin with 1", read_cn_mobile)
    if phone_format == "e164":
        return PhoneRule("a + with country code and number, such as +442079460123", _e164_reader())
    try:
        pattern = re.compile(phone_format, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise StartError(
            f"accounts.phone_format: not number, cn-mobile, e164 or a regular expression: {error}"
        ) from None

    def read(text: str) -> str | None:
        return text if is_well_formed_phone(text) and pattern.fullmatch(text) else None

    return PhoneRule(f"it must match {phone_format}", read)


CURSOR_MAX: Final = 512
"""The longest cursor that is looked at, in characters."""
NOT_A_CURSOR: Final = "after is not a cursor from an earlier answer"

_Place = TypeVar("_Place")


def encode_cursor(last: Any) -> str:
    """Encode the position of the next page."""
    return base64.urlsafe_b64encode(msgspec.json.encode(last)).decode("ascii")


def decode_cursor(cursor: str, kind: type[_Place]) -> _Place:
    """Decode a cursor.

    :raises DataInvalid: not a cursor of this kind.
    """
    try:
        if len(cursor) > CURSOR_MAX:
            raise ValueError
        return msgspec.json.decode(base64.b64decode(cursor, b"-_", validate=True), type=kind)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        raise DataInvalid(NOT_A_CURSOR) from None
