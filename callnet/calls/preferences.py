"""What the owner of a phone wants of calls to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Struct

from callnet.calls.records import ANYONE, NOBODY, Policy

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str]).decode


class Preferences(Struct, frozen=True, weakref=True):
    """Who may call a phone, and how those who do are announced to its devices."""

    policy: Policy = ANYONE
    auto_answer: frozenset[str] = frozenset()
    """Phones whose calls its devices may answer by themselves."""
    names: bytes = b""
    """What it calls the phones that it has a name for, as JSON: there is one for each device that is connected."""

    def name_of(self, phone: str) -> str:
        """What the owner calls a phone; empty: nothing."""
        return _decode(self.names).get(phone, "") if self.names else ""


PLAIN: Final = Preferences()
"""What holds for nearly all phones."""
UNREADABLE: Final = Preferences(NOBODY)
"""What holds for a phone while it cannot be known what its owner wants."""


def encode_names(names: Mapping[str, str]) -> bytes:
    """Write :attr:`Preferences.names`."""
    return _encode(names) if names else b""
