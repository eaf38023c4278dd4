"""The blocks of code in the pages of the manual, and the commands that readers are to type."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Final

from msgspec import Struct

_BLOCK: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


class Block(Struct, frozen=True):
    """A block of code in a page."""

    line: int
    """On which it begins, from 1."""
    language: str
    """The word after the first fence; empty: none."""
    text: str
    """Without its indentation."""


def blocks(page: Path) -> Iterator[Block]:
    """Every block of a page, in order."""
    written = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(written):
        line = written.count("\n", 0, found.start()) + 1
        yield Block(line, found["language"].strip(), dedent(found["text"]))


def commands(page: Path) -> list[str]:
    """The text of every shell block, in order."""
    return [block.text.strip() for block in blocks(page) if block.language == "sh"]


def command(page: Path, beginning: str) -> str:
    """The one shell block that begins like this.

    :raises LookupError: there is none, or there are several.
    """
    found = [text for text in commands(page) if text.startswith(beginning)]
    if len(found) != 1:
        raise LookupError(f"{page.name} has {len(found)} commands that begin with {beginning!r}")
    return found[0]
