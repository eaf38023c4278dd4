"""The account service over HTTP (protocol §1)."""

from __future__ import annotations

from typing import ClassVar

from klein import Klein
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from callnet.accounts.contact_lists import AdderList, ContactLists, ContactPage, PeoplePage, PhoneList
from callnet.accounts.enrolment import secret_hash
from callnet.accounts.guests import EnteredGuest, Guests
from callnet.accounts.links import LinkChanges, Links
from callnet.accounts.logins import Login, Logins
from callnet.accounts.own_devices import OwnDeviceList, OwnDevices
from callnet.accounts.pairing import BegunPairing, PairingResult, Pairings, WaitingDevice, read_code
from callnet.accounts.past_calls import PastCallPage, PastCalls
from callnet.accounts.phone_settings import SettingsOfPhones
from callnet.accounts.profiles import PhotoAnswer, ProfileFields, Profiles
from callnet.errors import CodeInvalid, DataInvalid
from callnet.ops.ice import IceOffer, IceOffers
from callnet.ops.rate_limits import GuestLimits, LoginLimits, PairingLimits
from callnet.push.registry import WaysToWake
from callnet.push.tickets import TicketRefusals
from callnet.storage.push import PushKind
from callnet.web.endpoint import call, look
from callnet.web.http import WholePath, answer_failure
from callnet.web.schemas import (
    DONE,
    AcceptPairingRequest,
    AddContactRequest,
    BeginPairingRequest,
    ChangeLinkRequest,
    CodeRequest,
    ConfigureDeviceRequest,
    ContactRequest,
    ContactsRequest,
    DeleteCallsRequest,
    DeviceRequest,
    Done,
    EnterRequest,
    HistoryRequest,
    LinkList,
    LinkRequest,
    LinkRow,
    LoginRequest,
    LookPairingRequest,
    MakeLinkRequest,
    OneLink,
    PeopleRequest,
    PollPairingRequest,
    ProfileRequest,
    PushKey,
    PushRequest,
    QuietHoursAnswered,
    QuietHoursFields,
    RefuseCallRequest,
    RefusePairingRequest,
    RenameDeviceRequest,
    RenewPushRequest,
    SettingsAnswer,
    SettingsRequest,
    TokenRequest,
    UnlockRequest,
    bearer_token,
)


class AccountApi:
    """Translates HTTP to the services of accounts and back. It is to be served by a ``CappedSite``."""

    routes: ClassVar = Klein()

    def __init__(
        self,
        logins: Logins,
        lists: ContactLists,
        profiles: Profiles,
        devices: OwnDevices,
        pairings: Pairings,
        settings: SettingsOfPhones,
        past_calls: PastCalls,
        ways_to_wake: WaysToWake,
        refusals: TicketRefusals,
        ice_offers: IceOffers,
        limits: LoginLimits,
        pairing_limits: PairingLimits,
        links: Links,
        guests: Guests,
        guest_limits: GuestLimits,
    ) -> None:
        self._logins = logins
        self._lists = lists
        self._profiles = profiles
        self._devices = devices
        self._pairings = pairings
        self._settings = settings
        self._past_calls = past_calls
        self._ways_to_wake = ways_to_wake
        self._refusals = refusals
        self._ice_offers = ice_offers
        self._limits = limits
        self._pairing_limits = pairing_limits
        self._links = links
        self._guests = guests
        self._guest_limits = guest_limits

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
        token = self._counted(request, asked.token)
        await self._lists.add(token, asked.contact_phone, asked.name, asked.favourite)
        return DONE

    @call(routes, "/contacts/list")
    async def people(self, request: IRequest, asked: PeopleRequest) -> PeoplePage:
        """List the contacts of the caller's phone, one row for each phone."""
        return await self._lists.people(self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/contacts/photo")
    async def photo(self, request: IRequest, asked: ContactRequest) -> PhotoAnswer:
        """Answer with the photo of a phone."""
        return await self._profiles.photo(self._counted(request, asked.token), asked.contact_phone)

    @call(routes, "/contacts/added")
    async def added(self, request: IRequest, asked: TokenRequest) -> AdderList:
        """List phones that have the caller's phone in their lists, and that it does not list itself."""
        return await self._lists.added(self._counted(request, asked.token))

    @call(routes, "/contacts/dismiss")
    async def dismiss_adder(self, request: IRequest, asked: ContactRequest) -> Done:
        """Show a phone in `/contacts/added` no more."""
        await self._lists.dismiss(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/blocked")
    async def blocked(self, request: IRequest, asked: TokenRequest) -> PhoneList:
        """List the phones that the caller's phone blocks."""
        return await self._lists.blocked(self._counted(request, asked.token))

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

    @call(routes, "/account/profile")
    async def profile(self, request: IRequest, asked: ProfileRequest) -> ProfileFields:
        """Set the name and the photo of the caller's phone, and answer with what is set."""
        return await self._profiles.change(self._counted(request, asked.token), asked.name, asked.photo)

    @call(routes, "/account/settings")
    async def settings(self, request: IRequest, asked: SettingsRequest) -> SettingsAnswer:
        """Set what the caller's phone wants of calls to it, and answer with what is set."""
        quiet = asked.do_not_disturb
        wanted = quiet.quiet_hours() if isinstance(quiet, QuietHoursFields) else quiet
        token = self._counted(request, asked.token)
        until = asked.do_not_disturb_until
        through, again = asked.rings_through, asked.second_call_rings
        found = await self._settings.change(token, wanted, asked.auto_answer, asked.who_may_call, until, through, again)
        do_not_disturb = None if found.quiet is None else QuietHoursAnswered.of(found.quiet)
        return SettingsAnswer(
            do_not_disturb,
            found.quiet_until,
            found.auto_answer,
            found.who_may_call,
            found.rings_through,
            found.second_call_rings,
        )

    @call(routes, "/calls/history")
    async def history(self, request: IRequest, asked: HistoryRequest) -> PastCallPage:
        """List the past calls of the caller's phone."""
        return await self._past_calls.page(self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/calls/delete")
    async def delete_calls(self, request: IRequest, asked: DeleteCallsRequest) -> Done:
        """Delete a call, or all, from the history of the caller's phone."""
        await self._past_calls.delete(self._counted(request, asked.token), asked.room_id)
        return DONE

    @call(routes, "/calls/refuse")
    async def refuse_call(self, request: IRequest, asked: RefuseCallRequest) -> Done:
        """Refuse the call for which a device was woken."""
        await self._limits.without_token(_host(request))
        await self._refusals.refuse(asked.phone, asked.device_id, asked.ticket)
        return DONE

    @call(routes, "/devices/list")
    async def devices(self, request: IRequest, asked: TokenRequest) -> OwnDeviceList:
        """List the devices of the caller's phone."""
        return await self._devices.devices(self._counted(request, asked.token))

    @call(routes, "/devices/rename")
    async def rename_device(self, request: IRequest, asked: RenameDeviceRequest) -> Done:
        """Give a device of the caller's phone a label."""
        await self._devices.rename(self._counted(request, asked.token), asked.device_id, asked.label)
        return DONE

    @call(routes, "/devices/configure")
    async def configure_device(self, request: IRequest, asked: ConfigureDeviceRequest) -> Done:
        """Change settings of a device of the caller's phone."""
        token = self._counted(request, asked.token)
        await self._devices.configure(token, asked.device_id, asked.kiosk_pin, asked.auto_answers)
        return DONE

    @call(routes, "/devices/unlock")
    async def unlock_device(self, request: IRequest, asked: UnlockRequest) -> Done:
        """End the kiosk of the caller's device."""
        await self._devices.unlock(self._counted(request, asked.token), asked.pin)
        return DONE

    @call(routes, "/devices/logout")
    async def log_out_device(self, request: IRequest, asked: DeviceRequest) -> Done:
        """Log a device of the caller's phone out, and revoke its secret."""
        await self._devices.log_out(self._counted(request, asked.token), asked.device_id)
        return DONE

    @call(routes, "/devices/remove")
    async def remove_device(self, request: IRequest, asked: DeviceRequest) -> Done:
        """Remove a device of the caller's phone."""
        await self._devices.remove(self._counted(request, asked.token), asked.device_id)
        return DONE

    @call(routes, "/pairing/begin")
    async def begin_pairing(self, request: IRequest, asked: BeginPairingRequest) -> BegunPairing:
        """Have a device wait until another one lets it in."""
        await self._pairing_limits.begin(_host(request))
        return await self._pairings.begin(asked.name)

    @call(routes, "/pairing/poll")
    async def poll_pairing(self, request: IRequest, asked: PollPairingRequest) -> PairingResult:
        """Tell a device that waits what has become of it."""
        await self._pairing_limits.poll(_host(request), secret_hash(asked.device_secret).hex())
        return await self._pairings.poll(asked.device_secret)

    @call(routes, "/pairing/look")
    async def look_pairing(self, request: IRequest, asked: LookPairingRequest) -> WaitingDevice:
        """Tell the caller's device which one shows a code."""
        token = self._pairings.may_accept(self._counted(request, asked.token))
        code = read_code(asked.user_code)
        if code is None:
            raise CodeInvalid("user_code has not the form of a code")
        await self._pairing_limits.code(_host(request), token.device.phone)
        return await self._pairings.find(code)

    @call(routes, "/pairing/accept")
    async def accept_pairing(self, request: IRequest, asked: AcceptPairingRequest) -> Done:
        """Let a device that waits in, as one of the caller's phone."""
        token = self._pairings.may_accept(self._counted(request, asked.token))
        await self._pairings.accept(token, asked.pairing_id, asked.device_id, asked.label)
        return DONE

    @call(routes, "/pairing/refuse")
    async def refuse_pairing(self, request: IRequest, asked: RefusePairingRequest) -> Done:
        """Refuse a device that waits."""
        self._pairings.may_accept(self._counted(request, asked.token))
        await self._pairings.refuse(asked.pairing_id)
        return DONE

    @call(routes, "/links/list")
    async def links(self, request: IRequest, asked: TokenRequest) -> LinkList:
        """List the links that ring the caller's phone."""
        return LinkList([LinkRow.of(link) for link in await self._links.of(self._counted(request, asked.token))])

    @call(routes, "/links/make")
    async def make_link(self, request: IRequest, asked: MakeLinkRequest) -> OneLink:
        """Make a link that rings the caller's phone: who has it needs no account."""
        hours = None if asked.hours is None else asked.hours.quiet_hours()
        wanted = LinkChanges(asked.name, asked.is_on, hours, asked.expires_at, asked.calls_left)
        return OneLink(LinkRow.of(await self._links.make(self._counted(request, asked.token), wanted)))

    @call(routes, "/links/change")
    async def change_link(self, request: IRequest, asked: ChangeLinkRequest) -> OneLink:
        """Change a link of the caller's phone."""
        hours = asked.hours.quiet_hours() if isinstance(asked.hours, QuietHoursFields) else asked.hours
        wanted = LinkChanges(asked.name, asked.is_on, hours, asked.expires_at, asked.calls_left)
        token = self._counted(request, asked.token)
        return OneLink(LinkRow.of(await self._links.change(token, asked.link_id, wanted)))

    @call(routes, "/links/remove")
    async def remove_link(self, request: IRequest, asked: LinkRequest) -> Done:
        """Remove a link of the caller's phone."""
        await self._links.remove(self._counted(request, asked.token), asked.link_id)
        return DONE

    @call(routes, "/links/enter")
    async def enter(self, request: IRequest, asked: EnterRequest) -> EnteredGuest:
        """Let a guest call by a link. The answer is the same whether or not there is such a link."""
        await self._guest_limits.enter(_host(request))
        return self._guests.tokens.enter(asked.secret, asked.name)

    @call(routes, "/devices/push/renew")
    async def renew_push(self, request: IRequest, asked: RenewPushRequest) -> Done:
        """Have a device woken by the new subscription of its browser."""
        await self._limits.without_token(_host(request))
        await self._ways_to_wake.renew(asked.phone, asked.device_id, asked.old, asked.target)
        return DONE

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
