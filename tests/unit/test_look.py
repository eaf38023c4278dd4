"""The colours of the pages (``callnet/static/shared/look.css``): each text can be read on its grounds."""

from __future__ import annotations

import re
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

STATIC: Final = ROOT / "callnet" / "static"
TEXT, CONTROL = 4.5, 3.0
"""The contrasts that WCAG 2.2 asks of text (1.4.3), and of what can be pressed or filled in (1.4.11)."""

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


def _luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) > len("#fff") else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, as WCAG 2.2 defines it."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


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
                found = contrast(colours[one], colours[other])
                self.assertGreaterEqual(found, least, f"{theme}: {one} on {other}")

    def test_faces(self) -> None:
        """Initials can be read on every colour of a face."""
        tones = [colour for name, colour in self.same.items() if name.startswith("tone-")]
        self.assertEqual(len(tones), 7)
        for tone in tones:
            self.assertGreaterEqual(contrast(self.same["face"], tone), TEXT, tone)

    def test_nothing_else(self) -> None:
        """No other sheet of the pages has a colour of its own."""
        for sheet in [*STATIC.glob("phone/*.css"), *STATIC.glob("demo/*.css")]:
            colours = re.findall(r"(?:rgba?|hsla?)\(.*?\)|(?<=[ :])#[0-9a-fA-F]{3,8}\b(?=[;, ])", sheet.read_text())
            self.assertEqual(colours, [], sheet.name)
