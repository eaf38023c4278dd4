"""The call state machine of a device, driven by the frames of the signaling protocol.

A frame about another call than the present one changes nothing. A call that this device has ended stays ended: if the
server, which has not heard of the end, mentions it again, the end is sent again.

The same rules are in ``static/client/calls.js``; tests/client_stories tests both.
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


class Calls:
    """The calls of one device.

    :param say: sends a request, now or as soon as the server is back.
    :param tell: called with each change of a call.
    :param queue: the event queue of ``tell``.
    """

    def __init__(
        self,
        say: Callable[[Request], None],
        tell: Callable[[CallEvent], object],
        queue: EventQueue,
        reactor: IReactorTime,
    ) -> None:
        self._say = say
        self._tell = tell
        self._events = queue
        self._reactor = reactor
        self._ended = Ended()
        self._asked = 0
        self._request = ""
        self._is_extended = False
        self._is_named = False
        """True if the answer to the call that the device has placed has an id."""
        self._expiry: IDelayedCall | None = None
        self._doubt: IDelayedCall | None = None
        self.present: Call | None = None
        """The current call of the device."""

    # Requests of the owner

    def place(self, to: DeviceAddress) -> Call:
        """Call a device, or all of a phone. The device leaves its current call."""
        present = self.present
        if present is not None and _is_rung(present) and present.peer.phone == to.phone:
            present.accept()
            return present
        with self._events:
            call = self._begin_own(to)
            self._say(frames.Call(to_phone=to.phone, to_device_id=to.device_id, id=self._request))
            self._note(call)
        return call

    def pull(self, room_id: str) -> Call:
        """Take over a call of another device of the phone. The device leaves its current call."""
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
            self._activate(resumed, call.room_id, call.page, call.peer, call.answered_at)
        return resumed

    def note_end(self, call: Call) -> None:
        """Record an end reported by the page of a call, and send it, since the server may not know of it."""
        if not call.is_over:
            self._tell_end(False, call.peer, call.room_id)
            self._end(call, "over")

    def accept(self, call: Call, by_itself: bool) -> None:
        """See :meth:`Call.accept`."""
        if call is self.present and _is_rung(call):
            self._tell_accept(call, by_itself)
            self._activate(call, call.room_id, call.page, call.peer, None)

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
        if call is self.present and call.state == "active":
            self._say(frames.Signal(room_id=call.room_id, data=data))

    def revoked(self) -> None:
        """End the current call after a logout."""
        if self.present is not None:
            self._end(self.present, "revoked", is_own=True)

    def left(self) -> None:
        """Stop after the device was closed: its call does not change any more."""
        self._stop_clocks()
        if self.present is not None:
            self.present.noted(self.present.state, has_left=True)

    # Events of the server

    def connected(self, is_extended: bool) -> None:
        """Handle a new connection. On an extended one requests are answered by their ids."""
        self._is_extended = is_extended
        self._is_named = False

    def welcomed(self, view: PresentCall | None) -> None:
        """Apply the current call of the device from the ``welcome`` frame."""
        with self._events:
            self._welcomed(view, self.present)

    def _welcomed(self, view: PresentCall | None, present: Call | None) -> None:
        if view is None:
            if present is not None:
                self._begin_to_doubt(present)
        elif self._ended.has(view.room_id, view.peer_phone if view.direction == "outgoing" else ""):
            self._tell_end(view.direction == "incoming" and view.state == "ringing", view.peer, view.room_id)
        elif view.state == "active":
            call = present if present is not None and _is_about(view, present) else None
            call = call or self._begin(_direction(view), view.peer)
            self._activate(call, view.room_id, view.page, view.peer, view.answered_at)
        elif view.direction == "outgoing" and (present is None or not _is_about(view, present)):
            call = self._begin("outgoing", view.peer)
            call.room_id = view.room_id
            self._note(call)
        # A call that rings this device follows in `called`.

    def hear(self, frame: Frame) -> None:
        """Handle any frame."""
        with self._events:
            self._hear(frame, self.present)

    def _hear(self, frame: Frame, present: Call | None) -> None:
        if frame.type == "called":
            self._ring(frame)
        elif frame.type == "call_success":
            self._succeed(frame)
        elif present is None:
            return
        elif frame.type in ("call_refuse", "call_failed", "call_ringing") and self._is_asked(frame, present):
            self._asked_of(frame, present)
        elif frame.type == "error" and self._request and frame.text("id") == self._request:
            self._end(present, "failed")
        elif frame.room_id and frame.room_id == present.room_id:
            self._be_told(frame, present)

    def _asked_of(self, frame: Frame, call: Call) -> None:
        if frame.type == "call_ringing":
            call.state = "ringing"
            call.room_id = frame.room_id
            self._note(call)
        else:
            if frame.room_id:
                self._ended.hear(frame.room_id)
            self._end(call, frame.text("reason") or ("refused" if frame.type == "call_refuse" else "failed"))

    def _be_told(self, frame: Frame, call: Call) -> None:
        if frame.type == "calling_be_hangup":
            self._end(call, frame.text("reason") or "hangup")
        elif frame.type == "peer_state":
            if frame.text("state") == "moved":
                call.peer = DeviceAddress(call.peer.phone, frame.text("device_id"))
            call.other_side = "reconnecting" if frame.text("state") == "reconnecting" else "here"
            self._note(call)

    def _ring(self, frame: Frame) -> None:
        present, peer, room_id = self.present, frame.address("from"), frame.room_id
        if not room_id:
            return
        if self._ended.has(room_id):
            self._tell_end(True, peer, room_id)
        elif present is not None and present.room_id == room_id:
            if present.is_incoming and present.state == "active":  # it has not heard that this device accepted
                self._tell_accept(present)
        elif present is None or present.is_incoming or present.state == "active":
            # A rung device is in no call, as far as the server knows.
            self._be_rung(self._begin("incoming", peer), frame)
        # If a device calls and is called at the same time the server decides.

    def _be_rung(self, call: Call, frame: Frame) -> None:
        call.room_id, call.page, call.name = frame.room_id, frame.text("page"), frame.text("from_name")
        call.auto_answer = frame.fields.get("auto_answer") is True
        expires_in = frame.number("expires_in")
        seconds = RING_TIME if expires_in is None else expires_in
        self._expiry = self._reactor.callLater(seconds + LATE, self._expire, call)
        self._note(call)

    def _expire(self, call: Call) -> None:
        self._expiry = None
        self._end(call, "no_answer")

    def _succeed(self, frame: Frame) -> None:
        present, peer, room_id = self.present, frame.address("to"), frame.room_id
        if not room_id:
            return
        if present is not None and self._is_asked(frame, present):
            self._activate(present, room_id, frame.text("page"), peer, None)
        elif self._ended.has(room_id, peer.phone):
            self._tell_end(False, peer, room_id)
        elif present is None and not frame.text("id"):
            self._activate(self._begin("outgoing", peer), room_id, frame.text("page"), peer, None)

    # The server was restarted and knows of no call, but media may still flow.
    def _begin_to_doubt(self, call: Call) -> None:
        if self._doubt is not None:
            self._doubt.cancel()
        self._doubt = self._reactor.callLater(DOUBT, self._forget, call)

    def _forget(self, call: Call) -> None:
        self._doubt = None
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
            return False
        return self._ended.was_told(answer.room_id) or (self._is_named and answer.address("to").phone != "")

    # The states of a call

    def _begin_own(self, peer: DeviceAddress) -> Call:
        if self.present is not None:
            self.hang_up(self.present)
        call = self._begin("outgoing", peer)
        call.state = "calling"
        self._ended.begin_own()
        self._asked += 1
        self._request = f"call-{self._asked}"
        self._is_named = self._is_extended
        return call

    def _begin(self, direction: Direction, peer: DeviceAddress) -> Call:
        if self.present is not None:
            self._end(self.present, "over")
        self.present = Call(direction, peer, self)
        self._request = ""
        return self.present

    def _activate(self, call: Call, room_id: str, page: str, peer: DeviceAddress, answered_at: float | None) -> None:
        self._stop_clocks()
        if call.state != "active":
            call.answered_at = self._reactor.seconds() if answered_at is None else answered_at
        call.room_id, call.page, call.peer, call.state = room_id, page, peer, "active"
        call.is_forgotten = False
        self._note(call)

    def _end(self, call: Call, reason: str, is_own: bool = False) -> None:
        if call.is_over:
            return
        if call is self.present:
            self.present = None
            self._stop_clocks()
        call.state, call.reason, call.is_own_end = "over", reason, is_own
        call.ended_at = self._reactor.seconds()
        self._note(call)

    def _note(self, call: Call) -> None:
        state = call.state
        with self._events:
            self._tell(CallEvent(call, state))
            self._events.add(lambda: call.noted(state))

    def _tell_accept(self, call: Call, by_itself: bool = False) -> None:
        to = call.peer
        self._say(
            frames.CalledSuccess(
                from_phone=to.phone, from_device_id=to.device_id, room_id=call.room_id, auto_answer=by_itself
            )
        )

    def _tell_end(self, is_rung: bool, to: DeviceAddress, room_id: str) -> None:
        self._ended.add(room_id, to.phone)
        if is_rung:
            self._say(frames.CalledRefuse(from_phone=to.phone, from_device_id=to.device_id, room_id=room_id))
        else:
            self._say(frames.CallingHangup(notified_phone=to.phone, notified_device_id=to.device_id, room_id=room_id))

    def _stop_clocks(self) -> None:
        for clock in (self._expiry, self._doubt):
            if clock is not None:
                clock.cancel()
        self._expiry = self._doubt = None


def _is_rung(call: Call) -> bool:
    return call.is_incoming and call.state == "ringing"


def _is_about(view: PresentCall, call: Call) -> bool:
    # After the answer an outgoing call may have another room id: that of the device that accepted.
    if call.room_id and (call.is_incoming or call.state == "active"):
        return call.room_id == view.room_id
    return call.direction == view.direction and call.peer.phone == view.peer_phone


def _direction(view: PresentCall) -> Direction:
    return "incoming" if view.direction == "incoming" else "outgoing"
