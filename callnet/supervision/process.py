"""One worker process as its parent sees it: its pipes and its end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Literal, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import LogLevel
from twisted.python.failure import Failure

from callnet.config.schema import Settings
from callnet.errors import CallnetError
from callnet.ops.admin_commands import AdminCommand, AdminResult
from callnet.ops.logs import FIELDS
from callnet.ops.metrics import Family
from callnet.ops.readiness import Report
from callnet.supervision import messages
from callnet.supervision.messages import ANSWERS, COMPLAINTS, LOG, ORDERS, Answer, Ask, Hurry, Lines, LogLine, Reload
from callnet.util.logger import Logger

ANSWER_LIMIT: Final = 1.0
"""Seconds that an answer may take."""


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

    def __init__(
        self, name: str, start: messages.Start, serves: Callable[[int], None], ended: Callable[[str], None]
    ) -> None:
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
        self._tell(self._start)

    def report(self, clock: IReactorTime) -> Deferred[Report]:
        """Ask it for its readiness.

        :raises Gone, TimeoutError: it did not answer, within :data:`ANSWER_LIMIT`.
        """
        return self._ask("report", clock).addCallback(lambda answer: cast(Report, answer.report))

    def families(self, clock: IReactorTime) -> Deferred[Sequence[Family]]:
        """Ask it for what it counted.

        :raises Gone, TimeoutError: it did not answer, within :data:`ANSWER_LIMIT`.
        """
        return self._ask("families", clock).addCallback(lambda answer: answer.families)

    def execute(self, order: AdminCommand, clock: IReactorTime) -> Deferred[AdminResult | None]:
        """Hand an order on; ``None``: it cannot be carried out now.

        :raises Gone, TimeoutError: it did not answer, within :data:`ANSWER_LIMIT`.
        """
        return self._ask(order, clock).addCallback(lambda answer: answer.outcome)

    def reload(self, what: str, settings: Settings | None) -> None:
        """Have it read something again, or take over settings."""
        self._tell(Reload(what, settings))

    def hurry(self) -> None:
        """Have it wait for nobody any more: it was told to stop."""
        self._tell(Hurry())

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
        self._ended(_end(reason))

    def _ask(self, what: Literal["report", "families"] | AdminCommand, clock: IReactorTime) -> Deferred[Answer]:
        self._last_asked = number = self._last_asked + 1
        answer: Deferred[Answer] = Deferred(lambda _: self._forget(number))
        self._asked[number] = answer
        self._tell(Ask(number, what))
        return answer.addTimeout(ANSWER_LIMIT, clock)

    def _forget(self, number: int) -> None:
        del self._asked[number]

    def _tell(self, order: messages.Start | Ask | Reload | Hurry) -> None:
        if self._listens:
            self.transport.writeToChild(ORDERS, messages.encode(order))

    def _answer(self, line: bytes) -> None:
        answer = messages.decode_answer(line)
        if not isinstance(answer, Answer):
            self._serves(self.transport.pid)
        elif (asked := self._asked.pop(answer.number, None)) is not None:
            asked.callback(answer)

    def _log_line(self, line: bytes) -> None:
        try:
            said = messages.decode_log_line(line)
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


def _end(reason: Failure) -> str:
    """The end of a process, in a few words."""
    ended = reason.value
    if not isinstance(ended, ProcessTerminated):
        return "stopped"
    if ended.signal is not None:
        return f"was killed by {signal.Signals(ended.signal).name}"
    return f"exited with status {ended.exitCode}"
