"""The third-party components of callnet: the list, their licences, and their known vulnerabilities.

The lock files say what is installed, and nothing else is looked at. docs/supply-chain.md is for whoever runs this.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
BUILD: Final = ROOT / "build"
TOOLS: Final = BUILD / "supply-chain" / "bin"
"""The programs of others that do the work; ``make`` installs them from a lock file of their own."""

MANUAL: Final = BUILD / "manual" / "bin"
"""The environment that the manual is built with."""


class Failed(Exception):
    """It is not as it should be. One line for each thing that is not."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults: Final = faults
