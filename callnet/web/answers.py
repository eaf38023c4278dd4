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


class SettingsAnswer(Struct, frozen=True):
    """What the phone wants of calls to it."""

    do_not_disturb: QuietHoursFields | None
    auto_answer: Sequence[Annotated[str, PHONE]]
    """The phones whose calls its devices may answer by themselves."""
