"""The account service over HTTP (protocol §1)."""

from __future__ import annotations

from collections.abc import Callable

from klein import Klein
from msgspec.structs import asdict
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from werkzeug import exceptions

from callnet.accounts.contact_lists import ContactLists, ContactPage
from callnet.accounts.logins import Login, Logins
from callnet.accounts.past_calls import PastCallPage, PastCalls
from callnet.accounts.phone_settings import SettingsOfPhones
from callnet.errors import DataInvalid, MethodNotAllowed, NotFound, ServiceError, Unavailable, root_cause
from callnet.operations.limits import LoginLimits
from callnet.web.envelope import write_error, write_success
from callnet.web.paths import WholePath
from callnet.web.requests import (
    AddContactRequest,
    CodeRequest,
    ContactRequest,
    ContactsRequest,
    HistoryRequest,
    LoginRequest,
    QuietHoursFields,
    SettingsRequest,
    TokenRequest,
    bearer_token,
    decode_body,
)


class AccountApi:
    """Translates HTTP to the services of accounts and back. It is to be served by a ``CappedSite``."""

    _app = Klein()
    _log = Logger(namespace="callnet.web")

    def __init__(
        self,
        logins: Logins,
        lists: ContactLists,
        settings: SettingsOfPhones,
        past_calls: PastCalls,
        limits: LoginLimits,
    ) -> None:
        self._logins = logins
        self._lists = lists
        self._settings = settings
        self._past_calls = past_calls
        self._limits = limits

    def resource(self) -> IResource:
        """The account service as a resource.

        It looks at the whole path, wherever it was put: as the root of a site, or as one of its children.
        """
        return WholePath(self._app.resource())

    @_app.route("/account/login", methods=["POST"])
    async def login(self, request: IRequest) -> bytes:
        """Log a device in."""
        asked = decode_body(request.content.read(), LoginRequest)
        await self._limits.login(_host(request), asked.phone)
        return _logged_in(request, await self._logins.login(asked.phone, asked.device_id, asked.secret, asked.code))

    @_app.route("/account/code", methods=["POST"])
    async def code(self, request: IRequest) -> bytes:
        """Send a one-time code."""
        asked = decode_body(request.content.read(), CodeRequest)
        await self._limits.code(_host(request))
        await self._logins.send_code(asked.phone)
        return write_success(request, {})

    @_app.route("/account/refresh", methods=["POST"])
    def refresh(self, request: IRequest) -> bytes:
        """Give the device of a token a new one."""
        return _logged_in(request, self._logins.refresh(_lone_token(request)))

    @_app.route("/account/logout", methods=["POST"])
    async def logout(self, request: IRequest) -> bytes:
        """Revoke a token."""
        await self._logins.logout(_lone_token(request))
        return write_success(request, {})

    @_app.route("/getContactPersons", methods=["POST"])
    async def contacts(self, request: IRequest) -> bytes:
        """List the devices of a phone's contacts."""
        asked = decode_body(request.content.read(), ContactsRequest)
        return _paged(request, await self._lists.contacts(asked.phone, asked.token, asked.limit, asked.after))

    @_app.route("/contacts/add", methods=["POST"])
    async def add_contact(self, request: IRequest) -> bytes:
        """Put a phone in the caller's list, or give it another name there."""
        asked = decode_body(request.content.read(), AddContactRequest)
        await self._lists.add(_token(request, asked.token), asked.contact_phone, asked.name)
        return write_success(request, {})

    @_app.route("/contacts/remove", methods=["POST"])
    async def remove_contact(self, request: IRequest) -> bytes:
        """Take a phone out of the caller's list."""
        return await _changed(request, self._lists.remove)

    @_app.route("/contacts/block", methods=["POST"])
    async def block_contact(self, request: IRequest) -> bytes:
        """Have the caller's phone block another."""
        return await _changed(request, self._lists.block)

    @_app.route("/contacts/unblock", methods=["POST"])
    async def unblock_contact(self, request: IRequest) -> bytes:
        """Have the caller's phone block another no more."""
        return await _changed(request, self._lists.unblock)

    @_app.route("/account/settings", methods=["POST"])
    async def settings(self, request: IRequest) -> bytes:
        """Set what the caller's phone wants of calls to it, and answer with what is set."""
        asked = decode_body(request.content.read(), SettingsRequest)
        quiet = asked.do_not_disturb
        wanted = quiet.quiet_hours() if isinstance(quiet, QuietHoursFields) else quiet
        found = await self._settings.change(_token(request, asked.token), wanted, asked.auto_answer)
        do_not_disturb = None if found.quiet is None else found.quiet.fields()
        return write_success(request, {"do_not_disturb": do_not_disturb, "auto_answer": found.auto_answer})

    @_app.route("/calls/history", methods=["POST"])
    async def history(self, request: IRequest) -> bytes:
        """List the past calls of the caller's phone."""
        asked = decode_body(request.content.read(), HistoryRequest)
        return _paged(request, await self._past_calls.page(_token(request, asked.token), asked.limit, asked.after))

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


def _logged_in(request: IRequest, login: Login) -> bytes:
    fields = asdict(login)
    if login.device_secret is None:
        del fields["device_secret"]
    return write_success(request, fields)


def _paged(request: IRequest, page: ContactPage | PastCallPage) -> bytes:
    fields = asdict(page)
    if page.next is None:
        del fields["next"]
    return write_success(request, fields)


async def _changed(request: IRequest, change: Callable[[str, str], Deferred[None]]) -> bytes:
    """Do something about one phone to the lists of the caller's."""
    asked = decode_body(request.content.read(), ContactRequest)
    await change(_token(request, asked.token), asked.contact_phone)
    return write_success(request, {})


def _lone_token(request: IRequest) -> str:
    """The token that is all that was asked with."""
    return _token(request, decode_body(request.content.read(), TokenRequest).token)


def _token(request: IRequest, in_body: str | None) -> str:
    """The token of the body, or if there is none, of the header."""
    token = bearer_token(request) if in_body is None else in_body
    if token is None:
        raise DataInvalid("token is missing")
    return token


def _host(request: IRequest) -> str:
    return str(getattr(request.getClientAddress(), "host", ""))
