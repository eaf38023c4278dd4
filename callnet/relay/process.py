"""The process of coturn, and the question whether it answers."""

from __future__ import annotations

import os
import secrets
import signal
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.error import ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReactorProcess, IUDPTransport
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.python.failure import Failure

from callnet.frames import stun
from callnet.relay import child


class Coturn(ProcessProtocol):
    """One process.

    :param ended: called when it is gone, with how it came to its end.
    """

    transport: IProcessTransport

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended

    def spawn(self, program: str, lowest_port: int, configuration: str, reactor: IReactorProcess) -> None:
        """Start it. It knows no variable of this process, which may hold a secret.

        :param lowest_port: of those that it listens on; below 1024 it keeps the capability for that.
        :param configuration: the path of its file.
        :raises OSError: it cannot be started.
        """
        become = [sys.executable, "-I", "-S", child.__file__, str(os.getpid()), str(lowest_port)]
        line = [*become, program, "-c", configuration]
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            reactor.spawnProcess(self, line[0], line, environment, childFDs={0: nothing, 1: nothing, 2: nothing})
        finally:
            os.close(nothing)

    def kill(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)

    def processEnded(self, reason: Failure) -> None:
        """It is gone."""
        ended = reason.value
        if not isinstance(ended, ProcessTerminated):
            self._ended("stopped")
        elif ended.signal is not None:
            self._ended(f"was killed by {signal.Signals(ended.signal).name}")
        else:
            self._ended(f"exited with status {ended.exitCode}")


class Questions(DatagramProtocol):
    """Asks a STUN server again and again whether it answers.

    :param answered: called at each answer.
    """

    noisy = False
    transport: IUDPTransport

    def __init__(self, server: tuple[str, int], answered: Callable[[], None]) -> None:
        self._server = server
        self._answered = answered
        self._transaction = b""

    def ask(self) -> None:
        """Send a question."""
        self._transaction = secrets.token_bytes(12)
        with suppress(OSError):
            self.transport.write(stun.message(stun.BINDING, self._transaction, []), self._server)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        """Something came."""
        with suppress(struct.error):
            if stun.is_answer(datagram, self._transaction):
                self._answered()

    def close(self) -> None:
        """Ask no more."""
        self.transport.stopListening()
