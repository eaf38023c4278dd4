"""The settings as a tree of frozen structs."""

from __future__ import annotations

from msgspec import Struct


class CallSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """How long the phases of a call last, in seconds (protocol §2.4)."""

    ring_time: float = 45.0
    grace: float = 30.0
    longest: float = 12 * 3600.0
    unseated_limit: float = 600.0
    """No seat was taken this long after the accept; 0 = never."""
    adhoc_rooms: bool = True
    """Whether the page may be opened with a room that is no call's."""


class TokenSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that a login answers with (protocol §1)."""

    lifetime: int = 7 * 86400
    """Seconds."""
