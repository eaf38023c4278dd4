"""A node with one safeguard taken out: ``python -m acceptance.faults.sabotaged SAFEGUARD``, then as any node.

A suite that finds nothing wrong with such nodes would find nothing wrong with any.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from acceptance import census
from callnet.cluster import scripts
from callnet.cluster.announcer import Announcer
from callnet.cluster.member import Member

STALE: Final = "    if not known then\n        return 'stale'\n    end\n"
LATE: Final = "    if now > set[1] then\n        return 'late'\n    end\n"


def take_out_epoch() -> None:
    """A commit is carried out whoever gave it, and whenever."""
    whole = scripts.load

    def load() -> Mapping[str, str]:
        texts = dict(whole())
        for check in (STALE, LATE):
            if check not in texts["commit"]:
                raise LookupError("commit.lua is not as it was")
            texts["commit"] = texts["commit"].replace(check, "")
        return texts

    scripts.load = load


def take_out_reread() -> None:
    """Nobody looks for what was published while nobody listened."""

    async def compare(self: Announcer) -> bool:  # noqa: ARG001
        return True

    Announcer.compare = compare  # type: ignore[method-assign]


def take_out_sweep() -> None:
    """Nobody looks at what nobody else looks at."""

    def take_swept(self: Member) -> list[object]:
        self._swept.clear()
        return []

    Member.take_swept = take_swept  # type: ignore[method-assign, assignment]


SAFEGUARDS: Final[Mapping[str, Callable[[], None]]] = {
    "epoch": take_out_epoch,
    "reread": take_out_reread,
    "sweep": take_out_sweep,
}

if __name__ == "__main__":
    SAFEGUARDS[sys.argv.pop(1)]()
    census.main()
