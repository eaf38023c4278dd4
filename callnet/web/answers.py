"""Answers of the account service that no service of accounts has a struct for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Self

import msgspec
from msgspec import Struct

from callnet.calls.quiet_hours import QuietHours
from callnet.util.schema_hints import PHONE
from callnet.web.requests import QuietHoursFields


class Done(Struct, frozen=True):
    """It was done; there is no more to say."""


DONE: Final = Done()


class PushKey(Struct, frozen=True):
    """The data that a browser needs to subscribe to Web Push."""

    application_server_key: str | None
    """A point on P-256, uncompressed, in base64url (RFC 8292 §3.2); ``null``: there is no Web Push here."""


# A type of its own: in a request there may be other fields besides, in an answer there are none.
class QuietHoursAnswered(QuietHoursFields, frozen=True):
    """The part of each day in which a phone does not ring: ``HH:MM`` in a time zone."""

    @classmethod
    def of(cls, hours: QuietHours) -> Self:
        """These hours, as people read them."""
        return msgspec.convert(hours.fields(), cls)


class SettingsAnswer(Struct, frozen=True):
    """The settings of a phone for calls to it."""

    do_not_disturb: QuietHoursAnswered | None
    auto_answer: Sequence[Annotated[str, PHONE]]
    """The phones whose calls its devices may answer by themselves."""
