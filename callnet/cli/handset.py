"""The user interface of ``callnet device``: output, and reactions to events, keys and Ctrl-C.

Its call is as :class:`callnet_client.Call` has it; ``–``: it is in none.

=================== ================ ================== =================== ===================
event               –                calling            rung                active
=================== ================ ================== =================== ===================
a call rings        asks, or answers –                  –                   over; asks
``y``, ``n``        –                –                  accepted; refused   –
Ctrl-C              leaves           cancelled          refused             hung up
connection lost     waits            waits              waits               waits
=================== ================ ================== =================== ===================

With call waiting (:attr:`Handset.call_waiting`) the active call goes on while another one rings: ``y`` ends it, ``n``
refuses the other.

A handset that was told to call someone exits when that call is over. Any other continues after a call and exits at
Ctrl-C. Either exits when the same device connects elsewhere, or may no longer log in.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from callnet_client import (
    Call,
    CallEvent,
    CallState,
    Device,
    DeviceAddress,
    DeviceState,
    Event,
    Server,
    StateEvent,
    parse_frame,
)
from callnet_client.frames import printable

Answering = Literal["accept", "refuse", "ask", "listed"]
"""The reaction of a handset to a call. ``listed``: it answers the callers in the phone's ``auto_answer`` automatically,
after a moment in which the person may refuse; otherwise it asks.
"""
COUNTDOWN: Final = 5
"""Seconds of that moment."""

_BELL: Final = "\a"
_LIFE_SIGNS: Final = ("ping", "pong")


class Media(Protocol):
    """Audio and video in the room of a call."""

    def enter(self, room_id: str, is_held: Callable[[], bool], note: Callable[[str], None]) -> None:
        """Enter a room. What happens there is noted for the person. Nothing is sent while the call is held."""

    def leave(self) -> None:
        """Leave it: the call is over."""


class Handset:
    """One device. ``show`` shows a line to the person.

    An extended device that was restarted during a call is told of that call when it connects, and continues it
    unless it is to call someone else.
    """

    def __init__(
        self,
        show: Callable[[str], None],
        server: Server,
        answering: Answering,
        callee: DeviceAddress | None,
        media: Media | None = None,
    ) -> None:
        self._show = show
        self._server = server
        self._clock = server.reactor
        self._answering = answering
        self._callee = callee
        self._media = media
        self._device: Device
        self._has_begun = False
        self._own: Call | None = None
        self._ringing: Call | None = None
        self._talking: Call | None = None
        self._countdown: IDelayedCall | None = None
        self._has_reader = True
        self._done: Deferred[int] = Deferred()

    @property
    def call_waiting(self) -> bool:
        """True if the person can be asked about a second call, and the command goes on after the first."""
        return self._answering in ("ask", "listed") and self._callee is None

    def run(self, device: Device) -> Deferred[int]:
        """Be this device, which is told to connect.

        :return: a Deferred with the exit status: 1 if the call was not answered, or the device cannot go on.
        """
        self._device = device
        device.listen(self._told)
        device.connect()
        return self._done

    def watch(self, payload: bytes, is_sent: bool) -> None:
        """Show a frame, unless it only shows that somebody lives."""
        if parse_frame(payload).type not in _LIFE_SIGNS:
            self._show(f"{self._now()} {'→' if is_sent else '←'} {printable(payload)}")

    # From the device

    def _told(self, event: Event) -> None:
        match event:
            case StateEvent(state):
                self._be(state)
            case CallEvent(call, state):
                self._look(call, state)

    def _be(self, state: DeviceState) -> None:
        if state == "online" and self._has_begun:
            self._note("reconnected")
        elif state == "online":
            self._has_begun = True
            self._begin()
        elif state == "offline" and self._has_begun:
            self._note(f"the connection was closed: {self._loss()}; reconnecting")
        elif state in ("offline", "elsewhere", "denied"):
            self._note(f"the connection was closed: {self._loss()}")
            self._finish(1)

    def _loss(self) -> str:
        loss = self._device.loss
        error = self._device.denial or loss.error
        return str(error) if error is not None else printable(f"{loss.code or ''} {loss.reason}".strip().encode())

    def _begin(self) -> None:
        if self._callee is None:
            if self._device.call is None:
                self._note("waiting for calls; Ctrl-C exits")
        elif self._talking is not None and self._callee.covers(self._talking.peer):
            self._own = self._talking
        else:
            self._own = self._device.place(*self._callee)

    def _look(self, call: Call, state: CallState) -> None:
        if state == "over":
            self._be_over(call)
        elif not self._has_begun and self._callee is not None and not self._callee.covers(call.peer):
            return  # it is about to leave this one
        elif state == "active" and call is not self._talking:
            self._talk(call)
        elif state == "ringing" and call.is_incoming and call is not self._ringing:
            self._ring(call)

    def _ring(self, call: Call) -> None:
        self._ringing = call
        if self._answering in ("accept", "refuse"):
            self._answer(call, self._answering == "accept")
        elif self._answering == "listed" and call.auto_answer and self._talking is None:
            self._count_down(call, COUNTDOWN)
        elif self._has_reader:
            question = "accept" if self._talking is None else "end this call and accept"
            self._note(f"{_BELL}{_caller(call)} is calling: {question}? [y/n]")
        else:
            self._note(f"{_BELL}{_caller(call)} is calling, but there is no input to answer with (see --answer)")

    def _count_down(self, call: Call, seconds: int) -> None:
        self._countdown = None
        if seconds:
            self._note(f"{_BELL}{_caller(call)} is calling; answering in {seconds} s: accept? [y/n]")
            self._countdown = self._clock.callLater(1, self._count_down, call, seconds - 1)
        else:
            self._answer(call, True, by_itself=True)

    def _stop_ringing(self) -> None:
        self._ringing = None
        if self._countdown is not None:
            self._countdown.cancel()
            self._countdown = None

    # From the person

    def typed(self, line: str) -> None:
        """Take a line that was typed."""
        key = line.strip().lower()
        if self._ringing is None:
            return
        if key in ("y", "yes"):
            self._answer(self._ringing, True)
        elif key in ("n", "no"):
            self._answer(self._ringing, False)
        else:
            self._note("y accepts, n refuses")

    def deaf(self) -> None:
        """Know that the person can type nothing any more."""
        self._has_reader = False

    def interrupted(self) -> None:
        """End what is going on; if nothing is, leave."""
        call = self._device.call
        if call is not None:
            call.hang_up()
        else:
            self._finish(0)

    def _answer(self, call: Call, accepts: bool, by_itself: bool = False) -> None:
        self._stop_ringing()
        if accepts:
            call.accept(by_itself)
        else:
            call.refuse()

    # What changes

    def _talk(self, call: Call) -> None:
        self._stop_ringing()
        self._talking = call
        page = self._server.page_of(call.room_id, call.page)
        self._note(f"in a call with {_name(call.peer)}; Ctrl-C hangs up; its page:\n{page}")
        if self._media is not None:
            self._media.enter(call.room_id, lambda: call.is_on_hold, self._note)

    def _be_over(self, call: Call) -> None:
        if call is self._ringing:
            self._stop_ringing()
        if call is self._talking:
            self._talking = None
            if self._media is not None:
                self._media.leave()
        self._note(_ending(call))
        if call is self._own:
            self._finish(1 if call.answered_at is None else 0)

    def _finish(self, status: int) -> None:
        self._stop_ringing()
        if not self._done.called:
            self._done.callback(status)

    def _note(self, text: str) -> None:
        self._show(f"{self._now()} · {text}")

    def _now(self) -> str:
        return f"{datetime.fromtimestamp(self._clock.seconds()):%H:%M:%S.%f}"[:-3]  # noqa: DTZ006  the person's own time


def _ending(call: Call) -> str:
    """The end of a call, in words."""
    if call.answered_at is not None:
        who = "" if call.is_own_end else f"{_name(call.peer)} "
        return f"the call is over: {who}hung up{'' if call.is_own_end else _because(call.reason)}"
    if call.is_own_end:
        return call.reason
    if call.is_incoming:
        return f"stopped ringing{_because(call.reason)}"
    what = "refused the call" if call.reason == "refused" else "was not reached"
    return f"{_name(call.peer)} {what}{_because(call.reason)}"


def _name(address: DeviceAddress) -> str:
    return printable(f"{address.phone} {address.device_id}".encode())


def _caller(call: Call) -> str:
    """The caller, with the name in the phone's contacts if there is one."""
    name, address = call.name, _name(call.peer)
    return f"{printable(name.encode())} ({address})" if name else address


def _because(reason: str) -> str:
    return f" ({printable(reason.encode())})" if reason else ""
