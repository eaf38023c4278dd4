"""A queue of events that are delivered when the current work is done."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Final

from twisted.logger import Logger

log: Final = Logger(namespace="callnet.client")


class News:
    """Tells things in the order in which they happened, and none while something is going on.

    So whoever is told may do what it likes: what it causes is told after. A listener that fails is logged,
    and keeps nobody from hearing the rest::

        with news:
            ...  # what is added here is told at the end
    """

    def __init__(self) -> None:
        self._untold: deque[Callable[[], object]] = deque()
        self._depth = 0

    def add(self, tell: Callable[[], object]) -> None:
        """Have this told, at once if nothing is going on."""
        with self:
            self._untold.append(tell)

    def __enter__(self) -> None:
        """Something begins."""
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """It is done."""
        while self._depth == 1 and self._untold:
            try:
                self._untold.popleft()()
            except Exception:  # noqa: BLE001  anything: it is logged
                log.failure("a listener of a device failed")
        self._depth -= 1
