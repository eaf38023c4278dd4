"""The rules and the dashboard in etc/, and the daemon's metrics, as Prometheus' own tool reads them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from callnet.ops.metrics import as_text, of_events, of_relay, of_times
from callnet.util.histogram import Histogram
from harness import ROOT
from tests.unit.test_tap_admin import AdminCase

RULES: Final = ROOT / "etc" / "callnet-alerts.yml"
DASHBOARD: Final = ROOT / "etc" / "callnet-grafana.json"
WIDTH: Final = 24
"""The width of Grafana's grid."""
STORIES: Final = Path(__file__).parent / "alerts.yml"


class AlertTests(AdminCase):
    """``promtool``."""

    def promtool(self, *words: str, given: bytes = b"") -> str:
        """Its output, if it finds no fault."""
        done = subprocess.run(["promtool", *words], input=given, capture_output=True, check=False)
        self.assertEqual(0, done.returncode, (done.stdout + done.stderr).decode())
        return (done.stdout + done.stderr).decode()

    def counted(self) -> bytes:
        """The metrics of a daemon with Redis, a webhook and a relay."""
        more = [
            of_events(0, 0),
            of_times("callnet_redis_seconds", "Time until Redis answered.", Histogram()),
            *of_relay(["up", "starting"], "up", 0),
        ]
        return self.get("/metrics").body + as_text(more)

    def test_metrics(self) -> None:
        """The metrics have the format and the names that Prometheus wants."""
        self.assertEqual("", self.promtool("check", "metrics", given=self.counted()))

    def test_rules(self) -> None:
        """The rules are understood, and alert when they should, and not else."""
        folder = Path(self.mktemp())
        folder.mkdir()
        for file in (RULES, STORIES):
            shutil.copy(file, folder / file.name)
        self.promtool("check", "rules", str(folder / RULES.name))
        self.promtool("test", "rules", str(folder / STORIES.name))

    def asked(self, file: Path) -> set[str]:
        """The names of the metrics that a file uses."""
        return {re.sub("_(bucket|count)$", "", name) for name in re.findall(r"\bcallnet_[a-z_]+", file.read_text())}

    def test_names(self) -> None:
        """The rules ask for nothing that is not counted, and the dashboard for everything that is."""
        known = set(re.findall(r"^# TYPE (\S+) ", self.counted().decode(), re.MULTILINE))
        self.assertLessEqual(self.asked(RULES), known)
        self.assertEqual(known, self.asked(DASHBOARD))

    def test_questions_of_the_dashboard(self) -> None:
        """Prometheus accepts the dashboard's queries, once Grafana has filled in its values."""
        rules = []
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            for target in panel["targets"]:
                question = target["expr"].replace("$__rate_interval", "5m").replace("$job", "callnet")
                rules.append({"record": f"panel:{panel['id']}:{target['refId'].lower()}", "expr": question})
        self.assertNotIn("$", "".join(rule["expr"] for rule in rules).replace("$instance", ""))
        file = Path(self.mktemp())
        file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))  # JSON is YAML
        self.promtool("check", "rules", str(file))

    def test_panels_of_the_dashboard(self) -> None:
        """Its panels lie beside each other on the grid, each with a title and a number of its own."""
        panels = json.loads(DASHBOARD.read_text())["panels"]
        cells: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            self.assertEqual(set(), cells & own, panel["title"])
            self.assertLessEqual(at["x"] + at["w"], WIDTH)
            cells |= own
        for key in ("id", "title"):
            self.assertEqual(len(panels), len({panel[key] for panel in panels}))
