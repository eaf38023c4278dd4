"""What the account service answers with, where no service of accounts has a struct for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from msgspec import Struct

from callnet.described import PHONE
from callnet.web.requests import QuietHoursFields


class Done(Struct, frozen=True):
    """It was done; there is no more to say."""


DONE: Final = Done()


class PushKey(Struct, frozen=True):
    """What a browser needs to subscribe to Web Push."""

    application_server_key: str | None
    """A point on P-256, uncompressed, in base64url (RFC 8292 §3.2); ``null``: there is no Web Push here."""


class SettingsAnswer(Struct, frozen=True):
    """What the phone wants of calls to it."""

    do_not_disturb: QuietHoursFields | None
    auto_answer: Sequence[Annotated[str, PHONE]]
    """The phones whose calls its devices may answer by themselves."""
