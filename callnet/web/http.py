"""HTTP: limits, deadlines, error answers, the access log and the names of the host."""

from __future__ import annotations

import itertools
import re
import secrets
from collections import Counter
from collections.abc import Collection, Iterable
from http import HTTPStatus
from io import BytesIO
from math import ceil
from typing import Any, Final, cast

from twisted.internet.interfaces import IAddress, IHandshakeListener, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site
from werkzeug import exceptions
from zope.interface import implementer

from callnet.config.schema import HttpSettings, LimitSettings, SignalingSettings
from callnet.errors import (
    BodyTooLarge,
    MethodNotAllowed,
    Misdirected,
    NotFound,
    OriginRefused,
    RateLimited,
    ServiceError,
    Unavailable,
    root_cause,
)
from callnet.ops.limits import LimitedConnections, LimitsAlone, SiteLimiter
from callnet.util.logger import Logger
from callnet.util.net import is_address, site_of
from callnet.util.turn_budget import TurnBudget
from callnet.web.schemas import write_error
from callnet.ws.handshake import refusal
from callnet.ws.protocol import keep_little

_log = Logger(namespace="callnet.web")

NO_LIMITS: Final = LimitSettings()
NO_SETTINGS: Final = HttpSettings()
"""The default settings."""
LARGER_BODIES: Final = {b"/account/profile": 64 * 1024, b"/contacts/add": 64 * 1024}
"""Paths whose bodies may be larger than others: there is a photo in them, in base64."""
PASSED_OVER: Final = 256 * 1024
"""Bytes that are read of a connection that is closing."""
UNREAD: Final = 256 * 1024
"""Bytes that may wait for a client that does not read."""
IN_THE_SYSTEM: Final = 64 * 1024
"""The same in the system (see :mod:`callnet.ws.protocol`): enough for a page from far away."""
_LOGGED: Final = 100
"""The most characters of a method or a path that the log has."""
_UNLOGGED: Final = re.compile(rb"[^A-Za-z0-9._/-]")
"""No method or path of ours has such a character. If a client encodes the ``?`` or ``#`` of a URL, the path has what
follows these too, such as a token or the id of a room.
"""
_PROCESS: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)


def answer_failure(request: IRequest, failure: Failure, what: str) -> bytes:
    """Answer with the error that a request came to.

    :param what: the kind of request, for the log.
    """
    error = failure.value
    if isinstance(error, exceptions.MethodNotAllowed):
        request.setHeader(b"allow", ", ".join(error.valid_methods or ()).encode("ascii"))
        return write_error(request, MethodNotAllowed("this path does not support this method"))
    if isinstance(error, exceptions.HTTPException):
        return write_error(request, NotFound("no such path"))
    if isinstance(error, Unavailable):
        cause = root_cause(error)
        _log.warn(
            "failed {what} {request}: {error}: {cause}", what=what, error=error, cause=cause, request=id_of(request)
        )
    if isinstance(error, ServiceError):
        return write_error(request, error)
    _log.failure("failed {what} {request}", failure, what=what, request=id_of(request))
    return write_error(request, ServiceError("internal error"))


class WholePath(Resource):
    """A Klein resource that looks at the whole path of a request, wherever it was put among others."""

    isLeaf = True

    def __init__(self, klein: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._klein = klein

    def render(self, request: Request) -> bytes | int:
        """Answer, or have Klein answer later."""
        segments = [*(request.prepath or ()), *(request.postpath or ())]
        try:
            b"/".join(segments).decode("utf-8")
        except UnicodeDecodeError:
            return write_error(request, NotFound("no such path"))  # Klein would log a traceback
        request.prepath, request.postpath = [], segments
        # No route depends on the host, and some that a client can name are an exception to Klein.
        request.requestHeaders.setRawHeaders(b"host", [b"callnet"])
        rendered: bytes | int = self._klein.render(request)
        return rendered


class Refusal(Resource):
    """A resource that answers a request with an error."""

    isLeaf = True

    def __init__(self, error: ServiceError) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._error = error

    def render(self, request: Request) -> bytes:
        """Answer with the error."""
        return write_error(request, self._error)


class CappedRequest(Request):
    """A request that keeps no more of its body than the site allows, and shows nothing of its query."""

    content: BytesIO
    body_bytes = 0
    """The longest body that it may have."""
    too_large = False
    request_id = "-"
    """Its name in the log and in its answer."""

    def gotLength(self, length: int | None) -> None:  # noqa: ARG002
        """The headers are complete."""
        self.content = BytesIO()

    def handleContentChunk(self, data: bytes) -> None:
        """Some of the body has come."""
        if not self.too_large and self.content.tell() + len(data) > self.body_bytes:
            self.too_large = True
            self.content = BytesIO()
        if not self.too_large:
            self.content.write(data)

    def render(self, resrc: IResource) -> None:
        """Answer with a resource.

        The base class would log the request if a resource answers HEAD as it answers GET, and quote it in a page
        of HTML if the resource does not take its method.
        """
        try:
            body = resrc.render(self)
        except UnsupportedMethod as error:
            self.setHeader(b"allow", b", ".join(error.allowedMethods))
            body = write_error(self, MethodNotAllowed("this path does not support this method"))
        if isinstance(body, bytes):
            self.setHeader(b"content-length", b"%d" % len(body))
            self.write(body)  # to HEAD the base class sends the headers alone
            self.finish()

    def __repr__(self) -> str:
        """Name the request in a log line of a library. The URI may hold a token or a room."""
        return f"<{type(self).__name__} {self.request_id}>"

    def end_connection(self) -> None:
        """Have no other request follow this one on its connection."""
        self.channel.persistent = 0
        self.responseHeaders.setRawHeaders(b"connection", [b"close"])


@implementer(IHandshakeListener)
class DeadlineChannel(HTTPChannel):
    """One HTTP/1.1 connection, whose requests must be whole in time.

    What has come after the request that was answered in this turn waits in ``_buffer`` while ``paused`` is true.
    """

    site: CappedSite
    transport: Any
    _path: bytes
    _buffer: bytes
    _between_requests = True
    _is_queued = False
    """True if the budget of turns will resume it."""
    _is_refused = False
    """The answer ends the connection while the client still sends."""
    _unread = 0
    """Bytes that were written while the client did not read."""
    _passed_over: int | None = None
    """Bytes that were read since the connection is closing; ``None``: it is not."""
    _is_counted = False
    _client_site: str | None = None
    """The site of the client, if its connections count."""

    def connectionMade(self) -> None:
        """Begin, unless there are too many. Little is read at a time, and little is kept that the client does not read.

        Over TLS this is before the handshake, which a refusal is not worth.
        """
        super().connectionMade()  # type: ignore[no-untyped-call]
        keep_little(self.transport, IN_THE_SYSTEM)
        self._client_site = self.site.join(self.transport)
        self._is_counted = True
        too_many = self.site.too_many(self._client_site)
        is_secure = self.isSecure()
        if too_many is None:
            if is_secure:
                self.setTimeout(self.site.limits.handshake_time)
        elif is_secure:
            self.transport.abortConnection()
        else:
            self.transport.write(refusal(too_many))
            self.loseConnection()

    def handshakeCompleted(self) -> None:
        """Wait for a request: TLS is spoken."""
        self.setTimeout(self.site.limits.idle_time)

    def dataReceived(self, data: bytes) -> None:
        """Handle what has come, now or in a later turn. Unlike the base class, do not put the deadline off."""
        if self._passed_over is not None:
            self._passed_over += len(data)
            if self._passed_over > PASSED_OVER:
                self.transport.abortConnection()
        elif self.paused or not (self._handlingRequest or self._may_go_on()):
            self._buffer += data
            self._wait()
        else:
            self._take(data)

    def _may_go_on(self) -> bool:
        budget = self.site.budget
        # To take a part of a body apart, which may be of thousands of chunks, is as much work as some requests are.
        return budget.may_begin() if self._between_requests else budget.has_time()

    def go_on(self) -> None:
        """Handle one more request: it is this connection's turn."""
        self._is_queued = False
        if self._buffer and not self._waitingForTransport:
            self.paused = False
            self._networkProducer.resumeProducing()
            self._take(b"")

    def _take(self, data: bytes) -> None:
        """Handle what has come, up to the end of one request; what follows waits."""
        self._begin_request()  # its deadline starts at the first byte
        LineReceiver.dataReceived(self, data)
        if self.transport is None:  # a WebSocket has it
            self._leave()
        if not self._handlingRequest:
            self._go_on_later()

    def _go_on_later(self) -> None:
        if self.transport.disconnecting:
            self._buffer = b""
        if self._buffer and self.paused:
            self._wait()
        else:
            self.paused = False
        if self.requests or self._buffer:
            self._begin_request()  # one was answered, and some of the next came with it

    def _wait(self) -> None:
        """Read no more, and go on in a later turn; but not before the client has read what it was sent."""
        self.paused = True
        self._networkProducer.pauseProducing()
        if not self._is_queued and not self._waitingForTransport:
            self._is_queued = True
            self.site.budget.wait(self)

    def lineReceived(self, line: bytes) -> None:
        """Take a line of the header."""
        if self._receivedHeaderSize + len(line) > self.totalHeadersSize:
            self.lineLengthExceeded(line)
        else:
            super().lineReceived(line)  # type: ignore[no-untyped-call]

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: ARG002
        """Answer 431: the header is too long."""
        self.site.answers[HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE] += 1
        self.transport.write(refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE))
        self._is_refused = True
        self.loseConnection()

    def headerReceived(self, line: bytes) -> bool:
        """Take one header. A ``Content-Length`` of thousands of digits is more than ``int`` takes, and a
        ``Transfer-Encoding`` that is not chunked leaves the length of the body unknown (RFC 9112 §6.3).
        """
        name, _, value = line.partition(b":")
        try:
            if name.lower() != b"transfer-encoding" or value.strip().lower() == b"chunked":
                return bool(super().headerReceived(line))  # type: ignore[no-untyped-call]
        except ValueError:
            pass
        self._respondToBadRequestAndDisconnect()
        return False

    def allHeadersReceived(self) -> None:
        """Begin with the body, unless it is said to be too long."""
        request = cast(CappedRequest, self.requests[-1])
        path = self._path.partition(b"?")[0]
        request.body_bytes = max(self.site.limits.body_bytes, LARGER_BODIES.get(path, 0))
        if self.length is not None and self.length > request.body_bytes:
            request.too_large = True
            request.requestHeaders.removeHeader(b"expect")  # it is not to go on
        super().allHeadersReceived()  # type: ignore[no-untyped-call]
        if request.too_large:
            self.length = 0  # so that the base class has it answered now
            self._refuse(request)

    def rawDataReceived(self, data: bytes) -> None:
        """Take some of a body, or what follows a request that is being answered."""
        super().rawDataReceived(data)
        if not self._handlingRequest and self._passed_over is None and self.requests:
            request = cast(CappedRequest, self.requests[-1])
            if request.too_large:
                self._refuse(request)
                self.allContentReceived()

    def _refuse(self, request: CappedRequest) -> None:
        """Have the answer to a request end the connection, while the client still sends."""
        self._is_refused = True
        request.end_connection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Answer 400, and count it."""
        self.site.answers[HTTPStatus.BAD_REQUEST] += 1
        super()._respondToBadRequestAndDisconnect()  # type: ignore[no-untyped-call]

    def _begin_request(self) -> None:
        if self._between_requests:
            self._between_requests = False
            self.setTimeout(self.site.limits.request_time)

    def requestDone(self, request: HTTPRequest) -> None:
        """Go back to waiting; what the base class calls the saved timeout is that for the next request."""
        self._between_requests = True
        self._savedTimeOut = self.site.limits.idle_time
        self.paused = True  # what has come after it is for a later turn
        super().requestDone(request)  # type: ignore[no-untyped-call]
        if not self._busyReceiving and self._passed_over is None:
            self._go_on_later()

    def write(self, data: bytes) -> None:
        """Send some of an answer. A client that does not read is cut off."""
        if self._waitingForTransport:
            self._unread += len(data)
            if self._unread > UNREAD:
                self.transport.abortConnection()
        super().write(data)  # type: ignore[no-untyped-call]

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send the pieces."""
        self.write(b"".join(iovec))

    def pauseProducing(self) -> None:
        """Wait for the client to read, but not forever."""
        if not self._waitingForTransport and self._passed_over is None:
            self.setTimeout(self.site.limits.idle_time)
        super().pauseProducing()  # type: ignore[no-untyped-call]

    def resumeProducing(self) -> None:
        """Go on: the client has read all that it was sent."""
        self._unread = 0
        super().resumeProducing()  # type: ignore[no-untyped-call]
        if self._passed_over is None:
            limits = self.site.limits
            deadline = limits.idle_time if self._between_requests else limits.request_time
            self.setTimeout(None if self._handlingRequest else deadline)
            if self.paused and not self._handlingRequest:
                self._wait()

    def loseConnection(self) -> None:
        """Close the connection when the answer is sent. What still comes is passed over.

        A client that was refused while it sends gets to see the answer before that: if the connection were closed at
        once, the system would reset it.
        """
        self._passed_over, self._buffer = 0, b""
        self.setTimeout(self.site.limits.request_time)
        if self._is_refused:
            self._networkProducer.resumeProducing()
        else:
            super().loseConnection()  # type: ignore[no-untyped-call]

    def timeoutConnection(self) -> None:
        """Give the connection up. It asks nothing, or too slowly, so nobody waits for a polite end."""
        if not (self._between_requests or self._handlingRequest or self._passed_over is not None):
            self.site.answers[HTTPStatus.REQUEST_TIMEOUT] += 1
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Come to an end."""
        self._buffer = b""
        self._leave()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _leave(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self.site.leave(self._client_site)


class CappedSite(LimitedConnections, Site):
    """Serves a resource over HTTP/1.1. Its connections are those that are no WebSockets.

    :param clock: what deadlines are measured by.
    :param limits: what connections and requests may take of time and memory.
    :param budget: the time that all edges together may take in a turn.
    :param counts: how many connections and requests there may be.
    """

    noisy = False
    protocol = DeadlineChannel  # type: ignore[assignment]  # HTTP/1.1 alone: WebSockets need it
    _log = Logger(namespace="callnet.web")

    def __init__(
        self,
        resource: IResource,
        clock: IReactorTime,
        limits: HttpSettings = NO_SETTINGS,
        budget: TurnBudget | None = None,
        counts: LimitSettings = NO_LIMITS,
    ) -> None:
        options = {"requestFactory": CappedRequest, "timeout": limits.idle_time, "parsePOSTFormSubmission": False}
        LimitedConnections.__init__(self, counts)
        Site.__init__(self, resource, reactor=clock, **options)
        self.limits = limits
        self.budget: Final = budget or TurnBudget(clock)
        self.answers: Final[Counter[int]] = Counter()
        """The responses sent, by status; 408: the request was given up because it took too long."""
        alone = LimitsAlone(clock.seconds)
        self._pace = SiteLimiter(alone, "requests", counts.requests_a_minute_from_an_address, 60.0)

    def changed(self) -> None:
        """Go by the settings as they now are."""
        super().changed()
        self._pace.allow(self._limits.requests_a_minute_from_an_address)

    def startFactory(self) -> None:
        """Nothing to start: the log file and the timer of the base class serve its own log."""

    def stopFactory(self) -> None:
        """Nothing to stop."""

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Make the protocol of one connection."""
        channel: Any = super().buildProtocol(addr)  # type: ignore[no-untyped-call]
        channel.totalHeadersSize = self.limits.header_bytes
        return channel

    def getResourceFor(self, request: Request) -> IResource:
        """Find what answers a request."""
        capped = cast(CappedRequest, request)
        capped.request_id = f"{_PROCESS}-{next(_numbers):x}"
        request.responseHeaders.removeHeader(b"server")
        request.responseHeaders.setRawHeaders(b"x-request-id", [capped.request_id.encode("ascii")])
        if capped.too_large:
            return Refusal(BodyTooLarge("the body is too large"))
        wait = self._pace.wait(site_of(_host(request.getClientAddress())))
        if wait:
            capped.end_connection()
            return Refusal(RateLimited("too many requests from this address", ceil(wait)))
        return cast(IResource, super().getResourceFor(request))  # type: ignore[no-untyped-call]

    def log(self, request: HTTPRequest) -> None:
        """Count an answer that was sent, and write one line for it."""
        self.answers[request.code] += 1
        self._log.info(
            "{peer} {method} {path} {status} {length} {request}",
            peer=_host(request.getClientAddress()),
            method=_shown(request.method),
            path=_shown(request.path),
            status=request.code,
            length=request.sentLength,
            request=id_of(request),
        )


def header_of(request: Request, name: bytes) -> str | None:
    """A header as text, whatever bytes it has: ``getHeader`` of a text raises an error for what is no UTF-8."""
    value = request.getHeader(name)
    return None if value is None else value.decode("latin-1")


def id_of(request: object) -> str:
    """The name of a request in the log and in its answer; ``-``: it was not complete."""
    return str(getattr(request, "request_id", CappedRequest.request_id))


def _host(address: IAddress) -> str:
    return str(getattr(address, "host", "-"))


def _shown(text: bytes) -> str:
    """The beginning of a method or a path, with a question mark if there is more of it."""
    beginning = _UNLOGGED.split(text, maxsplit=1)[0][:_LOGGED]
    return beginning.decode("ascii") + ("?" if len(beginning) < len(text) else "")


# Hosts are checked against DNS rebinding.
# A page of anybody's that has its own name point to 127.0.0.1 may ask what listens there, in the browser of whoever
# visits it. It cannot keep the browser from saying by which name it asks (RFC 9110 §7.2), nor from which site the page
# is (RFC 6454).
_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]*)?")


def is_ours(host: str | None, names: Collection[str]) -> bool:
    """Tell whether it may be asked by this ``Host``.

    It may by an address, which no name leads to, as ``localhost``, and by ``names``. No browser leaves the header out.
    """
    if host is None:
        return True
    name = _name_of(host)
    return name is not None and (name == "localhost" or name in names or is_address(name))


def is_foreign(origin: str | None, host: str | None) -> bool:
    """Tell whether a request comes from a web page of another host than it goes to.

    Schemes and ports are not compared: the site and the account service have ports of their own. A device's WebView
    says nothing, ``null``, ``file:`` or a scheme of its own.
    """
    scheme, _, of_page = (origin or "").partition("://")
    if scheme.lower() not in ("http", "https"):
        return False
    name = _name_of(of_page)
    return name is None or name != _name_of(host or "")


class HostGuard(Resource):
    """Answers for a resource to those who ask by one of its names, and not to pages of other hosts.

    :param names: its names beside ``localhost`` and addresses; if there are none, it has any.
    :param signaling: names the origins whose pages may ask all the same.
    """

    isLeaf = True

    def __init__(self, resource: IResource, names: Collection[str], signaling: SignalingSettings) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._resource = resource
        self._names = frozenset(names)
        self._signaling = signaling

    def render(self, request: Request) -> bytes | int:
        """Answer, or refuse."""
        host, origin = header_of(request, b"host"), header_of(request, b"origin")
        if self._names and not is_ours(host, self._names):
            return write_error(request, Misdirected("this host is not in accounts.hosts"))
        if is_foreign(origin, host) and not self._signaling.allows(origin or ""):
            return write_error(request, OriginRefused("requests from pages of other hosts are refused"))
        rendered: bytes | int = self._resource.render(request)
        return rendered


def _name_of(host: str) -> str | None:
    """The name or address in a ``Host``, as names are compared; ``None``: there is none."""
    found = _HOST.fullmatch(host)
    return None if found is None else (found["v6"] or found["name"]).lower().removesuffix(".")
