"""The operator's listener: health, metrics, a dashboard, and the admin API (docs/admin-api.md).

The API is for operators who have the key. Everything in it is a ``POST`` with a JSON body, so that no phone number
stands in a URL.
"""

from __future__ import annotations

from collections.abc import Collection
from http import HTTPStatus
from typing import ClassVar, Final

import msgspec
from klein import Klein
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.http import Request as HTTPRequest
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.config.schema import HttpSettings
from callnet.errors import Misdirected, NotFound, TokenInvalid, Unavailable
from callnet.ops.admin_api import (
    AdminCommand,
    AdminKey,
    CallShown,
    ChooseLevel,
    DeviceShown,
    Disconnect,
    EndCall,
    FailureShown,
    Level,
    LinkShown,
    ListCalls,
    ListDevices,
    ListFailures,
    ListLinks,
    ListNodes,
    NodeShown,
    RemoveLink,
    Revoke,
)
from callnet.ops.metrics import CONTENT_TYPE, Observed, as_text, of_readiness
from callnet.util.logger import threshold
from callnet.web.http import CappedSite, Refusal, WholePath, answer_failure, header_of, is_ours
from callnet.web.schemas import DONE, Done, bearer_token, call, write, write_error
from callnet.web.site import StaticFile, StaticFiles

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


class ProbesApi:
    """The resources for probes and Prometheus, which need no key."""

    _app = Klein()

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def resource(self) -> IResource:
        """All of it, as the root of a site."""
        return WholePath(self._app.resource())

    @_app.route("/healthz", methods=["GET"])
    def health(self, request: IRequest) -> bytes:
        """Answer, which shows that the process turns."""
        return write(request, HTTPStatus.OK, b'{"status":"ok"}')

    @_app.route("/readyz", methods=["GET"])
    async def readiness(self, request: IRequest) -> bytes:
        """Tell whether devices may be sent here, and if not, why."""
        report = await self._observed.report()
        status = HTTPStatus.OK if report.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return write(request, status, msgspec.json.encode(report))

    @_app.route("/metrics", methods=["GET"])
    async def metrics(self, request: IRequest) -> bytes:
        """Tell what was counted."""
        report, families = self._observed.report(), self._observed.families()
        text = as_text([*await families, of_readiness(await report)])
        return write(request, HTTPStatus.OK, text, CONTENT_TYPE.encode())

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error."""
        return answer_failure(request, failure, "operator request")


def root(observed: Observed, key: AdminKey, dashboard: str, clock: IReactorTime) -> IResource:
    """Put the parts of the listener in their places.

    :param dashboard: the directory of the dashboard's files.
    """
    files = StaticFiles(dashboard, "/dashboard/", clock)
    top = _Top(ProbesApi(observed).resource())
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
        is_known = is_ours(header_of(request, b"host"), self._names)
        return found if is_known else Refusal(Misdirected("this host is not in admin.hosts"))

    def log(self, request: HTTPRequest) -> None:
        """Write one line for an answer that is worth one: probes and the dashboard ask every few seconds."""
        is_look = request.method != b"POST" or request.path in LOOKS
        if not is_look or request.code not in (HTTPStatus.OK, HTTPStatus.NOT_MODIFIED):
            super().log(request)


LOOKS: Final = (b"/api/calls", b"/api/devices", b"/api/failures", b"/api/links", b"/api/nodes")
"""The paths at which nothing is done."""


class KeyInvalid(TokenInvalid):
    """The operator's key is missing or wrong."""

    status = 401


class NothingRequest(Struct, frozen=True):
    """``/api/drain``."""


class LevelRequest(Struct, frozen=True):
    """``/api/log-level``."""

    level: Level | None = None


class Calls(Struct, frozen=True):
    """Calls that go on."""

    calls: list[CallShown]
    silent: int


class Devices(Struct, frozen=True):
    """Devices that are connected."""

    devices: list[DeviceShown]
    silent: int


class Failures(Struct, frozen=True):
    """Calls that failed."""

    failures: list[FailureShown]
    silent: int


class Links(Struct, frozen=True):
    """The links that ring a phone."""

    links: list[LinkShown]


class Nodes(Struct, frozen=True):
    """Nodes of the cluster."""

    nodes: list[NodeShown]
    silent: int


class LevelAnswer(Struct, frozen=True):
    """The level from which on is logged."""

    level: str


class ControlApi:
    """The admin API: translates HTTP to orders."""

    routes: ClassVar = Klein()

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def resource(self, key: AdminKey) -> IResource:
        """All of it, for those who show the key."""
        return _Guarded(WholePath(self.routes.resource()), key)

    @call(routes, "/api/calls")
    async def calls(self, _request: IRequest, asked: ListCalls) -> Calls:
        """List calls that go on."""
        found = await self._observed.execute(asked)
        return Calls(list(found.calls)[: asked.limit], found.silent)

    @call(routes, "/api/calls/end")
    async def end_call(self, _request: IRequest, asked: EndCall) -> Done:
        """End a call."""
        return await self._do(asked, "no such call")

    @call(routes, "/api/devices")
    async def devices(self, _request: IRequest, asked: ListDevices) -> Devices:
        """List devices that are connected."""
        found = await self._observed.execute(asked)
        return Devices(list(found.devices)[: asked.limit], found.silent)

    @call(routes, "/api/devices/disconnect")
    async def disconnect(self, _request: IRequest, asked: Disconnect) -> Done:
        """Close the socket of a device."""
        return await self._do(asked, "the device is not connected here")

    @call(routes, "/api/devices/revoke")
    async def revoke(self, _request: IRequest, asked: Revoke) -> Done:
        """Revoke the tokens of a device, or of all of a phone."""
        return await self._do(asked, "no such account or device; any tokens it had are revoked")

    @call(routes, "/api/links")
    async def links(self, _request: IRequest, asked: ListLinks) -> Links:
        """List the links that ring a phone, without their secrets."""
        return Links(list((await self._observed.execute(asked)).links))

    @call(routes, "/api/links/remove")
    async def remove_link(self, _request: IRequest, asked: RemoveLink) -> Done:
        """Remove a link of a phone."""
        return await self._do(asked, "no such link")

    @call(routes, "/api/failures")
    async def failures(self, _request: IRequest, asked: ListFailures) -> Failures:
        """List calls that failed recently, newest first."""
        found = await self._observed.execute(asked)
        return Failures(list(found.failures)[: asked.limit], found.silent)

    @call(routes, "/api/nodes")
    async def nodes(self, _request: IRequest, asked: ListNodes) -> Nodes:
        """List the nodes that meet over Redis; none: there is no Redis."""
        found = await self._observed.execute(asked)
        return Nodes(list(found.nodes), found.silent)

    @call(routes, "/api/drain")
    async def drain(self, _request: IRequest, asked: NothingRequest) -> Done:  # noqa: ARG002
        """Stop, as at SIGTERM. To be told twice is not to be told to hurry."""
        if not (await self._observed.report()).is_draining:
            self._observed.stop()
        return DONE

    @call(routes, "/api/log-level")
    async def log_level(self, _request: IRequest, asked: LevelRequest) -> LevelAnswer:
        """Log from another level on, if one is given; answer with the one that holds."""
        if asked.level is not None:
            await self._observed.execute(ChooseLevel(asked.level))
        return LevelAnswer(threshold.level.name)

    async def _do(self, order: AdminCommand, why_not: str) -> Done:
        """Have an order carried out.

        :raises NotFound: there was nothing to be done.
        :raises Unavailable: somebody who may have something to do has not answered.
        """
        outcome = await self._observed.execute(order)
        if not outcome.done and outcome.silent:
            raise Unavailable("not all workers have answered; it may still be done")
        if not outcome.done:
            raise NotFound(why_not)
        return DONE

    @routes.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error."""
        return answer_failure(request, failure, "operator request")


class _Guarded(Resource):
    """A resource for those who show the key (RFC 6750 §2.1)."""

    isLeaf = True

    def __init__(self, guarded: IResource, key: AdminKey) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._guarded = guarded
        self._key = key

    def render(self, request: Request) -> bytes | int:
        """Answer, or say that the key is needed."""
        if self._key.is_right(bearer_token(request)):
            rendered: bytes | int = self._guarded.render(request)
            return rendered
        request.setHeader("WWW-Authenticate", 'Bearer realm="callnet"')
        return write_error(request, KeyInvalid("the key in admin.key_file is required as a bearer token"))
