"""One timer for the earliest of several times."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Alarm:
    """Goes off at the earliest of the times that it was set to, and is unset then.

    :param goes_off: called without arguments. It must not raise.
    """

    def __init__(self, clock: IReactorTime, goes_off: Callable[[], None]) -> None:
        self._clock = clock
        self._goes_off = goes_off
        self._next: IDelayedCall | None = None
        self._stopped = False

    def set_in(self, pause: float) -> None:
        """Have it go off after ``seconds``, unless it does earlier anyway."""
        if self._stopped:
            return
        if self._next is None:
            self._next = self._clock.callLater(pause, self._ring)
        elif self._next.getTime() > self._clock.seconds() + pause:
            self._next.reset(pause)

    def unset(self) -> None:
        """Have it not go off, until it is set again."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def stop(self) -> None:
        """Have it never go off again."""
        self._stopped = True
        self.unset()

    def _ring(self) -> None:
        self._next = None
        self._goes_off()
