"""Daemons that many tests share, one for each settings: a start takes far longer than most tests.

A test that has one leaves its settings as they are, and uses phone numbers and rooms of its own. It may stop it: it is
started again for the next.
"""

from __future__ import annotations

import atexit
from itertools import count
from typing import Any

from twisted.trial.unittest import TestCase

from harness import daemon
from harness.leaks import check
from tests.support.daemon import Daemon

_daemons: dict[tuple[Any, ...], SharedDaemon] = {}
"""The daemons by settings and options."""
_numbers = count(1)


class SharedDaemon(Daemon):
    """A daemon whose log is, for a test, the part since the test took it."""

    _taken_at = 0

    @property
    def log(self) -> str:
        """See :class:`harness.daemon.Daemon`."""
        return super().log[self._taken_at :]

    @property
    def is_running(self) -> bool:
        """True if it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """See :class:`harness.daemon.Daemon`."""
        super().launch()
        self._taken_at = 0

    def take(self) -> None:
        """Look through the log, and begin another."""
        log = self.log
        self._taken_at += len(log)
        self._looked_at = self._taken_at
        check(log)


def new_phone() -> str:
    """A phone number that no other test has."""
    return f"139{next(_numbers):08}"


async def shared_daemon(case: TestCase, settings: str = "", **options: Any) -> SharedDaemon:
    """The daemon with these settings, started for the first test. If a test's log of it holds a secret the test fails.

    :param options: of :class:`harness.daemon.Daemon`, hashable.
    """
    key = (settings, *sorted(options.items()))
    if key not in _daemons:
        _daemons[key] = SharedDaemon(case.mktemp(), settings, **options)
        # Not when the reactor stops: in a worker of `trial --jobs` it never does.
        atexit.register(daemon.Daemon.stop, _daemons[key])
    found = _daemons[key]
    if not found.is_running:
        await found.start()
    found.take()
    case.addCleanup(found.take)
    return found
