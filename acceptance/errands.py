"""Work that goes on beside other work, and does not fail unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final


class Errands:
    """Some of it.

    :param failed: it is told what goes wrong in any.
    """

    def __init__(self, failed: Callable[[BaseException], object]) -> None:
        self._failed: Final = failed
        self._tasks: Final[set[asyncio.Task[None]]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def end(self) -> None:
        """Break off whatever goes on."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._failed(error)
