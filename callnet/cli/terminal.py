"""The terminal as Twisted sees it: lines in, lines out, nothing that blocks."""

from __future__ import annotations

import os
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorFDSet, ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

_STDIN: Final = 0
_STDOUT: Final = 1


class Reader(Protocol):
    """Whoever gets what is typed."""

    def typed(self, line: str) -> None:
        """Take a line, without its end."""

    def deaf(self) -> None:
        """Know that no more will come."""


@implementer(IHalfCloseableProtocol)
class Terminal(LineOnlyReceiver):
    """Standard input and output."""

    delimiter = b"\n"
    MAX_LENGTH = 4096
    transport: ITransport

    def __init__(self) -> None:
        self._reader: Reader | None = None
        self._can_write = True
        self._ended: Deferred[None] = Deferred()

    def open(self, reactor: IReactorFDSet, reader: Reader | None) -> None:
        """Take over standard output, and standard input too if there is someone to read it."""
        self._reader = reader
        # Twisted closes what it is given, so these are duplicates. A program in the background must not read.
        stdin = os.open(os.devnull, os.O_RDONLY) if reader is None else os.dup(_STDIN)
        StandardIO(self, stdin, os.dup(_STDOUT), reactor)  # type: ignore[call-arg]  # mypy reads that of Windows

    def write(self, line: str) -> None:
        """Write a line."""
        self.transport.write(line.encode("utf-8", "replace") + b"\n")

    def close(self) -> Deferred[None]:
        """Stop. Fires when everything has been written."""
        if not self._can_write:
            self._end()
        self.transport.loseConnection()
        return self._ended

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Take a line."""
        if self._reader is not None:
            self._reader.typed(line.decode("utf-8", "replace"))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Ignore a line that nobody can have typed."""

    def readConnectionLost(self) -> None:  # noqa: N802
        """Nothing more will be read."""
        if self._reader is not None:
            self._reader.deaf()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Nobody reads any more."""
        self._can_write = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002, N802
        """Leave the terminal as it was: it is shared with the shell."""
        self._end()

    def _end(self) -> None:
        for descriptor in (_STDIN, _STDOUT):
            os.set_blocking(descriptor, True)
        if not self._ended.called:
            self._ended.callback(None)
