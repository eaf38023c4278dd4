"""The registrations of devices that can be woken."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.enrolment import is_device_id, is_well_formed_phone
from callnet.accounts.tokens import Tokens, is_revoked
from callnet.calls.preferences import Policy
from callnet.errors import DataInvalid, TokenInvalid, Unavailable
from callnet.model import PUSH_TARGET_MAX, DeviceAddress, is_plain_text
from callnet.push.sender import WebPush
from callnet.push.webpush import read_subscription
from callnet.storage.preferences import SqlPreferences
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from callnet.util.deferreds import as_deferred
from callnet.util.logger import Logger
from callnet.util.timers import pause


class WaysToWake:
    """Lets devices say in which way they are woken.

    :param has_gateway: whether the operator has a program that wakes devices.
    :param web_push: ``None``: there is no Web Push.
    :param look: makes this node read what has changed now; fires when that is done.
    :param registered: lets it be known that a device can be woken.
    """

    def __init__(
        self,
        registrations: SqlPushRegistrations,
        tokens: Tokens,
        has_gateway: bool,
        web_push: WebPush | None,
        look: Callable[[], Deferred[None]],
        registered: Callable[[DeviceAddress], Deferred[None]],
    ) -> None:
        self._registrations = registrations
        self._tokens = tokens
        self._has_gateway = has_gateway
        self._web_push = web_push
        self._look = look
        self._registered = registered

    @property
    def application_server_key(self) -> str | None:
        """The public key for browsers that subscribe (RFC 8292 §4), in base64url; ``None``: Web Push is off."""
        return None if self._web_push is None else self._web_push.vapid.public_key

    @as_deferred
    async def register(self, text: str, kind: PushKind | None, target: str) -> None:
        """Have a token's device woken in this way alone from now on.

        :param kind: ``None``: it is not woken any more.
        :param target: any text by which the gateway knows the device; for Web Push what the browser gave, as JSON.
        :raises TokenInvalid: the token is not valid.
        :raises DataInvalid: there is no such way here, or no such target.
        :raises Unavailable: the database cannot be reached, or where it is kept who can be called.
        """
        token = self._tokens.verify(text)
        if kind is None:
            await self._registrations.forget(token.device, self._tokens.now())
            return
        registration = PushRegistration(token.device, kind, self._accepted(kind, target, "target"), self._tokens.now())
        if not await self._registrations.put(registration, partial(is_revoked, token)):
            raise TokenInvalid("the token was revoked")
        await self._look()  # a device that is connected may leave right now
        await self._registered(token.device)

    async def renew(self, phone: str, device_id: str, old: str, target: str) -> None:
        """Have a device woken by the subscription that its browser has in the place of the one that was registered.

        :raises TokenInvalid: the device has registered no such subscription.
        :raises DataInvalid: a subscription is none, or is of a service that is not allowed.
        :raises Unavailable: the database cannot be reached.
        """
        before = self._accepted(PushKind.WEBPUSH, old, "old")
        after = self._accepted(PushKind.WEBPUSH, target, "target")
        is_device = is_well_formed_phone(phone) and is_device_id(device_id)
        now = self._tokens.now()
        if not (is_device and await self._registrations.renew(DeviceAddress(phone, device_id), before, after, now)):
            raise TokenInvalid("the device has registered no such subscription")

    def _accepted(self, kind: PushKind, target: str, field: str) -> str:
        """The target of a field as it is kept."""
        if not target or not is_plain_text(target, PUSH_TARGET_MAX):
            raise DataInvalid(f"{field} must have 1 to {PUSH_TARGET_MAX} characters and no control characters")
        if kind is PushKind.WEBPUSH:
            if self._web_push is None:
                raise DataInvalid("Web Push is off on this server")
            return read_subscription(target, self._web_push.hosts, field).target()
        if not self._has_gateway:
            raise DataInvalid("this server has no push gateway")
        return target


AGAIN: Final = 5.0
"""Seconds until this is tried again while something is away."""
SLEEPERS_MAX: Final = 100_000
"""Phones with devices that can be woken: of more than these it is known when they connect."""
_TOGETHER: Final = 200

log = Logger()


class Sleepers:
    """Goes through all of them once, in the background.

    :param sleeps: lets it be known that a device can be woken.
    """

    def __init__(
        self, records: SqlPreferences, clock: IReactorTime, sleeps: Callable[[DeviceAddress, Policy], Deferred[None]]
    ) -> None:
        self._records = records
        self._clock = clock
        self._going: Deferred[None] = succeed(None)
        self._sleeps = sleeps

    def start(self) -> None:
        """Begin."""
        self._going = Deferred.fromCoroutine(self._go()).addErrback(_failed)

    def stop(self) -> Deferred[None]:
        """End. Fires when that is so."""
        self._going.cancel()
        return self._going

    @as_deferred
    async def registered(self, device: DeviceAddress) -> None:
        """Make one device known, if it can be woken. One that is connected, or sleeps, is known already.

        :raises Unavailable: the database or the store cannot be reached.
        """
        policy = (await self._records.read([device.phone]))[device.phone].policy
        if device.device_id in policy.wakes:
            await self._sleeps(device, policy)

    async def _go(self) -> None:
        after, count = "", 0
        while count < SLEEPERS_MAX:
            try:
                phones = await self._records.wakeful(after, _TOGETHER)
                if not phones:
                    return
                for phone, wanted in (await self._records.read(phones)).items():
                    for device_id in sorted(wanted.policy.wakes):
                        await self._sleeps(DeviceAddress(phone, device_id), wanted.policy)
            except Unavailable:
                await pause(self._clock, AGAIN)
            else:
                after, count = phones[-1], count + len(phones)


def _failed(failure: Failure) -> None:
    if not failure.check(CancelledError):
        log.failure("failed to load devices with push registrations", failure)
