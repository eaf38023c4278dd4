"""The wheel that the project is installed from."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).parent.parent.parent


def tracked(folder: str) -> set[str]:
    """The files under a folder of the project that are not made by running it."""
    files = (path for path in (ROOT / folder).rglob("*") if path.is_file())
    return {
        str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts and path.name != "dropin.cache"
    }


class WheelTests(SynchronousTestCase):
    """What is in the wheel."""

    def build(self) -> set[str]:
        """Build the wheel, with what is installed here, and name the files in it.

        It is built from a copy: what an earlier build has left beside the sources would go into this one.
        """
        sources, target = Path(self.mktemp()).absolute(), Path(self.mktemp()).absolute()
        for folder in ("callnet", "twisted"):
            shutil.copytree(
                ROOT / folder, sources / folder, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache")
            )
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, sources)
        command = ("-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(sources))
        built = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
        self.assertEqual(0, built.returncode, built.stdout + built.stderr)
        (wheel,) = target.glob("callnet-*.whl")
        with ZipFile(wheel) as archive:
            return set(archive.namelist())

    def test_contents(self) -> None:
        """The wheel holds the plugin, every module, static file and migration, and nothing else of the project."""
        held = {name for name in self.build() if ".dist-info/" not in name}
        self.assertEqual(tracked("callnet") | tracked("twisted"), held)
