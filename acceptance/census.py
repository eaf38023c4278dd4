"""A daemon that counts its objects on request: ``python -m acceptance.census FILE OPTIONS-OF-TWISTD…``.

It is twistd and callnet as they are, with one thing more: at SIGUSR2 it writes to FILE how many objects of
callnet's classes live, and how much their containers hold. So a proof can see that a daemon, after
everyone has left, holds what it held before anyone came.
"""

from __future__ import annotations

import collections
import gc
import json
import os
import signal
import sys
from collections.abc import Iterable, Iterator
from types import FrameType

from twisted.scripts import twistd

REMEMBERED = frozenset(
    {
        "callnet.accounts.preferences.KnownPreferences._known",
        "callnet.calls.counts.CallCounts.recent",
        "callnet.redis.limits.SharedLimiter._free_at",
        "callnet.redis.limits.SharedLimiter._to_tell",
        "callnet.redis.limits.SharedLimiter._untold",
        "callnet.ops.limits.Limiter._free_at",
        "callnet.storage.enrolling._Known._since",
    }
)
"""Objects that are meant to outlive everyone for some time; their bounds are tested for each."""


def named(thing: object) -> str | None:
    """The name of an object of callnet's."""
    kind = type(thing)
    module = kind.__module__
    is_ours = isinstance(module, str) and module.startswith("callnet.")
    return f"{module}.{kind.__qualname__}" if is_ours else None


def remembered(things: Iterable[tuple[str, object]]) -> set[int]:
    """The identities of the objects in containers that are meant to outlive everyone, and of their parts."""
    found: set[int] = set()
    for name, thing in things:
        for attribute, value in getattr(thing, "__dict__", {}).items():
            if f"{name}.{attribute}" in REMEMBERED:
                found.update(map(id, value))
                found.update(map(id, gc.get_referents(*value)))
    return found


def held() -> Iterator[tuple[str, int]]:
    """Name and size of everything that callnet's living objects hold, and one for each of the objects."""
    things = [(name, thing) for thing in gc.get_objects() if (name := named(thing)) is not None]
    left_out = remembered(things)
    for name, thing in things:
        if id(thing) in left_out:
            continue
        yield name, 1
        for attribute, value in getattr(thing, "__dict__", {}).items():
            if isinstance(value, collections.Counter) or f"{name}.{attribute}" in REMEMBERED:
                continue  # it only counts, or forgets by itself
            if isinstance(value, (dict, list, set, collections.deque)):
                yield f"{name}.{attribute}", len(value)


def write_census(path: str) -> None:
    """Count the held objects, and write the result to ``path``, at once and whole."""
    gc.unfreeze()  # settled objects are not shown otherwise
    gc.collect()
    census: collections.Counter[str] = collections.Counter()
    for name, size in held():
        census[name] += size
    with open(f"{path}.new", "w") as file:
        json.dump(census, file)
    os.replace(f"{path}.new", path)


def main() -> None:
    """Take the first argument as the census's file, and be twistd with the others."""
    path = sys.argv.pop(1)

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        write_census(path)

    signal.signal(signal.SIGUSR2, on_signal)
    twistd.run()


if __name__ == "__main__":
    main()
