"""The wheels that the project is installed from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from packaging.metadata import Metadata
from packaging.utils import canonicalize_name
from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT


def files_in(folder: Path) -> set[str]:
    """The files under a folder that are not made by running it, relative to it."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder))
        for path in files
        if "__pycache__" not in path.parts and path.name != "dropin.cache"
    }


def under(place: str, folder: Path) -> set[str]:
    """The same, in the place that they have in a wheel."""
    return {f"{place}/{name}" for name in files_in(folder)}


class WheelCase(SynchronousTestCase):
    """One wheel of the project."""

    project = ROOT

    def setUp(self) -> None:
        """Build it, with the packages that are installed here."""
        target = Path(self.mktemp()).absolute()
        command = (
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            "--outdir",
            str(target),
            str(self.project),
        )
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(0, built.returncode, built.stdout + built.stderr)
        [wheel] = target.glob("*.whl")
        self.archive = ZipFile(wheel)
        self.addCleanup(self.archive.close)

    def held(self) -> set[str]:
        """The files in it."""
        return {name for name in self.archive.namelist() if ".dist-info/" not in name}

    def metadata(self) -> Metadata:
        """Its metadata, which must be well-formed, with the licence and the README of the project."""
        names = {name.partition(".dist-info/")[2]: name for name in self.archive.namelist()}
        metadata = Metadata.from_email(self.archive.read(names["METADATA"]), validate=True)
        self.assertEqual((self.project / "README.md").read_text(), metadata.description)
        self.assertEqual(("text/markdown", "MIT"), (metadata.description_content_type, metadata.license_expression))
        self.assertEqual((ROOT / "LICENSE").read_bytes(), self.archive.read(names["licenses/LICENSE"]))
        return metadata


class DaemonTests(WheelCase):
    """The wheel of the daemon."""

    def test_contents(self) -> None:
        """It holds the plugin, every module, static file and migration, the JavaScript client, and nothing else."""
        places = (
            under("callnet", ROOT / "callnet"),
            under("twisted", ROOT / "twisted"),
            under("callnet/static/client", ROOT / "clients" / "javascript"),
            under("callnet/dashboard/shared", ROOT / "callnet" / "static" / "shared"),
        )
        self.assertEqual(set().union(*places), self.held())

    def test_metadata(self) -> None:
        """It requires the client of its own version, and has the command."""
        metadata = self.metadata()
        self.assertIn(f"callnet-client=={metadata.version}", map(str, metadata.requires_dist or ()))
        [entry_points] = [name for name in self.archive.namelist() if name.endswith("entry_points.txt")]
        self.assertIn("callnet = callnet.cli.main:main", self.archive.read(entry_points).decode())


class ClientTests(WheelCase):
    """The wheel of the Python client."""

    project = ROOT / "clients" / "python"

    def test_contents(self) -> None:
        """It holds every module, and nothing else."""
        self.assertEqual(under("callnet_client", self.project / "callnet_client"), self.held())

    def test_requirements(self) -> None:
        """It requires nothing of the daemon, nor what only the daemon needs."""
        names = {canonicalize_name(requirement.name) for requirement in self.metadata().requires_dist or ()}
        self.assertEqual(set(), names & {"callnet", "sqlalchemy", "alembic", "psycopg", "klein", "pyjwt", "txredisapi"})
