"""HTTP that can be left open to the network: bodies with a limit, requests with a deadline, logs without secrets.

:class:`CappedSite` serves every listener that speaks HTTP. Against what `twisted.web` does by itself:

* A body longer than the limit is not kept. It is read to its end, so that the client gets to see its 413.
* A request must be whole within :data:`REQUEST_DEADLINE`, however steadily its bytes drip in.
* A connection that asks nothing is closed after :data:`IDLE_LIMIT`. One that became a WebSocket is left alone.
* The log has one line for each answer, without the query, where tokens are, but with the id that the answer has in
  ``X-Request-Id``.
"""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, cast

from twisted.internet.interfaces import IReactorTime, ITCPTransport
from twisted.protocols.basic import LineReceiver
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HTTPRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request, Site

from callnet.errors import BodyTooLarge
from callnet.logger import Logger
from callnet.web.envelope import write_error

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress

REQUEST_DEADLINE: Final = 15.0
"""How long the headers and the body of a request may take together from its first byte, in seconds."""

IDLE_LIMIT: Final = 60.0
"""How long a connection may stay open between requests, in seconds."""

BODY_LIMIT: Final = 16 * 1024
"""The longest body, in bytes (protocol §1)."""

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
        return cast("DeadlineChannel", self.channel).site.body_limit


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
        self.lineReceived = self.rawDataReceived = _ignore  # type: ignore[method-assign, assignment]

    def _begin_request(self) -> None:
        if self._between_requests:
            self._between_requests = False
            self.setTimeout(REQUEST_DEADLINE)

    def requestDone(self, request: HTTPRequest) -> None:
        """Go back to waiting; what the base class calls the saved timeout is that for the next request."""
        self._between_requests = True
        self._savedTimeOut = IDLE_LIMIT
        super().requestDone(request)  # type: ignore[no-untyped-call]

    def timeoutConnection(self) -> None:
        """Give the connection up. It asks nothing, or too slowly, so nobody waits for a polite end."""
        cast(ITCPTransport, self.transport).abortConnection()


class CappedSite(Site):
    """Serves a resource over HTTP/1.1.

    :param clock: what deadlines are measured by.
    :param body_limit: the longest body that a request may have, in bytes.
    """

    noisy = False
    protocol = DeadlineChannel  # type: ignore[assignment]  # HTTP/1.1 alone: WebSockets need it
    _log = Logger(namespace="callnet.web")

    def __init__(self, resource: IResource, clock: IReactorTime, body_limit: int = BODY_LIMIT) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            resource, requestFactory=CappedRequest, timeout=IDLE_LIMIT, reactor=clock, parsePOSTFormSubmission=False
        )
        self.body_limit = body_limit
        self.answers: Final[Counter[int]] = Counter()
        """How many were sent, by status."""

    def startFactory(self) -> None:
        """Nothing to start: the log file and the timer of the base class serve its own log."""

    def stopFactory(self) -> None:
        """Nothing to stop."""

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
