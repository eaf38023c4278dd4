"""The operator's listener: whether the process turns, whether devices may be sent here, and what was counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug import exceptions

from callnet.errors import MethodNotAllowed, NotFound, ServiceError
from callnet.operations.metrics import CONTENT_TYPE, Family, as_text
from callnet.operations.readiness import Report
from callnet.web.envelope import write_error
from callnet.web.http import CappedSite
from callnet.web.paths import WholePath

_OK = 200
_UNAVAILABLE = 503


class Observed(Protocol):
    """What is looked at: one process, or a parent with its workers. Neither of its Deferreds fails."""

    def report(self) -> Deferred[Report]:
        """Whether devices may be sent here."""

    def families(self) -> Deferred[Sequence[Family]]:
        """What was counted."""


class AdminApi:
    """Translates HTTP to :class:`Observed`. It is to be served by an :class:`AdminSite`."""

    _app = Klein()
    _log = Logger(namespace="callnet.web")

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def resource(self) -> IResource:
        """All of it, as the root of a site."""
        return WholePath(self._app.resource())

    @_app.route("/healthz", methods=["GET"])
    def health(self, request: IRequest) -> bytes:
        """Answer, which shows that the process turns."""
        return _write(request, _OK, "application/json", b'{"status":"ok"}')

    @_app.route("/readyz", methods=["GET"])
    async def readiness(self, request: IRequest) -> bytes:
        """Tell whether devices may be sent here, and if not, why."""
        report = await self._observed.report()
        status = _OK if report.ready else _UNAVAILABLE
        return _write(request, status, "application/json", msgspec.json.encode(report))

    @_app.route("/metrics", methods=["GET"])
    async def metrics(self, request: IRequest) -> bytes:
        """Tell what was counted."""
        return _write(request, _OK, CONTENT_TYPE, as_text(await self._observed.families()))

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error."""
        error = failure.value
        if isinstance(error, exceptions.MethodNotAllowed):
            request.setHeader(b"allow", ", ".join(error.valid_methods or ()).encode("ascii"))
            return write_error(request, MethodNotAllowed("this path does not take this method"))
        if isinstance(error, exceptions.HTTPException):
            return write_error(request, NotFound("there is no such path"))
        self._log.failure("An operator's request failed", failure)
        return write_error(request, ServiceError("internal error"))


class AdminSite(CappedSite):
    """Serves it. Probes come every few seconds, so the log has a line only for what was not answered with 200."""

    def log(self, request: Request) -> None:
        """Write one line for an answer that is worth one."""
        if request.code != _OK:
            super().log(request)


def _write(request: IRequest, status: int, kind: str, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", kind.encode("ascii"))
    request.setHeader(b"content-length", b"%d" % len(body))
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return body
