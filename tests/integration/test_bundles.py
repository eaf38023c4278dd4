"""The bundles of a page, ``bundle.js`` and ``bundle.css``, which browsers load: esbuild makes them of the sources."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

PAGES: Final = tuple(ROOT / "callnet" / page for page in ("static/phone", "static/demo", "static/guest", "dashboard"))
LOADED: Final = {"bundle.js", "bundle.css", "worker.js"}
"""The files of a page's folder that browsers load. A service worker is a script of its own."""


class BundleTests(SynchronousTestCase):
    """The pages' bundles."""

    def test_they_are_made_of_the_sources(self) -> None:
        """They are what the sources make; else: ``make bundles``."""
        made = subprocess.run("tools/bundles", cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (made.returncode, made.stdout, made.stderr))

    def test_nothing_is_left_over(self) -> None:
        """Every script and style sheet in the folder of a page is part of them."""
        for page in PAGES:
            used = set()
            for entry in ("page.js", "page.css"):
                facts = Path(self.mktemp())
                options = ("--bundle", "--external:../vendor/*", f"--metafile={facts}", f"--outdir={facts}.made")
                subprocess.run(("esbuild", str(page / entry), *options), capture_output=True, check=True)
                used |= {Path(path).name for path in json.loads(facts.read_text(encoding="utf-8"))["inputs"]}
            kept = {path.name for path in page.iterdir() if path.suffix in (".js", ".css")}
            self.assertEqual(LOADED & kept, kept - used, page.name)
