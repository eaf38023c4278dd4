"""The log: formats, levels, and a bounded queue to whoever reads it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from queue import SimpleQueue
from threading import RLock, Thread
from typing import IO, Any, Final, TypeAlias

import msgspec
from twisted.internet.interfaces import IReactorCore
from twisted.logger import ILogObserver, LogEvent, LogPublisher, formatEvent, globalLogPublisher
from zope.interface import implementer

from callnet.util.logger import Logger

MOST: Final = 16 * 2**20
"""The bytes of events that may wait to be written, roughly. Events beyond it are dropped."""
_EACH: Final = 1024
"""Bytes of an event beside its text, about."""
PATIENCE: Final = 1.0
"""Seconds that a stop waits until all is written."""


@implementer(ILogObserver)
class LogQueue:
    """Takes the place of the observers of a log, and hands them its events from a thread.

    :param most: see :data:`MOST`.
    """

    def __init__(self, most: int = MOST) -> None:
        self.dropped = 0
        """Events that were never written."""
        self._told_of = 0
        self._most = most
        self._waiting: SimpleQueue[LogEvent | None] = SimpleQueue()
        self._size = 0
        self._counting = RLock()  # a handler of a signal may log
        self._log = Logger(observer=self)
        self._publisher: LogPublisher | None = None
        self._observers: list[ILogObserver] = []
        self._thread: Thread | None = None

    def serve(self, reactor: IReactorCore) -> None:
        """Write the log of this process while the reactor runs."""
        reactor.callWhenRunning(self.begin, globalLogPublisher)
        reactor.addSystemEventTrigger("after", "shutdown", self.end)

    def begin(self, publisher: LogPublisher) -> None:
        """Stand between a log and those who write it now. A process that is to become a daemon must have done so."""
        self._publisher = publisher
        self._observers = list(publisher._observers)  # noqa: SLF001  twistd does not tell which it has made
        publisher.addObserver(self)
        for observer in self._observers:
            publisher.removeObserver(observer)
        self._thread = Thread(target=self._write, args=(LogPublisher(*self._observers),), name="log", daemon=True)
        self._thread.start()

    def __call__(self, event: LogEvent) -> None:
        """Take an event. What it says is settled now: what it is about may change before it is written."""
        text = formatEvent(event)
        with self._counting:
            if self._size >= self._most:
                self.dropped += 1
                return
            self._size += len(text) + _EACH
        self._waiting.put({**event, "log_format": "{log_text}", "log_text": text})

    def end(self) -> None:
        """Write what is left. If that cannot be done in time it is dropped, with all that follows."""
        publisher, thread = self._publisher, self._thread
        if publisher is None or thread is None:
            return
        self._publisher = self._thread = None
        publisher.removeObserver(self)
        self._waiting.put(None)
        thread.join(PATIENCE)
        if not thread.is_alive():
            for observer in self._observers:
                publisher.addObserver(observer)

    def _write(self, observers: LogPublisher) -> None:
        while (event := self._waiting.get()) is not None:
            observers(event)
            with self._counting:
                self._size -= len(event["log_text"]) + _EACH
            if self.dropped > self._told_of:
                count, self._told_of = self.dropped - self._told_of, self.dropped
                self._log.warn("dropped {count} log lines: the reader is stopped or too slow", count=count)


log_queue: Final = LogQueue()
"""The queue of this process, which has one log."""


Fields: TypeAlias = Mapping[str, str | int | float | bool]

FIELDS = "fields"
"""The key of an event under which it has :data:`Fields` of another process."""


@implementer(ILogObserver)
class JsonLines:
    """Writes events to a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __call__(self, event: LogEvent) -> None:
        """Write one."""
        self._file.write(line_of(event))
        self._file.flush()


def json_lines() -> JsonLines:
    """Make what ``twistd --logger`` wants."""
    return JsonLines(sys.stdout.buffer)


def fields_of(event: LogEvent) -> Fields:
    """The fields of an event that have a simple form."""
    own = {
        name: value
        for name, value in event.items()
        if not name.startswith("log_") and isinstance(value, (str, int, float, bool))
    }
    return {**own, **event.get(FIELDS, {})}


def line_of(event: LogEvent) -> bytes:
    """Write an event as a line."""
    level = event.get("log_level")
    line: dict[str, Any] = {
        **_without_marks(fields_of(event)),
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": "info" if level is None else level.name,
        "system": event.get("log_system") or event.get("log_namespace", "-"),
        "text": formatEvent(event),
    }
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = failure.getTraceback()
    return msgspec.json.encode(line) + b"\n"


def _without_marks(fields: Fields) -> Fields:
    """Leave out the marks of events that were logged in the old way of Twisted."""
    return {
        name: value for name, value in fields.items() if name not in ("message", "isError", "system", "time", "format")
    }
