"""A base device for a person: what it shows, and what it does at a frame, a key and Ctrl-C.

It is ``idle``, it is ``calling`` (its own call is not answered yet), ``rung`` by someone, or ``talking``.

=================== ================ ================== =================== ===================
event               idle             calling            rung                talking
=================== ================ ================== =================== ===================
``called``          rung             –                  rung by this one    rung by this one
be_hangup, its room –                –                  idle                idle: over
be_hangup, another  –                –                  –                   –
answer to the call  –                talking, or over   –                   –
``y``, ``n``        –                –                  talking; idle       –
Ctrl-C              over             over, cancelled    idle, refused       idle, hung up: over
connection lost     over             over               over                over
=================== ================ ================== =================== ===================

A handset that was told to call someone is done when that call is over. Any other goes on after a call and
is done at Ctrl-C, or when its connection is lost. Answers that a caller's ringing may cross (glare,
protocol §2.4) are the server's business, so whoever is calling answers nobody.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.client import CallAnswer, CallWithdrawn, CloseReason, ConnectionClosed, Device, Frame
from callnet.client.frames import PresentCall, printable
from callnet.model import DeviceAddress

Answering = Literal["accept", "refuse", "ask", "listed"]
"""What a handset does when it is rung. ``listed``: it accepts by itself whom the owner of its phone has listed for
that (``auto_answer``), after a moment in which the person may refuse; otherwise it asks.
"""
COUNTDOWN: Final = 5
"""Seconds of that moment."""

_BELL: Final = "\a"
_PAGE: Final = "/static/demo/direct_chat.html?room_id="


class Media(Protocol):
    """What sends and takes picture and sound in the room of a call."""

    def enter(self, room_id: str, note: Callable[[str], None]) -> None:
        """Enter a room. What happens there is noted for the person."""

    def leave(self) -> None:
        """Leave it: the call is over."""


class Handset:
    """One device. ``show`` shows a line to the person; ``site`` is the origin of the page.

    A device that is extended is welcomed with the call that it is in, if it was started anew meanwhile, and goes on
    with it, unless it is to call someone else.
    """

    def __init__(
        self,
        show: Callable[[str], None],
        clock: IReactorTime,
        site: str,
        answering: Answering,
        callee: DeviceAddress | None,
        media: Media | None = None,
    ) -> None:
        self._show = show
        self._clock = clock
        self._site = site.rstrip("/")
        self._answering = answering
        self._callee = callee
        self._media = media
        self._device: Device
        self._is_calling = False
        self._ringing: Frame | None = None
        self._countdown: IDelayedCall | None = None
        self._talking: tuple[DeviceAddress, str] | None = None
        self._was_answered = False
        self._has_reader = True
        self._done: Deferred[int] = Deferred()

    def run(self, device: Device) -> Deferred[int]:
        """Be this device.

        :return: a Deferred with the exit status: 1 if the call was not answered or the connection was lost.
        """
        self._device = device
        device.when_closed().addCallback(self._closed)
        if not device.is_extended:
            self._begin()
        return self._done

    def _begin(self) -> None:
        if self._callee is not None:
            self._is_calling = True
            self._device.call(*self._callee).addCallbacks(self._answered, self._unanswered)
        else:
            self._note("waiting for calls; Ctrl-C leaves")

    # From the socket

    def sent(self, payload: bytes) -> None:
        """Show a frame that goes out."""
        self._show_frame("→", payload)

    def received(self, frame: Frame) -> None:
        """Show a frame that came in, and act on it."""
        self._show_frame("←", frame.raw)
        if frame.type == "welcome":
            self._be_welcomed(frame.present_call)
        elif frame.type == "called" and not self._is_calling:
            self._ring(frame)
        elif frame.type == "calling_be_hangup":
            self._be_hung_up(frame)

    def _be_welcomed(self, call: PresentCall | None) -> None:
        if call is not None and (self._callee is None or self._callee.covers(call.peer)):
            self._was_answered = True
            self._talk(call.peer, call.room_id)
        else:
            self._begin()

    def _ring(self, called: Frame) -> None:
        if self._talking is not None:
            self._end("the server rings anew")
        self._stop_ringing()
        self._ringing = called
        if self._answering in ("accept", "refuse"):
            self._answer(called, self._answering == "accept")
        elif self._answering == "listed" and called.fields.get("auto_answer") is True:
            self._count_down(called, COUNTDOWN)
        elif self._has_reader:
            self._note(f"{_BELL}{_caller(called)} is calling: accept? [y/n]")
        else:
            self._note(f"{_BELL}{_caller(called)} is calling, but there is no input to answer from (see --answer)")

    def _count_down(self, called: Frame, seconds: int) -> None:
        self._countdown = None
        if seconds:
            self._note(f"{_BELL}{_caller(called)} is calling, and is answered in {seconds} s: accept? [y/n]")
            self._countdown = self._clock.callLater(1, self._count_down, called, seconds - 1)
        else:
            self._answer(called, True, by_itself=True)

    def _stop_ringing(self) -> None:
        self._ringing = None
        if self._countdown is not None:
            self._countdown.cancel()
            self._countdown = None

    def _be_hung_up(self, frame: Frame) -> None:
        if self._ringing is not None and self._ringing.room_id == frame.room_id:
            self._stop_ringing()
            self._note(f"stopped ringing{_because(frame.text('reason'))}")
        elif self._talking is not None and self._talking[1] == frame.room_id:
            self._end(f"{_name(frame.sender)} hung up{_because(frame.text('reason'))}")

    def _answered(self, answer: CallAnswer) -> None:
        self._is_calling = False
        if answer.accepted:
            self._was_answered = True
            self._talk(answer.to, answer.room_id)
            return
        what = "refused the call" if answer.outcome == "call_refuse" else "was not reached"
        self._note(f"{_name(answer.to)} {what}{_because(answer.reason)}")
        self._finish(1)

    def _unanswered(self, failure: Failure) -> None:
        failure.trap(CallWithdrawn, ConnectionClosed)
        self._is_calling = False
        self._finish(1)

    def _closed(self, close: CloseReason) -> None:
        self._stop_ringing()
        if not self._done.called:
            self._note(f"the connection was closed: {close.code} {close.reason}".rstrip())
            self._finish(1)

    # From the person

    def typed(self, line: str) -> None:
        """Take a line that the person typed."""
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
        if self._is_calling:
            self._say(self._device.cancel)
        elif self._ringing is not None:
            self._answer(self._ringing, False)
        elif self._talking is not None:
            peer, room_id = self._talking
            self._say(lambda: self._device.hang_up(peer, room_id))
            self._end("hung up")
        else:
            self._finish(0)

    def _answer(self, called: Frame, accepts: bool, by_itself: bool = False) -> None:
        self._stop_ringing()
        if accepts:
            self._say(lambda: self._device.accept(called, by_itself))
            self._talk(called.sender, called.room_id)
        else:
            self._say(lambda: self._device.refuse(called))
            self._note("refused")

    def _say(self, what: Callable[[], None]) -> None:
        # On a connection that is about to be lost nothing can be said; its end will be noticed.
        with suppress(ConnectionClosed):
            what()

    # What changes

    def _talk(self, peer: DeviceAddress, room_id: str) -> None:
        self._talking = (peer, room_id)
        self._note(f"in a call with {_name(peer)}; Ctrl-C hangs up; its page:\n{self._site}{_PAGE}{room_id}")
        if self._media is not None:
            self._media.enter(room_id, self._note)

    def _end(self, why: str) -> None:
        self._talking = None
        if self._media is not None:
            self._media.leave()
        self._note(f"the call is over: {why}")
        if self._callee is not None:
            self._finish(0 if self._was_answered else 1)

    def _finish(self, status: int) -> None:
        if not self._done.called:
            self._done.callback(status)

    def _note(self, text: str) -> None:
        self._show(f"{self._now()} · {text}")

    def _show_frame(self, arrow: str, payload: bytes) -> None:
        self._show(f"{self._now()} {arrow} {printable(payload)}")

    def _now(self) -> str:
        return f"{datetime.fromtimestamp(self._clock.seconds()):%H:%M:%S.%f}"[:-3]  # noqa: DTZ006  the person's own time


def _name(address: DeviceAddress) -> str:
    return printable(f"{address.phone} {address.device_id}".encode())


def _caller(called: Frame) -> str:
    """Who calls, by the name that the owner of the phone has for the caller, if there is one."""
    name, address = called.text("from_name"), _name(called.sender)
    return f"{printable(name.encode())} ({address})" if name else address


def _because(reason: str) -> str:
    return f" ({printable(reason.encode())})" if reason else ""
