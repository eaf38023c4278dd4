"""Writes callnet.1 and callnet.toml.5: ``python -m tools.manual FOLDER``, where callnet is installed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from callnet.cli.main import main
from tools.manual import commands, settings

EXAMPLE: Final = Path(__file__).parent.parent.parent / "etc" / "callnet.toml"

folder, installed = Path(sys.argv[1]), version("callnet")
for name, lines in (
    ("callnet.1", commands.page(main, installed)),
    ("callnet.toml.5", settings.page(EXAMPLE.read_text(encoding="utf-8"), installed)),
):
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
