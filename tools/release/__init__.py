"""Wheel, sdist and the package for JavaScript, the same each time they are built; and the other parts of a release.

docs/releases.md is for whoever makes one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

ROOT: Final = Path(__file__).parent.parent.parent


class Refused(click.ClickException):
    """It is not done, or was undone; the message says why."""
