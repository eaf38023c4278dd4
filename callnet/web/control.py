"""The admin API, for operators who have the key (docs/admin-api.md).

Everything is a ``POST`` with a JSON body, so that no phone number stands in a URL.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, TypeAlias

from klein import Klein
from msgspec import Meta, Struct
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.errors import NotFound, TokenInvalid
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, PHONE_MAX
from callnet.ops.admin_commands import (
    SHOWN_MAX,
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
from callnet.ops.admin_key import AdminKey
from callnet.ops.metrics import Observed
from callnet.util.logger import threshold
from callnet.util.schema_hints import LINK_ID
from callnet.web.endpoint import call
from callnet.web.http import WholePath, answer_failure
from callnet.web.schemas import DONE, Done, bearer_token, write_error

_Limit: TypeAlias = Annotated[int, Meta(ge=1, le=SHOWN_MAX)]
_Phone: TypeAlias = Annotated[str, Meta(min_length=1, max_length=PHONE_MAX)]
_DeviceId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=DEVICE_ID_MAX)]
_SHOWN: Final = 100
LOOKS: Final = (b"/api/calls", b"/api/devices", b"/api/failures", b"/api/links", b"/api/nodes")
"""The paths at which nothing is done."""


class KeyInvalid(TokenInvalid):
    """The operator's key is missing or wrong."""

    status = 401


class ListRequest(Struct, frozen=True):
    """The maximum number of entries."""

    limit: _Limit = _SHOWN


class DevicesRequest(Struct, frozen=True):
    """``/api/devices``."""

    phone: _Phone | None = None
    limit: _Limit = _SHOWN


class CallRequest(Struct, frozen=True):
    """``/api/calls/end``."""

    call: Annotated[str, Meta(max_length=64)]


class DeviceRequest(Struct, frozen=True):
    """``/api/devices/disconnect``."""

    phone: _Phone
    device_id: _DeviceId


class RevokeRequest(Struct, frozen=True):
    """``/api/devices/revoke``."""

    phone: _Phone
    device_id: _DeviceId = EVERY_DEVICE


class LinksRequest(Struct, frozen=True):
    """``/api/links``."""

    phone: _Phone


class RemoveLinkRequest(Struct, frozen=True):
    """``/api/links/remove``."""

    phone: _Phone
    link_id: Annotated[str, LINK_ID]


class NothingRequest(Struct, frozen=True):
    """``/api/drain``, ``/api/nodes``."""


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
    """Translates HTTP to orders."""

    routes: ClassVar = Klein()

    def __init__(self, observed: Observed) -> None:
        self._observed = observed

    def resource(self, key: AdminKey) -> IResource:
        """All of it, for those who show the key."""
        return _Guarded(WholePath(self.routes.resource()), key)

    @call(routes, "/api/calls")
    async def calls(self, _request: IRequest, asked: ListRequest) -> Calls:
        """List calls that go on."""
        found = await self._observed.execute(ListCalls(asked.limit))
        return Calls(list(found.calls)[: asked.limit], found.silent)

    @call(routes, "/api/calls/end")
    async def end_call(self, _request: IRequest, asked: CallRequest) -> Done:
        """End a call."""
        return _done((await self._observed.execute(EndCall(asked.call))).done, "no such call")

    @call(routes, "/api/devices")
    async def devices(self, _request: IRequest, asked: DevicesRequest) -> Devices:
        """List devices that are connected."""
        found = await self._observed.execute(ListDevices(asked.limit, asked.phone))
        return Devices(list(found.devices)[: asked.limit], found.silent)

    @call(routes, "/api/devices/disconnect")
    async def disconnect(self, _request: IRequest, asked: DeviceRequest) -> Done:
        """Close the socket of a device."""
        found = await self._observed.execute(Disconnect(asked.phone, asked.device_id))
        return _done(found.done, "the device is not connected here")

    @call(routes, "/api/devices/revoke")
    async def revoke(self, _request: IRequest, asked: RevokeRequest) -> Done:
        """Revoke the tokens of a device, or of all of a phone."""
        await self._observed.execute(Revoke(asked.phone, asked.device_id))
        return DONE

    @call(routes, "/api/links")
    async def links(self, _request: IRequest, asked: LinksRequest) -> Links:
        """List the links that ring a phone, without their secrets."""
        return Links(list((await self._observed.execute(ListLinks(asked.phone))).links))

    @call(routes, "/api/links/remove")
    async def remove_link(self, _request: IRequest, asked: RemoveLinkRequest) -> Done:
        """Remove a link of a phone."""
        return _done((await self._observed.execute(RemoveLink(asked.phone, asked.link_id))).done, "no such link")

    @call(routes, "/api/failures")
    async def failures(self, _request: IRequest, asked: ListRequest) -> Failures:
        """List calls that failed recently, newest first."""
        found = await self._observed.execute(ListFailures(asked.limit))
        return Failures(list(found.failures)[: asked.limit], found.silent)

    @call(routes, "/api/nodes")
    async def nodes(self, _request: IRequest, asked: NothingRequest) -> Nodes:  # noqa: ARG002
        """List the nodes that meet over Redis; none: there is no Redis."""
        found = await self._observed.execute(ListNodes())
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


def _done(done: int, why_not: str) -> Done:
    if not done:
        raise NotFound(why_not)
    return DONE
