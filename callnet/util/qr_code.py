"""QR codes for terminals."""

from __future__ import annotations

from io import StringIO


def drawn(text: str) -> str:
    """Draw a QR code of half blocks, lines of which end with line feeds."""
    import segno  # takes 20 ms, which most starts save

    lines = StringIO()
    segno.make(text, micro=False).terminal(lines, compact=True, border=2)
    return lines.getvalue()
