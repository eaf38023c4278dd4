"""The operator's listener: health, metrics, the admin API, and a dashboard."""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import Final

import msgspec
from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.config.schema import HttpSettings
from callnet.errors import Misdirected
from callnet.ops.admin_key import AdminKey
from callnet.ops.metrics import CONTENT_TYPE, Observed, as_text
from callnet.web.control import LOOKS, ControlApi
from callnet.web.hosts import is_ours
from callnet.web.http import CappedSite, WholePath, answer_failure, header_of
from callnet.web.schemas import write_error
from callnet.web.static import StaticFile, StaticFiles

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
}


class AdminApi:
    """The resources for probes, which have no key."""

    _app = Klein()

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def resource(self) -> IResource:
        """All of it, as the root of a site."""
        return WholePath(self._app.resource())

    @_app.route("/healthz", methods=["GET"])
    def health(self, request: IRequest) -> bytes:
        """Answer, which shows that the process turns."""
        return _write(request, HTTPStatus.OK, "application/json", b'{"status":"ok"}')

    @_app.route("/readyz", methods=["GET"])
    async def readiness(self, request: IRequest) -> bytes:
        """Tell whether devices may be sent here, and if not, why."""
        report = await self._observed.report()
        status = HTTPStatus.OK if report.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _write(request, status, "application/json", msgspec.json.encode(report))

    @_app.route("/metrics", methods=["GET"])
    async def metrics(self, request: IRequest) -> bytes:
        """Tell what was counted."""
        return _write(request, HTTPStatus.OK, CONTENT_TYPE, as_text(await self._observed.families()))

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error."""
        return answer_failure(request, failure, "operator request")


def root(observed: Observed, key: AdminKey, dashboard: str, clock: IReactorTime) -> IResource:
    """Put the parts of the listener in their places.

    :param dashboard: the directory of the dashboard's files.
    """
    files = StaticFiles(dashboard, "/dashboard/", clock)
    top = _Top(AdminApi(observed).resource())
    top.putChild(b"", StaticFile(files, "index.html"))
    top.putChild(b"dashboard", files)
    top.putChild(b"api", ControlApi(observed).resource(key))
    return top


class _Top(Resource):
    """Paths without a resource of their own go to ``other``."""

    def __init__(self, other: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._other = other

    def getChild(self, path: bytes, request: Request) -> IResource:  # noqa: ARG002
        return self._other


class AdminSite(CappedSite):
    """Serves it, to those who ask by a name that is ours.

    :param names: such names, beside ``localhost``.
    """

    def __init__(self, resource: IResource, clock: IReactorTime, limits: HttpSettings, names: Collection[str]) -> None:
        super().__init__(resource, clock, limits)
        self._names = frozenset(names)

    def getResourceFor(self, request: Request) -> IResource:
        """Find what answers a request, and give the answer its headers."""
        for name, value in _HEADERS.items():
            request.responseHeaders.setRawHeaders(name, [value])
        found = super().getResourceFor(request)
        return found if is_ours(header_of(request, b"host"), self._names) else _Misdirected()

    def log(self, request: HTTPRequest) -> None:
        """Write one line for an answer that is worth one: probes and the dashboard ask every few seconds."""
        is_look = request.method != b"POST" or request.path in LOOKS
        if not is_look or request.code not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
            super().log(request)


class _Misdirected(Resource):
    """The answer to requests under a foreign host name (RFC 9110 §15.5.20)."""

    isLeaf = True

    def render(self, request: Request) -> bytes:
        return write_error(request, Misdirected("this host is not in admin.hosts"))


def _write(request: IRequest, status: int, kind: str, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", kind.encode("ascii"))
    request.setHeader(b"content-length", b"%d" % len(body))
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    return body
