"""The program of one worker process: ``python -m callnet.worker``, as its parent starts it.

See :mod:`callnet.ops.worker_pipes` for the pipes that it must find.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.logger import ILogObserver, LogEvent, eventAsText, globalLogBeginner
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import provider

from callnet.app.service import Daemon
from callnet.errors import StartError
from callnet.ops.admin_api import AdminResult
from callnet.ops.logs import fields_of, log_queue
from callnet.ops.worker_pipes import (
    ANSWERS,
    LOG,
    ORDERS,
    Answer,
    Ask,
    Hurry,
    LogLine,
    Serving,
    decode_order,
    decode_start,
    encode,
)
from callnet.tap import compose_worker, steady_reactor
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger, threshold

_log = Logger()
_cannot = logged_unless_unavailable(_log, "failed to carry out an order")


def main() -> None:
    """Serve until SIGTERM comes, or the end of the parent."""
    reactor = steady_reactor()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent too, which then says SIGTERM
    globalLogBeginner.beginLoggingTo([_write_log])
    with open(ORDERS, "rb", buffering=0, closefd=False) as orders:
        line = orders.readline()
    if not line:
        sys.exit(1)
    start = decode_start(line)
    threshold.choose(start.level)
    try:
        daemon = compose_worker(start.settings, reactor, start.sockets)
    except StartError as error:
        _log.error("{error}", error=error)
        sys.exit(1)
    log_queue.serve(reactor)
    _run(daemon, reactor)


def _run(daemon: Daemon, reactor: Any) -> None:
    stopping = False

    def stop() -> None:
        # SIGTERM may come again, or the end of the parent with it, before the reactor has begun to shut down.
        nonlocal stopping
        if not stopping:
            stopping = True
            reactor.stop()

    reactor.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    reactor.callWhenRunning(StandardIO, Orders(daemon, stop), ORDERS, ANSWERS, reactor)
    daemon.startService()
    # Twisted's own handler would complain of a second SIGTERM, and systemd sends one to every process there is.
    signal.signal(signal.SIGTERM, lambda _number, _frame: reactor.callFromThread(stop))
    reactor.run(installSignalHandlers=False)


class Orders(LineOnlyReceiver):
    """Does what the parent says. When the parent is gone, the worker goes too."""

    transport: ITransport
    delimiter = b"\n"
    MAX_LENGTH = sys.maxsize
    """All settings are one line, and it is the parent's. A longer line would end the connection, as its end does."""

    def __init__(self, daemon: Daemon, stop: Callable[[], None]) -> None:
        self._daemon = daemon
        self._stop = stop

    def connectionMade(self) -> None:
        """The reactor runs, so that the listeners take connections."""
        self._say(Serving())

    def lineReceived(self, line: bytes) -> None:
        """Do one thing."""
        order = decode_order(line)
        if isinstance(order, Ask):
            self._answer(order)
        elif isinstance(order, Hurry):
            self._daemon.hurry()
        elif order.settings is not None:
            self._daemon.live.take_over(order.settings)
        else:
            self._daemon.reload([order.what])

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Stop, and wait for no calls: another parent wants to listen where this worker does."""
        self._daemon.hurry()
        self._stop()

    def _answer(self, ask: Ask) -> None:
        observed = self._daemon.observed
        if ask.what == "report":
            observed.report().addCallback(lambda report: self._say(Answer(ask.number, report=report)))
        elif ask.what == "families":
            observed.families().addCallback(lambda families: self._say(Answer(ask.number, families=families)))
        else:
            result: Deferred[AdminResult | None] = observed.execute(ask.what).addErrback(_cannot)
            result.addCallback(lambda outcome: self._say(Answer(ask.number, outcome=outcome)))

    def _say(self, message: Serving | Answer) -> None:
        self.transport.write(encode(message))


@provider(ILogObserver)
def _write_log(event: LogEvent) -> None:
    """Hand an event of the log to the parent, at once: the next may be the last."""
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    system = event.get("log_system") or event.get("log_namespace", "-")
    line = LogLine(event["log_level"].name, system, text, fields_of(event))
    data = memoryview(encode(line))
    while data:
        data = data[os.write(LOG, data) :]


if __name__ == "__main__":
    main()
