"""Findings, each with advice."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct


class Level(Enum):
    """The severity of a finding."""

    GOOD = "good"
    DOUBT = "doubt"
    """It works, but may not be what is wanted."""
    BAD = "bad"
    """The daemon does not start, or does not do what it should."""


class Finding(Struct, frozen=True):
    """One thing that was looked at. Neither text holds a secret."""

    about: str
    level: Level
    text: str
    """The state found."""
    advice: str = ""
    """The advice, if any."""


def good(about: str, text: str) -> Finding:
    """All is well."""
    return Finding(about, Level.GOOD, text)


def doubt(about: str, text: str, advice: str) -> Finding:
    """It may not be what is wanted."""
    return Finding(about, Level.DOUBT, text, advice)


def bad(about: str, text: str, advice: str = "") -> Finding:
    """It does not work."""
    return Finding(about, Level.BAD, text, advice)
