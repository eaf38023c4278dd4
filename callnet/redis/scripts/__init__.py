"""The Lua scripts of the shared store. They contain no rules of the protocol."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Final

COMMON: Final = "common"
"""The common head of all scripts."""


def load() -> Mapping[str, str]:
    """Read all scripts, by name."""
    texts = {
        file.name.removesuffix(".lua"): file.read_text("utf-8")
        for file in files(__name__).iterdir()
        if file.name.endswith(".lua")
    }
    common = texts.pop(COMMON)
    return {name: common + text for name, text in texts.items()}
