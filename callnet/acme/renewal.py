"""Certificates by ACME: their files, the answers to challenges, when to order one, and the program that does."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NoReturn

import msgspec
from cryptography import x509
from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ProcessDone, ProcessExitedAlready
from twisted.internet.interfaces import IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from callnet.config.schema import AcmeSettings
from callnet.errors import CallnetError
from callnet.ops import certificates
from callnet.ops.certificates import Pair, context_with
from callnet.util import files
from callnet.util.logger import Logger
from callnet.util.timers import PeriodicRuns

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22,128}")
"""A token in base64url, of 128 bits at the least (RFC 8555 §8.1)."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9.-]+")
"""Characters of a URL that the name of a folder does not have."""
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_ANSWER_MAX: Final = 512
"""Bytes of an answer to ``http-01``: the token and the fingerprint of a key."""


class AcmeFolder:
    """The private folder of one authority in the state directory, which all processes share. It need not exist until
    something is written.

    ==========================  =====================================================================================
    ``account.key``             the key by which the authority knows callnet
    ``contact``                 the contact that the authority took last
    ``certificate.pem``         the private key, then the certificates: in one file they always fit
    ``http-01/TOKEN``           the answer to a challenge (RFC 8555 §8.3)
    ``tls-alpn-01/NAME``        the private key and the certificate that answer one (RFC 8737 §3)
    ``failure``                 the last failure, if the last order failed
    ``lock``                    held by the one process that orders
    ==========================  =====================================================================================

    :param directory: the URL of the authority's directory.
    """

    def __init__(self, state_dir: str, directory: str) -> None:
        name = _UNFIT.sub("_", directory.partition("://")[2].removesuffix("/directory"))
        self._path = Path(state_dir, "acme", name)
        self.account_key: Final = self._path / "account.key"
        self.certificate: Final = self._path / "certificate.pem"
        self.lock: Final = self._path / "lock"
        self._http01 = self._path / "http-01"
        self._alpn = self._path / "tls-alpn-01"
        self._contact = self._path / "contact"
        self._failure = self._path / "failure"

    def make(self) -> None:
        """Make the folder, for this user alone.

        :raises StartError: it cannot be made.
        """
        for path in (self._path, self._http01, self._alpn):
            files.make_private_directory(str(path), "state_dir")

    def pair(self) -> Pair | None:
        """The certificate, if there is a usable one."""
        return certificates.find(str(self.certificate), str(self.certificate))

    def write(self, path: Path, data: bytes) -> None:
        """Write a file of the folder, whole or not at all.

        :raises OSError: it cannot be written.
        """
        files.overwrite(str(path), data, files.PRIVATE)

    def answer_http01(self, token: str, answer: bytes) -> None:
        """Have a request for a token be answered.

        :raises ValueError: it is no token.
        :raises OSError: it cannot be written.
        """
        if not _TOKEN.fullmatch(token):
            raise ValueError("the authority sent an invalid token")
        self.write(self._http01 / token, answer)

    def answer_alpn(self, name: str, pair: Pair) -> None:
        """Have a handshake for a host name be answered with this certificate.

        :raises OSError: it cannot be written.
        """
        self.write(self._alpn / name, certificates.to_pem(pair))

    def http01(self, token: str) -> bytes | None:
        """The answer to ``http-01``.

        :param token: anything that a stranger may have sent.
        """
        if not _TOKEN.fullmatch(token):
            return None
        try:
            with (self._http01 / token).open("rb") as file:
                return file.read(_ANSWER_MAX)
        except OSError:
            return None

    def alpn(self, name: str) -> Pair | None:
        """The certificate that answers ``tls-alpn-01``.

        :param name: anything that a stranger may have sent.
        """
        if not _NAME.fullmatch(name):
            return None
        path = str(self._alpn / name)
        return certificates.find(path, path)

    def clear_answers(self) -> None:
        """Answer no challenge any more.

        :raises OSError: one cannot be removed.
        """
        for folder in (self._http01, self._alpn):
            for path in folder.iterdir():
                path.unlink()

    @property
    def contact(self) -> str | None:
        """The contact that the authority took last, or an empty text; ``None``: not known."""
        try:
            return self._contact.read_text(encoding="utf-8")
        except OSError:
            return None

    @contact.setter
    def contact(self, taken: str) -> None:
        self.write(self._contact, taken.encode())

    @property
    def failure(self) -> str:
        """The cause of the failure of the last order; empty: it did not fail."""
        try:
            return self._failure.read_text(encoding="utf-8")
        except OSError:
            return ""

    @failure.setter
    def failure(self, cause: str) -> None:
        with suppress(OSError):  # the log has it
            if cause:
                self.write(self._failure, cause.encode())
            else:
                self._failure.unlink(missing_ok=True)

    @property
    def failed_at(self) -> datetime:
        """The time of that failure; long ago: there was none."""
        try:
            return datetime.fromtimestamp(self._failure.stat().st_mtime, UTC)
        except OSError:
            return datetime.fromtimestamp(0, UTC)


ALPN_PROTOCOL: Final = b"acme-tls/1"


class AlpnAnswers:
    """The answer to ``tls-alpn-01`` (RFC 8737): takes those connections that ask to validate a name, while it is being
    validated. Each is shown a certificate of its own, and closed after the handshake.

    :param names: those that may be asked for.
    """

    def __init__(self, folder: AcmeFolder, names: Collection[str]) -> None:
        self._folder = folder
        self._names = {name.encode(): name for name in names}

    def __call__(self, connection: SSL.Connection) -> bool:
        """Give a connection the certificate that answers, if there is one.

        OpenSSL asks this before it chooses the certificate in TLS 1.3 alone, which authorities speak.
        """
        name = self._names.get((connection.get_servername() or b"").lower())
        answer = None if name is None else self._folder.alpn(name)
        if answer is None:
            return False
        connection.set_context(_context(answer))
        return True


def _context(answer: Pair) -> SSL.Context:
    context = context_with(answer)
    context.set_info_callback(_close_after_handshake)
    return context


def _close_after_handshake(connection: SSL.Connection, where: int, _: int) -> None:
    if where & SSL.SSL_CB_HANDSHAKE_DONE:
        connection.get_app_data().abortConnection()


# Orders

PROGRAM: Final = (sys.executable, "-P", "-m", "callnet.acme.order")
TIME_LIMIT: Final = 300.0
"""Seconds for one order."""
LOOK_EVERY: Final = 60.0
"""Seconds between two looks at whether it is time."""
FIRST_PAUSE: Final = 300.0
"""Seconds after an order until the next; doubled for each that failed since the last that did not."""
LONGEST_PAUSE: Final = 86400.0
_DOUBLINGS_MAX: Final = 9
"""Enough for the longest pause."""
_OUTPUT_MAX: Final = 4096
"""Bytes that are kept of the output of the program."""


def due(pair: Pair | None, names: Collection[str], now: datetime) -> datetime:
    """The time to order a certificate: when a third of the lifetime of this one is left, or now if there is none for
    these names.
    """
    if pair is None:
        return now
    leaf = pair.chain[0]
    try:
        alternatives = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return now
    if not set(names) <= set(alternatives.get_values_for_type(x509.DNSName)):
        return now
    return leaf.not_valid_after_utc - (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 3


class OrderFailed(CallnetError):
    """There is no new certificate; the message says why."""


class IOrderReactor(IReactorTime, IReactorProcess):
    """The reactor that an order needs."""


def order(state_dir: str, settings: AcmeSettings, reactor: IOrderReactor) -> Deferred[str]:
    """Order a certificate. Cancelling ends the program.

    :return: a Deferred that fires with a warning, or an empty text.

    It fails with :class:`OrderFailed`.
    """
    program = _Program(msgspec.json.encode(settings))
    try:
        reactor.spawnProcess(program, PROGRAM[0], (*PROGRAM, state_dir), env=environment(os.environ))
    except OSError as error:
        return fail(OrderFailed(f"cannot start the program that orders it: {error.strerror}"))

    def timed_out(_: object, seconds: float) -> NoReturn:
        raise OrderFailed(f"the order took longer than {seconds:.0f} s")

    return program.ended.addTimeout(TIME_LIMIT, reactor, timed_out)


def environment(own: Mapping[str, str]) -> Mapping[str, str]:
    """The variables of the program: those of this process, such as proxies, without secrets and what systemd gave."""
    return {
        name: value
        for name, value in own.items()
        if not name.startswith(("CALLNET_", "NOTIFY_", "WATCHDOG_", "LISTEN_", "CREDENTIALS_"))
    }


class _Program(ProcessProtocol):
    """The running program."""

    transport: IProcessTransport

    def __init__(self, settings: bytes) -> None:
        self.ended: Final[Deferred[str]] = Deferred(lambda _: self._kill())
        self._settings = settings
        self._said = self._complained = b""

    def connectionMade(self) -> None:
        """Tell it the settings."""
        self.transport.write(self._settings)
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        """It says why it failed, or warns."""
        self._said = (self._said + data)[-_OUTPUT_MAX:]

    def errReceived(self, data: bytes) -> None:
        """Python, or a library, complains."""
        self._complained = (self._complained + data)[-_OUTPUT_MAX:]

    def processEnded(self, reason: Failure) -> None:
        """It has ended."""
        if self.ended.called:
            return
        if reason.check(ProcessDone):
            self.ended.callback(self._said.decode("utf-8", "replace").strip())
        else:
            lines = (self._said or self._complained).decode("utf-8", "replace").splitlines()
            self.ended.errback(OrderFailed(lines[-1] if lines else "the program that orders it was ended"))

    def _kill(self) -> None:
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")


class Renewal:
    """Has a certificate ordered when it is time, and again after a failure.

    :param folder: where the certificate is.
    :param names: its names.
    :param order: orders it, as :func:`order` does.
    :param ordered: called when there is a new one.
    :param outcomes: counts the orders: ``done``, ``failed``.
    :param now: the time of day, with a time zone.
    :param random: a number from 0 to 1, so that many daemons do not all come back at once.
    """

    _log = Logger()

    def __init__(
        self,
        folder: AcmeFolder,
        names: Collection[str],
        order: Callable[[], Deferred[str]],
        ordered: Callable[[], object],
        outcomes: Counter[str],
        clock: IReactorTime,
        now: Callable[[], datetime],
        random: Callable[[], float],
    ) -> None:
        self._folder = folder
        self._names = names
        self._order = order
        self._ordered = ordered
        self._clock = clock
        self._now = now
        self._random = random
        self._failures_in_a_row = 0
        self._outcomes = outcomes
        self._not_before = 0.0
        self._running: Deferred[str] | None = None
        self._looks = PeriodicRuns(self._look, clock, LOOK_EVERY)

    def start(self) -> None:
        """Begin. After a failure there is a pause, even if this process is a new one."""
        since = (self._now() - self._folder.failed_at).total_seconds()
        self._not_before = self._clock.seconds() + (FIRST_PAUSE - since if 0 <= since < FIRST_PAUSE else 0.0)
        self._looks.start()

    def stop(self) -> Deferred[None]:
        """Come to an end; an order that runs is given up."""
        if self._running is not None:
            self._running.cancel()
        return self._looks.stop()

    def retry(self) -> bool:
        """Order at the next look if it is time, though the last order has just failed."""
        self._not_before = self._clock.seconds()
        self._look()
        return True

    def _look(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._renew_if_due()).addErrback(
            lambda failure: self._log.failure("failed to look after the certificate", failure)
        )

    async def _renew_if_due(self) -> None:
        if self._running is not None or self._clock.seconds() < self._not_before:
            return
        now = self._now()
        if now >= due(self._folder.pair(), self._names, now):
            await self._renew()

    async def _renew(self) -> None:
        self._log.info("ordering a certificate for {names}", names=", ".join(self._names))
        self._running = self._order()
        try:
            warning = await self._running
        except CancelledError:
            return
        except OrderFailed as error:
            pause = (
                min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failures_in_a_row, _DOUBLINGS_MAX))
                * (1 + self._random())
                / 2
            )
            self._failures_in_a_row += 1
            self._outcomes["failed"] += 1
            self._folder.failure = str(error)
            self._log.error(
                "failed to get a certificate, trying again in {minutes:.0f} min: {error}",
                minutes=pause / 60,
                error=error,
            )
        else:
            pause = FIRST_PAUSE
            self._failures_in_a_row = 0
            self._outcomes["done"] += 1
            self._folder.failure = ""
            if warning:
                self._log.warn("the certificate was ordered, but {cause}", cause=warning)
            self._ordered()
        finally:
            self._running = None
        self._not_before = self._clock.seconds() + pause
