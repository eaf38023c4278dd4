"""The session of a guest, who calls by a link that rings (protocol §2.7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from twisted.internet.interfaces import IReactorTime

from callnet.calls.events import HangUp, PlaceAsGuest
from callnet.calls.ports import CallLimits, GuestLink, IPeer
from callnet.calls.records import CallRecord
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session, log_unless_unavailable
from callnet.calls.switchboard import Waits
from callnet.errors import RateLimited, Unavailable
from callnet.frames import guest, v2
from callnet.frames.decode import Grammar
from callnet.model import EVERY_DEVICE, DeviceAddress, Failed, Reason

IDLE_MAX: Final = 60.0
"""Seconds for which a guest may be connected without a call."""


class GuestSession(Session):
    """A guest. It places calls, and receives none.

    Whether its link is good, the callee away or the guest one of too many by the link: its call rings, and ends by the
    same timers.

    :param link: the link that it uses.
    """

    grammar: ClassVar[Grammar[Any]] = guest.GUEST
    bad_frames_a_minute: ClassVar[int] = 20
    unknown_types_count: ClassVar[bool] = True
    _encode: Any = staticmethod(guest.encode)

    __slots__ = ("_in_call_at", "_link")

    def __init__(
        self, rooms: RoomManager, peer: IPeer, clock: IReactorTime, limits: CallLimits, link: GuestLink
    ) -> None:
        super().__init__(link.address, rooms, peer, clock, limits)
        self._link = link
        self._in_call_at = clock.seconds()

    # From the socket

    def _take_ring(self, _frame: guest.Ring) -> None:
        self._went_on_at = self._rooms.now()
        if self._limits.may_call(self.address, self.address.phone):
            placed = self._rooms.submit(self.address, self._place, self._clock.seconds())
            placed.addErrback(log_unless_unavailable)
        else:
            self._fail(Reason.RATE_LIMITED)

    async def _place(self, read_at: float) -> None:
        call = self._rooms.local_calls.of(self.address)
        if call is not None and call.answer is None:
            return  # it goes on ringing, and is no further call
        try:
            owner = await self._link.owner()
        except RateLimited:
            self._fail(Reason.RATE_LIMITED)
            return
        except Unavailable:
            self._fail(Reason.UNAVAILABLE)
            return
        target = DeviceAddress(owner or self.address.phone, EVERY_DEVICE)
        waits = self._rooms.call(self, target, "", read_at, PlaceAsGuest)
        if waits is not None:
            await waits

    def _fail(self, reason: Reason) -> None:
        nobody = DeviceAddress(self.address.phone, EVERY_DEVICE)
        self._rooms.fail_at_once(self, "", Failed(nobody, reason))

    def _take_hangup(self, frame: guest.Hangup) -> None:
        self._rooms.in_turn(self.address, self._end, frame)

    def _end(self, frame: guest.Hangup) -> Waits:
        call = self._rooms.local_calls.of(self.address)
        if call is None:
            return None
        return self._rooms.end(self, HangUp(call.room, self.address), partial(self._hung_up, frame, call.room))

    def _take_ping(self, frame: v2.Ping) -> None:
        self.send(v2.Pong(frame.t, frame.id))

    def is_idle(self, now: float) -> bool:
        """Return whether the guest has been in no call for too long. It is to be asked every few seconds."""
        if self.is_in_call():
            self._in_call_at = now
        return now - self._in_call_at >= IDLE_MAX

    # From the room manager

    def welcomed(self, present: Sequence[CallRecord], of_phone: Sequence[CallRecord]) -> None:  # noqa: ARG002
        """Tell the guest whether it is in a call."""
        call = self._rooms.local_calls.of(self.address)
        self.send(
            guest.Welcome(v2.PING_EVERY, "idle" if call is None else "ringing" if call.answer is None else "active")
        )

    def deliver_later(self, call: CallRecord) -> None:
        """Report it at once: a guest that calls again is another one."""
        self.deliver(call)

    takes: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        guest.Ring: _take_ring,
        guest.Hangup: _take_hangup,
        v2.Ping: _take_ping,
    }
