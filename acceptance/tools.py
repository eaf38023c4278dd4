"""Programs of others that judge, each in a virtual environment of its own under ``build/``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from harness import ROOT

_QUIET: Final = {"PIP_NO_PYTHON_VERSION_WARNING": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def installed(name: str, requirement: str, make: tuple[str, ...] = (sys.executable, "-m", "venv")) -> Path:
    """The program ``name``, which is installed if it is missing.

    :param requirement: the package that has it, with its version.
    :param make: the command that makes the environment, without its place.
    :raises subprocess.CalledProcessError: that fails.
    """
    place = ROOT / "build" / "tools" / name
    program = place / "bin" / name
    if not program.exists():
        _run(*make, str(place))
        _run(str(place / "bin" / "pip"), "install", "--quiet", requirement)
    return program


def _run(*command: str) -> None:
    environment = {**os.environ, **_QUIET}
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
