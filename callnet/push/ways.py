"""The two ways to wake a device: the operator's gateway, and the push service of its browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from callnet.accounts.ports import PushRegistration
from callnet.calls.ports import Fate
from callnet.errors import DataInvalid
from callnet.ops.posted import Posted, outcome_of
from callnet.ops.urgent import Urgent
from callnet.ops.webhooks import Webhook
from callnet.push.encryption import sealed
from callnet.push.outside import Outside
from callnet.push.subscription import PushHosts, read_subscription
from callnet.push.vapid import Vapid

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

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[Fate]:
        """Have a device woken. Fires with what became of it; it does not fail.

        :param lasts: seconds that the ringing lasts.
        """

    def stop(self) -> None:
        """Wake nobody more, nor wait for what is under way."""


class Gateway:
    """Has the operator's program wake devices (docs/webhooks.md)."""

    def __init__(self, webhook: Webhook) -> None:
        self._webhook = webhook

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[Fate]:
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

    def wake(self, registration: PushRegistration, ringing: Ringing, lasts: float) -> Deferred[Fate]:
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
