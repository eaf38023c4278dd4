"""A connection to Redis: where it leads (a fixed address, or the current master of the Sentinels), dialled, kept and
dialled again.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import hiredis
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec import Struct
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet import defer
from twisted.internet.abstract import isIPAddress
from twisted.internet.defer import CancelledError, Deferred, DeferredList, FirstError, gatherResults, succeed
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.interfaces import IAddress, IDelayedCall, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from callnet.errors import CallnetError, root_cause
from callnet.redis.url import Address, Login, RedisTarget
from callnet.util.logger import Logger

Reactor: TypeAlias = Any
"""A reactor with TCP, Unix sockets, name resolution and time."""

pack: Final[Callable[[tuple[str | bytes, ...]], bytes]] = hiredis.pack_command  # type: ignore[assignment]
"""Encodes a command. The stub of hiredis takes one word only."""

_RUN_ID: Final = re.compile(rb"^run_id:(\w+)", re.MULTILINE)
_IS_MASTER: Final = re.compile(rb"^role:master", re.MULTILINE)


log = Logger()


class NotUsable(CallnetError):
    """The server is not a usable Redis."""


class Refused(NotUsable):
    """The server answered with an error: the text."""


class Connection(Protocol):
    """A connection to Redis or a Sentinel. Answers come in the order of the commands."""

    closed: Callable[[str], None]
    """Called once, with the cause, when the connection is lost or aborted."""
    gone: Deferred[None]
    """Fires when it is closed."""

    def ask(self, *words: bytes) -> Deferred[Any]:
        """Send a command.

        :raises Refused: the answer is an error.
        :raises callnet.errors.Unavailable: there is no answer.
        """

    def abort(self, cause: str) -> None:
        """Abort the connection: open commands fail."""

    def look(self, now: float) -> None:
        """Abort the connection if it does not answer. Called repeatedly while it is up."""


class Locator(Protocol):
    """The way to Redis."""

    patience: float
    """Seconds in which a new connection must be ready for use: a suspended Redis accepts connections and answers
    nothing."""

    async def endpoint(self) -> IStreamClientEndpoint:
        """The current endpoint.

        :raises NotUsable: it is unknown.
        """

    def look(self, line: Connection, now: float) -> None:
        """Abort a connection to an outdated address. Called repeatedly."""

    def stop(self) -> Deferred[None]:
        """Close the connections of this lookup. Fires when they are closed."""


L = TypeVar("L", bound=Connection)


class _Once(Factory):
    """Gives one protocol to one connection."""

    noisy = False

    def __init__(self, protocol: object) -> None:
        self._protocol = protocol

    def buildProtocol(self, addr: IAddress | None) -> Any:  # noqa: ARG002
        return self._protocol


async def dialled(
    endpoint: IStreamClientEndpoint, line: L, greet: Callable[[L], Coroutine[Deferred[Any], Any, None]]
) -> L:
    """Connect ``line`` and greet; if that fails or is cancelled the connection is closed."""
    await endpoint.connect(_Once(line))
    try:
        await greet(line)
    except Exception as error:
        line.abort(cause_of(error))
        await line.gone
        raise
    return line


def endpoint_of(reactor: Reactor, target: RedisTarget, address: Address | None) -> IStreamClientEndpoint:
    """The endpoint of a server: its address, over TLS if the target says so, or its socket without an address."""
    if address is None:
        return UNIXClientEndpoint(reactor, target.path)
    host, port = address.host, address.port
    plain: IStreamClientEndpoint
    if ":" in host:
        plain = TCP6ClientEndpoint(reactor, host, port)
    elif isIPAddress(host):
        plain = TCP4ClientEndpoint(reactor, host, port)
    else:
        plain = HostnameEndpoint(reactor, host, port)
    return wrapClientTLS(optionsForClientTLS(host, _trust(target)), plain) if target.tls else plain


def _trust(target: RedisTarget) -> Any:
    """The trusted certificates of TLS; ``None``: those of the system."""
    if not target.authorities:
        return None
    found = x509.load_pem_x509_certificates(target.authorities)
    return trustRootFromCertificates([Certificate.loadPEM(one.public_bytes(Encoding.PEM)) for one in found])


async def answers(*asked: Deferred[Any]) -> list[Any]:
    """Wait for the answers to several commands; the first error is raised as it is."""
    try:
        return await gatherResults(asked, consumeErrors=True)
    except FirstError as error:
        first = error.subFailure.value or error
    raise first  # as it is: its cause is for the log


async def log_in(line: Connection, login: Login) -> None:
    """Log in, if credentials are set.

    :raises NotUsable: the login was refused.
    """
    if login.command:
        try:
            await line.ask(*login.command)
        except Refused as error:
            raise NotUsable(f"login refused: {code_of(error)}") from None  # the rest may repeat the password


async def greet(line: Connection, target: RedisTarget) -> str:
    """Log in, and check that this is a master; return its ``run_id``."""
    login = Deferred.fromCoroutine(log_in(line, target.login))
    _, *told = await answers(login, line.ask(b"INFO", b"replication"), line.ask(b"INFO", b"server"))
    return _run_id(*told)


def code_of(error: Refused) -> str:
    """The code of an error: its first word."""
    return str(error).partition(" ")[0]


def _run_id(replication: bytes, server: bytes) -> str:
    found = _RUN_ID.search(server)
    if not _IS_MASTER.search(replication):
        raise NotUsable("this Redis is a replica")
    if found is None:
        raise NotUsable("not a Redis server")
    return found[1].decode("ascii")


def cause_of(error: BaseException) -> str:
    """The cause of a connection's failure, in one line for the log without a secret."""
    if isinstance(error, (defer.TimeoutError, CancelledError)):
        return "no answer in time"
    if isinstance(error, VerificationError):
        return "TLS: certificate issued for another host"
    if isinstance(error, SSL.Error):
        reasons = [reason for *_, reason in error.args[0]] if error.args and isinstance(error.args[0], list) else []
        return f"TLS: {', '.join(reasons) or 'connection lost'}"
    return root_cause(error)


_ANSWER_TIME: Final = 0.5
"""Seconds for a Sentinel to answer, including the connection."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two queries while all is well."""


class Direct:
    """A Redis with a fixed address or socket."""

    patience = 1.5

    def __init__(self, target: RedisTarget, reactor: Reactor) -> None:
        self._endpoint = endpoint_of(reactor, target, target.address)

    async def endpoint(self) -> IStreamClientEndpoint:
        """See :meth:`Locator.endpoint`."""
        return self._endpoint

    def look(self, line: Connection, now: float) -> None:
        """See :meth:`Locator.look`."""

    def stop(self) -> Deferred[None]:
        """See :meth:`Locator.stop`."""
        return succeed(None)


class _Master(Struct, frozen=True):
    """A Sentinel's answer; of two, that with the greater epoch knows of a later failover."""

    epoch: int
    address: Address


class BySentinels:
    """The master according to several Sentinels. All are queried at once.

    :param make: makes a connection to a Sentinel that is not connected yet.
    """

    patience = 1.0  # after that they may know of another master

    def __init__(self, target: RedisTarget, reactor: Reactor, make: Callable[[], Connection]) -> None:
        self._target = target
        self._reactor = reactor
        self._sentinels = [_Sentinel(target, reactor, make, address) for address in target.sentinels]
        self._master: _Master | None = None
        self._question: Deferred[None] = succeed(None)
        self._asked_at = 0.0

    async def endpoint(self) -> IStreamClientEndpoint:
        """See :meth:`Locator.endpoint`."""
        self._question.cancel()
        self._master = await self._ask()
        return endpoint_of(self._reactor, self._target, self._master.address)

    def look(self, line: Connection, now: float) -> None:
        """See :meth:`Locator.look`."""
        if now - self._asked_at >= _LOOK_EVERY:  # the previous query was answered, or given up
            self._asked_at = now
            self._question = Deferred.fromCoroutine(self._compare(line))

    def stop(self) -> Deferred[None]:
        """See :meth:`Locator.stop`."""
        self._question.cancel()
        ended = [self._question, *(sentinel.stop() for sentinel in self._sentinels)]
        return gatherResults(ended).addCallback(lambda _: None)

    async def _compare(self, line: Connection) -> None:
        try:
            master = await self._ask()
        except NotUsable:
            return  # without Sentinels the connection is kept
        known = self._master
        if known is not None and master.epoch > known.epoch and master.address != known.address:
            line.abort(f"{master.address} is the master now")

    async def _ask(self) -> _Master:
        asked = [
            Deferred.fromCoroutine(sentinel.ask()).addTimeout(_ANSWER_TIME, self._reactor)
            for sentinel in self._sentinels
        ]
        answered: list[tuple[bool, Any]] = await DeferredList(asked, consumeErrors=True)
        found: list[_Master] = [answer for succeeded, answer in answered if succeeded]
        if not found:
            causes = {cause_of(failure.value) for _, failure in answered}
            raise NotUsable(f"no Sentinel knows the master of {self._target.service}: {'; '.join(sorted(causes))}")
        return max(found, key=lambda master: master.epoch)


class _Sentinel:
    """One Sentinel. A connection to it is kept while it answers."""

    def __init__(self, target: RedisTarget, reactor: Reactor, make: Callable[[], Connection], address: Address) -> None:
        self._login = target.sentinel_login
        self._service = target.service.encode()
        self._make = make
        self._endpoint = endpoint_of(reactor, target, address)
        self._idle: Connection | None = None

    async def ask(self) -> _Master:
        """Query the address of the master. The caller must set a timeout."""
        line, self._idle = self._idle, None
        if line is None:
            line = await dialled(self._endpoint, self._make(), self._greet)
        try:
            where, state = await answers(
                line.ask(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service),
                line.ask(b"SENTINEL", b"MASTER", self._service),
            )
        except Exception as error:
            line.abort(cause_of(error))
            await line.gone
            raise
        self._keep(line)
        return _Master(_epoch(state), Address(where[0].decode(), int(where[1])))

    def stop(self) -> Deferred[None]:
        """Close the kept connection. Fires when it is closed."""
        line, self._idle = self._idle, None
        if line is None:
            return succeed(None)
        line.abort("stopped")
        return line.gone

    async def _greet(self, line: Connection) -> None:
        await log_in(line, self._login)

    def _keep(self, line: Connection) -> None:
        line.closed = lambda _: self._forget(line)
        self._idle = line

    def _forget(self, line: Connection) -> None:
        if self._idle is line:
            self._idle = None


def _epoch(state: Sequence[bytes]) -> int:
    """The number of the master's failover."""
    return int(dict(zip(state[::2], state[1::2], strict=True))[b"config-epoch"])


_RETRY: Final = (0.2, 0.4)
"""The minimum and maximum seconds between two attempts, random so that nodes do not reconnect together."""
_SETTLED: Final = 1.0
"""Seconds of uptime after which a lost connection is replaced without a delay. After one that was lost earlier the next
one is logged as up only when it has lasted so long: else the same two lines could follow each other for hours."""
TICK: Final = 0.25
"""Seconds between two checks of a connection."""


class ReconnectingConnection(Generic[L]):
    """Keeps one connection up.

    :param name: its name in the log.
    :param make: makes a protocol that is not connected yet.
    :param opened: called with each connection that is ready; :attr:`line` is set.
    :param lost: called when it is lost; :attr:`line` is ``None`` again.
    """

    def __init__(
        self,
        name: str,
        reactor: Reactor,
        way: Locator,
        make: Callable[[], L],
        opened: Callable[[L], None],
        lost: Callable[[], None],
    ) -> None:
        self.line: L | None = None
        """The connection, while it is up."""
        self.cause = "not started"
        """The reason why it is down."""
        self._name = name
        self._reactor = reactor
        self._way = way
        self._make = make
        self._opened = opened
        self._lost = lost
        self._attempt: Deferred[None] = succeed(None)
        self._gone: Deferred[None] = succeed(None)
        """Fires when the previous connection is closed."""
        self._timer: IDelayedCall | None = None
        """The next attempt, or the next tick."""
        self._since = 0.0
        self._ticked = 0.0
        self._stopped = True
        self._is_given_up = False
        """The last connection was of no use: it was lost at once, or given up."""
        self._said = ""

    async def greet(self, line: L) -> None:
        """Send the first commands on a new connection."""
        raise NotImplementedError

    def start(self) -> None:
        """Connect, now and whenever the connection is lost; unless this was started before."""
        if self._stopped:
            self._stopped = False
            self._try()

    def stop(self) -> Deferred[None]:
        """End the connection, and make no other. Fires when it is closed."""
        self._stopped = True
        self._cancel_timer()
        line, self.line, self.cause = self.line, None, "stopped"
        if line is None:
            self._attempt.cancel()
        else:
            line.closed = _ignore
            line.abort(self.cause)
        return gatherResults([self._gone, self._attempt]).addCallback(lambda _: self._way.stop())

    def give_up(self, cause: str) -> None:
        """Abort the connection, which is of no use; a new one is made after a pause."""
        if self.line is not None:
            self._is_given_up = True
            self.line.abort(cause)

    def _try(self) -> None:
        self._timer = None
        self._attempt = Deferred.fromCoroutine(self._try_once())
        self._attempt.addErrback(
            lambda failure: log.failure("failed to connect to Redis {name}", failure, name=self._name)
        )

    async def _try_once(self) -> None:
        try:
            line = await Deferred.fromCoroutine(self._dial()).addTimeout(self._way.patience, self._reactor)
        except Exception as error:  # noqa: BLE001  any failure may be repaired
            self._failed(error)
        else:
            self._up(line)

    async def _dial(self) -> L:
        return await dialled(await self._way.endpoint(), self._make(), self.greet)

    def _up(self, line: L) -> None:
        line.closed = self._closed
        self._gone = line.gone
        self.line, self.cause = line, ""
        self._since = self._ticked = self._reactor.seconds()
        self._timer = self._reactor.callLater(TICK, self._look)
        if not self._is_given_up:
            self._say("up")
        self._opened(line)

    def _failed(self, error: Exception) -> None:
        self.cause = cause_of(error)
        if not self._stopped:
            self._try_again(random.uniform(*_RETRY))  # noqa: S311  not a secret
            self._say(f"away: {self.cause}")

    def _closed(self, cause: str) -> None:
        self._cancel_timer()
        self.line, self.cause = None, cause
        self._is_given_up = self._is_given_up or not self._is_settled()
        self._try_again(random.uniform(*_RETRY) if self._is_given_up else 0)  # noqa: S311
        self._say(f"lost: {cause}")
        self._lost()

    def _is_settled(self) -> bool:
        uptime: float = self._reactor.seconds() - self._since
        return uptime >= _SETTLED

    def _try_again(self, delay: float) -> None:
        self._timer = self._reactor.callLater(delay, self._try)

    def _look(self) -> None:
        """Check the connection.

        If this process itself was suspended, received data is read first.
        """
        now = self._reactor.seconds()
        was_late, self._ticked = now - self._ticked > 2 * TICK, now
        self._timer = self._reactor.callLater(0 if was_late else TICK, self._look)
        if self._is_given_up and self._is_settled():
            self._is_given_up = False
            self._say("up")
        if not was_late and self.line is not None:
            self.line.look(now)
        if not was_late and self.line is not None:
            self._way.look(self.line, now)

    def _cancel_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def _say(self, what: str) -> None:
        """Log a change of the state."""
        if what != self._said:
            self._said = what
            log.info("Redis {name}: {what}", name=self._name, what=what)


def _ignore(cause: str) -> None:
    """Ignore the end of a stopped connection."""
