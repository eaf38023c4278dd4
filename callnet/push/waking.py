"""The waking of sleeping devices: their registrations, and the messages by a gateway or Web Push about a call."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.signing_keys import Key
from callnet.accounts.tokens import Tokens, base64url, is_revoked
from callnet.accounts.validation import is_device_id, is_well_formed_phone
from callnet.calls.ports import DeliveryResult
from callnet.calls.preferences import Policy
from callnet.calls.waking import WakeMessage
from callnet.errors import DataInvalid, TokenInvalid, Unavailable
from callnet.model import PUSH_TARGET_MAX, DeviceAddress, Reason, RoomId, is_plain_text
from callnet.ops.webhooks import Posted, UnderWay, Urgent, Webhook, outcome_of
from callnet.push.ssrf import Outside
from callnet.push.webpush import PushHosts, Vapid, read_subscription, sealed
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
    """Goes through all of them in the background: at the start, and whenever the shared store has lost records.

    :param sleeps: lets it be known that a device can be woken.
    """

    def __init__(
        self, records: SqlPreferences, clock: IReactorTime, sleeps: Callable[[DeviceAddress, Policy], Deferred[None]]
    ) -> None:
        self._records = records
        self._clock = clock
        self._going: Deferred[None] = succeed(None)
        self._sleeps = sleeps
        self._is_running = False

    def start(self) -> None:
        """Begin."""
        self._is_running = True
        self.again()

    def again(self) -> None:
        """Go through all of them from the beginning, unless this has not started, or has been stopped."""
        if self._is_running:
            self._going.cancel()
            self._going = Deferred.fromCoroutine(self._go()).addErrback(_not_loaded)

    def stop(self) -> Deferred[None]:
        """End. Fires when that is so."""
        self._is_running = False
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


def _not_loaded(failure: Failure) -> None:
    if not failure.check(CancelledError):
        log.failure("failed to load devices with push registrations", failure)


# Messages

PAUSES: Final = (1.0, 3.0, 6.0, 12.0, 24.0)
"""Seconds before each further try: as long as a call rings, since who cannot be woken now may be in a moment. One that
comes when nothing rings any more is of no use."""
WAKE: Final = "wake"
"""The name, for gateways and browsers, of the event that a call rings ..."""
RING_ENDED: Final = "ring_ended"
"""... and of the event that it rings no more."""
MISSED_KEPT: Final = 28 * 86400
"""Seconds for which a push service keeps the message that a call was missed: four weeks, the longest that all do."""
_ELSEWHERE: Final = (Reason.ANSWERED_ELSEWHERE, Reason.REFUSED_ELSEWHERE)
_PADDED_TO: Final = 1024
"""Bytes that a browser is sent: more than the longest names take."""
_TOPIC: Final = 24
"""Bytes that a topic encodes in 32 characters, the most that it may have (RFC 8030 §5.4)."""


def topic_of(room: RoomId) -> str:
    """The value by which messages name a call: whoever knows its room id can compute it, and nobody else."""
    return base64url(sha256(room.encode("ascii")).digest()[:_TOPIC])


class Message(Struct, frozen=True):
    """A message about a call, without its room: anyone who knows that may enter."""

    event: str
    topic: str
    fields: Mapping[str, str | int]
    ticket: str
    """See :class:`Tickets`. For the device alone; empty: there is nothing to refuse."""
    kept: float
    """Seconds for which a push service keeps it."""


class Way(Protocol):
    """A way to wake devices."""

    def tell(self, registration: PushRegistration, message: Message, lasts: float) -> Deferred[DeliveryResult]:
        """Have a device told. Fires with what became of it; it does not fail.

        :param lasts: seconds for which to try.
        """

    @property
    def again(self) -> int:
        """See :attr:`callnet.ops.webhooks.Urgent.again`."""

    def stop(self) -> None:
        """Tell nobody more, nor wait for what is under way."""


class Gateway(Webhook):
    """Has the operator's program tell devices (docs/webhooks.md)."""

    def tell(self, registration: PushRegistration, message: Message, lasts: float) -> Deferred[DeliveryResult]:
        """See :meth:`Way.tell`."""
        return self.send(message.event, {**message.fields, "target": registration.target}, lasts)


class WebPush(Urgent):
    """Has push services wake browsers (RFC 8030, RFC 8291, RFC 8292).

    :param hosts: the services that may be asked to.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self, outside: Outside, hosts: PushHosts, vapid: Vapid, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        super().__init__(clock, PAUSES)
        self.hosts: Final = hosts
        self.vapid: Final = vapid
        self._outside = outside
        self._now = now

    def tell(self, registration: PushRegistration, message: Message, lasts: float) -> Deferred[DeliveryResult]:
        """See :meth:`Way.tell`."""
        kept_until = self._clock.seconds() + message.kept
        target = registration.target
        return self.hand_over(
            "a Web Push message", lambda patience: self._send_once(target, message, kept_until, patience), lasts
        )

    async def _send_once(self, target: str, message: Message, kept_until: float, patience: float) -> Posted:
        try:
            subscription = read_subscription(target, self.hosts)
        except DataInvalid:
            return Posted("push service no longer in push.allowed_hosts")
        ticket = {"ticket": message.ticket} if message.ticket else {}
        plain = msgspec.json.encode({"event": message.event, **message.fields, **ticket})
        headers = {
            "Authorization": self.vapid.authorization(subscription.origin, self._now()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(0, int(kept_until - self._clock.seconds()))),
            "Urgency": "high",
            "Topic": message.topic,  # of those of one call that a browser has not got, only the last counts
        }
        asked = self._outside.post(subscription.url, headers, sealed(plain, subscription, _PADDED_TO))
        return await outcome_of(asked, self._clock, patience)


AT_ONCE: Final = 200
"""The most messages that this node sends at the same time, beside those that it sends again: one service that does not
answer keeps those of others waiting for no more than a try."""
_TRIED_FOR: Final = 15.0
"""Seconds for which it is tried to withdraw a call."""


class Waker:
    """Wakes devices that have said how, and tells them when a call rings no more.

    :param ways: those that the operator offers.
    :param tickets: allow devices to refuse a call.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        registrations: SqlPushRegistrations,
        ways: Mapping[PushKind, Way],
        tickets: Tickets,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._registrations = registrations
        self._ways = ways
        self._tickets = tickets
        self._clock = clock
        self._now = now
        self._waking: dict[tuple[DeviceAddress, RoomId], Deferred[DeliveryResult]] = {}
        self._under_way = UnderWay[DeliveryResult]()
        self.counts: Final = dict.fromkeys(DeliveryResult, 0)
        """The outcomes of messages since this node started."""

    def tell(self, device: DeviceAddress, call: WakeMessage) -> Deferred[DeliveryResult]:
        """Send a device a message. Fires with what became of it; it neither fails nor keeps anybody waiting.

        When a call rings no more, the message that it rings is not sent again. An expired registration is dropped.
        """
        if len(self._under_way) - sum(way.again for way in self._ways.values()) >= AT_ONCE:
            self.counts[DeliveryResult.FAILED] += 1
            return succeed(DeliveryResult.FAILED)
        key = device, call.room
        sending = self._under_way.begin(self._send(device, call, self._waking.get(key)))
        sending.addErrback(_failed).addCallback(self._counted)
        if call.ended is None and not sending.called:
            self._waking[key] = sending
            sending.addCallback(self._woken, key)
        return sending

    def stop(self) -> None:
        """Tell nobody more, nor wait for what is under way."""
        for way in self._ways.values():
            way.stop()
        self._under_way.cancel()

    def _woken(self, became: DeliveryResult, key: tuple[DeviceAddress, RoomId]) -> DeliveryResult:
        del self._waking[key]
        return became

    def _counted(self, became: DeliveryResult) -> DeliveryResult:
        self.counts[became] += 1
        return became

    def _message(self, device: DeviceAddress, call: WakeMessage) -> Message:
        topic = topic_of(call.room)
        fields: dict[str, str | int] = {
            "phone": device.phone,
            "device_id": device.device_id,
            "call": topic,
            "from_phone": call.from_phone,
            "from_name": call.from_name,
        }
        if call.ended is None:
            fields["expires_at"] = int(self._now() + call.lasts)
            return Message(WAKE, topic, fields, self._tickets.of(device, call.room), call.lasts)
        fields["reason"] = call.ended.value
        return Message(RING_ENDED, topic, fields, "", call.lasts if call.ended in _ELSEWHERE else MISSED_KEPT)

    async def _send(
        self, device: DeviceAddress, call: WakeMessage, waking: Deferred[DeliveryResult] | None
    ) -> DeliveryResult:
        message = self._message(device, call)
        if waking is not None:
            waking.cancel()
            await _copy(waking)
        until = self._clock.seconds() + (call.lasts if call.ended is None else _TRIED_FOR)
        for registration in await self._registrations.of(device):
            way = self._ways.get(registration.kind)
            if way is not None:
                became = await way.tell(registration, message, until - self._clock.seconds())
                if became is DeliveryResult.GONE:
                    await self._drop(registration)
                return became
        return DeliveryResult.GONE

    async def _drop(self, registration: PushRegistration) -> None:
        try:
            await self._registrations.drop(registration, self._now())
        except Unavailable:
            log.warn("failed to drop an expired push registration: the database is unavailable")
        else:
            log.info("dropped an expired push registration")


def _copy(of: Deferred[DeliveryResult]) -> Deferred[DeliveryResult]:
    """A Deferred of the caller's own."""
    copy: Deferred[DeliveryResult] = Deferred()

    def tell(became: DeliveryResult) -> DeliveryResult:
        copy.callback(became)
        return became

    of.addCallback(tell)
    return copy


def _failed(failure: Failure) -> DeliveryResult:
    if failure.check(Unavailable):
        log.warn("failed to wake a device: the database is unavailable")
    elif not failure.check(CancelledError):
        log.failure("failed to wake a device", failure)
    return DeliveryResult.FAILED


_PURPOSE: Final = b"callnet ticket"


class Tickets:
    """The tickets by which a woken device refuses its call without a login (protocol §1, ``/calls/refuse``).

    A ticket is good for one call of one device: an HMAC-SHA256 over both, by a key that is derived from the signing
    key and signs nothing else, so no ticket is a token. It ends with the ringing: only then is there a call to compare
    it with.

    :param tokens: has the signing keys.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def of(self, device: DeviceAddress, room: RoomId) -> str:
        """The ticket for the call that a device knows by this room id: 43 characters of base64url."""
        return _ticket(self._tokens.signing_key, device, room)

    def fits(self, ticket: str, device: DeviceAddress, room: RoomId) -> bool:
        """Return whether a ticket is the one for this call. It may be of any key whose tokens are accepted."""
        offered = ticket.encode("utf-8", "replace")
        return any(hmac.compare_digest(offered, _ticket(key, device, room).encode()) for key in self._tokens.keys)


class TicketRefusals:
    """Refuses calls for devices that show a ticket.

    :param refuse: see :meth:`callnet.calls.waking.WakeRequests.refuse`.
    """

    def __init__(
        self,
        tickets: Tickets,
        refuse: Callable[[DeviceAddress, Callable[[RoomId], bool]], Deferred[bool]],
    ) -> None:
        self._tickets = tickets
        self._refuse = refuse

    async def refuse(self, phone: str, device_id: str, ticket: str) -> None:
        """Refuse the call that rings a device.

        :raises TokenInvalid: no call rings this device, or the ticket is not for it: the text does not tell which.
        :raises Unavailable: the store cannot be reached.
        """
        device = DeviceAddress(phone, device_id)
        is_device = is_well_formed_phone(phone) and is_device_id(device_id)
        if not (is_device and await self._refuse(device, partial(self._tickets.fits, ticket, device))):
            raise TokenInvalid("the ticket is for no call that rings this device now")


def _ticket(key: Key, device: DeviceAddress, room: RoomId) -> str:
    derived = hmac.digest(key.secret, _PURPOSE, sha256)
    return base64url(hmac.digest(derived, "\n".join([*device, room]).encode(), sha256))
