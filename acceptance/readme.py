"""The commands that README.md tells a newcomer to type."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(readme: Path) -> list[str]:
    """The text of every shell block, in order."""
    return [block.strip() for block in _BLOCK.findall(readme.read_text())]


def command(readme: Path, beginning: str) -> str:
    """The one shell block that begins like this.

    :raises LookupError: there is none, or there are several.
    """
    found = [text for text in commands(readme) if text.startswith(beginning)]
    if len(found) != 1:
        raise LookupError(f"README.md has {len(found)} commands that begin with {beginning!r}")
    return found[0]
