"""Values that are there at once or later, as a Deferred, which trial's own assertions know."""

from __future__ import annotations

from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

from callnet.util.deferreds import Ready, Soon

T = TypeVar("T")


def later(soon: Soon[T]) -> Deferred[T]:
    """Make a Deferred of it."""
    return succeed(soon.value) if isinstance(soon, Ready) else soon
