"""Who is just arriving: what comes for them meanwhile is kept until they are there."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

M = TypeVar("M")


class Arrivals(Generic[M]):
    """Those whose arrival is being committed.

    :param receive: takes what was kept when they have arrived, or failed to.
    """

    def __init__(self, receive: Callable[[M], None]) -> None:
        self._receive = receive
        self.kept: Final[dict[Hashable, list[M]]] = {}
        """By addressee."""

    def arriving(self, addressee: Hashable) -> _Arriving[M]:
        """Keep what comes for ``addressee`` until the block ends."""
        return _Arriving(self.kept, addressee, self._receive)

    def keep(self, addressee: Hashable, message: M) -> bool:
        """Keep a message if ``addressee`` is arriving; tell whether that is so."""
        kept = self.kept.get(addressee)
        if kept is None:
            return False
        kept.append(message)
        return True


class _Arriving(Generic[M]):
    """One arrival. A generator would take as long as all the rest of it."""

    __slots__ = ("_addressee", "_kept", "_receive")

    def __init__(self, kept: dict[Hashable, list[M]], addressee: Hashable, receive: Callable[[M], None]) -> None:
        self._kept = kept
        self._addressee = addressee
        self._receive = receive

    def __enter__(self) -> None:
        self._kept[self._addressee] = []

    def __exit__(self, *_: object) -> None:
        for message in self._kept.pop(self._addressee):
            self._receive(message)
