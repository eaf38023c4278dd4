"""The pipes between the parent of several processes and each of its workers, and the messages on them.

The messages go over pipes, a JSON object a line:

========================  ================  ================================================================
descriptor of the worker  direction         carries
========================  ================  ================================================================
:data:`ORDERS`            parent → worker   :class:`Start` first, then :class:`Ask`, :class:`Reload`, :class:`Hurry`
:data:`LOG`               worker → parent   :class:`LogLine`
:data:`COMPLAINTS`        worker → parent   complaints of Python itself or of a library
:data:`ANSWERS`           worker → parent   :class:`Serving` once, then :class:`Answer`
:data:`SOCKETS` and more  –                 the listening sockets
========================  ================  ================================================================

A worker whose :data:`ORDERS` come to an end has lost its parent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import Struct

from callnet.config.schema import Settings
from callnet.ops.admin_api import AdminCommand, AdminResult, Level
from callnet.ops.logs import Fields
from callnet.ops.metrics import Family
from callnet.ops.readiness import Report

ORDERS: Final = 0
LOG: Final = 1
COMPLAINTS: Final = 2
ANSWERS: Final = 3
SOCKETS: Final = 4


class Start(Struct, frozen=True):
    """The settings with which the worker is to serve."""

    settings: Settings
    """As the parent read them when it started, whatever the file says by now."""
    sockets: Mapping[str, int]
    """The descriptors of the listening sockets, by the key of the listener."""
    level: Level
    """From which on it logs."""


Question: TypeAlias = Literal["report", "families"] | AdminCommand
"""The readiness, or what was counted; or an order of the operator's."""


class Ask(Struct, frozen=True, tag=True):
    """Ask for the readiness, or for what was counted; or hand an order of the operator's on."""

    number: int
    what: Question


class Reload(Struct, frozen=True, tag=True):
    """Read something again, such as the certificate."""

    what: str
    """Its name (:data:`callnet.ops.process.Renewals`)."""
    settings: Settings | None = None
    """If it is the settings: as the parent has read them."""


class Hurry(Struct, frozen=True, tag=True):
    """Having been told to stop, wait for nobody any more."""


class Serving(Struct, frozen=True, tag=True):
    """The worker takes connections."""


class Answer(Struct, frozen=True, tag=True):
    """The answer to the :class:`Ask` of the same number."""

    number: int
    report: Report | None = None
    families: Sequence[Family] = ()
    outcome: AdminResult | None = None
    """``None`` if it was an order: that cannot be done now."""


class LogLine(Struct, frozen=True, array_like=True):
    """An event of the log."""

    level: str
    system: str
    """The part of the program that it comes from."""
    text: str
    fields: Fields = {}
    """The simple fields of the event."""


def encode(message: Start | Ask | Reload | Hurry | Serving | Answer | LogLine) -> bytes:
    """One line."""
    return msgspec.json.encode(message) + b"\n"


decode_start: Final = msgspec.json.Decoder(Start).decode
decode_order: Final = msgspec.json.Decoder(Ask | Reload | Hurry).decode
decode_answer: Final = msgspec.json.Decoder(Serving | Answer).decode
decode_log_line: Final = msgspec.json.Decoder(LogLine).decode


class Lines:
    """Puts lines together that come in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that are complete, without their ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        yield from lines

    def end(self) -> Iterator[bytes]:
        """The rest, which has no line end."""
        rest, self._rest = self._rest, b""
        if rest:
            yield rest
