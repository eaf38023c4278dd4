"""The account service over HTTP (protocol §1)."""

from __future__ import annotations

from typing import ClassVar

from klein import Klein
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from callnet.accounts.contact_lists import ContactLists, ContactPage
from callnet.accounts.logins import Login, Logins
from callnet.accounts.past_calls import PastCallPage, PastCalls
from callnet.accounts.phone_settings import SettingsOfPhones
from callnet.errors import DataInvalid
from callnet.ops.ice import IceOffer, IceOffers
from callnet.ops.rate_limits import LoginLimits
from callnet.push.registry import WaysToWake
from callnet.storage.push import PushKind
from callnet.web.endpoint import call, look
from callnet.web.http import WholePath, answer_failure
from callnet.web.schemas import (
    DONE,
    AddContactRequest,
    CodeRequest,
    ContactRequest,
    ContactsRequest,
    Done,
    HistoryRequest,
    LoginRequest,
    PushKey,
    PushRequest,
    QuietHoursAnswered,
    QuietHoursFields,
    SettingsAnswer,
    SettingsRequest,
    TokenRequest,
    bearer_token,
)


class AccountApi:
    """Translates HTTP to the services of accounts and back. It is to be served by a ``CappedSite``."""

    routes: ClassVar = Klein()

    def __init__(
        self,
        logins: Logins,
        lists: ContactLists,
        settings: SettingsOfPhones,
        past_calls: PastCalls,
        ways_to_wake: WaysToWake,
        ice_offers: IceOffers,
        limits: LoginLimits,
    ) -> None:
        self._logins = logins
        self._lists = lists
        self._settings = settings
        self._past_calls = past_calls
        self._ways_to_wake = ways_to_wake
        self._ice_offers = ice_offers
        self._limits = limits

    def resource(self) -> IResource:
        """The account service as a resource.

        It looks at the whole path, wherever it was put: as the root of a site, or as one of its children.
        """
        return WholePath(self.routes.resource())

    @classmethod
    def places(cls) -> frozenset[bytes]:
        """The first segments of the paths of its calls, at which it is to be put among others."""
        return frozenset(rule.rule.split("/")[1].encode("ascii") for rule in cls.routes.url_map.iter_rules())

    @call(routes, "/account/login")
    async def login(self, request: IRequest, asked: LoginRequest) -> Login:
        """Log a device in."""
        await self._limits.login(_host(request), self._logins.phones.read(asked.phone))
        return await self._logins.login(asked.phone, asked.device_id, asked.secret, asked.code)

    @call(routes, "/account/code")
    async def code(self, request: IRequest, asked: CodeRequest) -> Done:
        """Send a one-time code."""
        await self._limits.code(_host(request))
        await self._logins.send_code(asked.phone)
        return DONE

    @call(routes, "/account/refresh")
    async def refresh(self, request: IRequest, asked: TokenRequest) -> Login:
        """Give the device of a token a new one."""
        token = _token(request, asked.token)
        await self._limits.refresh(self._logins.device(token))
        return self._logins.refresh(token)

    @call(routes, "/account/logout")
    async def logout(self, request: IRequest, asked: TokenRequest) -> Done:
        """End a login session."""
        token = _token(request, asked.token)
        await self._limits.logout(self._logins.device(token))
        await self._logins.logout(token)
        return DONE

    @call(routes, "/getContactPersons")
    async def contacts(self, request: IRequest, asked: ContactsRequest) -> ContactPage:
        """List the devices of a phone's contacts."""
        return await self._lists.contacts(asked.phone, self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/contacts/add")
    async def add_contact(self, request: IRequest, asked: AddContactRequest) -> Done:
        """Put a phone in the caller's list, or give it another name there."""
        await self._lists.add(self._counted(request, asked.token), asked.contact_phone, asked.name)
        return DONE

    @call(routes, "/contacts/remove")
    async def remove_contact(self, request: IRequest, asked: ContactRequest) -> Done:
        """Take a phone out of the caller's list."""
        await self._lists.remove(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/block")
    async def block_contact(self, request: IRequest, asked: ContactRequest) -> Done:
        """Have the caller's phone block another."""
        await self._lists.block(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/unblock")
    async def unblock_contact(self, request: IRequest, asked: ContactRequest) -> Done:
        """Have the caller's phone block another no more."""
        await self._lists.unblock(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/account/settings")
    async def settings(self, request: IRequest, asked: SettingsRequest) -> SettingsAnswer:
        """Set what the caller's phone wants of calls to it, and answer with what is set."""
        quiet = asked.do_not_disturb
        wanted = quiet.quiet_hours() if isinstance(quiet, QuietHoursFields) else quiet
        found = await self._settings.change(self._counted(request, asked.token), wanted, asked.auto_answer)
        do_not_disturb = None if found.quiet is None else QuietHoursAnswered.of(found.quiet)
        return SettingsAnswer(do_not_disturb, found.auto_answer)

    @call(routes, "/calls/history")
    async def history(self, request: IRequest, asked: HistoryRequest) -> PastCallPage:
        """List the past calls of the caller's phone."""
        return await self._past_calls.page(self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/devices/push")
    async def push(self, request: IRequest, asked: PushRequest) -> Done:
        """Set how the caller's device is woken when it sleeps."""
        kind = None if asked.kind == "none" else PushKind(asked.kind)
        await self._ways_to_wake.register(self._counted(request, asked.token), kind, asked.target)
        return DONE

    @look(routes, "/devices/push/key")
    def push_key(self) -> PushKey:
        """Tell what a browser needs to subscribe to Web Push."""
        return PushKey(self._ways_to_wake.application_server_key)

    @call(routes, "/ice")
    async def ice(self, request: IRequest, asked: TokenRequest) -> IceOffer:
        """Tell the caller's device by which servers it may reach others (RTCIceServer of WebRTC)."""
        return self._ice_offers.offer(self._counted(request, asked.token), _host(request))

    def _counted(self, request: IRequest, in_body: str | None) -> str:
        """The token of a request, which counts for its device and its phone.

        :raises TokenInvalid: the token is not valid.
        :raises RateLimited: it is one request too many.
        """
        token = _token(request, in_body)
        self._limits.request(self._logins.device(token))
        return token

    @routes.handle_errors(Exception)
    def failed(self, request: IRequest, failure: Failure) -> bytes:
        """Answer with the error."""
        return answer_failure(request, failure, "account request")


def _token(request: IRequest, in_body: str | None) -> str:
    """The token of the body, or if there is none, of the header."""
    token = bearer_token(request) if in_body is None else in_body
    if token is None:
        raise DataInvalid("token is missing")
    return token


def _host(request: IRequest) -> str:
    return str(getattr(request.getClientAddress(), "host", ""))
