"""The client in JavaScript (clients/javascript): its rules, its types, and its package."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

CLIENT: Final = ROOT / "clients" / "javascript"
SHOWN: Final = (CLIENT / "README.md", ROOT / "docs" / "javascript-client.md")
SHOWN_IN: Final = re.compile(r"^```js\n(.*?)^```$", re.MULTILINE | re.DOTALL)
AROUND: Final = """
declare const account: import("callnet-client").Account;
declare const device: import("callnet-client").Device;
declare const call: import("callnet-client").Call;
declare const site: string;
declare const Room: typeof import("callnet-client").Room;
declare const Device: typeof import("callnet-client").Device;
declare module "ws" {
    const WebSocket: import("callnet-client").SocketClass;
    export default WebSocket;
}
"""
"""The declarations that an example relies on."""
OF_NODE: Final = """
const WebSocket = /** @type {new (url: string, options: object) => import("callnet-client").Socket} */ (
    /** @type {unknown} */ (globalThis.WebSocket)
);
"""
"""The WebSocket of Node.js, which takes more than that of browsers."""
OPTIONS: Final = {
    "allowJs": True,
    "checkJs": True,
    "strict": True,
    "noEmit": True,
    "target": "es2022",
    "module": "es2022",
    "moduleResolution": "node",
    "lib": ["es2022", "dom"],
    "types": [],
    "skipDefaultLibCheck": True,
    "baseUrl": ".",
    "paths": {"callnet-client": [str(CLIENT / "types" / "index.d.ts")]},
}
ALWAYS: Final = {"package.json", "README.md", "LICENSE"}
"""Files that npm puts into every package that has them."""

IMPORTED: Final = re.compile(r'^(?:import|export) .*"(.+)";$|\bimport\("(.+?)"\)', re.MULTILINE)


def packed(manifest: dict[str, Any]) -> set[str]:
    """The files that are in the package."""
    names = {path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*") if path.is_file()}
    return {name for name in names if name in ALWAYS or any(fnmatch.fnmatch(name, one) for one in manifest["files"])}


class ClientCase(SynchronousTestCase):
    """Programs that judge it."""

    def ran(self, *command: str) -> str:
        """The output of a program that has to succeed."""
        done = subprocess.run(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        self.assertEqual(0, done.returncode, done.stdout)
        return done.stdout


class ClientTests(ClientCase):
    """The client."""

    def test_rules(self) -> None:
        """It keeps its rules: tests/javascript has them, for Node.js' own runner of tests."""
        tests = sorted((ROOT / "tests" / "javascript").glob("*.test.mjs"))
        printed = self.ran("node", "--test", "--test-reporter=tap", *map(str, tests))
        self.assertGreaterEqual(int(re.findall(r"^# pass (\d+)$", printed, re.MULTILINE)[0]), len(tests))
        self.assertIn("\n# skipped 0\n", printed)

    def test_types(self) -> None:
        """TypeScript finds nothing wrong with it, and the types in the package are those that it reads off it."""
        self.assertEqual("", self.ran("tools/client-types"))


class ExamplesTests(ClientCase):
    """The examples of README and guide."""

    def test_examples(self) -> None:
        """TypeScript finds nothing wrong with any of it."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "around.d.ts").write_text(AROUND)
        found = [text for page in SHOWN for text in SHOWN_IN.findall(page.read_text(encoding="utf-8"))]
        self.assertGreater(len(found), 5)
        for number, text in enumerate(found):
            before = OF_NODE if "Origin:" in text else ""
            (folder / f"example{number}.js").write_text(f"export {{}};\n{before}{text}")
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": OPTIONS, "include": ["*"]}))
        self.assertEqual("", self.ran("tsc", "--pretty", "false", "--project", str(folder)))

    def test_origin(self) -> None:
        """A program without a page enters a room with the Origin that the guide says."""
        program = (ROOT / "tests" / "javascript" / "over_tls.mjs").read_text(encoding="utf-8")
        guide = (ROOT / "docs" / "javascript-client.md").read_text(encoding="utf-8")
        for shown in ("super(url, { protocols, headers: { Origin: site } });", "(url, protocols, { origin: site })"):
            self.assertIn(shown, guide)
            self.assertIn(shown, program)


class PackageTests(SynchronousTestCase):
    """The package, as ``npm pack`` makes it of package.json."""

    def setUp(self) -> None:
        """Read the manifest."""
        self.manifest: dict[str, Any] = json.loads((CLIENT / "package.json").read_text())

    def test_contents(self) -> None:
        """All files of the folder are in the package, and the files that it names exist."""
        names = packed(self.manifest)
        self.assertEqual({path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*") if path.is_file()}, names)
        entry = self.manifest["exports"]["."]
        for name in (self.manifest["main"], self.manifest["types"], entry["default"], entry["types"]):
            self.assertIn(name.removeprefix("./"), names)

    def test_imports(self) -> None:
        """No module imports a file outside the package: it depends on nothing."""
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
        for name in ("account", "pairing", "device", "call", "room"):
            types = (CLIENT / "types" / f"{name}.d.ts").read_text(encoding="utf-8")
            for method in re.findall(r"^    ([a-z]\w*)\(", types, re.MULTILINE):
                if method not in ("constructor", "forget"):
                    self.assertIn(f"`{method}`", readme)
