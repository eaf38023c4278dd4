"""One device on the signaling socket: it can call and be called while it is connected, and reconnects automatically.

It offers the extended protocol (docs/extended-protocol.md) and falls back to the base protocol, which has no presence,
and does not tell a device that restarts in a call it accepted of that call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
from twisted.internet.defer import Deferred

from callnet_client.account import Account
from callnet_client.address import EVERY_DEVICE, DeviceAddress
from callnet_client.call import Call
from callnet_client.calls import Calls
from callnet_client.connection import Watch
from callnet_client.errors import AccountError
from callnet_client.event_queue import EventQueue
from callnet_client.events import (
    ChangedEvent,
    DeviceState,
    Event,
    Listener,
    MissedEvent,
    PresenceEvent,
    SignalEvent,
    StateEvent,
)
from callnet_client.frames import CallOfPhone, Frame, MissedCall, PresentCall, Request, Resume, Signal, parse_frame
from callnet_client.reconnecting_device import ReconnectingDevice, Told
from callnet_client.reconnecting_socket import Loss
from callnet_client.waiting import Waiting

ASK_IN_CALL: Final = 2.0
"""Seconds between two pings, in a call ..."""
ASK_EVERY: Final = 20.0
"""... and otherwise; the server may set another interval for the latter."""

RESTING: Final[Sequence[DeviceState]] = ("off", "elsewhere", "denied")
"""The states that last until :meth:`Device.connect` is called."""


class Device:
    """A device, offline until :meth:`connect` is called.

    :param extended: whether to offer the extended protocol.
    :param call_waiting: whether a second call may ring while one is active (:attr:`waiting_call`), if both devices are
        on the extended protocol; otherwise its caller is told ``busy``.
    :param watch: called with every raw frame, and True if it was sent, False if it was received.
    """

    def __init__(
        self, account: Account, *, extended: bool = True, call_waiting: bool = False, watch: Watch | None = None
    ) -> None:
        self.account: Final = account
        self.calls_of_phone: Sequence[CallOfPhone] = ()
        """The active calls of the phone's other devices, by the last welcome; :meth:`pull` takes one over."""
        self._listeners: list[Listener] = []
        self._events = EventQueue()
        self._calls = Calls(self._say, self._tell, self._events, account.server.reactor, call_waiting)
        self._waiting: Waiting[DeviceState] = Waiting()
        told = Told(self._opened, self._heard, self._became, self._stopped)
        connect = partial(account.server.connect, extended=extended, call_waiting=call_waiting, watch=watch)
        self._attendance = ReconnectingDevice(account, connect, self._ask_now, told)
        self._ask_every = ASK_EVERY
        self._unsaid: list[Request] = []

    @property
    def state(self) -> DeviceState:
        """The state of the connection.

        ``off`` · ``connecting`` before the first connection · ``online`` · ``offline``: it reconnects automatically ·
        ``elsewhere``: the same device has connected elsewhere, and this one stays disconnected · ``denied``: the device
        may no longer log in, see :attr:`denial`.
        """
        return self._attendance.state

    @property
    def denial(self) -> AccountError | None:
        """The reason for ``denied``."""
        return self._attendance.denial

    @property
    def loss(self) -> Loss:
        """The loss of the last connection, or the failure to open one or to log in."""
        return self._attendance.loss

    @property
    def is_extended(self) -> bool:
        """True if the extended protocol is in use."""
        return self._attendance.is_extended

    @property
    def call(self) -> Call | None:
        """The current call."""
        return self._calls.present

    @property
    def waiting_call(self) -> Call | None:
        """A second call that rings while :attr:`call` is active; accepting it ends that one.

        When the current call ends otherwise, this one is the current call, and rings on.
        """
        return self._calls.waiting

    @property
    def held_call(self) -> Call | None:
        """An active call that this device holds while it is in another one, :attr:`call` (:meth:`Call.accept`).

        When the current call ends, this one is the current call. Placing or pulling a call ends both.
        """
        return self._calls.held

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Add a listener for all events.

        :return: a function that removes it.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def connect(self) -> None:
        """Connect, also after ``elsewhere``. Logs in first if necessary."""
        self._attendance.connect()

    def close(self) -> Deferred[None]:
        """Disconnect. A call continues for the time that the server allows.

        :return: a Deferred that fires when the connection is closed.
        """
        gone = self._attendance.close()
        self._calls.left()
        return gone

    def check(self) -> None:
        """Check now whether the server still answers, for example when the person is back or the machine has slept."""
        self._attendance.check()

    def until(self, *states: DeviceState) -> Deferred[DeviceState]:
        """Wait for one of these states.

        :return: a new Deferred with the resulting state of the device: one of these, or ``off``, ``elsewhere`` or
            ``denied``, which last until :meth:`connect` is called.
        """
        return self._waiting.until(self.state, (*states, *RESTING))

    def place(self, phone: str, device_id: str = EVERY_DEVICE) -> Call | None:
        """Call a device of a phone, or all of them with ``*``. Leaves its calls; if that phone is calling this device,
        accepts its call.

        :return: the call; ``None`` if it is not online, or its connection is closing: nothing was done.
        """
        return self._calls.place(DeviceAddress(phone, device_id)) if self._attendance.can_ask else None

    def pull(self, room_id: str) -> Call | None:
        """Take over a call from another device of the phone (:attr:`calls_of_phone`).

        :return: the call, which is ``calling`` until this device has it; ``None`` as for :meth:`place`, or
            if the extended protocol is not in use: nothing was done.
        """
        return self._calls.pull(room_id) if self._attendance.can_ask and self.is_extended else None

    def swap(self) -> None:
        """Go on with :attr:`held_call`, and hold the current call; has no effect without one. If the device is not
        online the server hears of it later.

        A call that cannot be held any more, since its other party is on the base protocol by now, ends.
        """
        self._calls.swap()

    def resume(self, call: PresentCall) -> Call:
        """Resume a call that was remembered while its program restarted, and that may be over by now. On the extended
        protocol the server reports it anyway.
        """
        return self._calls.resume(call)

    def note_end(self, call: Call) -> None:
        """Note that the page of a call has seen its end."""
        self._calls.note_end(call)

    def _ask_now(self) -> float:
        return self._ask_every if self.call is None else ASK_IN_CALL

    def _opened(self) -> None:
        self._calls.connected(self.is_extended)
        if not self.is_extended:
            self._admitted()

    def _heard(self, payload: bytes) -> None:
        frame = parse_frame(payload)
        match frame.type:
            case "welcome":
                self._welcomed(frame)
            case "presence":
                who = DeviceAddress(frame.text("phone"), frame.text("device_id"))
                self._tell(PresenceEvent(who, frame.fields.get("online") is True))
            case "missed":
                self._tell(MissedEvent(_list_of(frame, "calls", MissedCall)))
            case "changed":
                self._tell(ChangedEvent(_list_of(frame, "what", str)))
            case "signal":
                call = self._calls.call_in(frame.room_id)
                if call is not None:
                    self._tell(SignalEvent(call, frame.fields.get("data")))
            case "going_away":
                self._attendance.reconnect_in = frame.number("reconnect_in")
            case _:
                self._calls.hear(frame)

    # The extended server checks the token before it sends its welcome.
    def _welcomed(self, frame: Frame) -> None:
        self._ask_every = frame.number("ping_every") or ASK_EVERY
        self.calls_of_phone = _list_of(frame, "calls_of_phone", CallOfPhone)
        with self._events:
            self._calls.welcomed(*(_convert(frame.fields.get(name), PresentCall) for name in ("call", "held_call")))
            self._admitted()

    def _admitted(self) -> None:
        with self._events:
            self._attendance.admitted()
            unsaid, self._unsaid = self._unsaid, []
            for request in unsaid:
                self._say(request)

    def _say(self, request: Request) -> None:
        if not self._attendance.say(request) and not isinstance(request, Signal):
            if isinstance(request, Resume):  # the last one alone counts
                self._unsaid = [one for one in self._unsaid if not isinstance(one, Resume)]
            self._unsaid.append(request)

    def _became(self, state: DeviceState) -> None:
        with self._events:
            self._tell(StateEvent(state))
            self._events.add(lambda: self._waiting.tell(state))

    def _stopped(self, state: DeviceState) -> None:
        with self._events:
            self._calls.revoked(is_own=state == "off")
            self._became(state)

    def _tell(self, event: Event) -> None:
        with self._events:
            for listener in self._listeners:
                self._events.add(partial(listener, event))


def _convert(value: object, kind: Any) -> Any:
    """The value of a field, or ``None`` if it is invalid."""
    try:
        return None if value is None else msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return None


def _list_of(frame: Frame, name: str, kind: type) -> Sequence[Any]:
    values = frame.fields.get(name)
    found = [_convert(value, kind) for value in values] if isinstance(values, list) else []
    return [one for one in found if one is not None]
