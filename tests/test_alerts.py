"""The rules for Prometheus in etc/, and what the daemon counts, as Prometheus' own tool reads them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from callnet.operations.histogram import Histogram
from callnet.operations.metrics import as_text, of_events, of_times
from tests.test_tap_admin import AdminCase

ROOT: Final = Path(__file__).parent.parent
RULES: Final = ROOT / "etc" / "callnet-alerts.yml"
STORIES: Final = Path(__file__).parent / "alerts.yml"


class AlertTests(AdminCase):
    """``promtool``."""

    def promtool(self, *words: str, given: bytes = b"") -> str:
        """What it says, if it finds nothing wrong."""
        done = subprocess.run(["promtool", *words], input=given, capture_output=True, check=False)
        self.assertEqual(0, done.returncode, (done.stdout + done.stderr).decode())
        return (done.stdout + done.stderr).decode()

    def counted(self) -> bytes:
        """What a daemon counts, with Redis and a webhook."""
        more = [of_events(0, 0), of_times("callnet_redis_seconds", "How long Redis took to answer.", Histogram())]
        return self.get("/metrics").body + as_text(more)

    def test_metrics(self) -> None:
        """What is counted has the form and the names that Prometheus wants."""
        self.assertEqual("", self.promtool("check", "metrics", given=self.counted()))

    def test_rules(self) -> None:
        """The rules are understood, and alert when they should, and not else."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for file in (RULES, STORIES):
            shutil.copy(file, folder / file.name)
        self.promtool("check", "rules", str(folder / RULES.name))
        self.promtool("test", "rules", str(folder / STORIES.name))

    def test_names(self) -> None:
        """The rules ask for nothing that is not counted."""
        asked = set(re.findall(r"\bcallnet_[a-z_]+", RULES.read_text()))
        known = self.counted().decode()
        for name in asked:
            self.assertIn(f"# TYPE {re.sub('_bucket$', '', name)} ", known)
