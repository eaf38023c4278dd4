"""The parent of two workers, on a clock of its own, with scripted processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IReactorProcess, IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.config.schema import CallSettings, Settings
from callnet.ops.worker_pipes import (
    ANSWERS,
    COMPLAINTS,
    LOG,
    ORDERS,
    Answer,
    LogLine,
    Serving,
    Start,
    decode_order,
    decode_start,
    encode,
)
from callnet.supervision import IParentReactor, Workers

SETTINGS = Settings(calls=CallSettings(ring_time=7))


class Process:
    """A worker process, as far as its parent can tell."""

    def __init__(self, protocol: Any, arguments: Sequence[str], descriptors: Mapping[int, int | str]) -> None:
        self.arguments = arguments
        self.descriptors = descriptors
        self.signals: list[str] = []
        self.reaped = False
        self.pid = 4711
        self._protocol = protocol
        self._orders: list[bytes] = []
        protocol.makeConnection(self)

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """Take an order."""
        assert descriptor == ORDERS
        self._orders.append(data)

    def signalProcess(self, name: str) -> None:
        """Take a signal."""
        if self.reaped:
            raise ProcessExitedAlready
        self.signals.append(name)

    @property
    def start(self) -> Start:
        """The order to start serving."""
        return decode_start(self._orders[0])

    @property
    def orders(self) -> list[Any]:
        """The other orders."""
        return [decode_order(line) for line in self._orders[1:]]

    def say(self, message: Serving | Answer | LogLine) -> None:
        """Tell the parent something."""
        self.write(LOG if isinstance(message, LogLine) else ANSWERS, encode(message))

    def write(self, descriptor: int, data: bytes) -> None:
        """Write to one of the pipes."""
        self._protocol.childDataReceived(descriptor, data)

    def answer(self, **answer: Any) -> None:
        """Answer the last question."""
        self.say(Answer(self.orders[-1].number, **answer))

    def end(self, signal: int | None = None, status: int = 0) -> None:
        """Come to an end."""
        for descriptor in (ORDERS, LOG, COMPLAINTS, ANSWERS):
            self._protocol.childConnectionLost(descriptor)
        exited = ProcessTerminated(None if signal else status, signal) if signal or status else ProcessDone(0)
        self._protocol.processEnded(Failure(exited))


@implementer(IReactorTime, IReactorProcess)
class Reactor(Clock):
    """A reactor that starts no processes, and remembers which it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[Process] = []
        self.refuses = False

    def spawnProcess(self, processProtocol: Any, _executable: Any, args: Sequence[str], **options: Any) -> Any:  # type: ignore[override]
        """Start a process."""
        if self.refuses:
            raise OSError(11, "Resource temporarily unavailable")
        assert options["env"] is None
        self.processes.append(Process(processProtocol, args, options["childFDs"]))


class WorkersTestCase(SynchronousTestCase):
    """Two workers with one socket."""

    def setUp(self) -> None:
        """Start them."""
        self.reactor = Reactor()
        self.workers = Workers(2, SETTINGS, cast(IParentReactor, self.reactor))
        self.all_ready = 0
        self.workers.start({"listeners.account[0]": 11}, self.note)

    def note(self) -> None:
        """Take notice that all workers are ready."""
        self.all_ready += 1

    @property
    def first(self) -> Process:
        """The process of the first worker, which was the last to be started if any was again."""
        return self.reactor.processes[0]

    @property
    def second(self) -> Process:
        """The process of the second worker."""
        return self.reactor.processes[1]

    @property
    def newest(self) -> Process:
        """The process that was started last."""
        return self.reactor.processes[-1]

    def serve(self) -> None:
        """Have both serve."""
        self.first.say(Serving())
        self.second.say(Serving())
