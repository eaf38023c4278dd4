"""The session of a connected extended device, with ``callnet.v2`` (protocol §2.5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls.extensions import TooEarly
from callnet.calls.ports import CallLimits, IPeer, Servers
from callnet.calls.records import Active, CallRecord, Ringing
from callnet.calls.rooms import RoomManager
from callnet.calls.session import NOTHING_HEARD, Heard, Session, log_unless_unavailable
from callnet.calls.switchboard import nothing
from callnet.calls.transaction import can_be_held, first_party, other_party
from callnet.calls.transitions import NotYours, TooLate
from callnet.frames import base, v2
from callnet.frames.decode import Grammar, error_frame
from callnet.model import Accepted, CloseCode, DeviceAddress, Failed, Outcome, Reason, RoomId, Withdrawn

LONGEST_FRAME: Final = 16 * 1024
"""The maximum size of a frame other than ``signal``, in bytes."""
_CALLS_MAX: Final = 2
"""The calls of a device: one of them rings it, or is held."""
_NOT_OURS: Final = {
    v2.Signal: "room_id is of no active call of this device",
    v2.Resume: "room_id is of no active call of this device",
    v2.Pull: "room_id is of no active call of another device of this phone",
}


class _Other(Struct, frozen=True):
    """The other party of a call of the device, as the device knows it."""

    device: DeviceAddress
    is_absent: bool = False
    has_held: bool = False


def _is_held_by(call: CallRecord, party: DeviceAddress) -> bool:
    return isinstance(call.state, Active) and party in call.state.held_by


class ExtendedSession(Session):
    """A device with the extended protocol.

    :param may_pull: true if it may take over calls of other devices of its phone, and know of them.
    :param site: the origin of the device for rate limits.
    :param call_waiting: true if it can show a second call while it is in an active one.
    """

    grammar: ClassVar[Grammar[Any]] = v2.EXTENDED
    bad_frames_a_minute: ClassVar[int] = 20
    unknown_types_count: ClassVar[bool] = True
    extended: ClassVar[bool] = True

    __slots__ = ("_early", "_ice", "_may_pull", "_others", "_rang_before", "_site", "call_waiting")

    def __init__(
        self,
        address: DeviceAddress,
        rooms: RoomManager,
        peer: IPeer,
        clock: IReactorTime,
        limits: CallLimits,
        may_pull: bool,
        ice: Servers,
        site: str | None,
        call_waiting: bool = False,
    ) -> None:
        super().__init__(address, rooms, peer, clock, limits)
        self.call_waiting = call_waiting
        self._ice = ice
        self._site = site
        self._may_pull = may_pull
        self._others: dict[RoomId, _Other] = {}
        self._early: tuple[RoomId, v2.Signal] | None = None
        """The call of this device that rings, and the last signal of its page."""
        self._rang_before: RoomId | None = None
        """The call of this device that it was welcomed to while it rang, and has not left on this connection."""

    # From the socket

    def received(self, payload: bytes) -> None:
        """Handle one frame. Only signals may be long."""
        if len(payload) > LONGEST_FRAME and b'"signal"' not in payload:
            self._peer.close(CloseCode.TOO_LARGE, "too large")
        else:
            super().received(payload)

    def _call(self, frame: v2.ExtendedCall) -> None:  # type: ignore[override]
        self._early = self._rang_before = None
        super()._call(frame)

    def _hang_up(self, frame: base.CallingHangup) -> None:
        self._early = self._rang_before = None
        super()._hang_up(frame)

    def _hung_up(self, frame: base.Frame, room: RoomId, late: NotYours | None) -> None:
        super()._hung_up(frame, room, late)
        self._others.pop(room, None)
        self._go_on()

    def _late_answer(self, frame: base.CalledSuccess | base.CalledRefuse, late: TooLate | NotYours | None) -> None:
        super()._late_answer(frame, late)
        if isinstance(frame, base.CalledSuccess) and frame.hold:
            self._go_on()  # the notice that the present call is over may have been faster than the answer

    def _take_signal(self, frame: v2.Signal) -> None:
        if v2.is_deep(bytes(frame.data)):
            self._refuse(frame, f"data is nested more than {v2.DEEPEST} levels deep")
        else:
            signalled = self._rooms.submit(self.address, self._signal, frame, is_patient=True)
            signalled.addErrback(log_unless_unavailable)

    def _take_resume(self, frame: v2.Resume) -> None:
        if self._may_change_call(frame):
            room = self._aliases.get(frame.room_id, frame.room_id)
            then = partial(self._resumed, frame)
            self._rooms.in_turn(self.address, self._rooms.resume, self, room, then, is_patient=True)

    def _resumed(self, frame: v2.Resume, why: TooLate | NotYours | None) -> None:
        self._not_done(why, frame)
        self._go_on()  # the present call may be over already, as above

    def _take_pull(self, frame: v2.Pull) -> None:
        if not self._may_pull:
            self._refuse(frame, "only a claimed device may take a call over")
        elif self._may_change_call(frame):
            self._rooms.submit(self.address, self._pull, frame).addErrback(self._fail_pull, frame)

    def _may_change_call(self, frame: v2.Resume | v2.Pull) -> bool:
        """Count a takeover or an exchange as a call of the device; return whether it is within the limit."""
        may = self._limits.may_change_call(self.address)
        if not may:
            self._rooms.counts.failed[Reason.RATE_LIMITED] += 1
            kind = frame.__struct_config__.tag
            self.send(error_frame(f"{kind}: too many calls; try again in a minute", frame.id))
        return may

    def _take_ping(self, frame: v2.Ping) -> None:
        self.send(v2.Pong(frame.t, frame.id))

    async def _signal(self, frame: v2.Signal) -> None:
        room = self._aliases.get(frame.room_id, frame.room_id)
        data = v2.compact(frame.data)
        reply = await self._rooms.extensions.signal(self, room, data, of_page=frame.of_page)
        if not isinstance(reply, TooEarly):
            self._not_done(reply, frame)
        elif (is_over := self._heard.get(room, NOTHING_HEARD).is_over) is None:
            self._early = room, frame
        elif not is_over:  # it was accepted meanwhile
            self._take_signal(frame)

    async def _pull(self, frame: v2.Pull) -> None:
        self._rang_before = None
        room = self._aliases.get(frame.room_id, frame.room_id)
        reply = await self._rooms.pull(self, room)
        if isinstance(reply, Accepted):
            self._others[self._aliases.get(reply.room, reply.room)] = _Other(reply.callee)
            self.joined(reply, frame.id)
        else:
            self._not_done(reply, frame)

    def _fail_pull(self, failure: Failure, frame: v2.Pull) -> None:
        log_unless_unavailable(failure)
        self.send(error_frame("pull: this cannot be done just now; try again", frame.id))

    def _not_done(self, why: TooLate | NotYours | None, frame: v2.Signal | v2.Resume | v2.Pull) -> None:
        """Report that a call is over, or is not the device's; do nothing if ``why`` is ``None``."""
        if isinstance(why, TooLate):
            self._tell_over(frame, why.reason)
        elif why is not None:
            self._refuse(frame, _NOT_OURS[type(frame)])

    # From the room manager

    def welcomed(self, present: Sequence[CallRecord], of_phone: Sequence[CallRecord]) -> None:
        """Send the device its address, its calls, and the calls to take over."""
        pullable = [self._of_phone(call) for call in of_phone] if self._may_pull else []
        views = map(self._present, present)
        servers = self._ice.for_newcomer(self._site)
        now = self._rooms.date_of(self._rooms.now())
        self.send(v2.Welcome(*self.address, now, v2.PING_EVERY, servers, pullable, *views))
        for call in present:
            if isinstance(call.state, Active) and not self._was_told(call.room):
                # It may not remember that it has ended it.
                self._hear(call.room, Heard(said=v2.Welcome, is_over=False, at=self._clock.seconds()))
            elif isinstance(call.state, Ringing) and call.caller == self.address:
                self._rang_before = call.room
                self.asked.setdefault(call.room, "")
            other = other_party(call, self.address)
            self._others[call.room] = _Other(other, has_held=_is_held_by(call, other))
            self._look_at_other(call)
        self._go_on()  # it may have been told the end of its other call before this node knew of this one

    def deliver_later(self, call: CallRecord) -> None:
        """Report it at once: answers to calls name their rooms, or the requests that they answer."""
        self.deliver(call)

    def deliver(self, call: CallRecord) -> None:
        """Report a change of a call and of its other party."""
        heard = self._heard.get(call.room, NOTHING_HEARD)
        if call.age <= heard.age:
            return
        state = call.state
        if isinstance(state, Active) and self.address in call.parties and not self._was_told(call.room):
            self._hear(call.room, Heard(call.age, base.CallSuccess))
            again = self._rooms.submit(self.address, self._rooms.welcome_again, self, is_patient=True)
            again.addErrback(log_unless_unavailable)
            return
        super().deliver(call)
        if isinstance(state, Ringing) and state.announced and call.caller == self.address and heard.said is None:
            self._hear(call.room, replace(heard, age=call.age, said=v2.CallRinging))
            self.send(v2.CallRinging(*call.target, call.room_for(self.address)))
        elif self._early is not None and self._early[0] == call.room and not isinstance(state, Ringing):
            self._take_early(is_accepted=isinstance(state, Active))
        self._look_at_other(call)
        if self.address not in call.parties:
            self._go_on()

    def answered(self, outcome: Outcome, call: CallRecord | None = None, asked: str = "") -> None:
        """Report the outcome of the device's own call, and changes of its other party.

        A device that ended it on an earlier connection, and was welcomed to it since, may not remember that.
        """
        if isinstance(outcome, Withdrawn) and call is not None and call.room == self._rang_before:
            outcome = Failed(call.target, Reason.UNAVAILABLE)
        super().answered(outcome, call, asked)
        self._take_early(is_accepted=isinstance(outcome, Accepted))
        if call is not None:
            self._look_at_other(call)

    def _ring(self, called: base.Called, call: CallRecord) -> None:
        present = self._rooms.local_calls.of(self.address)
        can_hold = present is not None and present.room != call.room and can_be_held(present, self.address)
        super()._ring(replace(called, can_hold=True) if can_hold else called, call)

    def _take_early(self, *, is_accepted: bool) -> None:
        """Forget what the page said to whoever accepts, and send it if somebody did."""
        early, self._early = self._early, None
        if early is not None and is_accepted:
            self._take_signal(early[1])

    def _was_told(self, room: RoomId) -> bool:
        """Return whether the device was told on its connection that it is in a call."""
        heard = self._heard.get(room, NOTHING_HEARD)
        return room in self._others or (heard.said is not None and not heard.is_over)

    def _look_at_other(self, call: CallRecord) -> None:
        """Report changes of the other party."""
        state = call.state
        known = self._others.pop(call.room, None)
        if not isinstance(state, Active) or self.address not in call.parties:
            return
        other, room = other_party(call, self.address), call.room_for(self.address)
        known = known or _Other(first_party(call, self.address))
        now = self._others[call.room] = _Other(other, other in state.absent, _is_held_by(call, other))
        if len(self._others) > _CALLS_MAX:
            del self._others[next(iter(self._others))]
        if known.device != other:
            self.send(v2.PeerState(room, "moved", other.device_id))
        elif known.is_absent != now.is_absent:
            self.send(v2.PeerState(room, "reconnecting" if now.is_absent else "back"))
        if known.has_held != now.has_held:
            self.send(v2.PeerState(room, "held" if now.has_held else "resumed"))

    def _go_on(self) -> None:
        """Go on with the call that the device holds, if it is its only one."""
        call = self._rooms.local_calls.of(self.address)
        if call is not None and _is_held_by(call, self.address):
            now = self._rooms.now()
            self._rooms.in_turn(self.address, self._rooms.resume, self, call.room, nothing, now, is_patient=True)

    def _present(self, call: CallRecord) -> v2.PresentCall:
        room, answer = call.room_for(self.address), call.answer
        return v2.PresentCall(
            room,
            "ringing" if answer is None else "active",
            "outgoing" if self.address == call.caller else "incoming",
            *other_party(call, self.address),
            self._rooms.date_of(call.placed_at),
            base.PAGE_OF + room,
            None if answer is None else self._rooms.date_of(answer.since),
            _is_held_by(call, other_party(call, self.address)),
        )

    def _of_phone(self, call: CallRecord) -> v2.CallOfPhone:
        """The call as shown to other devices of one of its phones."""
        ours = next(party for party in call.parties if party.phone == self.address.phone)
        answered = None if call.answer is None else self._rooms.date_of(call.answer.since)
        return v2.CallOfPhone(call.room, ours.device_id, *other_party(call, ours), answered)

    takes: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        v2.ExtendedCall: _call,
        v2.ExtendedCalledSuccess: Session._answer_call,  # noqa: SLF001
        v2.ExtendedCalledRefuse: Session._answer_call,  # noqa: SLF001
        v2.ExtendedCallingHangup: _hang_up,
        v2.Signal: _take_signal,
        v2.Resume: _take_resume,
        v2.Pull: _take_pull,
        v2.Ping: _take_ping,
    }
