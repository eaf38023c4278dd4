"""An index of what is due when, for many keys of which most change their time before it comes."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DueIndex(Generic[K]):
    """Keys in buckets of one second each. Moving a key and finding nothing due are cheap."""

    def __init__(self) -> None:
        self._buckets: dict[int, set[K]] = {}
        self._first = 0

    def move(self, key: K, old: float | None, new: float | None) -> None:
        """Let ``key`` be due at ``new`` (seconds; ``None``: never), and no longer at ``old``."""
        if old is not None:
            number = int(old)
            for candidate in (number, self._first):
                bucket = self._buckets.get(candidate)
                if bucket is not None and key in bucket:
                    bucket.remove(key)
                    if not bucket:
                        del self._buckets[candidate]
                    break
        if new is not None:
            self._buckets.setdefault(max(int(new), self._first), set()).add(key)

    def until(self, now: float) -> list[K]:
        """Keys that are due at ``now`` or within the same second; who is named may have to wait still."""
        last = int(now)
        found: set[K] = set()
        if last - self._first > len(self._buckets):
            numbers = [number for number in self._buckets if number <= last]
        else:
            numbers = [number for number in range(self._first, last + 1) if number in self._buckets]
        for number in numbers:
            found |= self._buckets.pop(number)
        self._first = max(self._first, last)
        if found:
            self._buckets[self._first] = found
        return list(found)
