"""A daemon with much going on: devices without browsers that call, answer, let it ring. For the reactor's thread."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from callnet.client import Account, Device, Frame
from callnet.model import DeviceAddress
from tests.checked_client import connect
from tests.daemon import Daemon
from tests.processes import stopped

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
"""Whom nobody reaches."""

reactor: Any = installed


class Member:
    """One device.

    :param answers: whether it accepts whatever rings it.
    """

    def __init__(self, answers: bool) -> None:
        self.frames: list[Frame] = []
        """What it was sent."""
        self.device: Device
        self._answers = answers

    def hear(self, frame: Frame) -> None:
        """Take note of a frame."""
        self.frames.append(frame)
        if frame.type == "called" and self._answers:
            self.device.accept(frame)

    def call(self, address: DeviceAddress) -> Deferred[object]:
        """Call somebody. Fires with the answer, or with what went wrong."""
        return self.device.call(*address).addErrback(lambda failure: failure.value)


class Load:
    """All of them, at a daemon with two workers, which knows phones of any length."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._account = Account(daemon.account_url, reactor)
        self._members: dict[DeviceAddress, Member] = {}
        self._in_vain = cycle(IN_VAIN)

    def __getitem__(self, address: DeviceAddress) -> Member:
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
        await self[FIRST].call(SECOND)
        for caller, callee in zip(CALLERS, (*ANSWERING, *RINGING), strict=True):
            answer = self[caller].call(callee)
            if callee in ANSWERING:
                await answer

    async def go_on(self) -> None:
        """Have one more call answered and hung up, and one more fail."""
        await self[BUSY].call(CALLED_AGAIN)
        self[BUSY].device.hang_up(CALLED_AGAIN, self[BUSY].frames[-1].room_id)
        await self[UNLUCKY].call(next(self._in_vain))

    async def _come(self, addresses: Sequence[DeviceAddress], *, answers: bool = False, extended: bool = False) -> None:
        for address in addresses:
            self._members[address] = member = Member(answers)
            token = await self._account.login(*address)
            url = self._daemon.signaling_url
            member.device = await connect(url, token, reactor, on_frame=member.hear, extended=extended)
