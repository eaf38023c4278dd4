"""Waking devices, by the gateway of the operator or by Web Push."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls.ports import DeliveryResult
from callnet.errors import DataInvalid, Unavailable
from callnet.model import DeviceAddress
from callnet.ops.webhooks import Posted, UnderWay, Urgent, Webhook, outcome_of
from callnet.push.outside import Outside
from callnet.push.webpush import PushHosts, Vapid, read_subscription, sealed
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from callnet.util.logger import Logger

PAUSES: Final = (1.0, 3.0)
"""Seconds before each further try. One that comes when nothing rings any more is of no use."""
EVENT: Final = "wake"
"""The event name for gateways and browsers."""
_PADDED_TO: Final = 512
"""Bytes that a browser is sent: more than the longest name takes."""


class Ringing(Struct, frozen=True):
    """The call for which a device is woken, without its room: anyone who knows that may enter."""

    from_phone: str
    from_name: str
    """The owner's name for the caller; may be empty."""
    expires_at: int
    """The latest time at which it ends, in seconds since 1970: valid whenever it is read."""


class Way(Protocol):
    """A way to wake devices."""

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[DeliveryResult]:
        """Have a device woken. Fires with what became of it; it does not fail.

        :param lasts: seconds that the ringing lasts.
        """

    def stop(self) -> None:
        """Wake nobody more, nor wait for what is under way."""


class Gateway:
    """Has the operator's program wake devices (docs/webhooks.md)."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[DeliveryResult]:
        """See :meth:`Way.wake`."""
        device = registration.device
        fields = {
            "phone": device.phone,
            "device_id": device.device_id,
            "target": registration.target,
            **msgspec.structs.asdict(ringing),
        }
        return self._webhook.send(EVENT, fields, lasts)

    def stop(self) -> None:
        """See :meth:`Way.stop`."""
        self._webhook.stop()


class WebPush:
    """Has push services wake browsers (RFC 8030, RFC 8291, RFC 8292).

    :param hosts: the services that may be asked to.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self, outside: Outside, hosts: PushHosts, vapid: Vapid, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self.hosts: Final = hosts
        self.vapid: Final = vapid
        self._outside = outside
        self._clock = clock
        self._now = now
        self._urgent = Urgent(clock, PAUSES)

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[DeliveryResult]:
        """See :meth:`Way.wake`."""
        until = self._clock.seconds() + lasts
        return self._urgent.hand_over(
            "a Web Push message", lambda patience: self._post(registration.target, ringing, until, patience), lasts
        )

    def stop(self) -> None:
        """See :meth:`Way.stop`."""
        self._urgent.stop()

    async def _post(self, target: str, ringing: Ringing, until: float, patience: float) -> Posted:
        try:
            subscription = read_subscription(target, self.hosts)
        except DataInvalid:
            return Posted("push service no longer in push.allowed_hosts")
        plain = msgspec.json.encode({"event": EVENT, **msgspec.structs.asdict(ringing)})
        headers = {
            "Authorization": self.vapid.authorization(subscription.origin, self._now()),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(max(0, int(until - self._clock.seconds()))),
            "Urgency": "high",
            "Topic": EVENT,  # of several that a browser has not seen only the last counts
        }
        asked = self._outside.post(subscription.url, headers, sealed(plain, subscription, _PADDED_TO))
        return await outcome_of(asked, self._clock, patience)


AGAIN: Final = 5.0
"""Seconds in which a device is not woken twice."""
AT_ONCE: Final = 200
"""The most that this node wakes at the same time."""

log = Logger()


class _Woken(Struct, frozen=True, eq=False):
    """A device that was woken a moment ago."""

    at: float
    became: Deferred[DeliveryResult]


class Waker:
    """Wakes devices that have said how.

    :param ways: those that the operator offers.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        registrations: SqlPushRegistrations,
        ways: Mapping[PushKind, Way],
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._registrations = registrations
        self._ways = ways
        self._clock = clock
        self._now = now
        self._lately: OrderedDict[DeviceAddress, _Woken] = OrderedDict()
        self._under_way = UnderWay[DeliveryResult]()
        self.counts: Final = dict.fromkeys(DeliveryResult, 0)
        """The outcomes of waking devices since this node started."""

    def wake(self, device: DeviceAddress, from_phone: str, from_name: str, lasts: float) -> Deferred[DeliveryResult]:
        """Wake a device for a call. Fires with what became of it; it neither fails nor keeps anybody waiting.

        For :data:`AGAIN` seconds the device is not woken again, and the outcome is the same. A registration
        that has expired is dropped.

        :param from_name: what the owner of the phone calls the caller; may be empty.
        :param lasts: seconds of ringing that are left.
        """
        now = self._clock.seconds()
        while self._lately and next(iter(self._lately.values())).at + AGAIN <= now:
            self._lately.popitem(last=False)
        woken = self._lately.get(device)
        if woken is None:
            if len(self._under_way) >= AT_ONCE:
                self.counts[DeliveryResult.FAILED] += 1
                return succeed(DeliveryResult.FAILED)
            ringing = Ringing(from_phone, from_name, int(self._now() + lasts))
            woken = self._lately[device] = _Woken(now, self._begin(device, ringing, now + lasts))
            woken.became.addCallback(self._done, device, woken)
        return _copy(woken.became)

    def stop(self) -> None:
        """Wake nobody more, nor wait for what is under way."""
        for way in self._ways.values():
            way.stop()
        self._under_way.cancel()

    def _begin(self, device: DeviceAddress, ringing: Ringing, until: float) -> Deferred[DeliveryResult]:
        waking = self._under_way.begin(self._wake(device, ringing, until))
        return waking.addErrback(_failed).addCallback(self._counted)

    def _counted(self, became: DeliveryResult) -> DeliveryResult:
        self.counts[became] += 1
        return became

    def _done(self, became: DeliveryResult, device: DeviceAddress, woken: _Woken) -> DeliveryResult:
        """Let a device that registers again be woken at once."""
        if became is DeliveryResult.GONE and self._lately.get(device) is woken:
            del self._lately[device]
        return became

    async def _wake(self, device: DeviceAddress, ringing: Ringing, until: float) -> DeliveryResult:
        for registration in await self._registrations.of(device):
            way = self._ways.get(registration.kind)
            if way is not None:
                became = await way.wake(registration, ringing, until - self._clock.seconds())
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
