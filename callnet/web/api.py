"""The account service over HTTP (protocol §1)."""

from __future__ import annotations

from typing import ClassVar

from klein import Klein
from msgspec import Struct, UnsetType
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource

from callnet.accounts.contact_lists import AdderList, ContactLists, ContactPage, PeoplePage, PhoneList
from callnet.accounts.history import PastCallPage, PastCalls
from callnet.accounts.links import EnteredGuest, Guests, LinkChanges, Links
from callnet.accounts.logins import Login, Logins
from callnet.accounts.own_devices import OwnDeviceList, OwnDevices
from callnet.accounts.pairing import BegunPairing, PairingResult, Pairings, WaitingDevice, read_code
from callnet.accounts.preferences import SettingsOfPhones
from callnet.accounts.profiles import PhotoAnswer, ProfileFields, Profiles
from callnet.accounts.validation import secret_hash
from callnet.errors import CodeInvalid, DataInvalid, RateLimited
from callnet.ops.ice import IceOffer, IceServers
from callnet.ops.limits import GuestLimits, LoginLimits, PairingLimits
from callnet.push.waking import TicketRefusals, WaysToWake
from callnet.storage.preferences import SettingsChange
from callnet.storage.push import PushKind
from callnet.util.net import site_of
from callnet.web import schemas
from callnet.web.http import WholePath, answer_failure
from callnet.web.schemas import (
    DONE,
    Done,
    LinkList,
    LinkRow,
    OneLink,
    PushKey,
    QuietHoursAnswered,
    QuietHoursFields,
    SettingsAnswer,
    bearer_token,
    call,
    look,
)


class AccountApi(Struct, frozen=True):
    """Translates HTTP to the services of accounts and back. It is to be served by a ``CappedSite``."""

    routes: ClassVar = Klein()

    _logins: Logins
    _lists: ContactLists
    _profiles: Profiles
    _devices: OwnDevices
    _pairings: Pairings
    _settings: SettingsOfPhones
    _past_calls: PastCalls
    _ways_to_wake: WaysToWake
    _refusals: TicketRefusals
    _ice: IceServers
    _limits: LoginLimits
    _pairing_limits: PairingLimits
    _links: Links
    _guests: Guests
    _guest_limits: GuestLimits

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
    async def login(self, request: IRequest, asked: schemas.LoginRequest) -> Login:
        """Log a device in."""
        await self._limits.login(_host(request), self._logins.phones.read(asked.phone))
        return await self._logins.login(asked.phone, asked.device_id, asked.secret, asked.code)

    @call(routes, "/account/code")
    async def code(self, request: IRequest, asked: schemas.CodeRequest) -> Done:
        """Send a one-time code."""
        await self._limits.code(_host(request))
        await self._logins.send_code(asked.phone)
        return DONE

    @call(routes, "/account/refresh")
    async def refresh(self, request: IRequest, asked: schemas.TokenRequest) -> Login:
        """Give the device of a token a new one."""
        token = _token(request, asked.token)
        await self._limits.refresh(self._logins.device(token))
        return self._logins.refresh(token)

    @call(routes, "/account/logout")
    async def logout(self, request: IRequest, asked: schemas.TokenRequest) -> Done:
        """End a login session."""
        token = _token(request, asked.token)
        await self._limits.logout(self._logins.device(token))
        await self._logins.logout(token)
        return DONE

    @call(routes, "/getContactPersons")
    async def contacts(self, request: IRequest, asked: schemas.ContactsRequest) -> ContactPage:
        """List the devices of a phone's contacts."""
        return await self._lists.contacts(asked.phone, self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/contacts/add")
    async def add_contact(self, request: IRequest, asked: schemas.AddContactRequest) -> Done:
        """Put a phone in the caller's list, or change it there."""
        token = self._counted(request, asked.token)
        await self._count_photo(request, asked.photo)
        await self._lists.add(token, asked.contact_phone, asked.name, asked.favourite, asked.photo)
        return DONE

    @call(routes, "/contacts/list")
    async def people(self, request: IRequest, asked: schemas.PeopleRequest) -> PeoplePage:
        """List the contacts of the caller's phone, one row for each phone."""
        return await self._lists.people(self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/contacts/photo")
    async def photo(self, request: IRequest, asked: schemas.ContactRequest) -> PhotoAnswer:
        """Answer with the photo of a phone."""
        return await self._profiles.photo(self._counted(request, asked.token), asked.contact_phone)

    @call(routes, "/contacts/added")
    async def added(self, request: IRequest, asked: schemas.TokenRequest) -> AdderList:
        """List phones that have the caller's phone in their lists, and that it does not list itself."""
        return await self._lists.added(self._counted(request, asked.token))

    @call(routes, "/contacts/dismiss")
    async def dismiss_adder(self, request: IRequest, asked: schemas.ContactRequest) -> Done:
        """Remove a phone from `/contacts/added`."""
        await self._lists.dismiss(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/blocked")
    async def blocked(self, request: IRequest, asked: schemas.TokenRequest) -> PhoneList:
        """List the phones that the caller's phone blocks."""
        return await self._lists.blocked(self._counted(request, asked.token))

    @call(routes, "/contacts/remove")
    async def remove_contact(self, request: IRequest, asked: schemas.ContactRequest) -> Done:
        """Take a phone out of the caller's list."""
        await self._lists.remove(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/block")
    async def block_contact(self, request: IRequest, asked: schemas.ContactRequest) -> Done:
        """Have the caller's phone block another."""
        await self._lists.block(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/contacts/unblock")
    async def unblock_contact(self, request: IRequest, asked: schemas.ContactRequest) -> Done:
        """Unblock a phone."""
        await self._lists.unblock(self._counted(request, asked.token), asked.contact_phone)
        return DONE

    @call(routes, "/account/profile")
    async def profile(self, request: IRequest, asked: schemas.ProfileRequest) -> ProfileFields:
        """Set the name and the photo of the caller's phone, and answer with what is set."""
        token = self._counted(request, asked.token)
        await self._count_photo(request, asked.photo)
        return await self._profiles.change(token, asked.name, asked.photo)

    @call(routes, "/account/settings")
    async def settings(self, request: IRequest, asked: schemas.SettingsRequest) -> SettingsAnswer:
        """Set what the caller's phone wants of calls to it, and answer with what is set."""
        quiet = asked.do_not_disturb
        wanted = SettingsChange(
            quiet.quiet_hours() if isinstance(quiet, QuietHoursFields) else quiet,
            asked.auto_answer,
            asked.who_may_call,
            asked.do_not_disturb_until,
            asked.rings_through,
            asked.second_call_rings,
        )
        found = await self._settings.change(self._counted(request, asked.token), wanted)
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
    async def history(self, request: IRequest, asked: schemas.HistoryRequest) -> PastCallPage:
        """List the past calls of the caller's phone."""
        return await self._past_calls.page(self._counted(request, asked.token), asked.limit, asked.after)

    @call(routes, "/calls/delete")
    async def delete_calls(self, request: IRequest, asked: schemas.DeleteCallsRequest) -> Done:
        """Delete a call, or all, from the history of the caller's phone."""
        await self._past_calls.delete(self._counted(request, asked.token), asked.room_id)
        return DONE

    @call(routes, "/calls/refuse")
    async def refuse_call(self, request: IRequest, asked: schemas.RefuseCallRequest) -> Done:
        """Refuse the call for which a device was woken."""
        await self._limits.without_token(_host(request))
        await self._refusals.refuse(asked.phone, asked.device_id, asked.ticket)
        return DONE

    @call(routes, "/devices/list")
    async def devices(self, request: IRequest, asked: schemas.TokenRequest) -> OwnDeviceList:
        """List the devices of the caller's phone."""
        return await self._devices.devices(self._counted(request, asked.token))

    @call(routes, "/devices/rename")
    async def rename_device(self, request: IRequest, asked: schemas.RenameDeviceRequest) -> Done:
        """Give a device of the caller's phone a label."""
        await self._devices.rename(self._counted(request, asked.token), asked.device_id, asked.label)
        return DONE

    @call(routes, "/devices/configure")
    async def configure_device(self, request: IRequest, asked: schemas.ConfigureDeviceRequest) -> Done:
        """Change settings of a device of the caller's phone."""
        token = self._counted(request, asked.token)
        await self._devices.configure(token, asked.device_id, asked.kiosk_pin, asked.auto_answers)
        return DONE

    @call(routes, "/devices/unlock")
    async def unlock_device(self, request: IRequest, asked: schemas.UnlockRequest) -> Done:
        """End the kiosk of the caller's device."""
        await self._devices.unlock(self._counted(request, asked.token), asked.pin)
        return DONE

    @call(routes, "/devices/logout")
    async def log_out_device(self, request: IRequest, asked: schemas.DeviceRequest) -> Done:
        """Log a device of the caller's phone out, and revoke its secret."""
        await self._devices.log_out(self._counted(request, asked.token), asked.device_id)
        return DONE

    @call(routes, "/devices/remove")
    async def remove_device(self, request: IRequest, asked: schemas.DeviceRequest) -> Done:
        """Remove a device of the caller's phone."""
        await self._devices.remove(self._counted(request, asked.token), asked.device_id)
        return DONE

    @call(routes, "/pairing/begin")
    async def begin_pairing(self, request: IRequest, asked: schemas.BeginPairingRequest) -> BegunPairing:
        """Have a device wait until another one lets it in."""
        try:
            await self._pairing_limits.begin(_host(request))
            return await self._pairings.begin(asked.name)
        except RateLimited:
            self._pairings.counts["limited"] += 1
            raise

    @call(routes, "/pairing/poll")
    async def poll_pairing(self, request: IRequest, asked: schemas.PollPairingRequest) -> PairingResult:
        """Tell a device that waits what has become of it."""
        await self._pairing_limits.poll(_host(request), secret_hash(asked.device_secret).hex())
        return await self._pairings.poll(asked.device_secret)

    @call(routes, "/pairing/look")
    async def look_pairing(self, request: IRequest, asked: schemas.LookPairingRequest) -> WaitingDevice:
        """Tell the caller's device which one shows a code."""
        token = self._pairings.may_accept(self._counted(request, asked.token))
        code = read_code(asked.user_code)
        if code is None:
            raise CodeInvalid("user_code has not the form of a code")
        await self._pairing_limits.code(_host(request), token.device.phone)
        return await self._pairings.find(code)

    @call(routes, "/pairing/accept")
    async def accept_pairing(self, request: IRequest, asked: schemas.AcceptPairingRequest) -> Done:
        """Let a device that waits in, as one of the caller's phone."""
        token = self._pairings.may_accept(self._counted(request, asked.token))
        await self._pairings.accept(token, asked.pairing_id, asked.device_id, asked.label)
        return DONE

    @call(routes, "/pairing/refuse")
    async def refuse_pairing(self, request: IRequest, asked: schemas.RefusePairingRequest) -> Done:
        """Refuse a device that waits."""
        self._pairings.may_accept(self._counted(request, asked.token))
        await self._pairings.refuse(asked.pairing_id)
        return DONE

    @call(routes, "/links/list")
    async def links(self, request: IRequest, asked: schemas.TokenRequest) -> LinkList:
        """List the links that ring the caller's phone."""
        return LinkList([LinkRow.of(link) for link in await self._links.of(self._counted(request, asked.token))])

    @call(routes, "/links/make")
    async def make_link(self, request: IRequest, asked: schemas.MakeLinkRequest) -> OneLink:
        """Make a link that rings the caller's phone: who has it needs no account."""
        hours = None if asked.hours is None else asked.hours.quiet_hours()
        wanted = LinkChanges(asked.name, asked.is_on, hours, asked.expires_at, asked.calls_left)
        return OneLink(LinkRow.of(await self._links.make(self._counted(request, asked.token), wanted)))

    @call(routes, "/links/change")
    async def change_link(self, request: IRequest, asked: schemas.ChangeLinkRequest) -> OneLink:
        """Change a link of the caller's phone."""
        hours = asked.hours.quiet_hours() if isinstance(asked.hours, QuietHoursFields) else asked.hours
        wanted = LinkChanges(asked.name, asked.is_on, hours, asked.expires_at, asked.calls_left)
        token = self._counted(request, asked.token)
        return OneLink(LinkRow.of(await self._links.change(token, asked.link_id, wanted)))

    @call(routes, "/links/remove")
    async def remove_link(self, request: IRequest, asked: schemas.LinkRequest) -> Done:
        """Remove a link of the caller's phone."""
        await self._links.remove(self._counted(request, asked.token), asked.link_id)
        return DONE

    @call(routes, "/links/enter")
    async def enter(self, request: IRequest, asked: schemas.EnterRequest) -> EnteredGuest:
        """Let a guest call by a link. The answer is the same whether or not there is such a link."""
        try:
            await self._guest_limits.enter(_host(request))
        except RateLimited:
            self._guests.not_rung["address"] += 1
            raise
        return self._guests.tokens.enter(asked.secret, asked.name)

    @call(routes, "/devices/push/renew")
    async def renew_push(self, request: IRequest, asked: schemas.RenewPushRequest) -> Done:
        """Have a device woken by the new subscription of its browser."""
        await self._limits.without_token(_host(request))
        await self._ways_to_wake.renew(asked.phone, asked.device_id, asked.old, asked.target)
        return DONE

    @call(routes, "/devices/push")
    async def push(self, request: IRequest, asked: schemas.PushRequest) -> Done:
        """Set how the caller's device is woken when it sleeps."""
        kind = None if asked.kind == "none" else PushKind(asked.kind)
        await self._ways_to_wake.register(self._counted(request, asked.token), kind, asked.target)
        return DONE

    @look(routes, "/devices/push/key")
    def push_key(self) -> PushKey:
        """Tell what a browser needs to subscribe to Web Push."""
        return PushKey(self._ways_to_wake.application_server_key)

    @call(routes, "/ice")
    async def ice(self, request: IRequest, asked: schemas.TokenRequest) -> IceOffer:
        """Tell the caller's device by which servers it may reach others (RTCIceServer of WebRTC)."""
        self._counted(request, asked.token)
        return self._ice.for_device(site_of(_host(request)))

    def _counted(self, request: IRequest, in_body: str | None) -> str:
        """The token of a request, which counts for its device and its phone.

        :raises TokenInvalid: the token is not valid.
        :raises RateLimited: it is one request too many.
        """
        token = _token(request, in_body)
        self._limits.request(self._logins.device(token))
        return token

    async def _count_photo(self, request: IRequest, photo: str | UnsetType | None) -> None:
        """Count the photo of a request, if there is one.

        :raises RateLimited: it is one too many.
        """
        if isinstance(photo, str):
            await self._limits.photo(_host(request))

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
