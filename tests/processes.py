"""Processes that are no children of the tests: what they do is read off the system."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.inotify import INotify
from twisted.python.filepath import FilePath

from tests.daemon import START_TIME

reactor: Any = installed


class ProcessEnd(FileDescriptor):
    """Notes when a process that is no child of ours ends (pidfd_open(2))."""

    def __init__(self, pid: int) -> None:
        super().__init__(reactor)
        self._descriptor = os.pidfd_open(pid)
        self.reached: Deferred[None] = Deferred(lambda _: os.kill(pid, signal.SIGKILL))
        self.startReading()

    def fileno(self) -> int:
        """What is readable when the process has ended."""
        return self._descriptor

    def doRead(self) -> None:
        """It has."""
        self.stopReading()
        os.close(self._descriptor)
        if not self.reached.called:
            self.reached.callback(None)


def written(path: str, pattern: re.Pattern[str]) -> Deferred[re.Match[str]]:
    """Fires when a file that another process writes has something like this (inotify(7))."""
    found: Deferred[re.Match[str]] = Deferred()
    notifier = INotify(reactor)

    def look(*_changed: object) -> None:
        match = pattern.search(Path(path).read_text(encoding="utf-8"))
        if match and not found.called:
            notifier.loseConnection()
            found.callback(match)

    notifier.startReading()
    notifier.watch(FilePath(path), callbacks=[look])
    look()
    return found.addTimeout(START_TIME, reactor)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stand still (SIGSTOP) until the block ends."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while state_of(pid) != "T":
            os.sched_yield()
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def state_of(pid: int) -> str:
    """The state of a process as proc_pid_stat(5) has it; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
