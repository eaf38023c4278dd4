"""RFC 6455 by the Autobahn|Testsuite, which plays a client of callnet's own WebSocket and breaks every rule there is.

Its cases come as an echo wants them (:mod:`acceptance.echo`). Those of compression (12, 13) are not asked: there is
none. The short paths are asked as well as the general ones. The test suite needs Python 2.7.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from acceptance.proof import Outcome, Proof
from acceptance.tools import installed
from harness import ROOT
from harness.daemon import wait_for
from harness.own_servers import stop

VIRTUALENV: Final = "virtualenv==20.15.1"
"""The last that makes environments for Python 2.7."""
TESTSUITE: Final = "autobahntestsuite==25.10.1"
COMPRESSION: Final = ("12.*", "13.*")
PERFORMANCE: Final = "9.*"
AGENT: Final = "callnet"
LIMIT: Final = 600
"""Seconds for all cases of one server."""
WITHOUT_PERFORMANCE: Final = 247
"""Cases that there are."""
PASSED: Final = ("OK", "INFORMATIONAL")
PATHS: Final = {"short paths": "on", "general paths": "off"}


def python27() -> str | None:
    """Where there is a Python 2.7 that runs, if there is one."""
    others = map(str, sorted(Path.home().glob(".pyenv/versions/2.7.*/bin/python2.7")))
    for found in (*others, shutil.which("python2.7")):
        # A program on the path may be a stand-in for one that is not installed.
        if found and subprocess.run([found, "-c", ""], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            return found
    return None


def wstest(python: str) -> Path:
    """The program of the test suite, which is installed if it is missing."""
    virtualenv = installed("virtualenv", VIRTUALENV)
    return installed("wstest", TESTSUITE, (str(virtualenv), "--quiet", "--python", python))


@contextmanager
def echo(folder: Path, short_path: str) -> Iterator[int]:
    """Run the echo until the block ends: its port."""
    printed = folder / "port"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "acceptance.echo"],
            cwd=ROOT,
            env={**os.environ, "CALLNET_SHORT_PATH": short_path},
            stdin=subprocess.DEVNULL,
            stdout=output,
        )
    try:
        wait_for(lambda: printed.read_text().endswith("\n"), 60, "the echo")
        yield int(printed.read_text())
    finally:
        stop(process)


def ask(program: Path, folder: Path, short_path: str, excluded: tuple[str, ...]) -> Mapping[str, Mapping[str, object]]:
    """Have all cases but these tried. Returns the test suite's verdict on each."""
    with echo(folder, short_path) as port:
        (folder / "spec.json").write_text(
            json.dumps(
                {
                    "outdir": str(folder / "reports"),
                    "servers": [{"agent": AGENT, "url": f"ws://127.0.0.1:{port}"}],
                    "cases": ["*"],
                    "exclude-cases": excluded,
                    "exclude-agent-cases": {},
                }
            )
        )
        command = [str(program), "--mode", "fuzzingclient", "--spec", str(folder / "spec.json")]
        subprocess.run(
            command, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=LIMIT
        )
    found: dict[str, dict[str, Mapping[str, object]]] = json.loads((folder / "reports" / "index.json").read_text())
    return found[AGENT]


def prove(brief: bool, _seed: int) -> Outcome:
    """All cases on both paths; in a short slice without those that move many megabytes."""
    python = python27()
    if python is None:
        why = "this machine has no Python 2.7, which the test suite needs"
        return Outcome({"not tried": why}, [] if brief else [why])
    program = wstest(python)
    excluded = (*COMPRESSION, PERFORMANCE) if brief else COMPRESSION
    counts: dict[str, object] = {"without": ", ".join(excluded)}
    misses = []
    for name, short_path in PATHS.items():
        with tempfile.TemporaryDirectory(prefix="callnet-conformance-") as folder:
            cases = ask(program, Path(folder), short_path, excluded)
        tried = sum(not case.startswith(PERFORMANCE[:2]) for case in cases)
        counts[f"{name}, cases without {PERFORMANCE}"] = tried
        counts[f"{name}, cases of {PERFORMANCE}"] = len(cases) - tried
        for what in ("behavior", "behaviorClose"):
            verdicts = Counter(str(case[what]) for case in cases.values())
            counts[f"{name}, {what}"] = ", ".join(f"{verdict} {count}" for verdict, count in sorted(verdicts.items()))
        misses += [
            f"{name}, case {case}: {verdict[what]} ({what})"
            for case, verdict in cases.items()
            for what in ("behavior", "behaviorClose")
            if verdict[what] not in PASSED
        ]
        if tried != WITHOUT_PERFORMANCE:
            misses.append(f"{name}: {tried} cases were tried, not {WITHOUT_PERFORMANCE}")
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "conformance",
    "callnet's WebSocket passes every case of the Autobahn|Testsuite but those of compression, on the short paths and"
    " on the general ones: none is FAILED, UNCLEAN, WRONG CODE or NON-STRICT",
    prove,
)
