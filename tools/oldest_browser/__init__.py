"""Finds in scripts and style sheets what the oldest browser that callnet serves does not understand.

That is Chromium 80, of early 2020, on televisions of 2021.
"""

from __future__ import annotations

from typing import Final, NamedTuple

OLDEST: Final = 80


class Complaint(NamedTuple):
    """Something too new."""

    line: int
    """Counted from 1."""
    what: str
