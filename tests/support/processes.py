"""Processes that are no children of the tests: their state is read off the system."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.inotify import INotify
from twisted.python.filepath import FilePath

from harness.daemon import START_LIMIT

reactor: Any = installed


class ProcessEnd(FileDescriptor):
    """Notes when a process that is no child of ours ends (pidfd_open(2))."""

    def __init__(self, pid: int) -> None:
        super().__init__(reactor)
        self._descriptor = os.pidfd_open(pid)
        self.reached: Deferred[None] = Deferred(lambda _: os.kill(pid, signal.SIGKILL))
        self.startReading()

    def fileno(self) -> int:
        """A descriptor that is readable when the process has ended."""
        return self._descriptor

    def doRead(self) -> None:
        """It has."""
        self.stopReading()
        os.close(self._descriptor)
        if not self.reached.called:
            self.reached.callback(None)


def written(path: Path, pattern: re.Pattern[str], begin: int = 0) -> Deferred[re.Match[str]]:
    """Fires when a file that another process writes has something like this (inotify(7)).

    :param begin: characters at the beginning of the file that do not count.
    """
    notifier = INotify(reactor)
    found: Deferred[re.Match[str]] = Deferred(lambda _: notifier.loseConnection())

    def look(*_changed: object) -> None:
        match = pattern.search(path.read_text("utf-8", "replace"), begin)
        if match and not found.called:
            notifier.loseConnection()
            found.callback(match)

    notifier.startReading()
    notifier.watch(FilePath(str(path)), callbacks=[look])
    look()
    return found.addTimeout(START_LIMIT, reactor)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Have a process stand still (SIGSTOP) until the block ends.

    It does not stop in the middle of a write to SQLite, which would lock the database for all others.
    """
    with _unwritten(pid):
        os.kill(pid, signal.SIGSTOP)
        while state_of(pid) not in ("T", ""):
            os.sched_yield()
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@contextmanager
def _unwritten(pid: int) -> Iterator[None]:
    """Hold the write lock of each SQLite database that a process has open until the block ends."""
    with ExitStack() as locks:
        for path in sorted(name for name in open_files(pid) if name.endswith(".db")):
            connection = locks.enter_context(closing(sqlite3.connect(path, timeout=10)))
            connection.execute("BEGIN IMMEDIATE")
        yield


def open_files(pid: int) -> set[str]:
    """The paths of the files that a process has open (proc_pid_fd(5))."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # it was closed meanwhile
            found.add(os.readlink(descriptor))
    return found


def state_of(pid: int) -> str:
    """The state of a process as proc_pid_stat(5) has it; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""
