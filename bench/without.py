"""A daemon without one of its short ways: ``python -m bench.without STEP OPTIONS-OF-TWISTD…``.

It is twistd and callnet as they are, but for one step that is taken back, so that :mod:`bench.steps` can see what it
is worth.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.scripts import twistd


def _module(name: str) -> Any:
    return importlib.import_module(f"callnet.{name}")


def _frames() -> None:
    _module("ws.protocol").take_text = lambda *_: None


def _handshakes() -> None:
    _module("ws.protocol").read_plain = lambda _: None


def _tokens() -> None:
    kind = _module("accounts.tokens").Tokens
    made = kind.__init__

    def make(self: Any, *args: Any, **kwargs: Any) -> None:
        made(self, *args, **kwargs)
        self._headers.clear()

    kind.__init__ = make


def _at_once() -> None:
    _module("ws.protocol").write = lambda transport, data: transport.write(data)


def _turns() -> None:
    _module("app.service").shorten = lambda _: None


def _garbage() -> None:
    kind = _module("ops.process").Garbage
    kind.begin = kind.end = lambda _: None


STEPS: Final[Mapping[str, Callable[[], None]]] = {
    "nothing": lambda: None,
    "frames": _frames,
    "handshakes": _handshakes,
    "tokens": _tokens,
    "at-once": _at_once,
    "turns": _turns,
    "garbage": _garbage,
}
"""The steps that can be taken back, and the functions that do it."""


def main() -> None:
    """Take back the step that the first argument names, and be twistd with the others."""
    STEPS[sys.argv.pop(1)]()
    twistd.run()


if __name__ == "__main__":
    main()
