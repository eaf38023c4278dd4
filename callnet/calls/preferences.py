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
    """The policy of a phone, and the announcement of allowed calls to its devices."""

    policy: Policy = ANYONE
    auto_answer: frozenset[str] = frozenset()
    """Phones whose calls its devices may answer automatically."""
    names: bytes = b""
    """Names of other phones, as JSON: there is one copy for each connected device."""

    def name_of(self, phone: str) -> str:
        """The owner's name for a phone, or the empty string."""
        return _decode(self.names).get(phone, "") if self.names else ""


PLAIN: Final = Preferences()
"""The preferences of nearly all phones."""
UNREADABLE: Final = Preferences(NOBODY)
"""The preferences of a phone while they cannot be read."""


def encode_names(names: Mapping[str, str]) -> bytes:
    """Encode :attr:`Preferences.names`."""
    return _encode(names) if names else b""
