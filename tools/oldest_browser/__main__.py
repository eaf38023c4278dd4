"""Checks every script and style sheet in folders: ``python -m tools.oldest_browser FOLDER…``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path

from tools.oldest_browser import Complaint, scripts, sheets


class _ClassicScripts(HTMLParser):
    """Notes which scripts a page loads in the way of old browsers."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at a tag."""
        named = dict(attributes)
        if tag == "script" and named.get("type") != "module" and named.get("src"):
            self.found.append(named["src"] or "")


def classic_scripts(folder: Path) -> set[Path]:
    """The scripts that browsers run that know no modules, and that must tell them so."""
    found = set()
    for page in folder.rglob("*.html"):
        parser = _ClassicScripts()
        parser.feed(page.read_text(encoding="utf-8"))
        found |= {(page.parent / name).resolve() for name in parser.found}
    return found


def complaints_in(folder: Path) -> Iterator[tuple[Path, Complaint]]:
    """The complaints about a folder, file by file."""
    classic = classic_scripts(folder)
    for path in sorted(folder.rglob("*.js")):
        check = scripts.check_classic if path.resolve() in classic else scripts.check
        for complaint in check(path.read_bytes()):
            yield path, complaint
    for path in sorted(folder.rglob("*.css")):
        for complaint in sheets.check(path.read_bytes()):
            yield path, complaint


def main(folders: Sequence[str]) -> int:
    """Print the complaints. Returns the exit status."""
    status = 0
    for folder in folders:
        for path, (line, what) in complaints_in(Path(folder)):
            print(f"{path}:{line}: {what}")  # noqa: T201
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
