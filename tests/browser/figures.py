"""The daemon's counts of pages in browsers."""

from __future__ import annotations

from typing import Final, get_args

from callnet.cli.status import Running
from callnet.frames.page import MediaPath
from tests.browser.visitor import Visitor
from tests.support.daemon import Daemon

_PATHS: Final[tuple[str, ...]] = get_args(MediaPath)


def await_set_up(daemon: Daemon, visitor: Visitor) -> str:
    """Wait until exactly two pages have told the daemon how they became connected; returns how media goes."""
    for _ in range(100):
        numbers = Running(daemon.admin_url).numbers()
        told = {path: numbers["callnet_media_setup_seconds_count", path] for path in _PATHS}
        if sum(told.values()) >= 2:
            break
        visitor.wait(100)
    [path] = [path for path in _PATHS if told[path]]
    assert told[path] == 2, told
    assert 0 < numbers["callnet_media_setup_seconds_sum", path] < 2 * 120
    assert failed_set_ups(daemon) == 0
    return path


def failed_set_ups(daemon: Daemon) -> float:
    """The number of failed connections between two pages that were reported to the daemon."""
    return Running(daemon.admin_url).numbers()["callnet_media_setup_failed_total", ""]
