"""Who is just arriving: what comes for them meanwhile is kept until they are there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

M = TypeVar("M")


class Arrivals(Generic[M]):
    """Those whose arrival is being committed.

    :param receive: takes what was kept when they have arrived, or failed to.
    """

    def __init__(self, receive: Callable[[M], None]) -> None:
        self._receive = receive
        self._kept: dict[Hashable, list[M]] = {}

    @contextmanager
    def arriving(self, addressee: Hashable) -> Iterator[None]:
        """Keep what comes for ``addressee``."""
        kept = self._kept[addressee] = []
        try:
            yield
        finally:
            del self._kept[addressee]
            for message in kept:
                self._receive(message)

    def keep(self, addressee: Hashable, message: M) -> bool:
        """Keep a message if ``addressee`` is arriving; tell whether that is so."""
        kept = self._kept.get(addressee)
        if kept is None:
            return False
        kept.append(message)
        return True
