"""Watches the certificate while callnet runs: loads a new one, and warns before an old one expires."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from callnet.ops.certificates import RENEW_BEFORE, ServerTls
from callnet.util.logger import Logger
from callnet.util.periodic import Rounds

LOOK_EVERY: Final = 5.0
"""Seconds between two looks at the files."""
WARN_BEFORE: Final = timedelta(days=21)
WARN_EVERY: Final = 86400.0
"""Seconds between two warnings."""

_Stamp: TypeAlias = tuple[int, int, int, int]
"""The identity of a file's content: device, inode, size, nanoseconds of its last change."""


class CertificateWatch:
    """Has the certificate read again when its files have changed, and renews one that callnet signed in time.

    The certificate and its key are two files, so they are read once both were left alone from one look to the next.

    :param files: the certificate and its key.
    :param is_own: whether callnet signs it.
    :param renew: reads it again, or renews it if it is callnet's own and about to expire, and tells whether it
        was good.
    :param now: the time of day, with a time zone.
    """

    _log = Logger()

    def __init__(
        self,
        files: Sequence[str],
        is_own: bool,
        tls: ServerTls,
        renew: Callable[[], bool],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._files = files
        self._is_own = is_own
        self._tls = tls
        self._renew = renew
        self._clock = clock
        self._now = now
        self._seen = self._taken = self._stamps()
        self._warn_at = 0.0
        self._rounds = Rounds(self._look, clock, LOOK_EVERY)

    def renew(self) -> bool:
        """Have it read again at once, whether or not its files have changed. Tells whether it was good."""
        before = self._stamps()
        good = self._renew()
        self._seen = self._taken = self._stamps() if self._is_own else before
        return good

    def start(self) -> None:
        """Begin."""
        self._warn_at = self._clock.seconds()
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Come to an end."""
        return self._rounds.stop()

    def _look(self) -> Deferred[None]:
        stamps = self._stamps()
        if stamps == self._seen != self._taken:
            self._log.info("certificate files changed; reloading")
            self.renew()
        else:
            self._seen = stamps
        if self._clock.seconds() >= self._warn_at:
            self._warn_at = self._clock.seconds() + WARN_EVERY
            self._look_at_time()
        return succeed(None)

    def _look_at_time(self) -> None:
        left = self._tls.expires - self._now()
        if self._is_own and left <= RENEW_BEFORE:
            self.renew()
        elif left <= timedelta():
            self._log.warn("certificate expired on {day:%Y-%m-%d}", day=self._tls.expires)
        elif left <= WARN_BEFORE:
            self._log.warn(
                "certificate expires on {day:%Y-%m-%d}, in {days} days", day=self._tls.expires, days=left.days
            )

    def _stamps(self) -> Sequence[_Stamp | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: str) -> _Stamp | None:
    """The stamp of a file, links followed; ``None`` if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
