"""``python -m tools.supply_chain sbom|licences|audit``: a line that begins with that word.

Another line for each thing that is not well, and exit status 1; 2 if it cannot be found out.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Final

from tools.supply_chain import ROOT, Failed, audit, licences, sbom
from tools.supply_chain.locks import everything


def write_sbom() -> str:
    """Write the bill of materials."""
    return f"{sbom.write(licences.here())} components in {sbom.FILE.relative_to(ROOT)}"


def check_licences() -> str:
    """Check the licences, and that their table is up to date."""
    pins = everything()
    licences.write(licences.here(), pins)
    return f"{len(pins)} packages, each with one that we take"


def run_audit() -> str:
    """Ask whether anything is known to be wrong."""
    pins = everything()
    audit.audit(pins)
    return f"{len(pins)} packages, none with a known vulnerability"


TASKS: Final[dict[str, Callable[[], str]]] = {"sbom": write_sbom, "licences": check_licences, "audit": run_audit}


def told(task: str, do: Callable[[], str]) -> tuple[int, Sequence[str]]:
    """Do a task. Returns the exit status, and the lines that say how it went."""
    try:
        return 0, [f"{task}: {do()}"]
    except audit.NotRun as cause:
        return 2, [f"{task}: NOT RUN, the database cannot be asked: {cause}"]
    except Failed as failed:
        return 1, [f"{task}: FAILED, {fault}" for fault in failed.faults]


def main(task: str) -> int:
    """Do one of them and say how it went. Returns the exit status."""
    status, lines = told(task, TASKS[task])
    print("\n".join(lines))
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
