"""The log, while nobody reads it."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from select import select
from typing import Any

from twisted.logger import Logger, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops import logs
from callnet.ops.logs import PATIENCE, JsonLines, LogQueue

BUSY = 30
"""Seconds that a machine that is busy with other tests may take. What must not be waited for here never comes."""


class LogQueueTests(SynchronousTestCase):
    """A log that is written to a pipe of one page."""

    def setUp(self) -> None:
        """Write it."""
        self.reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        self.file = open(writer, "wb")  # noqa: SIM115
        self.observer = JsonLines(self.file)
        self.publisher = LogPublisher(self.observer)
        self.log = Logger("callnet.web", observer=self.publisher)
        self.queue = LogQueue(most=200_000)
        self.queue.begin(self.publisher)
        self.addCleanup(self.close)

    def close(self) -> None:
        """Let the writer go."""
        os.close(self.reader)
        self.queue.end()

    def read_until(self, is_enough: Callable[[list[dict[str, Any]]], bool]) -> list[dict[str, Any]]:
        """Read the log until that is enough."""
        data = b""
        while not data.endswith(b"\n") or not is_enough(list(map(json.loads, data.splitlines()))):
            self.assertTrue(select([self.reader], [], [], BUSY)[0], data)
            data += os.read(self.reader, 65536)
        return list(map(json.loads, data.splitlines()))

    def test_nobody_reads(self) -> None:
        """Logging never waits. Kept lines are written when the log is read again, in order."""
        begin = time.monotonic()
        for number in range(1000):
            self.log.info("line {number}", number=number)
        self.assertLess(time.monotonic() - begin, BUSY)
        dropped = self.queue.dropped
        self.assertTrue(700 < dropped < 1000, dropped)
        lines = self.read_until(
            lambda lines: sum(line.get("count", "number" in line) for line in lines) == 1000  # written and dropped
        )
        numbers = [line["number"] for line in lines if "number" in line]
        self.assertEqual(sorted(numbers), numbers)
        self.assertEqual(1000 - dropped, len(numbers))
        self.assertEqual({"warn"}, {line["level"] for line in lines if "count" in line})
        self.assertEqual(dropped, self.queue.dropped)

    def test_settled_at_once(self) -> None:
        """An event shows the state when it was logged, whatever has changed when it is written."""
        about = ["so"]
        self.log.info("it is {about}", about=about)
        about[0] = "otherwise"
        [line] = self.read_until(lambda lines: len(lines) == 1)
        self.assertEqual("it is ['so']", line["text"])

    def test_failure(self) -> None:
        """A failure has its traceback."""
        self.log.failure("doing it", Failure(ValueError("broken")))
        [line] = self.read_until(lambda lines: len(lines) == 1)
        self.assertEqual("doing it", line["text"])
        self.assertIn("broken", line["traceback"])

    def test_end(self) -> None:
        """A stop writes all events; later ones are written at once again."""
        self.patch(logs, "PATIENCE", BUSY)
        for number in range(10):
            self.log.info("line {number}", number=number)
        self.queue.end()
        self.log.info("the end")
        lines = list(map(json.loads, os.read(self.reader, 65536).splitlines()))
        self.assertEqual([*(f"line {number}" for number in range(10)), "the end"], [line["text"] for line in lines])

    def test_end_unread(self) -> None:
        """A stop does not wait for long if nobody reads, nor do later events."""
        for number in range(100):
            self.log.info("line {number}", number=number)
        begin = time.monotonic()
        self.queue.end()
        self.log.info("the end")
        self.assertLess(time.monotonic() - begin, PATIENCE + BUSY)
