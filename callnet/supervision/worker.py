"""One worker across restarts: a new process takes the place of one that died."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Final

from twisted.internet import defer
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime
from twisted.python.failure import Failure

from callnet.config.schema import Settings
from callnet.ops.admin_commands import Order, Outcome
from callnet.ops.metrics import Family, counters, total
from callnet.ops.readiness import Check, Report
from callnet.supervision.messages import ANSWERS, COMPLAINTS, LOG, ORDERS, SOCKETS, Start
from callnet.supervision.process import ANSWER_LIMIT, Gone, WorkerProcess
from callnet.util.logger import Logger, threshold

PROGRAM: Final = (sys.executable, "-P", "-m", "callnet.worker")

FIRST_PAUSE: Final = 0.1
"""Seconds between the end of a process and the start of the next; doubled for each that dies young."""
LONGEST_PAUSE: Final = 10.0
OLD_AGE: Final = 60.0
"""Seconds that a process must have lived for its end to be no sign that the next will die as well."""
STOP_LIMIT: Final = 7.0
"""Seconds that a process may take to stop when its calls are over or given up: its devices have 5 of them."""


class IParentReactor(IReactorTime, IReactorProcess):
    """The reactor that a parent needs."""


class Worker:
    """Keeps one process running.

    :param settings: what each of its processes serves by.
    :param sockets: the listening sockets that it takes connections from, by the key of the listener.
    """

    _log = Logger()

    def __init__(self, number: int, settings: Settings, sockets: Mapping[str, int], reactor: IParentReactor) -> None:
        self._number = number
        self._serving = False
        self._reactor = reactor
        self._descriptors = dict(enumerate(sockets.values(), SOCKETS))
        self._settings = settings
        self._sockets = dict(zip(sockets, self._descriptors, strict=True))
        self._process: WorkerProcess | None = None
        self._why = ""
        self._born = 0.0
        self._pause = FIRST_PAUSE
        self._next: IDelayedCall | None = None
        self._gone: Deferred[None] | None = None
        self._counted: Sequence[Family] = ()
        self._counted_before: Sequence[Family] = ()

    def start(self) -> None:
        """Start a process, and another whenever it ends."""
        self._next = None
        self._why = "starting"
        self._born = self._reactor.seconds()
        start = Start(self._settings, self._sockets, threshold.level.name)
        self._process = WorkerProcess(f"worker {self._number}", start, self._begins, self._ended)
        pipes = {ORDERS: "w", LOG: "r", COMPLAINTS: "r", ANSWERS: "r"}
        try:
            self._reactor.spawnProcess(
                self._process, PROGRAM[0], PROGRAM, env=None, childFDs={**pipes, **self._descriptors}
            )
        except OSError as error:
            self._ended(f"could not be started: {error.strerror}")

    def stop(self) -> Deferred[None]:
        """End its process, and start no other. Fires when it is gone."""
        if self._next is not None:
            self._next.cancel()
            self._next = None
        if self._process is None:
            return succeed(None)
        self._gone = gone = Deferred[None]()
        self._process.kill("TERM")
        limit = self._reactor.callLater(STOP_LIMIT + self._settings.drain_deadline, self._end_it)
        return gone.addCallback(lambda _: limit.cancel() if limit.active() else None)

    def hurry(self) -> None:
        """Have its process, which was told to stop, wait for nobody any more."""
        if self._process is not None:
            self._process.hurry()

    def reload(self, what: str) -> None:
        """Have its process read something again."""
        if self._process is not None:
            self._process.reload(what, self._settings if what == "settings" else None)

    def look(self) -> Deferred[tuple[Check, Report | None]]:
        """Its readiness, and its own report if it answers."""
        if self._process is None or not self._serving:
            return succeed((Check(False, self._why), None))
        return self._process.report(self._reactor).addCallbacks(_check, _no_answer)

    def families(self) -> Deferred[Sequence[Family]]:
        """The metrics of its processes, those that ended included, as last reported."""
        if self._process is None or not self._serving:
            return succeed(self._counted_before)
        return self._process.families(self._reactor).addCallbacks(self._note, self._as_noted)

    @property
    def serves(self) -> bool:
        """True if its process takes connections."""
        return self._process is not None and self._serving

    def obey(self, order: Order) -> Deferred[Outcome | None]:
        """Have its process carry out an order. ``None``: it cannot, or does not answer."""
        if self._process is None or not self._serving:
            return succeed(None)
        return self._process.obey(order, self._reactor).addErrback(_nothing)

    def _note(self, counted: Sequence[Family]) -> Sequence[Family]:
        self._counted = counted
        return total([counted, self._counted_before])

    def _as_noted(self, failure: Failure) -> Sequence[Family]:
        failure.trap(Gone, defer.TimeoutError)
        return total([counters(self._counted), self._counted_before])

    def _begins(self, pid: int) -> None:
        self._serving = True
        self._log.info("worker {number} started: process {pid}", number=self._number, pid=pid)

    def _ended(self, how: str) -> None:
        self._serving = False
        self._process = None
        self._counted, self._counted_before = (), total([counters(self._counted), self._counted_before])
        if self._gone is not None:
            self._gone.callback(None)
            return
        if self._reactor.seconds() - self._born >= OLD_AGE:
            self._pause = FIRST_PAUSE
        self._why = how
        self._log.warn(
            "worker {number} {how}; restarting in {pause:g} s", number=self._number, how=how, pause=self._pause
        )
        self._next = self._reactor.callLater(self._pause, self.start)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)

    def _end_it(self) -> None:
        if self._process is not None:
            self._log.warn("killed worker {number}: it did not stop in time", number=self._number)
            self._process.kill("KILL")


def _check(report: Report) -> tuple[Check, Report | None]:
    return Check(report.ready, "" if report.ready else "not ready"), report


def _nothing(failure: Failure) -> None:
    failure.trap(Gone, defer.TimeoutError)


def _no_answer(failure: Failure) -> tuple[Check, Report | None]:
    failure.trap(Gone, defer.TimeoutError)
    return Check(False, f"no answer within {ANSWER_LIMIT:g} s"), None
