"""A relay that is kept running: started, asked whether it answers, restarted, and ended with callnet."""

from __future__ import annotations

import os
import secrets
import signal
import sqlite3
import struct
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Literal, TypeAlias, get_args

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.error import CannotListenError, ProcessExitedAlready
from twisted.internet.interfaces import (
    IDelayedCall,
    IProcessTransport,
    IReactorProcess,
    IReactorTime,
    IReactorUDP,
    IUDPTransport,
)
from twisted.internet.protocol import DatagramProtocol, ProcessProtocol
from twisted.python.failure import Failure

from callnet.config.load import relay_directory
from callnet.config.schema import Settings, SupervisedSettings
from callnet.errors import StartError
from callnet.frames import ice
from callnet.ops.metrics import Family, of_relay
from callnet.relay import child
from callnet.relay.turnserver_conf import Obstacle, RelaySecrets, configuration, find_obstacle
from callnet.util import files
from callnet.util.logger import Logger
from callnet.util.timers import Backoff, PeriodicRuns, end_of

LONGEST_PAUSE: Final = 30.0
"""Seconds, at the most, between the end of a process and the start of the next."""
STOP_LIMIT: Final = 2.0
"""Seconds that it may take to stop."""
SILENCE: Final = 30.0
"""Seconds without an answer after which a process is replaced."""
ASK_EVERY: Final = 5.0
"""Seconds between two questions whether it answers ..."""
ASK_NEW_EVERY: Final = 0.25
"""... and before its first answer."""
LOOK_EVERY: Final = 600.0
"""Seconds between two looks at the age of the secrets, and at the addresses of the machine."""

State: TypeAlias = Literal["up", "starting", "no_program", "port_in_use", "cannot_listen", "ended"]
"""From the third on, the cause for which it does not run."""

_SETTING: Final = "turn.relay"
_CONFIGURATION: Final = "turnserver.conf"
_LARGEST: Final = 2048
"""Bytes of an answer."""


class IRelayReactor(IReactorTime, IReactorProcess, IReactorUDP):
    """The reactor that a relay needs."""


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
        self._ended(end_of(reason))


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
            self.transport.write(ice.message(ice.BINDING, self._transaction, []), self._server)

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:  # noqa: ARG002
        """Something came."""
        with suppress(struct.error):
            if ice.is_answer(datagram, self._transaction):
                self._answered()

    def close(self) -> None:
        """Ask no more."""
        self.transport.stopListening()


def prepare(settings: Settings, now: Callable[[], float]) -> Settings:
    """Claim the relay's directory and make its secret, if there is to be a relay. Returns the settings.

    :raises StartError: a file cannot be written, or another callnet has the relay.
    """
    if settings.turn.relay == "supervised":
        directory = relay_directory(settings.state_dir)
        files.make_private_directory(directory, _SETTING)
        remedy = "its relay is there; set turn.urls and turn.secret_file here instead"
        files.claim_directory(directory, _SETTING, is_shared=False, remedy=remedy)
        try:
            RelaySecrets(settings.state_dir, now).renew()
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"{_SETTING}: cannot write the secrets in {directory}: {error}") from None
    return settings


class Relay:
    """Keeps a relay running for as long as the settings ask for one.

    :param certificate: finds the paths of the certificate and of its key, which may become others.
    :param secret_changed: called when there is another secret in its file.
    :param now: seconds since 1970.
    :param has_way_out: tells whether this machine has a network beyond its own.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        certificate: Callable[[], tuple[str, str]],
        secret_changed: Callable[[], object],
        reactor: IRelayReactor,
        now: Callable[[], float],
        has_way_out: Callable[[], bool],
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._secret_changed = secret_changed
        self._reactor = reactor
        self._secrets = RelaySecrets(settings.state_dir, now)
        self._looks = PeriodicRuns(self._look, reactor, LOOK_EVERY)
        self._process: Coturn | None = None
        self._questions: Questions | None = None
        self._runs = ("", "")
        """The program and the configuration that the process was started with."""
        self._has_way_out = has_way_out
        self._had_way_out = False
        """There was a way out when the process was started."""
        self._next: IDelayedCall | None = None
        self._next_question: IDelayedCall | None = None
        self._limit: IDelayedCall | None = None
        self._unanswered = 0
        self._backoff = Backoff(reactor, LONGEST_PAUSE)
        self._said = ""
        self._must_reread = False
        self._gone: Deferred[None] | None = None
        self.state: State = "starting"
        self.restarts = 0

    @property
    def _is_wanted(self) -> bool:
        return self._settings.turn.relay == "supervised"

    def start(self) -> None:
        """Begin."""
        self._looks.start()
        if self._is_wanted:
            self._launch()

    def changed(self) -> None:
        """Go by the settings as they now are: coturn reads its configuration only when it starts."""
        _cancel(self._next)
        self._backoff.reset()
        if self._process is None:
            if self._is_wanted:
                self._launch()
        elif not self._is_wanted or self._is_other():
            self._end(self._process)

    def certificate_renewed(self) -> None:
        """Have it read the certificate again; one that does not answer yet may have read the old one, or not."""
        if self._process is None:
            return
        if self._is_other():  # there is one of an authority at last, in a file of its own
            self._end(self._process)
        else:
            self._must_reread = True
            self._reread(self._process)

    def _is_other(self) -> bool:
        """True if a process that was started now would be another one."""
        try:
            if self._had_way_out and not self._has_way_out():
                # The addresses that are left are those of bridges and the like; its own come back with the network.
                raise Obstacle("cannot_listen", "this machine has lost its network")
            return self._wanted() != self._runs
        except (Obstacle, OSError) as error:
            self._log.warn("kept the relay as it was: {error}", error=error)
            return False

    def _reread(self, process: Coturn) -> None:
        """Until it answers, the signal would end it."""
        if self._must_reread and self.state == "up":
            self._must_reread = False
            process.kill(signal.SIGUSR2)

    def stop(self) -> Deferred[None]:
        """End it, and start no other. Fires when it is gone."""
        _cancel(self._next)
        gone = succeed(None)
        if self._process is not None:
            self._gone = gone = Deferred()
            self._end(self._process)
        return gatherResults([gone, self._looks.stop()]).addCallback(lambda _: None)

    def families(self) -> Sequence[Family]:
        """The metrics; none if there is to be no relay."""
        return of_relay(get_args(State), self.state, self.restarts) if self._is_wanted else ()

    def _wanted(self) -> tuple[str, str]:
        return self._settings.turn.supervised.program, configuration(self._settings, self._certificate())

    def _launch(self) -> None:
        self._backoff.begin()
        of = self._settings.turn.supervised
        path = os.path.join(relay_directory(self._settings.state_dir), _CONFIGURATION)
        try:
            find_obstacle(of, self._settings.one_port > 0)
            self._had_way_out = self._has_way_out()
            self._runs = program, text = self._wanted()
            files.overwrite(path, text.encode(), files.PRIVATE)
            process = Coturn(self._ended)
            questions = self._questions_for(process, of)
            self._must_reread = False
            process.spawn(program, min(of.port, of.tls_port or of.port), path, self._reactor)
        except Obstacle as obstacle:
            self._failed(obstacle.cause, f"not started: {obstacle}")
        except (OSError, CannotListenError) as error:
            self._failed("ended", f"not started: {error}")
        else:
            self._process = process
            self.state = "starting"
            self._unanswered = 0
            self._ask(process, questions)

    def _questions_for(self, process: Coturn, settings: SupervisedSettings) -> Questions:
        address = next(iter(settings.listening_addresses), "127.0.0.1")
        questions = Questions((address, settings.port), partial(self._answered, process))
        self._reactor.listenUDP(0, questions, "::" if ":" in address else "", _LARGEST)
        self._questions = questions
        return questions

    def _ask_no_more(self) -> None:
        _cancel(self._next_question)
        if self._questions is not None:
            self._questions.close()
            self._questions = None

    def _ask(self, process: Coturn, questions: Questions) -> None:
        every = ASK_EVERY if self.state == "up" else ASK_NEW_EVERY
        if self._unanswered * every >= SILENCE:
            self._log.warn("killed the relay: it does not answer")
            process.kill(signal.SIGKILL)
            return
        self._unanswered += 1
        questions.ask()
        self._next_question = self._reactor.callLater(every, self._ask, process, questions)

    def _answered(self, process: Coturn) -> None:
        self._unanswered = 0
        if self.state == "up":
            self._backoff.reset()  # it has lived since the question before
        else:
            self.state = "up"
            self._said = ""
            self._log.info("relay started")
            self._reread(process)

    def _end(self, process: Coturn) -> None:
        process.kill(signal.SIGTERM)
        if self._limit is None:
            self._limit = self._reactor.callLater(STOP_LIMIT, self._end_it, process)

    def _end_it(self, process: Coturn) -> None:
        self._log.warn("killed the relay: it did not stop in time")
        process.kill(signal.SIGKILL)

    def _ended(self, how: str) -> None:
        was_told, self._limit, self._process = self._limit, None, None
        _cancel(was_told)
        self._ask_no_more()
        if self._gone is not None:
            self._gone.callback(None)
        elif not self._is_wanted:
            self._log.info("relay stopped, as the settings now ask")
        elif was_told is not None:
            self._log.info("restarting the relay with changed settings")
            self._launch()
        else:
            self._failed("ended", how)

    def _failed(self, state: State, how: str) -> None:
        """Try again later. The same cause is logged once, until the relay has answered in between."""
        self.state = state
        self._ask_no_more()
        if how != self._said:
            self._said = how
            self._log.warn("relay {how}; calls that need it fail until it runs again", how=how)
        self._next = self._reactor.callLater(self._backoff.pause(), self._restart)

    def _restart(self) -> None:
        self.restarts += 1
        self._launch()

    def _look(self) -> Deferred[None]:
        if self._is_wanted:
            try:
                if self._secrets.renew():
                    self._secret_changed()
            except (OSError, sqlite3.Error):
                self._log.failure("failed to renew the relay's secret")
            if self._process is not None and self._is_other():
                self._end(self._process)
        return succeed(None)


def _cancel(call: IDelayedCall | None) -> None:
    if call is not None and call.active():
        call.cancel()
