"""The log as machines read it."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

from twisted.logger import ILogObserver, Logger, LogLevel
from twisted.python import log as old_log
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from callnet.ops.logs import FIELDS, JsonLines, json_lines


class JsonLinesTests(SynchronousTestCase):
    """Events, and the lines that they become."""

    def setUp(self) -> None:
        """A log."""
        self.file = BytesIO()
        self.observer = JsonLines(self.file)
        self.log = Logger("callnet.web", observer=self.observer)

    def lines(self) -> list[dict[str, Any]]:
        """The lines that were written."""
        return [json.loads(line) for line in self.file.getvalue().splitlines()]

    def test_event(self) -> None:
        """A line has the time, the level, the source, the text, and its fields."""
        self.log.info("{peer} GET {path} {status}", peer="192.0.2.7", path="/a", status=200)
        [line] = self.lines()
        self.assertRegex(line.pop("time"), r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$")
        self.assertEqual(
            {
                "level": "info",
                "system": "callnet.web",
                "text": "192.0.2.7 GET /a 200",
                "peer": "192.0.2.7",
                "path": "/a",
                "status": 200,
            },
            line,
        )

    def test_one_line_each(self) -> None:
        """Any event is one line; a value without a simple form is in the text alone."""
        self.log.warn("it\nburns {what}", what=["a\nb"])
        [line] = self.lines()
        self.assertEqual(("warn", "it\nburns ['a\\nb']"), (line["level"], line["text"]))
        self.assertNotIn("what", line)

    def test_nothing_is_pretended(self) -> None:
        """An event's fields cannot replace its time, level, place or text."""
        self.log.error("it {text}", text="burns", time="never", system="nowhere")
        [line] = self.lines()
        self.assertEqual(("it burns", "error", "callnet.web"), (line["text"], line["level"], line["system"]))
        self.assertTrue(line["time"].startswith("20"))

    def test_of_another_process(self) -> None:
        """A worker's event is logged with its own fields as if it were the parent's."""
        self.log.emit(LogLevel.info, "{worker}: {text}", worker="worker 2", text="ok", **{FIELDS: {"status": 200}})
        [line] = self.lines()
        self.assertEqual(("worker 2: ok", "worker 2", 200), (line["text"], line["worker"], line["status"]))

    def test_traceback(self) -> None:
        """A failure comes with its traceback, on the same line."""
        self.log.failure("taking a frame", Failure(ValueError("broken")))
        [line] = self.lines()
        self.assertEqual(("critical", "taking a frame"), (line["level"], line["text"]))
        self.assertIn("broken", line["traceback"])

    def test_old_events(self) -> None:
        """An event logged in the old way of Twisted is a line too, without the marks of that way."""
        publisher = old_log.LogPublisher(publishPublisher=_Into(self.observer))
        publisher.msg("something", number=7)
        [line] = self.lines()
        self.assertEqual((7, "info"), (line["number"], line["level"]))
        self.assertIn("something", line["text"])
        self.assertNotIn("isError", line)

    def test_it_is_what_twistd_asks_for(self) -> None:
        """``twistd --logger`` takes it."""
        verifyObject(ILogObserver, json_lines())


class _Into:
    """Hands events on."""

    def __init__(self, observer: JsonLines) -> None:
        self._observer = observer

    def __call__(self, event: Any) -> None:
        self._observer(event)
