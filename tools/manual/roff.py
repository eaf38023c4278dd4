"""Text as the macros of man(7) take it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

_EXAMPLE: Final = "    "
"""Lines that begin with that are to be shown unchanged."""
_CHARACTERS: Final = str.maketrans({"\\": "\\e", "-": "\\-", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga"})


def heading(name: str, section: int, version: str) -> str:
    """The first line of a page. It has no date: the same sources make the same page."""
    return f'.TH "{name.upper()}" "{section}" "" "callnet {version}"'


def plain(text: str) -> str:
    """A line that means nothing to roff."""
    escaped = text.translate(_CHARACTERS)
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def bold(text: str) -> str:
    """A line in bold."""
    return f"\\fB{plain(text)}\\fR"


def paragraphs(lines: Iterable[str], between: str = ".IP") -> Iterator[str]:
    """Text with empty lines between its paragraphs, in which indented lines are examples.

    :param between: the macro that begins a further paragraph: ``.IP`` below a tag, else ``.PP``.
    """
    broken = shown = False
    for line in lines:
        is_example = line.startswith(_EXAMPLE)
        if shown and not is_example:
            yield ".EE"
            broken = False
        if not line:
            broken = True
        elif is_example:
            if not shown:
                yield from (between, ".EX")
            yield plain(line.strip())
        else:
            if broken:
                yield between
            yield plain(line)
            broken = False
        shown = is_example
    if shown:
        yield ".EE"
