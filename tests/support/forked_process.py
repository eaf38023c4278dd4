"""Programs in Python that are forked (:mod:`harness.forks`), with pipes for a terminal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.stdio import StandardIO
from twisted.python.failure import Failure

from harness.forks import Fork
from tests.support.processes import ProcessEnd

reactor: Any = installed


class ForkedProcess(Protocol):
    """One process: its pipes are the connection.

    :param heard: called with what it writes.
    :param errors: the file that it writes errors to; without it, they are part of its output.
    :param options: of :class:`harness.forks.Fork`.
    """

    transport: StandardIO

    def __init__(
        self,
        heard: Callable[[bytes], None],
        command: Sequence[str],
        folder: Path,
        environ: Mapping[str, str],
        errors: BinaryIO | None = None,
        **options: Any,
    ) -> None:
        self._heard = heard
        self._closed: Deferred[None] = Deferred()
        (given, typing), (reading, output) = os.pipe(), os.pipe()
        with os.fdopen(given, "rb") as its, os.fdopen(output, "wb") as shown:
            self.process = Fork(command, folder, environ, shown, errors, its, **options)
        StandardIO(self, reading, typing, reactor)  # type: ignore[call-arg]  # mypy reads that of Windows
        self.ended: Deferred[int] = Deferred.fromCoroutine(self._end())
        """Fires with its exit status when it has ended and its output is whole."""

    def write(self, text: str) -> None:
        """Type something."""
        self.transport.write(text.encode())

    def dataReceived(self, data: bytes) -> None:
        """Hand its output on."""
        self._heard(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Note that its output is whole."""
        self._closed.callback(None)

    async def _end(self) -> int:
        await ProcessEnd(self.process.pid).reached
        await self._closed
        return self.process.wait()
