"""Wakes sleeping called devices, and ends calls if none can be woken."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from twisted.internet.defer import Deferred, succeed

from callnet.calls import events
from callnet.calls.ports import Fate, IPreferences
from callnet.calls.records import Policy
from callnet.calls.switchboard import Transactions
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, RoomId
from callnet.util.deferreds import Soon, begin, logged_unless_unavailable, or_else
from callnet.util.logger import Logger

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to wake a device")


Wake: TypeAlias = Callable[[DeviceAddress, str, str, float], Deferred[Fate]]


class Waking:
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
        if await self._tell(device, caller.phone, name, self._settings.ring_time) is not Fate.TAKEN:
            await self._transactions.reply_to(events.NotWoken(room, device))

    def sleeps(self, device: DeviceAddress, policy: Policy) -> Soon[object]:
        """Register a wakeable device, if it is unknown.

        :raises Unavailable: the store cannot be reached.
        """
        return begin(self._transactions.reply_to(events.Sleeps(device, policy)))


def nobody_can(device: DeviceAddress, phone: str, name: str, lasts: float) -> Deferred[Fate]:  # noqa: ARG001
    """Wake no device."""
    return succeed(Fate.GONE)
