"""callnet's logger: Twisted's with a threshold that can be changed while callnet runs."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from twisted.logger import LogLevel

from twisted import logger

Level: TypeAlias = Any
"""One of Twisted's, which have no types."""
LEVELS: Final = {level.name: level for level in (LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error)}
"""The levels that can be chosen, by name, that which says most first."""


class Threshold:
    """The lowest level that is logged."""

    def __init__(self) -> None:
        self.level: Level = LogLevel.info
        self.has_details = False
        """True if ``debug`` is logged: check this before computing costly fields."""

    def choose(self, name: str) -> None:
        """Log from this level on, one of :data:`LEVELS`."""
        self.level = LEVELS[name]
        self.has_details = self.level is LogLevel.debug


threshold: Final = Threshold()
"""The threshold of this process, which has one log."""


class Logger(logger.Logger):
    """A logger that goes by :data:`threshold`."""

    def emit(self, level: Level, format: str | None = None, **kwargs: Any) -> None:  # noqa: A002
        """Log an event, if it is of the threshold's level or above."""
        if level >= threshold.level:
            super().emit(level, format, **kwargs)
