"""Finds parts of scripts and style sheets that the oldest browser that callnet serves does not understand.

That is Chromium 80, of early 2020, on televisions of 2021.

Packages of npm were tried in its place. ES-Check goes by the year of the standard: ES2020 refuses the class fields
that Chromium 80 has, ES2022 lets ``||=`` and private methods pass. ESLint's plugins es-x and compat find new syntax,
but not ``replaceChildren()`` and other methods of the document, and bring 95 packages to what checks the page.
Stylelint's no-unsupported-browser-features does not see that an older declaration stands beside a new one, nor the
gaps of a flex container that another rule lays out.
"""

from __future__ import annotations

from typing import Final, NamedTuple

OLDEST: Final = 80


class Complaint(NamedTuple):
    """Something too new."""

    line: int
    """Counted from 1."""
    what: str
