"""The account service over HTTP (protocol §1)."""

from __future__ import annotations

from klein import Klein
from msgspec.structs import asdict
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug import exceptions

from callnet.accounts.service import AccountService
from callnet.errors import MethodNotAllowed, NotFound, ServiceError, Unavailable, root_cause
from callnet.web.envelope import write_error, write_success
from callnet.web.paths import WholePath
from callnet.web.requests import ContactsRequest, LoginRequest, decode_body


class AccountApi:
    """Translates HTTP to :class:`AccountService` and back. It is to be served by a ``CappedSite``."""

    _app = Klein()
    _log = Logger(namespace="callnet.web")

    def __init__(self, service: AccountService) -> None:
        self._service = service

    def resource(self) -> IResource:
        """The account service as a resource.

        It looks at the whole path, wherever it was put: as the root of a site, or as its children
        ``account`` and ``getContactPersons`` beside others.
        """
        return WholePath(self._app.resource())

    @_app.route("/account/login", methods=["POST"])
    async def login(self, request: IRequest) -> bytes:
        """Log a device in."""
        asked = decode_body(request.content.read(), LoginRequest)
        login = await self._service.login(asked.phone, asked.device_id)
        return write_success(request, asdict(login))

    @_app.route("/getContactPersons", methods=["POST"])
    async def contacts(self, request: IRequest) -> bytes:
        """List the devices of a phone's contacts."""
        asked = decode_body(request.content.read(), ContactsRequest)
        page = await self._service.contacts(asked.phone, asked.token, asked.limit, asked.after)
        fields = asdict(page)
        if page.next is None:
            del fields["next"]
        return write_success(request, fields)

    @_app.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error: the one place where errors become HTTP."""
        error = failure.value
        if isinstance(error, exceptions.MethodNotAllowed):
            request.setHeader(b"allow", ", ".join(error.valid_methods or ()).encode("ascii"))
            return write_error(request, MethodNotAllowed("this path does not take this method"))
        if isinstance(error, exceptions.HTTPException):
            return write_error(request, NotFound("there is no such path"))
        if isinstance(error, Unavailable):
            self._log.warn("An account request failed: {error}: {cause}", error=error, cause=root_cause(error))
        if isinstance(error, ServiceError):
            return write_error(request, error)
        self._log.failure("An account request failed", failure)
        return write_error(request, ServiceError("internal error"))
