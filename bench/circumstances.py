"""The place, time and conditions of a measurement."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
import resource
import subprocess
from pathlib import Path
from typing import Final

from harness import ROOT

REFERENCES: Final = ROOT.parent / "shared" / "bench"
"""Where the servers to compare with, and the generator in C, are if nothing else is said."""


def allow_many_files() -> None:
    """Raise the limit of open files as far as allowed; the servers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def circumstances(how: str) -> str:
    """The first lines of a report. ``how``: the processing of the measurements."""
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}\n"
        f"{os.cpu_count()} × {model[1] if model else platform.machine()}, Python {platform.python_version()}\n"
        f"{how}"
    )
