"""A proof, and its report."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from harness import ROOT


class Outcome(Struct, frozen=True):
    """The outcome of a proof."""

    counts: Mapping[str, object]
    """The figures, in the words of the report."""
    misses: Sequence[str]
    """Where the target was missed, a line each; none: it was met."""


class Proof(Struct, frozen=True):
    """One proof. ``prove`` is given whether a short slice will do, and the seed of everything random in it."""

    name: str
    target: str
    prove: Callable[[bool, int], Outcome]


def machine() -> str:
    """Describe this machine in a line."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} x {model}, {memory:.0f} GiB, {system}, Python {platform.python_version()}"


def commit() -> str:
    """Name the commit that this tree is at, and whether files differ from it."""
    git = ("git", "-C", str(ROOT))
    head = subprocess.run((*git, "rev-parse", "--short=12", "HEAD"), capture_output=True, text=True, check=False)
    if head.returncode:
        return "none"
    changed = subprocess.run((*git, "status", "--porcelain"), capture_output=True, text=True, check=False).stdout
    sources = [line for line in changed.splitlines() if not line[3:].startswith("acceptance/")]
    return head.stdout.strip() + (" with changes" if sources else "")


def report(proof: Proof, outcome: Outcome, brief: bool, seed: int, seconds: float) -> str:
    """Write the report about one run of ``proof``."""
    lines = [
        f"{proof.name}: {'MISSED' if outcome.misses else 'met'}{' (a short slice)' if brief else ''}",
        f"target: {proof.target}",
        f"date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"commit: {commit()}",
        f"seed: {seed}",
        f"machine: {machine()}",
        f"took: {seconds:.0f} s",
        "",
        *(f"{name}: {value}" for name, value in outcome.counts.items()),
        *(f"MISSED: {miss}" for miss in outcome.misses),
    ]
    return "\n".join(lines) + "\n"
