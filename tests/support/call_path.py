"""Functions of callnet's own on the way of something, counted without noise."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final

import callnet

_CALLS: Final = 10
_OURS: Final = str(Path(callnet.__file__).parent)
_SCHEMAS: Final = str(Path(callnet.__file__).parent / "schemas")
"""A test client looks at them."""


class CallPath:
    """The cost of a call, on average of some.

    :param call: makes a whole one.
    """

    def __init__(self, call: Callable[[], object]) -> None:
        self._counts: Counter[str] = Counter()
        self._depth = self.deepest = 0
        """Functions on the stack at once: now, and at most."""
        call()  # objects made at the first call are no longer counted
        sys.setprofile(self._note)
        try:
            for _ in range(_CALLS):
                call()
        finally:
            sys.setprofile(None)
        self.functions: Final = sum(self._counts.values()) / _CALLS
        self.most: Final = [f"{count / _CALLS:.1f} {name}" for name, count in self._counts.most_common(12)]
        """Those that are called most."""

    def _note(self, frame: FrameType, event: str, _: object) -> None:
        """Count a function of ours that begins or ends."""
        code = frame.f_code
        if not code.co_filename.startswith(_OURS) or code.co_filename.startswith(_SCHEMAS):
            return
        if event == "call":
            self._counts[f"{Path(code.co_filename).name} {code.co_qualname}"] += 1
            self._depth += 1
            self.deepest = max(self.deepest, self._depth)
        elif event == "return":
            self._depth -= 1
