"""The session of a connected extended device, with ``callnet.v2`` (protocol §2.5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal

from msgspec import Raw, Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.calls.extensions import TooEarly
from callnet.calls.ports import CallLimits, IPeer, Servers
from callnet.calls.records import Active, CallRecord, Ringing
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session, log_unless_unavailable
from callnet.calls.transaction import first_party, other_party
from callnet.calls.transitions import NotYours, TooLate
from callnet.frames import base, v2
from callnet.frames.decode import Grammar, error_frame
from callnet.model import Accepted, CloseCode, DeviceAddress, Outcome, RoomId, Topic

LONGEST_FRAME: Final = 16 * 1024
"""The maximum size of a frame other than ``signal``, in bytes."""
_NOT_OURS: Final = {
    v2.Signal: "room_id is of no active call of this device",
    v2.Pull: "room_id is of no active call of another device of this phone",
}


class _Other(Struct, frozen=True):
    """The other party of the device's call, as the device knows it."""

    room: RoomId
    device: DeviceAddress
    is_absent: bool


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

    __slots__ = ("_early", "_ice", "_may_pull", "_other", "_site", "call_waiting")

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
        self._other: _Other | None = None
        self._early: tuple[RoomId, v2.Signal] | None = None
        """The call of this device that rings, and the last signal of its page."""

    # From the socket

    def received(self, payload: bytes) -> None:
        """Handle one frame. Only signals may be long."""
        if len(payload) > LONGEST_FRAME and b'"signal"' not in payload:
            self._peer.close(CloseCode.TOO_LARGE, "too large")
        else:
            super().received(payload)

    def _call(self, frame: v2.ExtendedCall) -> None:  # type: ignore[override]
        self._early = None
        super()._call(frame)

    def _hang_up(self, frame: base.CallingHangup) -> None:
        self._early = None
        super()._hang_up(frame)

    def _take_signal(self, frame: v2.Signal) -> None:
        if v2.is_deep(bytes(frame.data)):
            self._refuse(frame, f"data is nested more than {v2.DEEPEST} levels deep")
        else:
            self._rooms.submit(self.address, self._signal, frame).addErrback(log_unless_unavailable)

    def _take_pull(self, frame: v2.Pull) -> None:
        if self._may_pull:
            self._rooms.submit(self.address, self._pull, frame).addErrback(self._fail_pull, frame)
        else:
            self._refuse(frame, "only a claimed device may take a call over")

    def _take_ping(self, frame: v2.Ping) -> None:
        self._send(v2.Pong(frame.t, frame.id))

    async def _signal(self, frame: v2.Signal) -> None:
        room = self._aliases.get(frame.room_id, frame.room_id)
        data = v2.compact(frame.data)
        reply = await self._rooms.extensions.signal(self, room, data, of_page=frame.of_page)
        if not isinstance(reply, TooEarly):
            self._not_done(reply, frame)
        elif (is_over := self._heard_of(room).is_over) is None:
            self._early = room, frame
        elif not is_over:  # it was accepted meanwhile
            self._take_signal(frame)

    async def _pull(self, frame: v2.Pull) -> None:
        room = self._aliases.get(frame.room_id, frame.room_id)
        reply = await self._rooms.extensions.pull(self, room)
        if isinstance(reply, Accepted):
            room = self._aliases.get(reply.room, reply.room)
            self._other = _Other(room, reply.callee, False)
            if self._heard is not None:
                self._heard.pop(room, None)  # it may have left the call before
            self.answered(reply, asked=frame.id)
        else:
            self._not_done(reply, frame)

    def _fail_pull(self, failure: Failure, frame: v2.Pull) -> None:
        log_unless_unavailable(failure)
        self._send(error_frame("pull: this cannot be done just now; try again", frame.id))

    def _not_done(self, why: TooLate | NotYours | None, frame: v2.Signal | v2.Pull) -> None:
        """Report that a call is over, or is not the device's; do nothing if ``why`` is ``None``."""
        if isinstance(why, TooLate):
            self._tell_over(frame, why.reason)
        elif why is not None:
            self._refuse(frame, _NOT_OURS[type(frame)])

    # From the room manager

    def welcomed(self, present: CallRecord | None, of_phone: Sequence[CallRecord]) -> None:
        """Send the device its address, its call, and the calls to take over."""
        pullable = [self._of_phone(call) for call in of_phone] if self._may_pull else []
        view = None if present is None else self._present(present)
        servers = self._ice.for_newcomer(self._site)
        self._send(
            v2.Welcome(*self.address, self._rooms.date_of(self._rooms.now()), v2.PING_EVERY, servers, pullable, view)
        )
        if present is not None and isinstance(present.state, Active):
            self._other = _Other(present.room, other_party(present, self.address), False)
            self._look_at_other(present)

    def deliver_later(self, call: CallRecord) -> None:
        """Report it at once: answers to calls name their rooms, or the requests that they answer."""
        self.deliver(call)

    def deliver(self, call: CallRecord) -> None:
        """Report a change of a call and of its other party."""
        heard = self._heard_of(call.room)
        if call.age <= heard.age:
            return
        super().deliver(call)
        state = call.state
        if isinstance(state, Ringing) and state.announced and call.caller == self.address and heard.said is None:
            self._hear(call.room, replace(heard, age=call.age, said=v2.CallRinging))
            self._send(v2.CallRinging(*call.target, call.room_for(self.address)))
        elif self._early is not None and self._early[0] == call.room and not isinstance(state, Ringing):
            self._take_early(is_accepted=isinstance(state, Active))
        self._look_at_other(call)

    def answered(self, outcome: Outcome, call: CallRecord | None = None, asked: str = "") -> None:
        """Report the outcome of the device's own call, and changes of its other party."""
        super().answered(outcome, call, asked)
        self._take_early(is_accepted=isinstance(outcome, Accepted))
        if call is not None:
            self._look_at_other(call)

    def signalled(self, room: RoomId, data: bytes) -> None:
        """Deliver a signal of the other party."""
        self._send(v2.SignalFrom(room, Raw(data)))

    def missed(self, calls: Sequence[v2.MissedCall]) -> None:
        """Send the phone's missed calls."""
        self._send(v2.MissedCalls(calls))

    def sees(self, device: DeviceAddress, is_online: bool) -> None:
        """Report that a device of a contact has come or gone."""
        self._send(v2.PresenceOf(*device, is_online))

    def changed(self, topics: Collection[Topic]) -> None:
        """Report that data of the phone have changed."""
        self._send(v2.Changed(sorted(topics)))

    def going_away(self, reconnect_in: float, deadline: float) -> None:
        """Announce the close of the socket in ``deadline`` seconds, and the delay before the reconnect."""
        self._send(v2.GoingAway(reconnect_in, deadline))

    def _take_early(self, *, is_accepted: bool) -> None:
        """Forget what the page said to whoever accepts, and send it if somebody did."""
        early, self._early = self._early, None
        if early is not None and is_accepted:
            self._take_signal(early[1])

    def _look_at_other(self, call: CallRecord) -> None:
        """Report changes of the other party."""
        state = call.state
        if not isinstance(state, Active) or self.address not in call.parties:
            return
        other = other_party(call, self.address)
        known = self._other
        if known is None or known.room != call.room:
            known = _Other(call.room, first_party(call, self.address), False)
        now = self._other = _Other(call.room, other, other in state.absent)
        if known.device != other:
            self._send(v2.PeerState(call.room_for(self.address), "moved", other.device_id))
        elif known.is_absent != now.is_absent:
            is_now: Literal["reconnecting", "back"] = "reconnecting" if now.is_absent else "back"
            self._send(v2.PeerState(call.room_for(self.address), is_now))

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
        v2.Pull: _take_pull,
        v2.Ping: _take_ping,
    }
