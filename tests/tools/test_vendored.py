"""``tools/check-vendored``: files of others are as their packages have them, and are named with their licence."""

from __future__ import annotations

import json
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

TOOL: Final = ROOT / "tools" / "check-vendored"
KEPT: Final = ("callnet/static/vendor", "tests/browser/vendor")

CODE: Final = b"export const answer = 42;\n"
LICENCE: Final = b"Do with it what you like.\n"


def entry(content: bytes, name: str) -> dict[str, str]:
    """The manifest's entry of a file."""
    return {"from": name, "sha256": sha256(content).hexdigest()}


class VendoredTests(SynchronousTestCase):
    """A folder with one package."""

    def setUp(self) -> None:
        """Make a folder without faults."""
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        (self.folder / "answer.js").write_bytes(CODE)
        (self.folder / "answer.LICENSE").write_bytes(LICENCE)
        self.package: dict[str, Any] = {
            "name": "answer",
            "version": "4.2.0",
            "licence": "MIT",
            "licence_file": "answer.LICENSE",
            "files": {
                "answer.js": entry(CODE, "dist/answer.min.mjs"),
                "answer.LICENSE": entry(LICENCE, "LICENSE"),
            },
        }

    def check(self) -> tuple[int, str]:
        """The exit status of the tool, and its output."""
        (self.folder / "MANIFEST.json").write_text(json.dumps({"packages": [self.package]}))
        done = subprocess.run(
            [sys.executable, TOOL, self.folder], capture_output=True, text=True, check=False, timeout=60
        )
        self.assertEqual(done.stdout, "")
        return done.returncode, done.stderr

    def assert_fault(self, fault: str) -> None:
        """This is found, and nothing else."""
        status, said = self.check()
        self.assertEqual((status, len(said.splitlines())), (1, 1))
        self.assertIn(fault, said)

    def test_all_is_well(self) -> None:
        """Files as in the manifest pass without output."""
        self.assertEqual(self.check(), (0, ""))

    def test_changed(self) -> None:
        """A file that somebody has changed is named."""
        (self.folder / "answer.js").write_bytes(CODE + b"\n")
        self.assert_fault("answer.js is not the file that the manifest names")

    def test_missing(self) -> None:
        """A file that is missing is named."""
        (self.folder / "answer.js").unlink()
        self.assert_fault("answer.js is missing")

    def test_not_listed(self) -> None:
        """A file that came from nowhere is named, however deep."""
        (self.folder / "deep").mkdir()
        (self.folder / "deep" / "other.js").write_bytes(CODE)
        self.assert_fault("deep/other.js is not in the manifest")

    def test_licence(self) -> None:
        """A licence that does not let us keep the files, and one without its text, are named."""
        self.package["licence"] = "BUSL-1.1"
        self.assert_fault("has the licence BUSL-1.1")
        self.package.update(licence="MIT", licence_file="LICENSE")
        self.assert_fault("without the text of its licence")

    def test_version(self) -> None:
        """A version that is none is named."""
        self.package["version"] = "^4.2"
        self.assert_fault("no exact version")

    def test_fields(self) -> None:
        """A manifest with other fields than it should have is named."""
        self.package["files"]["answer.js"] = {"sha256": ""}
        self.assert_fault("answer.js has ['sha256']")
        del self.package["files"]
        status, said = self.check()
        self.assertEqual(status, 1)
        self.assertIn("a package has", said)

    def test_no_manifest(self) -> None:
        """A folder without a manifest, and no folder at all, are faults."""
        done = subprocess.run([sys.executable, TOOL, self.mktemp()], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("MANIFEST.json cannot be read", done.stderr)
        self.assertEqual(subprocess.run([sys.executable, TOOL], check=False).returncode, 1)

    def test_what_is_kept_here(self) -> None:
        """The files of others that callnet and its tests have are as they should be, and `make lint` looks at them."""
        done = subprocess.run([sys.executable, TOOL, *KEPT], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f"tools/check-vendored {' '.join(KEPT)}", (ROOT / "Makefile").read_text())
