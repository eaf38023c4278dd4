"""Dialling Redis, and keeping one connection to it up: for ever, since whatever is wrong may be mended.

An attempt has :data:`ATTEMPT_TIME` for everything: a Redis that is stopped takes connections and answers nothing.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer
from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults, succeed
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IAddress, IDelayedCall, IProtocol, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates
from twisted.logger import Logger

from callnet.cluster.redis_url import Address, RedisTarget
from callnet.errors import CallnetError, root_cause

ATTEMPT_TIME: Final = 1.5
"""Seconds in which a new connection must be ready for use."""
_RETRY: Final = (0.2, 0.4)
"""Seconds between two attempts, at least and at most: not all nodes at once."""
_SETTLED: Final = 1.0
"""A connection that was up so many seconds is made anew without waiting first."""
TICK: Final = 0.25
"""Seconds between two looks at a connection that is up."""

Reactor: TypeAlias = Any
"""A reactor with TCP, Unix sockets, name resolution and time."""

_RUN_ID: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_IS_MASTER: Final = re.compile(rb"^role:master", re.MULTILINE)

log = Logger()


class NotUsable(CallnetError):
    """What was reached is no Redis that callnet can work with."""


class Line(Protocol):
    """A connection to Redis or a Sentinel, which answers in the order in which it was asked."""

    closed: Callable[[str], None]
    """Called once, with the cause, when the connection is lost or aborted."""
    gone: Deferred[None]
    """Fires when nothing is left of it."""

    def ask(self, *words: bytes) -> Deferred[Any]:
        """Give a command."""

    def abort(self, cause: str) -> None:
        """End the connection at once: what was asked fails."""


L = TypeVar("L", bound=Line)


class Keeper(Generic[L]):
    """Keeps one connection up.

    :param name: what it is called in the log.
    :param dial: makes a connection that is ready for use. It is cancelled after :data:`ATTEMPT_TIME`.
    :param opened: told of each new connection; :attr:`line` is set.
    :param lost: told when that is gone; :attr:`line` is not set any more.
    :param tick: called every :data:`TICK` seconds while it is up.
    """

    def __init__(
        self,
        name: str,
        reactor: Reactor,
        dial: Callable[[], Coroutine[Deferred[Any], Any, L]],
        opened: Callable[[L], None],
        lost: Callable[[], None],
        tick: Callable[[L, float], None],
    ) -> None:
        self.line: L | None = None
        """The connection, while it is up."""
        self.cause = "not started"
        """Why it is not."""
        self._name = name
        self._reactor = reactor
        self._dial = dial
        self._opened = opened
        self._lost = lost
        self._tick = tick
        self._attempt: Deferred[None] = succeed(None)
        self._timer: IDelayedCall | None = None
        """The next attempt, or the next tick."""
        self._since = 0.0
        self._ticked = 0.0
        self._stopped = True
        self._said = ""

    def start(self) -> None:
        """Begin, unless that has happened."""
        if self._stopped:
            self._stopped = False
            self._try()

    def stop(self) -> Deferred[None]:
        """End the connection, and make no other. Fires when nothing is left."""
        self._stopped = True
        self._cancel_timer()
        if self.line is not None:
            line, self.line, self.cause = self.line, None, "stopped"
            line.closed = _ignore
            line.abort(self.cause)
            return line.gone
        ended: Deferred[None] = Deferred()
        self._attempt.addBoth(ended.callback)
        self._attempt.cancel()
        return ended

    def _try(self) -> None:
        self._timer = None
        self._attempt = Deferred.fromCoroutine(self._dial_once())
        self._attempt.addErrback(lambda failure: log.failure("Redis {name}", failure, name=self._name))

    async def _dial_once(self) -> None:
        try:
            line = await Deferred.fromCoroutine(self._dial()).addTimeout(ATTEMPT_TIME, self._reactor)
        except Exception as error:  # noqa: BLE001  whatever it is, it may be mended
            self._failed(error)
        else:
            self._up(line)

    def _up(self, line: L) -> None:
        line.closed = self._closed
        self.line, self.cause = line, ""
        self._since = self._ticked = self._reactor.seconds()
        self._timer = self._reactor.callLater(TICK, self._look)
        self._say("up")
        self._opened(line)

    def _failed(self, error: Exception) -> None:
        self.cause = cause_of(error)
        if not self._stopped:
            self._say(f"away: {self.cause}")
            self._try_again(random.uniform(*_RETRY))  # noqa: S311  it hides nothing

    def _closed(self, cause: str) -> None:
        self._cancel_timer()
        self.line, self.cause = None, cause
        self._say(f"lost: {cause}")
        settled = self._reactor.seconds() - self._since >= _SETTLED
        self._try_again(0 if settled else random.uniform(*_RETRY))  # noqa: S311
        self._lost()

    def _try_again(self, delay: float) -> None:
        self._timer = self._reactor.callLater(delay, self._try)

    def _look(self) -> None:
        """Have the owner look after its connection.

        If this process itself stood still, what has come in meanwhile is read first.
        """
        now = self._reactor.seconds()
        was_late, self._ticked = now - self._ticked > 2 * TICK, now
        self._timer = self._reactor.callLater(0 if was_late else TICK, self._look)
        if not was_late and self.line is not None:
            self._tick(self.line, now)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _say(self, what: str) -> None:
        """Write it to the log if it is news."""
        if what != self._said:
            self._said = what
            log.info("Redis {name}: {what}", name=self._name, what=what)


class _Once(Factory):
    """Gives one protocol to one connection."""

    noisy = False

    def __init__(self, protocol: IProtocol) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress) -> IProtocol:  # noqa: ARG002
        return self._protocol


async def dialled(
    endpoint: IStreamClientEndpoint, line: L, greet: Callable[[L], Coroutine[Deferred[Any], Any, None]]
) -> L:
    """Connect ``line`` and greet; if that fails or is cancelled nothing is left of it."""
    await endpoint.connect(_Once(line))  # type: ignore[arg-type]  # a Line is made a protocol by txredisapi
    try:
        await greet(line)
    except BaseException as error:
        line.abort(cause_of(error))
        await line.gone
        raise
    return line


def endpoint_of(reactor: Reactor, target: RedisTarget, address: Address | None) -> IStreamClientEndpoint:
    """How Twisted reaches a server: at its address, over TLS if the target says so, or without one by the socket."""
    if address is None:
        return UNIXClientEndpoint(reactor, target.path)
    host, port = address.host, address.port
    plain: IStreamClientEndpoint
    if ":" in host:
        plain = TCP6ClientEndpoint(reactor, host, port)
    elif host.replace(".", "").isdigit():
        plain = TCP4ClientEndpoint(reactor, host, port)
    else:
        plain = HostnameEndpoint(reactor, host, port)
    return wrapClientTLS(optionsForClientTLS(host, _trust(target)), plain) if target.tls else plain


def _trust(target: RedisTarget) -> Any:
    """Whom TLS trusts; ``None``: those whom the system trusts."""
    if not target.authorities:
        return None
    found = x509.load_pem_x509_certificates(target.authorities)
    return trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found])


async def answers(*asked: Deferred[Any]) -> list[Any]:
    """Wait for what several questions were answered; the first error is raised as it is."""
    try:
        return await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        raise error.subFailure.value from None


def greet(line: Line, target: RedisTarget) -> Deferred[str]:
    """Log in, and make sure that this is a master; answers with its ``run_id``."""
    login = [line.ask(*target.login.command)] if target.login.command else []
    asked = answers(*login, line.ask(b"INFO", b"replication"), line.ask(b"INFO", b"server"))
    return Deferred.fromCoroutine(asked).addCallback(lambda told: _run_id(*told[-2:]))


def _run_id(replication: bytes, server: bytes) -> str:
    found = _RUN_ID.search(server)
    if not _IS_MASTER.search(replication):
        raise NotUsable("this Redis is a replica")
    if found is None:
        raise NotUsable("this is no Redis")
    return found[1].decode("ascii")


def cause_of(error: BaseException) -> str:
    """One line for the log that says what is wrong with a connection; it holds no secret."""
    if isinstance(error, (defer.TimeoutError, CancelledError)):
        return f"no answer in {ATTEMPT_TIME:g} s"
    if isinstance(error, VerificationError):
        return "TLS: the certificate is for another host"
    if isinstance(error, SSL.Error):
        reasons = [reason for *_, reason in error.args[0]] if error.args and isinstance(error.args[0], list) else []
        return f"TLS: {', '.join(reasons) or 'the connection was cut'}"
    return root_cause(error)


def _ignore(cause: str) -> None:
    """The end of a connection that was to end."""
