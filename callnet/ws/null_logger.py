"""In the place of Autobahn's log, which tells what clients did in their own words: callnet does not."""

from __future__ import annotations


class Silence:
    """A log that nothing is written to."""

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    trace = info = warn = error = critical = debug
