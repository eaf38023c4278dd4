"""The preferences of a phone's owner for calls to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from callnet.calls.records import ANYONE, NOBODY, Policy

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Preferences(Struct, frozen=True, weakref=True):
    """The callers that a phone accepts, and their names on its devices."""

    policy: Policy = ANYONE
    auto_answer: frozenset[str] = frozenset()
    """Phones whose calls its devices may answer by themselves."""
    names: bytes = b""
    """The names that it has for phones, as JSON: there is one for each device that is connected."""

    def name_of(self, phone: str) -> str:
        """The owner's name for a phone; empty: none."""
        return _decode(self.names).get(phone, "") if self.names else ""


PLAIN: Final = Preferences()
"""The preferences of nearly all phones."""
UNREADABLE: Final = Preferences(NOBODY)
"""The preferences of a phone while its own cannot be loaded."""


def encode_names(names: Mapping[str, str]) -> bytes:
    """Write :attr:`Preferences.names`."""
    return _encode(names) if names else b""
