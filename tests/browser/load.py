"""A daemon with much going on: devices without browsers that call, answer, let it ring. For the reactor's thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Final

from callnet.model import DeviceAddress
from callnet_client import Call
from tests.support.daemon import Daemon
from tests.support.devices import NodeLifecycle, service_of
from tests.support.processes import stopped

LONG: Final = DeviceAddress("123456789012345", "a-device-whose-name-is-as-long-as-any-name-may-be")
SHORT: Final = DeviceAddress("110", "tv")
FIRST, SECOND = (DeviceAddress("13800000001", device_id) for device_id in ("kitchen", "hall"))
RINGING: Final = (SHORT, *(DeviceAddress(f"138000001{number:02}", "tv") for number in range(7)))
ANSWERING: Final = (LONG, *(DeviceAddress(f"138000002{number:02}", "tv") for number in range(7)))
CALLERS: Final = tuple(DeviceAddress(f"139000003{number:02}", "phone-of-somebody") for number in range(16))
BUSY, CALLED_AGAIN, UNLUCKY = (DeviceAddress(f"139000004{number:02}", "desk") for number in range(3))
ALL: Final = (FIRST, SECOND, *RINGING, *ANSWERING, *CALLERS, BUSY, CALLED_AGAIN, UNLUCKY)
NOBODY: Final = DeviceAddress("13999999999", "tv")
IN_VAIN: Final = (NOBODY, SECOND, RINGING[1], NOBODY, LONG)
"""Callees that nobody reaches."""


class Load:
    """All of them, at a daemon with two workers, which knows phones of any length."""

    def __init__(self, daemon: Daemon) -> None:
        self._service = service_of(daemon)
        self._members: dict[DeviceAddress, NodeLifecycle] = {}
        self._in_vain = cycle(IN_VAIN)

    def __getitem__(self, address: DeviceAddress) -> NodeLifecycle:
        return self._members[address]

    async def begin(self, workers: Sequence[int]) -> None:
        """Have all come, until eight calls ring and nine are active, one of them across the workers.

        :param workers: their processes.
        """
        one, other = workers
        for worker, address in ((other, FIRST), (one, SECOND)):
            with stopped(worker):
                await self._come([address], answers=True)
        await self._come(RINGING)
        await self._come([*ANSWERING, CALLED_AGAIN], answers=True, extended=True)
        await self._come([*CALLERS, BUSY, UNLUCKY])
        await self._talk(FIRST, SECOND)
        for caller, callee in zip(CALLERS, (*ANSWERING, *RINGING), strict=True):
            if callee in ANSWERING:
                await self._talk(caller, callee)
            else:
                self._call(caller, callee)

    async def go_on(self) -> None:
        """Have one more call answered and hung up, and one more fail."""
        call = await self._talk(BUSY, CALLED_AGAIN)
        call.hang_up()
        await self._call(UNLUCKY, next(self._in_vain)).until("over")

    async def end(self) -> None:
        """Have all leave."""
        for member in self._members.values():
            await member.goes()

    def _call(self, caller: DeviceAddress, callee: DeviceAddress) -> Call:
        return self[caller].calls(*callee)

    async def _talk(self, caller: DeviceAddress, callee: DeviceAddress) -> Call:
        call = self._call(caller, callee)
        state = await call.until("active")
        assert state == "active", (state, call.reason)
        return call

    async def _come(self, addresses: Sequence[DeviceAddress], *, answers: bool = False, extended: bool = False) -> None:
        for address in addresses:
            member = NodeLifecycle(self._service, *address, answers=answers, extended=extended)
            self._members[address] = await member.comes()
