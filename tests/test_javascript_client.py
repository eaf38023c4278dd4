"""The client in JavaScript (callnet/static/client): its rules, its types, and what its package is made of."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

ROOT: Final = Path(__file__).parent.parent
CLIENT: Final = ROOT / "callnet" / "static" / "client"
ALWAYS: Final = {"package.json", "README.md", "LICENSE"}
"""What npm puts into every package that has it."""

IMPORTED: Final = re.compile(r'^(?:import|export) .*"(.+)";$|\bimport\("(.+?)"\)', re.MULTILINE)


def packed(manifest: dict[str, Any]) -> set[str]:
    """The files that are in the package."""
    names = {path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*") if path.is_file()}
    return {name for name in names if name in ALWAYS or any(fnmatch.fnmatch(name, one) for one in manifest["files"])}


class ClientTests(SynchronousTestCase):
    """The client."""

    def ran(self, *command: str) -> str:
        """What a program prints that has to succeed."""
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        self.assertEqual(0, done.returncode, done.stdout)
        return done.stdout

    def test_rules(self) -> None:
        """It keeps its rules: tests/javascript has them, for Node.js' own runner of tests."""
        tests = sorted((ROOT / "tests" / "javascript").glob("*.test.mjs"))
        printed = self.ran("node", "--test", "--test-reporter=tap", *map(str, tests))
        self.assertGreaterEqual(int(re.findall(r"^# pass (\d+)$", printed, re.MULTILINE)[0]), len(tests))
        self.assertIn("\n# skipped 0\n", printed)

    def test_types(self) -> None:
        """TypeScript finds nothing wrong with it, and the types in the package are those that it reads off it."""
        self.assertEqual("", self.ran("tools/client-types"))


class PackageTests(SynchronousTestCase):
    """The package, as ``npm pack`` makes it of package.json."""

    def setUp(self) -> None:
        """Read what it says of itself."""
        self.manifest: dict[str, Any] = json.loads((CLIENT / "package.json").read_text())

    def test_contents(self) -> None:
        """All that is in the folder is in the package, and what it names is there."""
        names = packed(self.manifest)
        self.assertEqual({path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*") if path.is_file()}, names)
        entry = self.manifest["exports"]["."]
        for name in (self.manifest["main"], self.manifest["types"], entry["default"], entry["types"]):
            self.assertIn(name.removeprefix("./"), names)

    def test_imports(self) -> None:
        """No module imports what is not in the package: it depends on nothing."""
        self.assertFalse({"dependencies", "peerDependencies", "scripts"} & self.manifest.keys())
        names = packed(self.manifest)
        for module in CLIENT.glob("*.js"):
            for name in IMPORTED.findall(module.read_text(encoding="utf-8")):
                self.assertIn("".join(name).removeprefix("./"), names, module.name)

    def test_licence(self) -> None:
        """It has callnet's licence."""
        self.assertEqual((ROOT / "LICENSE").read_bytes(), (CLIENT / "LICENSE").read_bytes())
        self.assertEqual("MIT", self.manifest["license"])

    def test_version(self) -> None:
        """The tree has no version of it: a release writes that of callnet."""
        self.assertEqual("0.0.0", self.manifest["version"])

    def test_readme(self) -> None:
        """Its README names every method and event that there is, and no other."""
        readme = (CLIENT / "README.md").read_text(encoding="utf-8")
        for name in ("account", "device", "call", "room"):
            types = (CLIENT / "types" / f"{name}.d.ts").read_text(encoding="utf-8")
            for method in re.findall(r"^    ([a-z]\w*)\(", types, re.MULTILINE):
                if method not in ("constructor", "forget"):
                    self.assertIn(f"`{method}`", readme)
