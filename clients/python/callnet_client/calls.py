"""The call state machine of a device, driven by the frames of the signaling protocol.

A device is in one call at most, and a second one may ring, or be held, while that is active. A frame about any other
call changes nothing. A call that has ended for this device stays ended: if a server that has not heard of the end
mentions it again, the end is sent again. So is the choice between two calls.

The same rules are in ``clients/javascript/calls.js``; tests/client_stories tests both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from callnet_client import frames
from callnet_client.address import DeviceAddress
from callnet_client.call import Call, Direction
from callnet_client.ended import Ended
from callnet_client.event_queue import EventQueue
from callnet_client.events import CallEvent
from callnet_client.frames import Frame, PresentCall, Request

DOUBT: Final = 1.0
"""Seconds after its welcome in which the server may still report the outcome of a call missing there."""
LATE: Final = 3.0
"""Seconds after the ring time at which a device stops ringing by itself, since the connection is lost."""
RING_TIME: Final = 60.0
"""The ring time in seconds if the server does not send one."""
_REFUSED_AT_ONCE: Final = frozenset({"failed", "invalid", "self", "rate_limited", "shutting_down", "unavailable"})
"""The reasons for the end of a request by which the device has not left a call that rings it."""


class Calls:
    """The calls of one device.

    :param say: sends a request, now or as soon as the server is back.
    :param tell: called with each change of a call.
    :param queue: the event queue of ``tell``.
    :param call_waiting: whether a call may ring while another one is active; otherwise it takes its place.
    """

    def __init__(
        self,
        say: Callable[[Request], None],
        tell: Callable[[CallEvent], object],
        queue: EventQueue,
        reactor: IReactorTime,
        call_waiting: bool = False,
    ) -> None:
        self._say = say
        self._tell = tell
        self._events = queue
        self._reactor = reactor
        self._call_waiting = call_waiting
        self._ended = Ended()
        self._asked = 0
        self._exchanged = 0
        self._request = ""
        self._is_extended = False
        self._is_named = False
        """True if the answer to the call that the device has placed has an id."""
        self._is_welcomed = False
        """True after the first welcome on a connection."""
        self._own: Call | None = None
        """The call that the device has asked for or accepted on this connection."""
        self._crossed: Frame | None = None
        """The ``called`` that came while the server has yet to answer the request of the device."""
        self._calls: list[Call] = []
        """The present call, then the waiting or held one."""
        self._clocks: dict[Call, IDelayedCall] = {}
        """The ends of calls that ring, and the doubts about others."""

    @property
    def present(self) -> Call | None:
        """The current call of the device."""
        return self._calls[0] if self._calls else None

    @property
    def waiting(self) -> Call | None:
        """A call that rings while the current one is active. When that ends it is the current one."""
        return next((call for call in self._calls[1:] if call.state == "ringing"), None)

    @property
    def held(self) -> Call | None:
        """An active call that this device holds while it is in the current one, and is in when that ends."""
        return next((call for call in self._calls[1:] if call.state == "active"), None)

    # Requests of the owner

    def place(self, to: DeviceAddress) -> Call:
        """Call a device, or all of a phone. The device leaves its calls."""
        for call in self._calls:
            if _is_rung(call) and call.peer.phone == to.phone:
                call.accept()
                return call
        with self._events:
            call = self._begin_own(to)
            self._say(frames.Call(to_phone=to.phone, to_device_id=to.device_id, id=self._request))
            self._note(call)
        return call

    def pull(self, room_id: str) -> Call:
        """Take over a call of another device of the phone. The device leaves its calls."""
        with self._events:
            call = self._begin_own(DeviceAddress("", ""))
            call.room_id = room_id
            self._say(frames.Pull(room_id=room_id, id=self._request))
            self._note(call)
        return call

    def resume(self, call: PresentCall) -> Call:
        """Resume a call from before a restart of the program. It may be over by now."""
        with self._events:
            resumed = self._begin(_direction(call), call.peer)
            self._activate_seen(resumed, call)
        return resumed

    def note_end(self, call: Call) -> None:
        """Record an end reported by the page of a call, and send it, since the server may not know of it."""
        if not call.is_over:
            self._tell_end(False, call.peer, call.room_id)
            self._end(call, "over")

    def accept(self, call: Call, by_itself: bool, hold: bool) -> None:
        """See :meth:`Call.accept`."""
        if not _is_rung(call):
            return
        hold = hold and call.can_hold and call is self.waiting
        with self._events:
            self._tell_accept(call, by_itself, hold)
            if hold:
                self._exchange()
            elif call is self.waiting:
                self._replace(self._calls[0])
            self._own = call
            self._activate(call, call.room_id, call.page, call.peer, None)

    def swap(self) -> None:
        """See :meth:`Device.swap`."""
        held = self.held
        if held is not None:
            with self._events:
                self._tell_resume(held)
                self._exchange()
                self._note(held)

    def _exchange(self) -> None:
        self._calls.reverse()
        self._note(self._calls[1])

    def refuse(self, call: Call) -> None:
        """See :meth:`Call.refuse`."""
        if _is_rung(call):
            self.hang_up(call)

    def hang_up(self, call: Call) -> None:
        """See :meth:`Call.hang_up`."""
        if call.is_over:
            return
        reason = "hangup" if call.state == "active" else "refused" if _is_rung(call) else "cancelled"
        self._tell_end(_is_rung(call), call.peer, call.room_id)
        self._end(call, reason, is_own=True)

    def signal(self, call: Call, data: Any) -> None:
        """See :meth:`Call.signal`."""
        if call.state == "active":
            self._say(frames.Signal(room_id=call.room_id, data=data))

    def revoked(self, is_own: bool) -> None:
        """End the calls after a logout.

        :param is_own: whether the device itself has logged out.
        """
        self._end_all("revoked", is_own)

    def left(self) -> None:
        """Stop after the device was closed: its calls do not change any more."""
        for call in list(self._calls):  # who is told may end one
            self._stop_clock(call)
            call.noted(call.state, has_left=True)

    # Events of the server

    def connected(self, is_extended: bool) -> None:
        """Handle a new connection. On an extended one requests are answered by their ids."""
        self._is_extended = is_extended
        self._is_named = self._is_welcomed = False
        self._own = self._crossed = None
        if not is_extended:  # where no welcome says that the server does not have a call; if it has, it rings on
            for call in self._calls:
                if call.state != "active" and call not in self._clocks:
                    self._start_clock(call, RING_TIME + LATE, self._give_up)

    def welcomed(self, view: PresentCall | None, held: PresentCall | None = None) -> None:
        """Apply the current call of the device from the ``welcome`` frame, and the one that it holds.

        On one connection a second ``welcome`` overrules neither what the server has yet to handle, nor what it rings.
        """
        is_again, self._is_welcomed = self._is_welcomed, True
        if is_again and self._is_ahead(view, held):
            return
        stays = is_again and self._call_waiting and held is None
        with self._events:
            if view is not None and self.held is not None and view.room_id == self.held.room_id:
                if held is not None and self.present is not None and held.room_id == self.present.room_id:
                    self._tell_resume(self.present)  # the server does not know of an exchange
                    view, held = held, view
                else:
                    self._calls.reverse()  # the other one has ended
            if self.waiting is not None and not stays:  # the server does not ring it again
                self._end(self.waiting, "busy")
            self._welcomed(view, self.present, stays)
            if view is None and self.held is not None:
                self._doubt(self.held)
            else:
                self._welcomed_held(held)

    def _welcomed_held(self, view: PresentCall | None) -> None:
        held = self.held
        if held is not None and (view is None or view.room_id != held.room_id):
            self.note_end(held)
        if view is not None and self._is_over(view.room_id):
            self._tell_end(False, view.peer, view.room_id)
        elif view is not None:
            self._activate_seen(self.call_in(view.room_id) or self._add(_direction(view), view.peer), view)

    def _activate_seen(self, call: Call, view: PresentCall) -> None:
        call.is_on_hold = view.on_hold
        self._activate(call, view.room_id, view.page, view.peer, view.answered_at)

    def _is_ahead(self, *views: PresentCall | None) -> bool:
        """Return whether the server has yet to handle a call or an accept of the device."""
        own = self._own
        if own is None or own not in self._calls:
            return False
        is_shown = any(view is not None and view.room_id == own.room_id for view in views)
        return own.state == "calling" or (own.is_incoming and not is_shown)

    def _welcomed(self, view: PresentCall | None, present: Call | None, stays: bool) -> None:
        withdrawn = view.peer_phone if view is not None and view.direction == "outgoing" else ""
        if view is not None and not _is_ring(view) and self._is_over(view.room_id, withdrawn):
            self._tell_end(False, view.peer, view.room_id)
            view = None
        known = present if view is not None and present is not None and _is_about(view, present) else None
        if view is not None and view.state == "active":
            self._activate_seen(known or self._begin(_direction(view), view.peer, stays), view)
        elif view is not None and known is None and not _is_ring(view):
            call = self._begin("outgoing", view.peer)
            call.room_id = view.room_id
            self._note(call)
        elif present is not None and known is None:
            self._doubt(present)
        elif known is not None and not _is_rung(known):
            self._stop_clock(known)
        # A call that rings this device follows in `called`.

    def hear(self, frame: Frame) -> None:
        """Handle any frame."""
        with self._events:
            self._hear(frame, self.present)

    def _hear(self, frame: Frame, present: Call | None) -> None:
        if frame.type == "calling_be_hangup" and frame.room_id:
            self._ended.hear(frame.room_id)
        if frame.type == "called":
            self._ring(frame)
        elif frame.type == "call_success":
            self._succeed(frame)
        elif present is None:
            return
        elif frame.type in ("call_refuse", "call_failed", "call_ringing") and self._is_asked(frame, present):
            self._asked_of(frame, present)
        elif frame.type == "error" and self._request and frame.text("id") == self._request:
            self._fail(present, "failed")
        elif frame.type == "error" and self.held is not None and frame.text("id") == f"resume-{self._exchanged}":
            self._exchange()
            self._note(self._calls[0])
        elif call := self.call_in(frame.room_id):
            self._be_told(frame, call)

    def _asked_of(self, frame: Frame, call: Call) -> None:
        if frame.type == "call_ringing":
            self._stop_clock(call)
            self._crossed = None
            call.state = "ringing"
            call.room_id = frame.room_id
            self._note(call)
        else:
            if frame.room_id:
                self._ended.hear(frame.room_id)
            self._fail(call, frame.text("reason") or ("refused" if frame.type == "call_refuse" else "failed"))

    def _fail(self, call: Call, reason: str) -> None:
        """End a call that the device asked for, and ring if the server goes on ringing the device."""
        crossed, self._crossed = self._crossed, None
        self._end(call, reason)
        if crossed is not None and reason in _REFUSED_AT_ONCE and not self._ended.was_told(crossed.room_id):
            self._ring(crossed)

    def _be_told(self, frame: Frame, call: Call) -> None:
        if frame.type == "calling_be_hangup":
            self._end(call, frame.text("reason") or "hangup")
        elif frame.type == "peer_state":
            match frame.text("state"):
                case "held" | "resumed" as state:
                    call.is_on_hold = state == "held"
                case "moved":
                    call.peer = DeviceAddress(call.peer.phone, frame.text("device_id"))
                    call.other_side = "here"
                case state:
                    call.other_side = "reconnecting" if state == "reconnecting" else "here"
            self._note(call)

    def _ring(self, frame: Frame) -> None:
        present, peer, room_id = self.present, frame.address("from"), frame.room_id
        if not room_id:
            return
        if self._ended.has(room_id):
            self._tell_end(True, peer, room_id)
        elif call := self.call_in(room_id):
            if call.is_incoming and call.state == "active":  # it has not heard that this device accepted
                self._tell_accept(call)
                self._stop_clock(call)
                if call.is_forgotten:
                    call.is_forgotten = False
                    self._note(call)
        elif self._call_waiting and present is not None and present.state == "active":
            for second in self._calls[1:]:
                self._end(second, "over")
            self._be_rung(self._add("incoming", peer), frame)
        elif present is None or present.is_incoming or present.state == "active" or present in self._clocks:
            # A rung device is in no call, as far as the server knows.
            self._be_rung(self._begin("incoming", peer), frame)
        elif present.state == "calling":
            self._crossed = frame  # the server decides

    def _be_rung(self, call: Call, frame: Frame) -> None:
        call.room_id, call.page, call.name = frame.room_id, frame.text("page"), frame.text("from_name")
        call.auto_answer = frame.fields.get("auto_answer") is True
        call.link_name = frame.text("link_name")
        call.can_hold = frame.fields.get("can_hold") is True
        expires_in = frame.number("expires_in")
        seconds = RING_TIME if expires_in is None else expires_in
        self._start_clock(call, seconds + LATE, self._expire)
        self._note(call)

    def _expire(self, call: Call) -> None:
        self._end(call, "no_answer")

    def _succeed(self, frame: Frame) -> None:
        present, peer, room_id = self.present, frame.address("to"), frame.room_id
        if not room_id:
            return
        if present is not None and self._is_asked(frame, present):
            self._activate(present, room_id, frame.text("page"), peer, None)
        elif self._is_over(room_id, peer.phone):
            self._tell_end(False, peer, room_id)
        elif present is None and not frame.text("id"):
            self._activate(self._begin("outgoing", peer), room_id, frame.text("page"), peer, None)

    def _is_over(self, room_id: str, phone: str = "") -> bool:
        """Return whether a call has ended for this device, which has not taken it over since."""
        was_told = self._ended.was_told(room_id) and self.call_in(room_id) is None
        return was_told or self._ended.has(room_id, phone)

    def _give_up(self, call: Call) -> None:
        self._tell_end(_is_rung(call), call.peer, call.room_id)
        self._end(call, "forgotten")

    def _doubt(self, call: Call) -> None:
        # The server does not have it. If it was restarted, media may still flow.
        self._start_clock(call, DOUBT, self._forget)

    def _forget(self, call: Call) -> None:
        if call.state == "active":
            call.is_forgotten = True
            self._note(call)
        else:
            self._end(call, "forgotten")

    def _is_asked(self, frame: Frame, call: Call) -> bool:
        if call.is_incoming or call.state == "active":
            return False
        if frame.text("id"):
            return frame.text("id") == self._request
        if self._is_old(frame):
            return False
        if frame.room_id and frame.room_id == call.room_id:
            return True
        answered = frame.address("to")
        # The server gives back no address that it cannot accept (protocol §2.6).
        return call.peer.covers(answered) or (frame.type == "call_failed" and not answered.phone)

    def _is_old(self, answer: Frame) -> bool:
        """Return whether an answer without an id is to an earlier call.

        A server that does not know whether the answer was received repeats it on the next connection. It gives back no
        address that it cannot accept, and perhaps no id.
        """
        if answer.type not in ("call_refuse", "call_failed"):
            return self._is_over(answer.room_id)
        return self._ended.was_told(answer.room_id) or (self._is_named and answer.address("to").phone != "")

    # The states of a call

    def _begin_own(self, peer: DeviceAddress) -> Call:
        for call in reversed(list(self._calls)):
            self.hang_up(call)
        call = self._begin("outgoing", peer)
        call.state = "calling"
        self._ended.begin_own()
        self._asked += 1
        self._request = f"call-{self._asked}"
        self._is_named = self._is_extended
        self._own = call
        return call

    def _begin(self, direction: Direction, peer: DeviceAddress, stays: bool = False) -> Call:
        """Begin a call in place of the others; with ``stays`` one that rings goes on ringing beside it."""
        rung = [call for call in self._calls if stays and _is_rung(call)]
        self._calls = [call for call in self._calls if call not in rung]
        self._end_all("over")
        self._request, self._crossed = "", None
        begun = self._add(direction, peer)
        self._calls += rung
        return begun

    def _add(self, direction: Direction, peer: DeviceAddress) -> Call:
        call = Call(direction, peer, self)
        self._calls.append(call)
        return call

    def _activate(self, call: Call, room_id: str, page: str, peer: DeviceAddress, answered_at: float | None) -> None:
        self._stop_clock(call)
        if call.state != "active":
            call.answered_at = self._reactor.seconds() if answered_at is None else answered_at
        call.room_id, call.page, call.peer, call.state = room_id, page, peer, "active"
        call.is_forgotten = False
        self._note(call)

    def _replace(self, call: Call) -> None:
        """End a call whose place another one takes, by which the server knows."""
        self._ended.add(call.room_id, call.peer.phone)
        self._end(call, "replaced", is_own=True)

    def _end_all(self, reason: str, is_own: bool = False) -> None:
        for call in reversed(list(self._calls)):
            self._end(call, reason, is_own)

    def _end(self, call: Call, reason: str, is_own: bool = False) -> None:
        if call.is_over:
            return
        self._stop_clock(call)
        held = self.held
        self._calls.remove(call)
        call.state, call.reason, call.is_own_end = "over", reason, is_own
        call.ended_at = self._reactor.seconds()
        self._note(call)
        if held is not None and held is self.present:
            self._note(held)

    def _note(self, call: Call) -> None:
        state = call.state
        with self._events:
            self._tell(CallEvent(call, state))
            self._events.add(lambda: call.noted(state))

    def _tell_accept(self, call: Call, by_itself: bool = False, hold: bool = False) -> None:
        to = call.peer
        self._say(
            frames.CalledSuccess(
                from_phone=to.phone,
                from_device_id=to.device_id,
                room_id=call.room_id,
                auto_answer=by_itself,
                hold=hold,
            )
        )

    def _tell_resume(self, call: Call) -> None:
        self._exchanged += 1
        self._say(frames.Resume(room_id=call.room_id, id=f"resume-{self._exchanged}"))

    def _tell_end(self, is_rung: bool, to: DeviceAddress, room_id: str) -> None:
        self._ended.add(room_id, to.phone)
        if is_rung:
            self._say(frames.CalledRefuse(from_phone=to.phone, from_device_id=to.device_id, room_id=room_id))
        else:
            self._say(frames.CallingHangup(notified_phone=to.phone, notified_device_id=to.device_id, room_id=room_id))

    def call_in(self, room_id: str) -> Call | None:
        """The call of a room, if the device is in it."""
        return next((call for call in self._calls if call.room_id and call.room_id == room_id), None)

    def _start_clock(self, call: Call, seconds: float, act: Callable[[Call], None]) -> None:
        self._stop_clock(call)
        self._clocks[call] = self._reactor.callLater(seconds, act, call)

    def _stop_clock(self, call: Call) -> None:
        clock = self._clocks.pop(call, None)
        if clock is not None and clock.active():
            clock.cancel()


def _is_rung(call: Call) -> bool:
    return call.is_incoming and call.state == "ringing"


def _is_ring(view: PresentCall) -> bool:
    return view.direction != "outgoing" and view.state != "active"


def _is_about(view: PresentCall, call: Call) -> bool:
    # After the answer an outgoing call may have another room id: that of the device that accepted.
    if call.room_id and (call.is_incoming or call.state == "active"):
        return call.room_id == view.room_id
    return call.direction == view.direction and call.peer.phone == view.peer_phone


def _direction(view: PresentCall) -> Direction:
    return "incoming" if view.direction == "incoming" else "outgoing"
