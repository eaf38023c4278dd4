"""The daemon's counts of pages in browsers."""

from __future__ import annotations

from typing import Final, get_args

from callnet.cli.status import Running
from callnet.frames.page import MediaPath
from tests.browser.continuity import wait_until
from tests.browser.visitor import Visitor
from tests.support.daemon import Daemon

_PATHS: Final[tuple[str, ...]] = get_args(MediaPath)


def await_set_up(daemon: Daemon, visitor: Visitor) -> str:
    """Wait until exactly two pages have told the daemon how they became connected; returns how media goes."""

    def told() -> dict[str, float]:
        numbers = Running(daemon.admin_url).numbers()
        return {path: numbers["callnet_media_setup_seconds_count", path] for path in _PATHS}

    wait_until(visitor, lambda: sum(told().values()) >= 2, "what both pages tell of their connection")
    [(path, count)] = [(path, count) for path, count in told().items() if count]
    assert count == 2, told()
    assert 0 < Running(daemon.admin_url).numbers()["callnet_media_setup_seconds_sum", path] < 2 * 120
    assert failed_set_ups(daemon) == 0
    return path


def failed_set_ups(daemon: Daemon) -> float:
    """The number of failed connections between two pages that were reported to the daemon."""
    return Running(daemon.admin_url).numbers()["callnet_media_setup_failed_total", ""]
