"""Policies of devices: attached, updated and revoked; waking of devices that sleep."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from twisted.internet.defer import Deferred, succeed

from callnet.calls import events
from callnet.calls.outage import Retries
from callnet.calls.ports import DeliveryResult, DeviceSession, ICallStore, IPreferences
from callnet.calls.preferences import UNREADABLE, Policy, Preferences
from callnet.calls.switchboard import PerKeyQueue, Transactions
from callnet.config.schema import CallSettings
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId
from callnet.util.deferreds import Soon, begin, logged_unless_unavailable, or_else
from callnet.util.logger import Logger


class Orders:
    """Administrative requests. They are carried out when the store is back, if it is away.

    :param here: the newest connections of devices on this node.
    """

    def __init__(
        self,
        store: ICallStore,
        retries: Retries,
        queue: PerKeyQueue,
        preferences: IPreferences,
        here: Mapping[DeviceAddress, DeviceSession],
    ) -> None:
        self._store = store
        self._retries = retries
        self._queue = queue
        self._preferences = preferences
        self._here = here

    def revoke(self, session: DeviceSession) -> Deferred[None]:
        """Remove a device from its call after the revocation of the token of its connection, which will be closed."""
        device = session.address
        return self._queue.submit(device, lambda: self._retries.settle(events.Revoked(device, session.generation)))

    def revoke_absent(self, device: DeviceAddress) -> Deferred[None]:
        """Remove a device without a connection from its call; ``*``: all such devices of its phone."""
        return self._queue.submit(device, self._retries.settle, events.Revoked(device, None))

    def stop(self, room: RoomId) -> Soon[None]:
        """End a call for the operator."""
        return begin(self._retries.settle(events.Stopped(room)))

    def attach_policy(self, session: DeviceSession, policy: Policy) -> None:
        """Load the owner's policy for a newly connected device, now or when it can be read.

        :param policy: the one in the device's record already.
        """
        begin(self._attach_policy(session, policy))

    async def _attach_policy(self, session: DeviceSession, policy: Policy) -> None:
        found = await self._preferences.of(session.address.phone)
        if found is UNREADABLE:
            return  # a change event will follow
        session.preferences = found
        if found.policy != policy:  # it changed while this was written
            self.update_policy(session.address.phone, found)

    def update_policy(self, phone: str, preferences: Preferences) -> Deferred[None]:
        """Apply a changed policy of a phone's owner."""
        every = DeviceAddress(phone, EVERY_DEVICE)
        return self._queue.submit(every, self._update_policy, every, preferences)

    async def _update_policy(self, every: DeviceAddress, preferences: Preferences) -> None:
        for device_id in self._store.known().devices.get(every.phone, ()):
            session = self._here.get(every._replace(device_id=device_id))
            if session is not None:
                session.preferences = preferences
        await self._retries.settle(events.PolicyChanged(every, preferences.policy))


log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to wake a device")


Wake: TypeAlias = Callable[[DeviceAddress, str, str, float], Deferred[DeliveryResult]]


class WakeRequests:
    """Wakes devices without waiting for them: a woken device connects, or does not.

    :param wake: tells a device to connect, with the caller's phone, the owner's name for it, and the seconds of
        ringing. Fires with the result; it does not fail.
    """

    def __init__(self, decisions: Transactions, preferences: IPreferences, settings: CallSettings, wake: Wake) -> None:
        self._transactions = decisions
        self._preferences = preferences
        self._settings = settings
        self._tell = wake

    def wake_all(self, room: RoomId, caller: DeviceAddress, devices: Iterable[DeviceAddress]) -> None:
        """Wake the sleeping rung devices of a call."""
        for device in devices:
            or_else(begin(self._wake(room, caller, device)), _log_unless_unavailable)

    async def _wake(self, room: RoomId, caller: DeviceAddress, device: DeviceAddress) -> None:
        name = (await self._preferences.of(device.phone)).name_of(caller.phone)
        if await self._tell(device, caller.phone, name, self._settings.ring_time) is not DeliveryResult.TAKEN:
            await self._transactions.reply_to(events.NotWoken(room, device))

    def sleeps(self, device: DeviceAddress, policy: Policy) -> Soon[object]:
        """Register a wakeable device, if it is unknown.

        :raises Unavailable: the store cannot be reached.
        """
        return begin(self._transactions.reply_to(events.Sleeps(device, policy)))


def nobody_can(device: DeviceAddress, phone: str, name: str, lasts: float) -> Deferred[DeliveryResult]:  # noqa: ARG001
    """Wake no device."""
    return succeed(DeliveryResult.GONE)
