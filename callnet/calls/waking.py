"""Waking of devices that sleep, for calls that ring them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from msgspec import Struct
from twisted.internet.defer import Deferred, succeed

from callnet.calls import events
from callnet.calls.ports import DeliveryResult, ICallStore, IPreferences
from callnet.calls.preferences import Policy
from callnet.calls.records import Active, CallRecord, Ringing
from callnet.calls.switchboard import PerKeyQueue, Transactions
from callnet.calls.telling import ending_reason
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger

_BACK_WITHIN: Final = 1.5
"""Seconds in which most devices that have lost their socket are back, and need not be woken."""
_LOSSES: Final = events.Disconnected, events.DeviceDue
"""Events by which a device that rings loses its socket."""

log = Logger()
_log_waking = logged_unless_unavailable(log, "failed to wake a device")


class WakeMessage(Struct, frozen=True):
    """A call, for a device without a connection: it rings, or does so no more."""

    room: RoomId
    """The room id by which the device knows the call. Whoever has it may enter, so it must not leave this server."""
    from_phone: str
    from_name: str
    """The owner's name for the caller, or a guest's own; may be empty."""
    lasts: float
    """Seconds of ringing that are left, or would be."""
    ended: Reason | None = None
    """The reason why it rings no more, in the terms of ``calling_be_hangup``; ``None``: it rings."""


Wake: TypeAlias = Callable[[DeviceAddress, WakeMessage], Deferred[DeliveryResult]]


class WakeRequests:
    """Wakes devices without waiting for them: a woken device connects, or does not.

    :param pause: lets seconds pass; fails with ``Unavailable`` when the node stops.
    :param wake: sends a device a message. Fires with the result; it does not fail.
    """

    def __init__(
        self,
        store: ICallStore,
        decisions: Transactions,
        queue: PerKeyQueue,
        preferences: IPreferences,
        settings: CallSettings,
        pause: Callable[[float], Deferred[None]],
        wake: Wake,
    ) -> None:
        self._store = store
        self._transactions = decisions
        self._queue = queue
        self._preferences = preferences
        self._settings = settings
        self._pause = pause
        self._tell = wake

    def committed(self, call: CallRecord, event: events.Event) -> None:
        """Wake the sleeping devices of a new call, and one that loses its socket; when it rings no more, withdraw that.

        :param event: the event that has changed it.
        """
        wake = self._wake_lost if isinstance(event, _LOSSES) else self._wake
        for device in _to_tell(call, event):
            work = wake if _rings(call, device) else self._withdraw
            Deferred.fromCoroutine(work(call, device)).addErrback(_log_waking)

    async def _wake_lost(self, call: CallRecord, device: DeviceAddress) -> None:
        """Wake a device that has lost its socket, unless it is back in a moment."""
        await self._pause(_BACK_WITHIN)
        records = await self._store.read((device.phone,), (call.room,))
        now, record = records.call(call.room), records.device(device)
        if now is not None and _rings(now, device) and record is not None and not record.connected:
            await self._wake(now, device)

    async def _wake(self, call: CallRecord, device: DeviceAddress) -> None:
        message = await self._message(call, device, None)
        if await self._tell(device, message) is not DeliveryResult.TAKEN:
            await self._transactions.reply_to(events.NotWoken(call.room, device))
            return
        now = (await self._store.read((), (call.room,))).call(call.room)
        if now is not None and not _rings(now, device):
            await self._withdraw(now, device)  # another node may have said so before

    async def _withdraw(self, call: CallRecord, device: DeviceAddress) -> None:
        """Tell a device that has not come."""
        if device == call.callee or (call.end is not None and device == call.end.by):
            return
        record = (await self._store.read((device.phone,), ())).device(device)
        if record is not None and not record.connected:
            await self._tell(device, await self._message(call, device, ending_reason(call, device)))

    async def _message(self, call: CallRecord, device: DeviceAddress, ended: Reason | None) -> WakeMessage:
        name = (await self._preferences.of(device.phone)).name_of_caller(call.caller)
        lasts = max(call.placed_at + self._settings.ring_time - self._store.now(), 0.0)
        return WakeMessage(call.room_for(device), call.caller.phone, name, lasts, ended)

    def refuse(self, device: DeviceAddress, is_meant: Callable[[RoomId], bool]) -> Deferred[bool]:
        """Refuse the call that rings a device, whether it is waited for or not. Fires with whether that was done.

        :param is_meant: see :class:`callnet.calls.events.RefusedByTicket`.
        :raises Unavailable: the store cannot be reached.
        """
        return self._queue.submit(device, self._transactions.reply_to, events.RefusedByTicket(device, is_meant))

    def sleeps(self, device: DeviceAddress, policy: Policy) -> Deferred[None]:
        """Register a wakeable device, if it is unknown.

        :raises Unavailable: the store cannot be reached.
        """
        return self._queue.submit(device, self._transactions.reply_to, events.Sleeps(device, policy))


def _to_tell(call: CallRecord, event: events.Event) -> Sequence[DeviceAddress]:
    """The devices for which an event has changed whether the call rings."""
    state = call.state
    if isinstance(state, Ringing):
        if isinstance(event, _LOSSES):
            return [device for device in state.devices if device == event.device]
        if isinstance(event, events.Place) and call.version > 1:
            return [device for device in call.woken if not _rings(call, device)]  # they make way for the new call
        is_news = call.version == 1
    elif isinstance(state, Active):
        is_news = isinstance(event, (events.Accept, events.Place))
    else:
        is_news = isinstance(state.was, Ringing)
    return call.woken if is_news else ()


def _rings(call: CallRecord, device: DeviceAddress) -> bool:
    return isinstance(call.state, Ringing) and device in call.state.devices


def nobody_can(device: DeviceAddress, message: WakeMessage) -> Deferred[DeliveryResult]:  # noqa: ARG001
    """Wake no device."""
    return succeed(DeliveryResult.GONE)
