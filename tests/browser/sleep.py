"""Puts a browser to sleep, as the lid of a laptop does: its processes stop, and nobody is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def asleep(mark: str) -> Iterator[None]:
    """Let the browser whose command line holds ``mark`` sleep for as long as this lasts."""
    family = _family(mark)
    assert family
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _family(mark: str) -> Set[int]:
    """The processes that have ``mark`` in their command line, and their descendants."""
    parents: dict[int, int] = {}
    family: set[int] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            parents[int(process.name)] = _parent(process)
            if mark.encode() in (process / "cmdline").read_bytes():
                family.add(int(process.name))
    while children := {pid for pid in _children(parents, family) if pid not in family}:
        family |= children
    return family


def _children(parents: Mapping[int, int], family: Set[int]) -> Iterator[int]:
    return (pid for pid, parent in parents.items() if parent in family)


def _parent(process: Path) -> int:
    # The name of the program, in brackets, may hold anything.
    return int((process / "stat").read_text().rpartition(")")[2].split()[1])
