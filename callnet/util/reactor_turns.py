"""A shorter turn of the reactor, without the log context that Twisted sets up for each event.

Around each event Twisted sets up a context that names its owner, for log messages of a kind that callnet does
not write. That takes as long as handling a short frame itself. :func:`shorten` makes a reactor call the handlers
only.

The internals of a reactor are not a stable interface of Twisted. So this is done only for versions of Twisted that
it was tested with, for its usual reactor, and in no other module.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.epollreactor import EPollReactor

from callnet.util import short_path
from callnet.util.direct_write import IS_TRIED
from callnet.util.logger import Logger

log = Logger()


def shorten(reactor: Any) -> None:
    """Shorten the turns of a reactor, if it is one of those that are known."""
    if short_path.ON and IS_TRIED and type(reactor) is EPollReactor:
        reactor.doIteration = partial(_turn, reactor)  # type: ignore[method-assign]


def _turn(reactor: Any, timeout: float | None) -> None:
    """Wait for events, at most ``timeout`` seconds, and handle them."""
    selectables = reactor._selectables  # noqa: SLF001
    handle = reactor._doReadOrWrite  # noqa: SLF001
    try:
        events = reactor._poller.poll(-1 if timeout is None else timeout, len(selectables))  # noqa: SLF001
    except InterruptedError:
        return
    for descriptor, event in events:
        selectable = selectables.get(descriptor)
        if selectable is not None:
            try:
                handle(selectable, descriptor, event)
            except Exception:  # noqa: BLE001  the next event has nothing to do with it
                log.failure("failed to handle a reactor event")
