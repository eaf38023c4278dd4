"""The output of CycloneDX's own program for Python: of a lock file, and of the installed packages."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from tools.supply_chain import ROOT, TOOLS, Failed

_PROGRAM: Final = TOOLS / "cyclonedx-py"
_SAME_EACH_TIME: Final = ("--output-reproducible", "--output-file", "-")


def of_lock(lock: str) -> dict[str, Any]:
    """The bill of materials that a lock file makes, without licences.

    :raises Failed: the program does not like it.
    """
    return _run("requirements", lock, "--pyproject", "pyproject.toml")


def installed(python: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """The components that are installed in an environment, with their licences, by name and version.

    :raises Failed: the program does not like it.
    """
    # Nobody else reads this bill, and to validate it takes twenty times as long as to make it.
    components = _run("environment", str(python), "--no-validate")["components"]
    return {(canonicalize_name(component["name"]), component["version"]): component for component in components}


def _run(*arguments: str) -> dict[str, Any]:
    command = (str(_PROGRAM), *arguments, *_SAME_EACH_TIME)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Failed(f"cyclonedx-py {arguments[0]} failed: {done.stderr.strip()}")
    bill: dict[str, Any] = json.loads(done.stdout)
    return bill
