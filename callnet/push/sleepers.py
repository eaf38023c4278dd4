"""Announces sleeping devices that can be woken: all when a node starts, and each when it registers.

Nothing but the database knows of them then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.ports import IPreferenceRecords
from callnet.calls.records import Policy
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.util.deferreds import Soon
from callnet.util.logger import Logger
from callnet.util.periodic import pause

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
        self, records: IPreferenceRecords, clock: IReactorTime, sleeps: Callable[[DeviceAddress, Policy], Soon[object]]
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

    def registered(self, device: DeviceAddress) -> Deferred[None]:
        """Make one device known, if it can be woken. One that is connected, or sleeps, is known already.

        :raises Unavailable: the database or the store cannot be reached.
        """
        return Deferred.fromCoroutine(self._registered(device))

    async def _registered(self, device: DeviceAddress) -> None:
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
