"""The wheel that the project is installed from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from packaging.metadata import Metadata
from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT


def tracked(folder: str) -> set[str]:
    """The files under a folder of the project that are not made by running it."""
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts and path.name != "dropin.cache"
    }


class WheelTests(SynchronousTestCase):
    """The content of the wheel."""

    def setUp(self) -> None:
        """Build it, with the packages that are installed here."""
        target = Path(self.mktemp()).absolute()
        command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(ROOT))
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(0, built.returncode, built.stdout + built.stderr)
        [wheel] = target.glob("callnet-*.whl")
        self.archive = ZipFile(wheel)
        self.addCleanup(self.archive.close)

    def test_contents(self) -> None:
        """The wheel holds the plugin, every module, static file and migration, and nothing else of the project."""
        held = {name for name in self.archive.namelist() if ".dist-info/" not in name}
        self.assertEqual(tracked("callnet") | tracked("twisted"), held)

    def test_metadata(self) -> None:
        """The metadata are well-formed, describe the project by README.md, and have its licence."""
        names = {name.partition(".dist-info/")[2]: name for name in self.archive.namelist()}
        metadata = Metadata.from_email(self.archive.read(names["METADATA"]), validate=True)
        self.assertEqual((ROOT / "README.md").read_text(), metadata.description)
        self.assertEqual(("text/markdown", "MIT"), (metadata.description_content_type, metadata.license_expression))
        self.assertEqual((ROOT / "LICENSE").read_bytes(), self.archive.read(names["licenses/LICENSE"]))
        self.assertIn("callnet = callnet.cli.main:main", self.archive.read(names["entry_points.txt"]).decode())
