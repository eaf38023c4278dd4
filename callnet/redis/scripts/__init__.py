"""What Redis does for the shared store, in Lua. No rule of the protocol is among it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

COMMON: Final = "common"
"""What every script begins with."""


def load() -> Mapping[str, str]:
    """Read all scripts, by name."""
    texts = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in files(__name__).iterdir()
        if file.name.endswith(".lua")
    }
    common = texts.pop(COMMON)
    return {name: common + text for name, text in texts.items()}
