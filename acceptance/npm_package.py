"""The package of the client in JavaScript, as somebody gets it who installs it: packed, put into an empty folder, used.

TypeScript reads its types, in both ways in which it looks for them, and finds what is wrong with programs that use it
wrongly. Node.js calls with it at the site of a daemon over TLS, with its own WebSocket and with that of ``ws``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Final

from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from harness import ROOT

CLIENT: Final = ROOT / "clients" / "javascript"
PROGRAM: Final = ROOT / "tests" / "javascript" / "over_tls.mjs"
WS: Final = "ws@8.18.3"
HAPPENED: Final = ["answered true", "met true", "relayed true", "over hangup hangup"]

GOOD: Final = """
import { Account, AccountError, Device, ERROR, type Call, type DeviceState } from "callnet-client";

const account = new Account({ site: "https://calls.example.org:8080", phone: "1", deviceId: "tv" });
const device = new Device(account, { extended: false });
device.addEventListener("state", ({ detail }) => { const state: DeviceState = detail; void state; });
device.addEventListener("call", ({ detail }) => { const call: Call = detail; if (call.isIncoming) call.accept(); });
const call: Call | null = device.place("2");
const reached: Promise<"calling" | "ringing" | "active" | "over"> | undefined = call?.until("active");
account.history({ limit: 5 }).then(({ calls }) => calls.map((past) => past.started_at + 1));
account.login().catch((error: AccountError) => error.code === ERROR.CODE);
void reached;
"""
BAD: Final = (
    "device.place(2);\n",
    'device.addEventListener("call", ({ detail }) => detail.answer());\n',
    'device.addEventListener("rings", () => {});\n',
    'new Account({ site: "", phone: "1" });\n',
    "const name: number = device.state; void name;\n",
)
"""The code that makes it wrong, at its end."""
OPTIONS: Final = {"strict": True, "noEmit": True, "target": "es2020", "lib": ["es2020", "dom"], "types": []}
"""The options of TypeScript."""


class Folder:
    """An empty folder, into which the package is installed."""

    def __init__(self, place: Path) -> None:
        self._place = place
        (place / "package.json").write_text('{"private": true, "type": "module"}')

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a program there."""
        given = {**os.environ, **environment}
        return subprocess.run(command, cwd=self._place, env=given, capture_output=True, text=True, check=False)

    def install(self, *packages: str) -> None:
        """Install packages.

        :raises RuntimeError: that fails.
        """
        done = self.run("npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages)
        if done.returncode:
            raise RuntimeError(f"npm install: {done.stderr[-1000:]}")

    def complaints(self, program: str, resolution: str) -> list[int]:
        """The lines of a program that TypeScript complains of; 0: another file."""
        options = {
            **OPTIONS,
            "module": "node16" if resolution == "node16" else "es2020",
            "moduleResolution": resolution,
        }
        (self._place / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": ["program.ts"]}))
        (self._place / "program.ts").write_text(program)
        said = self.run("tsc", "--pretty", "false").stdout.splitlines()
        found = (re.match(r"program\.ts\((\d+),", line) for line in said if not line.startswith(" "))
        return [int(line[1]) if line else 0 for line in found]


def pack(into: Path) -> tuple[Path, set[str]]:
    """Pack the client as it is in the tree. Returns the package, and the files in it."""
    into.mkdir()
    command = ["npm", "pack", "--json", "--pack-destination", str(into), str(CLIENT)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, cwd=into).stdout
    [packed] = json.loads(printed)
    return into / packed["filename"], {file["path"] for file in packed["files"]}


def prove(_brief: bool, _seed: int) -> Outcome:
    """The whole of it."""
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-npm-") as name:
        place = Path(name)
        package, files = pack(place / "first")
        again, _ = pack(place / "second")
        hashes = [sha256(path.read_bytes()).hexdigest() for path in (package, again)]
        tree = {path.relative_to(CLIENT).as_posix() for path in CLIENT.rglob("*") if path.is_file()}
        _expect(misses, hashes[0] == hashes[1], "packed twice it is not the same")
        _expect(misses, files == tree, f"it has other files than the tree: {sorted(files ^ tree)}")
        (place / "empty").mkdir()
        folder = Folder(place / "empty")
        folder.install("--offline", str(package))
        shutil.copy(PROGRAM, place / "empty")
        judged = _judge_types(folder, misses)
        told = _call(folder, misses)
        counts = {
            "files in the package": len(files),
            "bytes of it": package.stat().st_size,
            "its SHA-256, packed twice": hashes[0],
            "programs that TypeScript judged rightly": judged,
            "what happened with the WebSocket of Node.js": told[0],
            f"what happened with {WS}": told[1],
            "versions": " ".join(folder.run(each, "--version").stdout.strip() for each in ("node", "npm", "tsc")),
        }
    return Outcome(counts, misses)


def _judge_types(folder: Folder, misses: list[str]) -> int:
    judged = 0
    for resolution in ("node", "node16"):
        for program in (GOOD, *(GOOD + bad for bad in BAD)):
            wrong = [] if program == GOOD else [len(program.splitlines())]
            found = folder.complaints(program, resolution)
            _expect(misses, found == wrong, f"TypeScript ({resolution}) complains of lines {found} instead of {wrong}")
            judged += found == wrong
    return judged


def _call(folder: Folder, misses: list[str]) -> list[str]:
    told = []
    with running("") as daemon:
        site = f"https://127.0.0.1:{daemon.ports['site']}"
        certificate = str(daemon.folder / "state" / "self-signed.crt")
        for options, more in ((("--no-warnings", "--experimental-websocket"), ()), ((), ("ws",))):
            if more:
                folder.install(WS)
            command = ("node", *options, PROGRAM.name, "callnet-client", site, *more)
            done = folder.run(*command, NODE_EXTRA_CA_CERTS=certificate)
            told.append(", ".join(done.stdout.splitlines()))
            _expect(misses, done.stdout.splitlines() == HAPPENED, f"{' '.join(command[1:3])}: {done.stderr[-1000:]}")
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    return told


def _expect(misses: list[str], holds: bool, otherwise: str) -> None:
    if not holds:
        misses.append(otherwise)


PROOF: Final = Proof(
    "npm_package",
    "the client in JavaScript, packed by npm and installed in an empty folder, has types that TypeScript takes, and"
    " calls at a daemon from Node.js, with its own WebSocket and with that of ws",
    prove,
)
