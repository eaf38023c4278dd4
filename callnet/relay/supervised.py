"""A relay that is kept running: started, asked whether it answers, restarted, and ended with callnet."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal, TypeAlias, get_args

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorProcess, IReactorTime, IReactorUDP

from callnet.config import relay
from callnet.config.schema import Settings, SupervisedSettings
from callnet.errors import StartError
from callnet.ops.metrics import Family, of_relay
from callnet.relay.config import configuration
from callnet.relay.obstacles import Obstacle, find_obstacle
from callnet.relay.process import Coturn, Questions
from callnet.relay.turn_secrets import RelaySecrets
from callnet.util import files
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns

FIRST_PAUSE: Final = 0.1
"""Seconds between the end of a process and the start of the next; doubled for each that dies young."""
LONGEST_PAUSE: Final = 30.0
OLD_AGE: Final = 60.0
"""Seconds that a process must have lived for its end to be no sign that the next will die as well."""
STOP_LIMIT: Final = 2.0
"""Seconds that it may take to stop."""
SILENCE: Final = 30.0
"""Seconds without an answer after which a process is replaced."""
ASK_EVERY: Final = 5.0
"""Seconds between two questions whether it answers ..."""
ASK_NEW_EVERY: Final = 0.25
"""... and before its first answer."""
RENEW_EVERY: Final = 600.0
"""Seconds between two looks at the age of the secrets."""

State: TypeAlias = Literal["up", "starting", "no_program", "port_in_use", "cannot_listen", "ended"]
"""From the third on, the cause for which it does not run."""

_SETTING: Final = "turn.relay"
_CONFIGURATION: Final = "turnserver.conf"
_LARGEST: Final = 2048
"""Bytes of an answer."""


class IRelayReactor(IReactorTime, IReactorProcess, IReactorUDP):
    """The reactor that a relay needs."""


def prepare(settings: Settings, now: Callable[[], float]) -> Settings:
    """Claim the relay's directory and make its secret, if there is to be a relay. Returns the settings.

    :raises StartError: a file cannot be written, or another callnet has the relay.
    """
    if settings.turn.relay == "supervised":
        directory = relay.directory(settings.state_dir)
        files.make_private_directory(directory, _SETTING)
        files.claim_directory(directory, _SETTING, is_shared=False)
        try:
            RelaySecrets(settings.state_dir, now).renew()
        except (OSError, sqlite3.Error) as error:
            raise StartError(f"{_SETTING}: cannot write the secrets in {directory}: {error}") from None
    return settings


class Relay:
    """Keeps a relay running for as long as the settings ask for one.

    :param certificate: the paths of the certificate and of its key.
    :param secret_changed: called when there is another secret in its file.
    :param now: seconds since 1970.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        certificate: tuple[str, str],
        secret_changed: Callable[[], object],
        reactor: IRelayReactor,
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._certificate = certificate
        self._secret_changed = secret_changed
        self._reactor = reactor
        self._secrets = RelaySecrets(settings.state_dir, now)
        self._renewals = PeriodicRuns(self._renew_secrets, reactor, RENEW_EVERY)
        self._process: Coturn | None = None
        self._questions: Questions | None = None
        self._text = ""
        self._next: IDelayedCall | None = None
        self._next_question: IDelayedCall | None = None
        self._limit: IDelayedCall | None = None
        self._unanswered = 0
        self._born = 0.0
        self._pause = FIRST_PAUSE
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
        self._renewals.start()
        if self._is_wanted:
            self._launch()

    def changed(self) -> None:
        """Go by the settings as they now are: coturn reads its configuration only when it starts."""
        if self._is_wanted and self._process is not None and self._configured() == self._text:
            return
        _cancel(self._next)
        self._pause = FIRST_PAUSE
        if self._process is not None:
            self._end(self._process)
        elif self._is_wanted:
            self._launch()

    def certificate_renewed(self) -> None:
        """Have it read the certificate again; one that does not answer yet may have read the old one, or not."""
        if self._process is not None:
            self._must_reread = True
            self._reread(self._process)

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
        return gatherResults([gone, self._renewals.stop()]).addCallback(lambda _: None)

    def families(self) -> Sequence[Family]:
        """The metrics; none if there is to be no relay."""
        return of_relay(get_args(State), self.state, self.restarts) if self._is_wanted else ()

    def _configured(self) -> str:
        return configuration(self._settings, self._certificate)

    def _launch(self) -> None:
        self._born = self._reactor.seconds()
        of = self._settings.turn.supervised
        path = os.path.join(relay.directory(self._settings.state_dir), _CONFIGURATION)
        try:
            find_obstacle(of, self._settings.one_port > 0)
            self._text = self._configured()
            files.overwrite(path, self._text.encode(), files.PRIVATE)
            process = Coturn(self._ended)
            self._must_reread = False
            process.spawn(of.program, path, self._reactor)
        except Obstacle as obstacle:
            self._failed(obstacle.cause, f"not started: {obstacle}")
        except OSError as error:
            self._failed("ended", f"not started: {error.strerror}")
        else:
            self._process = process
            self.state = "starting"
            self._begin_to_ask(process, of)

    def _begin_to_ask(self, process: Coturn, settings: SupervisedSettings) -> None:
        address = next(iter(settings.listening_addresses), "127.0.0.1")
        self._questions = questions = Questions((address, settings.port), partial(self._answered, process))
        self._reactor.listenUDP(0, questions, "::" if ":" in address else "", _LARGEST)
        self._unanswered = 0
        self._ask(process, questions)

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
        if self.state != "up":
            self.state = "up"
            self._said = ""
            self._log.info("relay started")
            self._reread(process)

    def _end(self, process: Coturn) -> None:
        process.kill(signal.SIGTERM)
        if self._limit is None:
            self._limit = self._reactor.callLater(STOP_LIMIT, process.kill, signal.SIGKILL)

    def _ended(self, how: str) -> None:
        self._process = None
        _cancel(self._next_question, self._limit)
        self._limit = None
        if self._questions is not None:
            self._questions.close()
            self._questions = None
        if self._gone is not None:
            self._gone.callback(None)
        elif not self._is_wanted:
            self._log.info("relay stopped, as the settings now ask")
        elif self._configured() != self._text:
            self._log.info("restarting the relay with changed settings")
            self._launch()
        else:
            self._failed("ended", how)

    def _failed(self, state: State, how: str) -> None:
        """Try again later. The same cause is logged once, until the relay has answered in between."""
        self.state = state
        if self._reactor.seconds() - self._born >= OLD_AGE:
            self._pause = FIRST_PAUSE
        if how != self._said:
            self._said = how
            self._log.warn("relay {how}; calls that need it fail until it runs again", how=how)
        self._next = self._reactor.callLater(self._pause, self._restart)
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)

    def _restart(self) -> None:
        self.restarts += 1
        self._launch()

    def _renew_secrets(self) -> Deferred[None]:
        if self._is_wanted:
            try:
                if self._secrets.renew():
                    self._secret_changed()
            except (OSError, sqlite3.Error):
                self._log.failure("failed to renew the relay's secret")
        return succeed(None)


def _cancel(*calls: IDelayedCall | None) -> None:
    for call in calls:
        if call is not None and call.active():
            call.cancel()
