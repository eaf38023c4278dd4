"""HTTP that can be left open to the network: bodies with a limit, requests with a deadline, logs without secrets.

:class:`CappedSite` serves every listener that speaks HTTP. Against what `twisted.web` does by itself:

* A body longer than the limit is not kept. It is read to its end, so that the client gets to see its 413.
* A request must be whole within ``request_time``, however steadily its bytes drip in.
* A connection that asks nothing is closed after ``idle_time``. One that became a WebSocket is left alone.
* The log has one line for each answer, without the query, where tokens are, but with the id that the answer has in
  ``X-Request-Id``.
"""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.protocols.basic import LineReceiver
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from callnet.config import HttpSettings
from callnet.errors import BodyTooLarge
from callnet.logger import Logger
from callnet.web.envelope import write_error

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

NO_SETTINGS: Final = HttpSettings()
"""What holds without any."""
_PATH_LOGGED = 100
_PROCESS: Final = secrets.token_hex(4)
_numbers: Final = itertools.count(1)


class _TooLarge(Resource):
    """What answers a request whose body was too long."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return write_error(request, BodyTooLarge("the body is too large"))


class CappedRequest(Request):
    """A request that keeps no more of its body than the site allows."""

    content: BytesIO
    too_large = False
    request_id = "-"
    """By what it is called in the log, and in its answer."""

    def gotLength(self, length: int | None) -> None:
        """The headers are complete; they may say how long the body will be."""
        self.content = BytesIO()
        self.too_large = length is not None and length > self._limit()

    def handleContentChunk(self, data: bytes) -> None:
        """Some of the body has come."""
        if not self.too_large and self.content.tell() + len(data) > self._limit():
            self.too_large = True
            self.content = BytesIO()
        if not self.too_large:
            self.content.write(data)

    def _limit(self) -> int:
        return cast("DeadlineChannel", self.channel).site.limits.body_bytes


class DeadlineChannel(HTTPChannel):
    """One HTTP/1.1 connection, whose requests must be whole in time."""

    site: CappedSite
    _between_requests = True

    def dataReceived(self, data: bytes) -> None:
        """Start the deadline at a request's first byte; unlike the base class, do not put it off at each."""
        self._begin_request()
        LineReceiver.dataReceived(self, data)
        if self.requests or self._buffer:
            self._begin_request()  # one was answered, and some of the next came with it

    def headerReceived(self, line: bytes) -> bool:
        """Take one header. A ``Content-Length`` of thousands of digits is more than ``int`` takes."""
        try:
            return bool(super().headerReceived(line))  # type: ignore[no-untyped-call]
        except ValueError:
            self._respondToBadRequestAndDisconnect()
            return False

    def _respondToBadRequestAndDisconnect(self) -> None:
        """Answer 400. The base class would go on and answer the request too, if more of it is there."""
        super()._respondToBadRequestAndDisconnect()  # type: ignore[no-untyped-call]
        self.site.answers[HTTPStatus.BAD_REQUEST] += 1
        self.lineReceived = self.rawDataReceived = _ignore  # type: ignore[method-assign, assignment]

    def _begin_request(self) -> None:
        if self._between_requests:
            self._between_requests = False
            self.setTimeout(self.site.limits.request_time)

    def requestDone(self, request: HTTPRequest) -> None:
        """Go back to waiting; what the base class calls the saved timeout is that for the next request."""
        self._between_requests = True
        self._savedTimeOut = self.site.limits.idle_time
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def timeoutConnection(self) -> None:
        """Give the connection up. It asks nothing, or too slowly, so nobody waits for a polite end."""
        if not self._between_requests:
            self.site.answers[HTTPStatus.REQUEST_TIMEOUT] += 1
        cast(ITCPTransport, self.transport).abortConnection()


class CappedSite(Site):
    """Serves a resource over HTTP/1.1.

    :param clock: what deadlines are measured by.
    :param limits: what connections and requests may take of time and memory.
    """

    noisy = False
    protocol = DeadlineChannel  # type: ignore[assignment]  # HTTP/1.1 alone: WebSockets need it
    _log = Logger(namespace="callnet.web")

    def __init__(self, resource: IResource, clock: IReactorTime, limits: HttpSettings = NO_SETTINGS) -> None:
        options = {"requestFactory": CappedRequest, "timeout": limits.idle_time, "parsePOSTFormSubmission": False}
        super().__init__(resource, reactor=clock, **options)  # type: ignore[no-untyped-call]
        self.limits = limits
        self.answers: Final[Counter[int]] = Counter()
        """How many were sent, by status; 408: the request was given up, since it took too long."""

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
            return _TooLarge()
        return cast(IResource, super().getResourceFor(request))  # type: ignore[no-untyped-call]

    def log(self, request: HTTPRequest) -> None:
        """Count an answer that was sent, and write one line for it."""
        self.answers[request.code] += 1
        self._log.info(
            "{peer} {method} {path} {status} {length} {request}",
            peer=_host(request.getClientAddress()),
            method=_printable(request.method),
            path=_printable(request.path),
            status=request.code,
            length=request.sentLength,
            request=id_of(request),
        )


def id_of(request: object) -> str:
    """By what a request is called in the log, and in its answer; ``-``: it was no whole request."""
    return str(getattr(request, "request_id", CappedRequest.request_id))


def _ignore(_data: bytes) -> None:
    """Take what follows something that was no HTTP."""


def _host(address: IAddress) -> str:
    return str(getattr(address, "host", "-"))


def _printable(text: Any) -> str:
    shown = text[:_PATH_LOGGED].decode("ascii", "backslashreplace")
    return "".join(character if character.isprintable() else "?" for character in shown)
