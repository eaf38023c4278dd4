"""The colours of the pages (``callnet/static/shared/look.css``): each text can be read on its grounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tests.support.contrast import CONTROL, TEXT, contrast

STATIC: Final = ROOT / "callnet" / "static"

GROUNDS: Final = ("ground", "glow", "surface", "raised", "field")
ON_GROUNDS: Final = ("text", "soft", "main", "good", "warn", "bad", "accent")
PAIRS: Final = (
    *((text, ground, TEXT) for text in ON_GROUNDS for ground in GROUNDS),
    *(("border", ground, CONTROL) for ground in ("ground", "surface", "field")),
    *((f"{colour}-text", colour, TEXT) for colour in ("main", "danger", "accent")),
    ("main-text", "main-more", TEXT),
    ("text", "raised-more", TEXT),
    ("text", "main-ground", TEXT),
    ("good", "main-ground", CONTROL),
    ("bad", "bad-ground", TEXT),
    ("danger-text", "danger-more", CONTROL),
)


def rgb(colour: str) -> Sequence[int]:
    """The parts of a colour such as ``#fff`` or ``#ffffff``."""
    digits = colour[1:] if len(colour) > len("#fff") else "".join(digit * 2 for digit in colour[1:])
    return [int(digits[place : place + 2], 16) for place in (0, 2, 4)]


class LookTests(SynchronousTestCase):
    """Colours by night and by day."""

    def setUp(self) -> None:
        """Read the sheet, which begins with both."""
        sheet = (STATIC / "shared" / "look.css").read_text()
        night, day, same = [dict(re.findall(r"--([a-z0-9-]+): (.+);", block)) for block in sheet.split("}")[:3]]
        self.themes = {"night": night, "day": day}
        self.same = same

    def test_names(self) -> None:
        """A colour that differs is defined for both."""
        self.assertEqual(self.themes["night"].keys(), self.themes["day"].keys())

    def test_contrast(self) -> None:
        """Texts, and all that can be pressed, stand out from their grounds."""
        for theme, colours in self.themes.items():
            for one, other, least in PAIRS:
                found = contrast(rgb(colours[one]), rgb(colours[other]))
                self.assertGreaterEqual(found, least, f"{theme}: {one} on {other}")

    def test_faces(self) -> None:
        """Initials can be read on every colour of a face."""
        tones = [colour for name, colour in self.same.items() if name.startswith("tone-")]
        self.assertEqual(len(tones), 7)
        for tone in tones:
            self.assertGreaterEqual(contrast(rgb(self.same["face"]), rgb(tone)), TEXT, tone)

    def test_nothing_else(self) -> None:
        """No other sheet of the pages has a colour of its own."""
        sheets = {*STATIC.glob("phone/*.css"), *STATIC.glob("demo/*.css")} - {*STATIC.glob("*/bundle.css")}
        self.assertGreater(len(sheets), 5)
        for sheet in sheets:
            colours = re.findall(r"(?:rgba?|hsla?)\(.*?\)|(?<=[ :])#[0-9a-fA-F]{3,8}\b(?=[;, ])", sheet.read_text())
            self.assertEqual(colours, [], sheet.name)
