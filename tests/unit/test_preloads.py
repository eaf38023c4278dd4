"""A page names every script that it is made of, so that a browser asks for all of them at once.

Else it would find out about each from the script that imports it, one way to the server and back after the other.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

STATIC: Final = ROOT / "callnet" / "static"
PAGES: Final = (STATIC / "index.html", STATIC / "demo" / "direct_chat.html")

_IMPORT: Final = re.compile(r'(?:^import|\bfrom) "([^"]+)";$', re.MULTILINE)


class _Names(HTMLParser):
    """The scripts that a page names."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: list[str] = []
        self.preloads: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        named = {name: value or "" for name, value in attributes}
        if tag == "script" and named.get("type") == "module":
            self.modules.append(named["src"])
        if tag == "link" and named.get("rel") == "modulepreload":
            self.preloads.append(named["href"])


def resolved(base: Path, name: str) -> Path:
    """The file that a page or a script means by a path."""
    return (STATIC / name.removeprefix("/static/") if name.startswith("/") else base.parent / name).resolve()


def parts_of(module: Path) -> set[Path]:
    """All scripts that a script imports, and that these import."""
    found: set[Path] = set()
    left = [module]
    while left:
        script = left.pop()
        imported = {resolved(script, name) for name in _IMPORT.findall(script.read_text(encoding="utf-8"))}
        left += imported - found
        found |= imported
    return found - {module}


class PreloadTests(SynchronousTestCase):
    """The pages."""

    def test_all_are_named(self) -> None:
        """Each names the modules of its script, and nothing else, each once."""
        for page in PAGES:
            names = _Names()
            names.feed(page.read_text(encoding="utf-8"))
            (module,) = names.modules
            parts = parts_of(resolved(page, module))
            self.assertTrue(parts)
            self.assertEqual(sorted(resolved(page, name) for name in names.preloads), sorted(parts), page.name)
