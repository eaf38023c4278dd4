"""Real servers of others, and the rules for logs, for tests, bench and acceptance."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
"""The folder of the project."""
