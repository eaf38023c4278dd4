"""The parent of several processes, which starts, asks and stops its workers (:mod:`callnet.ops.worker_pipes`)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

import msgspec
from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessTransport,
    IReactorFromThreads,
    IReactorProcess,
    IReactorTime,
)
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from callnet.config.schema import Settings
from callnet.errors import CallnetError, Unavailable
from callnet.ops.admin_api import MAY_BE_LATE, OF_DATABASE, SILENT, AdminCommand, AdminResult, ChooseLevel, together
from callnet.ops.listening import ADMIN, OpenListener, close_all, hold, let_go
from callnet.ops.logs import FIELDS
from callnet.ops.metrics import Family, Observed, counters, total
from callnet.ops.process import Renewals, ServiceManager, ignore_hangups, on_hangup, stop_as_told
from callnet.ops.readiness import DRAINING, LISTENERS, Check, Report, report_of
from callnet.ops.worker_pipes import (
    ANSWERS,
    COMPLAINTS,
    LOG,
    ORDERS,
    SOCKETS,
    Answer,
    Ask,
    Hurry,
    Lines,
    LogLine,
    Question,
    Reload,
    Start,
    decode_answer,
    decode_log_line,
    encode,
)
from callnet.storage.database import LIMIT as DATABASE_LIMIT
from callnet.util.deferreds import as_deferred
from callnet.util.logger import Logger, threshold
from callnet.util.timers import Backoff, EarliestTimer, PeriodicTask, end_of

ANSWER_LIMIT: Final = 1.0
"""Seconds that an answer may take ..."""
LATE_LIMIT: Final = DATABASE_LIMIT + ANSWER_LIMIT
"""... and one to an order that may be late: it may wait for the database."""


class Gone(CallnetError):
    """The process ended before it answered."""


class WorkerProcess(ProcessProtocol):
    """One process.

    :param name: what its lines in the log begin with.
    :param start: how it is to serve.
    :param serves: called with its number when it takes connections.
    :param ended: called when it is gone, with how it came to its end.
    """

    transport: IProcessTransport

    def __init__(self, name: str, start: Start, serves: Callable[[int], None], ended: Callable[[str], None]) -> None:
        self._name = name
        self._start = start
        self._serves = serves
        self._ended = ended
        self._lines = {LOG: Lines(), COMPLAINTS: Lines(), ANSWERS: Lines()}
        self._take = {LOG: self._log_line, COMPLAINTS: self._complaint, ANSWERS: self._answer}
        self._asked: dict[int, Deferred[Answer]] = {}
        self._last_asked = 0
        self._listens = True

    def connectionMade(self) -> None:
        """It runs."""
        self.tell(self._start)

    def ask(self, what: Question, clock: IReactorTime, limit: float = ANSWER_LIMIT) -> Deferred[Answer]:
        """Ask it for its readiness, or for what it counted, or hand an order on.

        :raises Gone, TimeoutError: it did not answer, within ``limit`` seconds.
        """
        self._last_asked = number = self._last_asked + 1
        answer: Deferred[Answer] = Deferred(lambda _: self._forget(number))
        self._asked[number] = answer
        self.tell(Ask(number, what))
        return answer.addTimeout(limit, clock)

    def tell(self, order: Start | Ask | Reload | Hurry) -> None:
        """Send it an order, as long as it listens."""
        if self._listens:
            self.transport.writeToChild(ORDERS, encode(order))

    def kill(self, name: str) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(name)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Something came by one of its pipes."""
        for line in self._lines[childFD].feed(data):
            self._take[childFD](line)

    def childConnectionLost(self, childFD: int) -> None:
        """One of its pipes has come to its end."""
        if childFD == ORDERS:
            self._listens = False
            return
        for line in self._lines[childFD].end():
            self._take[childFD](line)

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and all that it wrote was read."""
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            answer.errback(Gone())
        self._ended(end_of(reason))

    def _forget(self, number: int) -> None:
        del self._asked[number]

    def _answer(self, line: bytes) -> None:
        answer = decode_answer(line)
        if not isinstance(answer, Answer):
            self._serves(self.transport.pid)
        elif (asked := self._asked.pop(answer.number, None)) is not None:
            asked.callback(answer)

    def _log_line(self, line: bytes) -> None:
        try:
            said = decode_log_line(line)
        except (msgspec.MsgspecError, UnicodeError):
            self._complaint(line)  # a library has written past the log
        else:
            self._write(said)

    def _complaint(self, line: bytes) -> None:
        self._write(LogLine(LogLevel.warn.name, __name__, line.decode("utf-8", "replace")))

    def _write(self, said: LogLine) -> None:
        log = Logger(namespace=said.system)
        level = LogLevel.levelWithName(said.level)
        log.emit(level, "{worker}: {text}", worker=self._name, text=said.text, **{FIELDS: said.fields})


PROGRAM: Final = (sys.executable, "-P", "-m", "callnet.worker")

LONGEST_PAUSE: Final = 10.0
"""Seconds, at the most, between the end of a process and the start of the next."""
STOP_LIMIT: Final = 7.0
"""Seconds that a process may take to stop when its calls are over or given up: its devices have 5 of them."""
WATCH_EVERY: Final = 5.0
"""Seconds for which a question waits that only shows that a process answers; and the pause before each."""
STUCK: Final = 30.0
"""Seconds without an answer after which a process is stuck: the time that systemd gives a process (``WatchdogSec``)."""


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
        self._backoff = Backoff(reactor, LONGEST_PAUSE)
        self._next: IDelayedCall | None = None
        self._watch = LoopingCall(self._ask_how_it_is)
        self._watch.clock = reactor
        self._unanswered = 0.0
        self._gone: Deferred[None] | None = None
        self._limit = EarliestTimer(reactor, self._end_it)
        self._counted: Sequence[Family] = ()
        self._counted_before: Sequence[Family] = ()

    def start(self) -> None:
        """Start a process, and another whenever it ends."""
        self._next = None
        self._why = "starting"
        self._backoff.begin()
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
        self._gone = Deferred()
        self._process.kill("TERM")
        self._watch_no_more()
        self._limit.set_in(STOP_LIMIT + self._settings.drain_deadline)
        return self._gone

    def hurry(self) -> None:
        """Have its process, which was told to stop, wait for nobody any more."""
        if self._process is not None:
            self._process.tell(Hurry())
            self._limit.set_in(STOP_LIMIT)

    def reload(self, what: str) -> None:
        """Have its process read something again."""
        if self._process is not None:
            self._process.tell(Reload(what, self._settings if what == "settings" else None))

    def look(self) -> Deferred[tuple[Check, Report | None]]:
        """Its readiness, and its own report if it answers."""
        if self._process is None or not self._serving:
            return succeed((Check(False, self._why), None))
        return self._process.ask("report", self._reactor).addCallbacks(_check, _no_answer)

    def families(self) -> Deferred[Sequence[Family]]:
        """The metrics of its processes, those that ended included, as last reported."""
        if self._process is None or not self._serving:
            return succeed(self._counted_before)
        return self._process.ask("families", self._reactor).addCallbacks(self._note, self._as_noted)

    @property
    def serves(self) -> bool:
        """True if its process takes connections."""
        return self._process is not None and self._serving

    def execute(self, order: AdminCommand) -> Deferred[AdminResult | None]:
        """Have its process carry out an order. ``None``: it cannot now."""
        if self._process is None or not self._serving:
            return succeed(SILENT)
        limit = LATE_LIMIT if isinstance(order, MAY_BE_LATE) else ANSWER_LIMIT
        return self._process.ask(order, self._reactor, limit).addCallbacks(lambda answer: answer.outcome, _silent)

    def _note(self, answer: Answer) -> Sequence[Family]:
        self._counted = answer.families
        return total([answer.families, self._counted_before])

    def _as_noted(self, failure: Failure) -> Sequence[Family]:
        failure.trap(Gone, defer.TimeoutError)
        return total([counters(self._counted), self._counted_before])

    def _begins(self, pid: int) -> None:
        self._serving = True
        self._unanswered = 0.0
        self._watch.start(WATCH_EVERY, now=False)
        self._log.info("worker {number} started: process {pid}", number=self._number, pid=pid)

    def _ended(self, how: str) -> None:
        self._serving = False
        self._process = None
        self._watch_no_more()
        self._counted, self._counted_before = (), total([counters(self._counted), self._counted_before])
        self._limit.unset()
        if self._gone is not None:
            self._gone.callback(None)
            return
        self._why = how
        pause = self._backoff.pause()
        self._log.warn("worker {number} {how}; restarting in {pause:g} s", number=self._number, how=how, pause=pause)
        self._next = self._reactor.callLater(pause, self.start)

    def _ask_how_it_is(self) -> Deferred[None]:
        """Ask its process, and kill it if it has been stuck for too long.

        Each question waits by itself: a parent that stood still has heard nobody meanwhile, and has asked nobody.
        """
        process = cast(WorkerProcess, self._process)
        return process.ask("report", self._reactor, WATCH_EVERY).addCallbacks(self._is_well, self._is_silent)

    def _is_well(self, _: Answer) -> None:
        self._unanswered = 0.0

    def _is_silent(self, failure: Failure) -> None:
        if failure.trap(Gone, defer.TimeoutError) is Gone:
            return
        self._unanswered += 2 * WATCH_EVERY  # that of the question, and the pause before it
        if self._unanswered >= STUCK:
            self._kill(f"no answer for {STUCK:g} s")

    def _watch_no_more(self) -> None:
        if self._watch.running:
            self._watch.stop()

    def _end_it(self) -> None:
        self._kill("it did not stop in time")

    def _kill(self, why: str) -> None:
        if self._process is not None:
            self._log.warn("killed worker {number}: {why}", number=self._number, why=why)
            self._process.kill("KILL")


def _check(answer: Answer) -> tuple[Check, Report | None]:
    report = cast(Report, answer.report)
    return Check(report.ready, "" if report.ready else "not ready"), report


def _silent(failure: Failure) -> AdminResult:
    failure.trap(Gone, defer.TimeoutError)
    return SILENT


def _no_answer(failure: Failure) -> tuple[Check, Report | None]:
    failure.trap(Gone, defer.TimeoutError)
    return Check(False, f"no answer within {ANSWER_LIMIT:g} s"), None


_LOOK_AGAIN: Final = 0.1
"""Seconds between two looks at whether all workers are ready, at a start."""


class Workers:
    """All workers.

    :param settings: what they serve by.
    :param own: what the parent has counted itself.
    """

    def __init__(
        self,
        count: int,
        settings: Settings,
        reactor: IParentReactor,
        own: Callable[[], Sequence[Family]] = tuple,
    ) -> None:
        self._own = own
        self.observed: Final = Observed(self._report, self._families, self._obey, stop_as_told)
        self._count = count
        self._settings = settings
        self._reactor = reactor
        self._workers: Sequence[Worker] = ()
        self._look: IDelayedCall | None = None
        self._stopping = False

    def start(self, sockets: Mapping[str, int], all_ready: Callable[[], None]) -> None:
        """Start them.

        :param sockets: the listening sockets that they share, by the key of the listener.
        :param all_ready: called once, when all of them are ready for the first time.
        """
        self._workers = [Worker(number, self._settings, sockets, self._reactor) for number in range(1, self._count + 1)]
        for worker in self._workers:
            worker.start()
        self._look_later(all_ready)

    def renew(self, what: str, renew: Callable[[], bool]) -> bool:
        """Read something again here, and if it is good have all of them read it."""
        good = renew()
        if good:
            for worker in self._workers:
                worker.reload(what)
        return good

    def stop(self) -> Deferred[None]:
        """End them; fires when all are gone."""
        self._stopping = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
        return gatherResults([worker.stop() for worker in self._workers]).addCallback(lambda _: None)

    def hurry(self) -> None:
        """Have them wait for nobody any more: they were told to stop."""
        for worker in self._workers:
            worker.hurry()

    def _look_later(self, all_ready: Callable[[], None]) -> None:
        self._look = self._reactor.callLater(_LOOK_AGAIN, self._look_at_all, all_ready)

    def _look_at_all(self, all_ready: Callable[[], None]) -> None:
        self._look = None
        self._report().addCallback(self._looked, all_ready)

    def _looked(self, report: Report, all_ready: Callable[[], None]) -> None:
        if report.ready:
            all_ready()
        elif not self._stopping:
            self._look_later(all_ready)

    def _report(self) -> Deferred[Report]:
        return gatherResults([worker.look() for worker in self._workers]).addCallback(self._sum_up)

    def _sum_up(self, looks: Iterable[tuple[Check, Report | None]]) -> Report:
        checks = {LISTENERS: Check(False, DRAINING) if self._stopping else Check(True)}
        reports: dict[str, Report] = {}
        for number, (check, report) in enumerate(looks, 1):
            checks[f"worker {number}"] = check
            if report is not None:
                reports[str(number)] = report
        return report_of(checks, reports)

    @as_deferred
    async def _obey(self, order: AdminCommand) -> AdminResult:
        """Pass an order to the workers concerned: what is in the database needs only one of them."""
        if isinstance(order, OF_DATABASE):
            return await self._obey_by_one(order)
        if isinstance(order, ChooseLevel):
            threshold.choose(order.level)
        outcomes = await gatherResults([worker.execute(order) for worker in self._workers])
        return together(outcome or SILENT for outcome in outcomes)

    async def _obey_by_one(self, order: AdminCommand) -> AdminResult:
        """Pass an order to one worker after the other, until one answers. Those before it may have done it, too."""
        silent: list[AdminResult] = []
        for worker in [worker for worker in self._workers if worker.serves]:
            outcome = await worker.execute(order)
            if outcome is None:
                break
            if not outcome.silent:
                return together([*silent, outcome])
            silent.append(outcome)
        raise Unavailable("no worker is ready; try again later")

    def _families(self) -> Deferred[Sequence[Family]]:
        asked = gatherResults([worker.families() for worker in self._workers])
        return asked.addCallback(lambda found: total([*found, self._own()]))


class Supervisor(Service):
    """The parent of workers.

    :param listeners: what is open; the workers take connections from all but the operator's.
    :param chores: what goes on here meanwhile.
    :param afterwards: what begins when all workers are ready, since others connect to them for it.
    :param manager: it tells systemd how this process and its workers are.
    :param settings: what it goes by itself.
    :param renewals: what is read again at SIGHUP, here and by the workers.
    """

    name = "callnet"
    _log = Logger()

    def __init__(
        self,
        workers: Workers,
        listeners: Sequence[OpenListener],
        chores: Sequence[PeriodicTask],
        afterwards: Sequence[PeriodicTask],
        manager: ServiceManager,
        settings: Settings,
        greeting: Iterable[str],
        renewals: Renewals,
        reactor: IReactorFromThreads,
    ) -> None:
        self._workers = workers
        self._served = [each for each in listeners if each.service != ADMIN]
        self._own = [each for each in listeners if each.service == ADMIN]
        self._chores = chores
        self._afterwards = afterwards
        self._manager = manager
        self._settings = settings
        self._greeting = "\n".join(greeting)
        self._renewals = renewals
        self._reactor = reactor
        self._sockets = hold(self._served)

    def startService(self) -> None:
        """Start the workers."""
        super().startService()  # type: ignore[no-untyped-call]
        on_hangup(self._reactor, self._reload_all)
        self._workers.start(self._sockets, self._all_ready)
        for chore in self._chores:
            chore.start()
        self._manager.start(self._workers.observed)

    def stopService(self) -> Deferred[None]:
        """Take no more connections, and fire when all workers are gone."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    def hurry(self) -> None:
        """Wait for no call any more; it was told to stop."""
        self._workers.hurry()

    def _all_ready(self) -> None:
        self._log.info("{greeting}", greeting=self._greeting)
        for task in self._afterwards:
            task.start()

    async def _stop(self) -> None:
        ignore_hangups()
        self._manager.stopping(self._settings.drain_deadline)
        await gatherResults([let_go(self._served), self._workers.stop()])
        await gatherResults([task.stop() for task in (*self._chores, *self._afterwards)])
        await close_all(self._own)
        self._manager.end()

    def _reload_all(self) -> None:
        for renew in self._renewals.values():
            renew()
