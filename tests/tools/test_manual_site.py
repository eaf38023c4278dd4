"""The manual, built as ``make manual`` builds it."""

from __future__ import annotations

import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from harness import ROOT
from tools.supply_chain import MANUAL

RECIPE: Final = re.compile(r"^\t@build/manual/bin/python (-m sphinx .*) docs build/manual/html$", re.MULTILINE)


class Loaded(HTMLParser):
    """The resources that a page has a browser fetch, without being asked."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.places: Final[list[str]] = []
        self.language: str | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the loaded resources."""
        found = dict(attrs)
        if tag == "html":
            self.language = found.get("lang")
        for name in ("src", "href"):
            if found.get(name) and (name == "src" or tag == "link"):
                self.places.append(str(found[name]))


def build(to: Path) -> subprocess.CompletedProcess[str]:
    """Build it in another place, with the options of the Makefile."""
    [options] = RECIPE.findall((ROOT / "Makefile").read_text())
    words = options.replace("build/manual/doctrees", str(to / "doctrees")).split()
    command = (str(MANUAL / "python"), *words, "docs", str(to / "html"))
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


class ManualTests(TestCase):
    """The built pages."""

    timeout = 300

    def test_build(self) -> Deferred[None]:
        """It builds without a warning; every diagram is drawn; nothing is loaded from elsewhere; languages are told."""
        return deferToThread(self._build)

    def _build(self) -> None:
        place = Path(self.mktemp()).absolute()
        done = build(place)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        drawn = 0
        pages = sorted((place / "html").rglob("*.html"))
        self.assertGreater(len(pages), 30)
        for page in pages:
            text = page.read_text(encoding="utf-8")
            self.assertNotIn("highlight-sequence", text, page)
            drawn += text.count('<figure class="sequence">')
            loaded = Loaded(text)
            chinese = page.parent.name == "zh"
            self.assertEqual("zh-CN" if chinese else "en", loaded.language, page)
            for where in loaded.places:
                self.assertFalse(re.match(r"https?:|//", where), f"{page} loads {where}")
        sources = (path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md"))
        self.assertEqual(drawn, sum(text.count("```sequence") for text in sources))
        for sheet in (place / "html" / "_static").rglob("*.css"):
            self.assertNotRegex(sheet.read_text(encoding="utf-8"), r"@import|url\([\"']?(https?:)?//")
