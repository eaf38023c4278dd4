"""A queue of events for delivery at the end of an operation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final

from twisted.logger import Logger

log: Final = Logger(namespace="callnet_client")


class EventQueue:
    """Delivers events in order, and none while an operation is in progress.

    So listeners may call any method: the resulting events are delivered afterwards. A failing listener is logged, and
    does not affect the others::

        with queue:
            ...  # events that are added here are delivered at the end
    """

    def __init__(self) -> None:
        self._undelivered: deque[Callable[[], object]] = deque()
        self._depth = 0

    def add(self, tell: Callable[[], object]) -> None:
        """Add an event. It is delivered at once if no operation is in progress."""
        with self:
            self._undelivered.append(tell)

    def __enter__(self) -> None:
        """Begin an operation."""
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End an operation."""
        while self._depth == 1 and self._undelivered:
            try:
                self._undelivered.popleft()()
            except Exception:  # noqa: BLE001  anything: it is logged
                log.failure("a listener of a device failed")
        self._depth -= 1
