"""The contrast of colours, as WCAG 2.2 defines it."""

from __future__ import annotations

from collections.abc import Sequence

TEXT, LARGE, CONTROL = 4.5, 3.0, 3.0
"""The contrasts that WCAG 2.2 asks of text, and of large text (1.4.3: 24 px, or 18.66 px and bold), and of what can be
pressed or filled in (1.4.11)."""


def luminance(colour: Sequence[float]) -> float:
    """The relative luminance of a colour of sRGB: its red, green and blue, each 0 to 255."""
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """The contrast of two colours, 1 to 21."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
