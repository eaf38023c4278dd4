"""A daemon that records long events: ``python -m bench.watched FILE OPTIONS-OF-TWISTD…``.

It is twistd and callnet as they are, with one thing more: it measures the CPU of every event of the reactor, whether
something can be read, a time has come or a thread is done. While one is handled nobody else is served; and a noisy
neighbour makes no difference to this.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from twisted.scripts import twistd

NOTABLE: Final = 0.0002
"""Seconds of CPU; shorter events are not recorded."""


class Event(Struct, frozen=True):
    """Something that took long."""

    at: float
    """When it was over, by ``time.monotonic``."""
    took: float
    """Seconds of CPU."""
    name: str


def read(path: Path) -> list[Event]:
    """The events recorded so far."""
    words = (line.split(" ", 2) for line in path.read_text().splitlines())
    return [Event(float(at), float(took), name) for at, took, name in words]


def _watched(function: Callable[..., Any], named_by: Callable[..., object], note: Callable[[str], object]) -> Any:
    @wraps(function)
    def measured(*args: Any, **kwargs: Any) -> Any:
        before = time.thread_time()
        try:
            return function(*args, **kwargs)
        finally:
            took = time.thread_time() - before
            if took >= NOTABLE:
                note(f"{time.monotonic():.3f} {took:.6f} {named_by(*args)}\n")

    return measured


def watch(reactor: Any, note: Callable[[str], object]) -> None:
    """Have ``note`` called with a line for each event that takes long."""

    def of_calls(schedule: Callable[..., Any], position: int) -> Callable[..., Any]:
        def scheduled(*args: Any, **kwargs: Any) -> Any:
            function = args[position]
            name = getattr(function, "__qualname__", repr(function))
            watched = _watched(function, lambda *_: name, note)
            return schedule(*args[:position], watched, *args[position + 1 :], **kwargs)

        return scheduled

    reactor._doReadOrWrite = _watched(  # noqa: SLF001
        reactor._doReadOrWrite,  # noqa: SLF001
        lambda selectable, *_: type(selectable).__name__,
        note,
    )
    reactor.callLater = of_calls(reactor.callLater, 1)
    reactor.callFromThread = of_calls(reactor.callFromThread, 0)


def watch_garbage(note: Callable[[str], object]) -> None:
    """The same of each time that garbage is looked for, which is a part of some event."""
    begun = 0.0

    def looked(phase: str, found: Mapping[str, int]) -> None:
        nonlocal begun
        if phase == "start":
            begun = time.thread_time()
        elif (took := time.thread_time() - begun) >= NOTABLE:
            what = f"garbage of generation {found['generation']}, {found['collected']} found"
            note(f"{time.monotonic():.3f} {took:.6f} {what}\n")

    gc.callbacks.append(looked)


def main() -> None:
    """Take the first argument as the file, and be twistd with the others."""
    with open(sys.argv.pop(1), "w", buffering=1) as file:
        from twisted.internet import reactor

        watch(reactor, file.write)
        watch_garbage(file.write)
        twistd.run()


if __name__ == "__main__":
    main()
