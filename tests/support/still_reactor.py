"""A reactor that does nothing by itself, but hears of real threads."""

from __future__ import annotations

from collections.abc import Callable
from queue import Queue
from typing import Final

from twisted.internet.testing import MemoryReactorClock

THREAD_TIME: Final = 30
"""Seconds that the database may take on a busy machine."""


class StillReactor(MemoryReactorClock):
    """A reactor in memory to which real threads may come back."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._from_threads: Queue[Callable[[], object]] = Queue()

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:  # noqa: A002
        """Keep a call for :meth:`take_thread`."""
        self._from_threads.put(lambda: callable(*args, **kwargs))

    def take_thread(self) -> None:
        """Wait for the result of one thread."""
        self._from_threads.get(timeout=THREAD_TIME)()

    def take_threads(self) -> None:
        """Take the results of threads so far."""
        while not self._from_threads.empty():
            self.take_thread()
