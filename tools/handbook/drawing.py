"""Sequence diagrams as SVG, for a page: the page's style sheet has the colours, so that they go with dark and light."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from html import escape
from itertools import accumulate, pairwise
from typing import Final

from msgspec import Struct

from tools.handbook.sequence import Arrow, Break, Diagram, Note, Step

_EM: Final = 14.0
"""The size of the letters, in the units of the picture: pixels, where it has room."""
_SMALL: Final = 12.0
_LETTER: Final = 0.62
"""The width of a Latin letter of a monospaced face, in its size; one of Chinese is 1."""
_NARROWEST: Final = 96.0
"""Between two participants."""
_SMALLEST: Final = 0.78
"""The smallest scale at which small letters can be read: anything that does not fit then is scrolled to."""
_HEAD: Final = 30.0
_GAP: Final = 12.0
_EDGE: Final = 6.0


class _Row(Struct, frozen=True):
    """A step and where it is: its upper edge and its height."""

    step: Step
    top: float
    height: float


def width_of(text: str, size: float = _EM) -> float:
    """The largest width of a text."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return size * (wide + _LETTER * (len(text) - wide))


def columns(diagram: Diagram) -> Sequence[float]:
    """Where the lines of the participants are, so that whatever is written between two of them has room there."""
    halves = [max(width_of(name) / 2 + _GAP, _NARROWEST / 2) for name in diagram.participants]
    gaps = [max(left + right + _GAP, _NARROWEST) for left, right in pairwise(halves)]
    for step in sorted(filter(_is_between, diagram.steps), key=_span):
        first, last = _ends(step)
        lacking = _needs(step) - sum(gaps[first:last])
        if lacking > 0:
            gaps[first:last] = [gap + lacking / (last - first) for gap in gaps[first:last]]
    notes = [(step, _needs(step) / 2) for step in diagram.steps if isinstance(step, Note) and not _is_between(step)]
    left = max([halves[0], *(half for note, half in notes if note.first == 0)])
    for note, half in notes:
        if note.first > 0:
            gaps[note.first - 1] = max(gaps[note.first - 1], half + _GAP)
        if note.last < len(gaps):
            gaps[note.last] = max(gaps[note.last], half + _GAP)
    return list(accumulate(gaps, initial=left + _EDGE))


def draw(diagram: Diagram, title: str) -> str:
    """The picture, as an element of HTML. ``title`` is for those who do not see it."""
    at = columns(diagram)
    rows = list(_rows(diagram.steps))
    bottom = rows[-1].top + rows[-1].height if rows else _HEAD
    width = max(at[-1] + _last_half(diagram) + _EDGE, _widest_break(diagram))
    height = bottom + _GAP
    parts = [*_participants(diagram, at, height), *(part for row in rows for part in _drawn(row, at, width))]
    return (
        f'<figure class="sequence"><svg role="img" aria-label="{escape(title)}" viewBox="0 0 {width:.0f} {height:.0f}"'
        f' style="width:{width:.0f}px;min-width:{_SMALLEST * width:.0f}px">{"".join(parts)}</svg></figure>'
    )


def _ends(step: Step) -> tuple[int, int]:
    if isinstance(step, Arrow):
        return min(step.tail, step.head), max(step.tail, step.head)
    return (step.first, step.last) if isinstance(step, Note) else (0, 0)


def _is_between(step: Step) -> bool:
    first, last = _ends(step)
    return first < last


def _span(step: Step) -> int:
    first, last = _ends(step)
    return last - first


def _needs(step: Step) -> float:
    """The room that a step needs from one side to the other."""
    more = step.more if isinstance(step, Arrow) else ""
    size = _EM if isinstance(step, Arrow) else _SMALL
    return max(width_of(step.text, size), width_of(more, _SMALL)) + 2 * _GAP


def _last_half(diagram: Diagram) -> float:
    """The width to the right of the last line."""
    last = len(diagram.participants) - 1
    notes = (_needs(step) / 2 for step in diagram.steps if isinstance(step, Note) and step.first == step.last == last)
    return max([width_of(diagram.participants[-1]) / 2 + _GAP, *notes])


def _widest_break(diagram: Diagram) -> float:
    return max((_needs(step) + 2 * _GAP for step in diagram.steps if isinstance(step, Break)), default=0)


def _rows(steps: Sequence[Step]) -> Iterator[_Row]:
    top = _HEAD + _GAP
    for step in steps:
        height = 28.0
        if isinstance(step, Arrow):
            height = 44.0 if step.more else 30.0
        yield _Row(step, top, height)
        top += height + 4


def _participants(diagram: Diagram, at: Sequence[float], height: float) -> Iterator[str]:
    for name, x in zip(diagram.participants, at, strict=True):
        half = width_of(name) / 2 + _GAP
        yield f'<line class="life" x1="{x:.1f}" y1="{_HEAD}" x2="{x:.1f}" y2="{height:.1f}"/>'
        yield f'<rect x="{x - half:.1f}" y="1" width="{2 * half:.1f}" height="{_HEAD - 1}" rx="4"/>'
        yield _text(name, x, 20, "name")


def _drawn(row: _Row, at: Sequence[float], width: float) -> Iterator[str]:
    if isinstance(row.step, Arrow):
        yield from _arrow(row.step, row, at)
    elif isinstance(row.step, Note):
        yield from _note(row.step, row, at)
    else:
        middle = row.top + row.height / 2
        yield f'<line class="break" x1="0" y1="{middle:.1f}" x2="{width:.1f}" y2="{middle:.1f}"/>'
        half = width_of(row.step.text, _SMALL) / 2 + _GAP
        x = width / 2
        yield f'<rect class="gap" x="{x - half:.1f}" y="{row.top}" width="{2 * half:.1f}" height="{row.height}"/>'
        yield _text(row.step.text, x, middle + 4, "more")


def _arrow(step: Arrow, row: _Row, at: Sequence[float]) -> Iterator[str]:
    start, end = at[step.tail], at[step.head]
    y = row.top + 20
    middle = (start + end) / 2
    yield _text(step.text, middle, y - 6, "text")
    kind = ' class="answer"' if step.kind == "-->" else ""
    yield f'<line{kind} x1="{start:.1f}" y1="{y}" x2="{end:.1f}" y2="{y}"/>'
    yield _point(end, y, 1 if end > start else -1)
    if step.kind == "<->":
        yield _point(start, y, 1 if start > end else -1)
    if step.more:
        yield _text(step.more, middle, y + 16, "more")


def _point(x: float, y: float, towards: int) -> str:
    back = x - 8 * towards
    return f'<path d="M{x:.1f} {y}L{back:.1f} {y - 4}L{back:.1f} {y + 4}Z"/>'


def _note(step: Note, row: _Row, at: Sequence[float]) -> Iterator[str]:
    middle = (at[step.first] + at[step.last]) / 2
    half = max(width_of(step.text, _SMALL), at[step.last] - at[step.first]) / 2 + _GAP
    place = f'x="{middle - half:.1f}" y="{row.top}" width="{2 * half:.1f}" height="{row.height - 4}"'
    yield f'<rect class="note" {place} rx="3"/>'
    yield _text(step.text, middle, row.top + 16, "noted")


def _text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'
