"""The log for machines: one JSON object a line (RFC 8259). For people there is Twisted's own.

``twistd --logger=callnet.ops.logs.json_lines`` writes it to the standard output. Beside ``time``, ``level``,
``system`` and ``text`` an object has what the event is about, such as ``status`` and ``request`` of an HTTP answer, or
``worker``; and ``traceback`` for what should not have happened.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import IO, Any, TypeAlias

import msgspec
from twisted.logger import ILogObserver, LogEvent, formatEvent
from zope.interface import implementer

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
