"""A node with one safeguard taken out: ``python -m acceptance.faults.sabotaged SAFEGUARD``, then as any node.

A suite that finds nothing wrong with such nodes would find nothing wrong with any.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from acceptance import census
from callnet.redis import commands
from callnet.redis.node import Announcer, NodeLifecycle

EPOCH_CHECKS: Final = (
    ("    return lease and lease > now\n", "    return true\n"),
    ("local keeps = knows_run == '1' and lease and lease > now\n", "local keeps = true\n"),
)
"""The places where Redis checks that a node was not taken for dead, and their text without the check."""


def take_out_epoch() -> None:
    """A node that was taken for dead is never told so: it goes on by its old name as if nothing had been."""
    whole = commands.load_scripts

    def load() -> Mapping[str, str]:
        texts = dict(whole())
        for check, nothing in EPOCH_CHECKS:
            if not any(check in text for text in texts.values()):
                raise LookupError("the scripts are not as they were")
            texts = {name: text.replace(check, nothing) for name, text in texts.items()}
        return texts

    commands.load_scripts = load


def take_out_reread() -> None:
    """Remove the reading of messages that were published while nobody listened."""

    async def compare(self: Announcer) -> bool:  # noqa: ARG001
        return True

    Announcer.compare = compare  # type: ignore[method-assign]


def take_out_sweep() -> None:
    """Remove the sweep, which finds everything that nothing else finds."""

    def take_swept(self: NodeLifecycle) -> list[object]:
        self._swept.clear()
        return []

    NodeLifecycle.take_swept = take_swept  # type: ignore[method-assign, assignment]


SAFEGUARDS: Final[Mapping[str, Callable[[], None]]] = {
    "epoch": take_out_epoch,
    "reread": take_out_reread,
    "sweep": take_out_sweep,
}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv.pop(1)]()
    census.main()
