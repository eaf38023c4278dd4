"""An index of due times, for many keys with frequent changes of their times."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DueIndex(Generic[K]):
    """Keys in buckets of one second each. Moving a key is cheap, and so is finding nothing due."""

    def __init__(self) -> None:
        self._buckets: dict[int, dict[K, float]] = {}
        self._to_come = 0
        """The first second that has not begun."""
        self._begun: dict[int, None] = {}
        """The earlier seconds that have buckets."""

    def move(self, key: K, old: float | None, new: float | None) -> None:
        """Make ``key`` due at ``new`` (seconds; ``None``: never), and no longer at ``old``."""
        if old is not None:
            number = int(old)
            bucket = self._buckets.get(number)
            if bucket is not None and bucket.pop(key, None) is not None and not bucket:
                del self._buckets[number]
                self._begun.pop(number, None)
        if new is not None:
            number = int(new)
            bucket = self._buckets.get(number)
            if bucket is None:
                bucket = self._buckets[number] = {}
                if number < self._to_come:
                    self._begun[number] = None
            bucket[key] = new

    def until(self, now: float) -> list[K]:
        """The keys due at ``now``."""
        end = int(now) + 1
        if end - self._to_come > len(self._buckets):
            seconds = [number for number in self._buckets if self._to_come <= number < end]
        else:
            seconds = [number for number in range(self._to_come, end) if number in self._buckets]
        self._begun.update(dict.fromkeys(seconds))
        self._to_come = max(self._to_come, end)
        return [key for number in self._begun for key, due in self._buckets[number].items() if due <= now]
