"""The session of a connected device: frames in, frames out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from typing import Any, ClassVar, Final

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.calls.events import Accept, Cancel, HangUp, Refuse
from callnet.calls.ports import CallLimits, IPeer
from callnet.calls.preferences import PLAIN
from callnet.calls.records import Active, CallRecord, CallState, Known, Ringing
from callnet.calls.rooms import RoomManager
from callnet.calls.telling import answer, notification_for
from callnet.calls.transaction import KNOWN_AFTER, OLD_END_AFTER
from callnet.calls.transitions import NotYours, TooLate
from callnet.frames import base
from callnet.frames.decode import BASE, BadFrame, Grammar, error_frame
from callnet.model import Accepted, CloseCode, DeviceAddress, Failed, Outcome, Reason, RoomId, is_guest, phone_of_link
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger

_KEPT: Final = 3
"""The number of calls to remember: a device's record names its last two, and it may have accepted another one too late.
Those that are over are forgotten first: a device that rings is not rung again because of several older ends.
"""
NEVER: Final = (-1, 0)
"""Less than the age of any call."""
_OVER: Final = (2, 0)
"""The least age of an ended call."""


class Heard(Struct, frozen=True, gc=False):
    """A device's knowledge of a call, from the messages on this connection."""

    age: tuple[int, int] = NEVER
    """The age of the last processed record of the call."""
    said: type[base.Frame] | None = None
    """The type of the last message about the call."""
    is_over: bool | None = None
    """The outcome known to the device: true for an end, false for an answer."""
    at: float = -inf
    """The time at which the device was told; ``-inf``: it knows in any case."""


NOTHING_HEARD: Final = Heard()

log = Logger()
log_unless_unavailable = logged_unless_unavailable(log, "failed to handle a device's request")


class Session:
    """A device on its newest connection, or on a displaced one about to be closed. It speaks the base protocol."""

    grammar: ClassVar[Grammar[Any]] = BASE
    bad_frames_a_minute: ClassVar[int] = 120
    """The limit above which the socket is closed (protocol §2.6)."""
    unknown_types_count: ClassVar[bool] = False
    """Frames of unknown types count as bad. If not, only the first on a connection is answered."""
    extended: ClassVar[bool] = False
    call_waiting = False
    _encode: Any = staticmethod(base.encode)

    __slots__ = (
        "_aliases",
        "_bad_frames",
        "_bad_since",
        "_cancelled",
        "_clock",
        "_heard",
        "_limits",
        "_old_end",
        "_peer",
        "_rooms",
        "_said_goodbye",
        "_told_of_types",
        "_went_on_at",
        "_written",
        "address",
        "asked",
        "generation",
        "offline",
        "preferences",
    )

    def __init__(
        self,
        address: DeviceAddress,
        rooms: RoomManager,
        peer: IPeer,
        clock: IReactorTime,
        limits: CallLimits,
    ) -> None:
        self.address: Final = address
        self.generation = 0
        self.preferences = PLAIN
        self.asked: Final[dict[RoomId, str]] = {}
        """The id of the request, which may be empty, for each call of the device whose outcome it waits for."""
        self.offline: tuple[Failed, str] | None = None
        """The outcome of its last call and the id of the request, while it is to be told soon that the callee is
        offline."""
        self._rooms = rooms
        self._aliases = rooms.known.aliases
        self._peer = peer
        self._clock = clock
        self._limits = limits
        self._heard: dict[RoomId, Heard] = {}
        """Keyed by room, the newest last."""
        self._bad_frames = 0
        self._bad_since = -inf
        self._told_of_types = False
        self._old_end: tuple[IDelayedCall, CallRecord] | None = None
        self._said_goodbye = False
        self._cancelled = "", -inf
        """The phone that the device last stopped to call without naming a room, and the time."""
        self._went_on_at = -inf
        """The time at which the device last left its calls for one that it placed or accepted."""
        self._written = ""
        """The phone that it last called, as it is written, if a login writes it otherwise."""

    # From the socket

    def opened(self) -> None:
        """Attach the device."""
        self._rooms.attach(self).addErrback(self._give_up)

    def closed(self, said_goodbye: bool = False) -> None:
        """Detach the device. ``said_goodbye``: it closed the socket itself, with a close frame (protocol §2.4)."""
        self._said_goodbye = said_goodbye
        self._forget_old_end()
        self._rooms.detach(self)

    def received(self, payload: bytes) -> None:
        """Handle one frame."""
        try:
            frame = self.grammar.decode(payload)
        except BadFrame as bad:
            self._bad_frame(bad)
            return
        self.takes[type(frame)](self, frame)

    def _call(self, frame: base.Call) -> None:
        written = frame.to_phone
        phone = written if written.removeprefix("+").isdigit() else self._phone_of(written)
        self._written = "" if phone == written else written
        target = DeviceAddress(phone, frame.to_device_id)
        self._went_on_at = self._rooms.now()
        if self._old_end is not None:
            self._knows_of_end(self._old_end[1].room)
            self._forget_old_end()
        for room, one in self._heard.items():
            if one.is_over and one.at != -inf:  # it need not be told any more
                self._heard[room] = replace(one, at=-inf)
        if self._limits.may_call(self.address, target.phone):
            self._rooms.in_turn(self.address, self._rooms.call, self, target, frame.id, self._clock.seconds())
        else:
            self._rooms.fail_at_once(self, frame.id, Failed(target, Reason.RATE_LIMITED))

    def _answer_call(self, frame: base.CalledSuccess | base.CalledRefuse) -> None:
        room = self._aliases.get(frame.room_id, frame.room_id)
        if room not in self._heard:  # it was rung on an earlier connection
            self._hear(room, Heard(said=base.Called))
        answer: Accept | Refuse
        if isinstance(frame, base.CalledSuccess):
            if not frame.hold:
                self._went_on_at = self._rooms.now()
            by_itself, extended = frame.auto_answer, self.extended
            answer = Accept(room, self.address, by_itself=by_itself, extended=extended, hold=frame.hold)
        else:
            answer = Refuse(room, self.address)
        self._rooms.in_turn(self.address, self._rooms.answer, self, answer, partial(self._late_answer, frame))

    def _hang_up(self, frame: base.CallingHangup) -> None:
        if frame.room_id:
            room = self._aliases.get(frame.room_id, frame.room_id)
            # Whatever the store answers, and whatever comes before that, this device has left that call.
            self.asked.pop(room, None)
            self._hear(room, Heard(_OVER, base.CallingBeHangup, True))
            then = partial(self._hung_up, frame, room)
            self._rooms.in_turn(self.address, self._rooms.end, self, HangUp(room, self.address), then)
        else:
            phone = self._phone_of(frame.notified_phone)
            self._cancelled = phone, self._rooms.now()
            self._rooms.in_turn(self.address, self._rooms.end, self, Cancel(self.address, phone))

    def _phone_of(self, written: str) -> str:
        """The phone that a text names in a login. One that names none there, such as a guest's, is taken as it is."""
        return self._rooms.read_phone(written) or written

    # From the room manager

    def began(self, generation: int, known: tuple[Known, ...]) -> None:
        """Record that the connection is the device's newest, and the knowledge of the device before it.

        Frames may have come already, and say more.
        """
        self.generation = generation
        self._heard = {one.room: Heard(is_over=one.is_over) for one in known} | self._heard

    def welcomed(self, present: Sequence[CallRecord], of_phone: Sequence[CallRecord]) -> None:
        """Send the first message of the connection, if there is one.

        :param present: the calls of an extended device.
        :param of_phone: those of the other devices of its phone, which it may take over.
        """

    def deliver_later(self, call: CallRecord) -> None:
        """Report a call's end from before the connection, unless the device places another call first.

        A device that is back to call again would take it for the answer to its new call (protocol §2.4).
        """
        self._old_end = self._clock.callLater(OLD_END_AFTER, self._tell_old_end), call

    def deliver(self, call: CallRecord) -> None:
        """Report a change of a call, unless a newer record was processed, or the same message was sent already."""
        if self._old_end is not None:
            self._old_end[0].cancel()
            self._tell_old_end()
        heard = self._heard.get(call.room, NOTHING_HEARD)
        if heard is NOTHING_HEARD and call.aliases:  # the alias may have been unknown when it was named
            heard = self._heard.get(call.room_for(self.address), NOTHING_HEARD)
        state: CallState = call.state
        age = state.stage, call.version
        if age <= heard.age:
            return
        is_unheard_of = heard.age == NEVER and heard.said is None
        if is_unheard_of and type(state) is not Ringing:
            end_effective_at = state.since if type(state) is Active else state.at
            if end_effective_at < self._went_on_at:
                return  # it could be taken for the outcome of the newer call (§2.4)
        # A caller that was told ``no_answer`` may have been connected on another connection.
        is_news = heard.age < _OVER or (self.address == call.caller and call.callee is not None)
        goes_on = heard.said is not None and not heard.is_over
        rings_for = self._rooms.settings.ring_time
        message = notification_for(call, self.address, self._rooms.now(), rings_for, goes_on) if is_news else None
        if message is None or heard.said is type(message):
            self._hear(call.room, replace(heard, age=age))
        elif type(message) is base.Called:
            self._hear(call.room, replace(heard, age=age, said=base.Called))
            self._ring(message, call)
        else:
            is_over = type(message) is not base.CallSuccess
            self._hear(call.room, Heard(age, type(message), is_over, self._clock.seconds()))
            self._peer.send(self._encode(message))

    def answered(self, outcome: Outcome, call: CallRecord | None = None, asked: str = "") -> None:
        """Report the outcome of the device's own call.

        :param call: its record, if the record says exactly this.
        :param asked: the id of the request, if it has one.
        """
        message = answer(outcome)
        if message is None:
            return
        is_over = not isinstance(message, base.CallSuccess)
        if call is not None:
            age = call.state.stage, call.version
            phone, cancelled_at = self._cancelled
            if is_over and call.target.phone == phone and call.placed_at < cancelled_at:
                self._hear(call.room, Heard(age, None, True))
                return  # it could be taken for the outcome of a newer call (§2.4)
            self._hear(call.room, Heard(age, type(message), is_over, self._clock.seconds()))
        elif not isinstance(message, base.CallFailed):
            room = self._aliases.get(message.room_id, message.room_id)
            self._hear(room, Heard(NEVER, type(message), is_over, self._clock.seconds()))
        if self._written and message.to_phone == self._phone_of(self._written):
            message = replace(message, to_phone=self._written)
        self._peer.send(self._encode(replace(message, id=asked) if asked else message))

    def joined(self, outcome: Accepted, asked: str) -> None:
        """Report that the device is in a call by a request of its own, and any change since then: its notice may have
        been faster than the answer to the request.
        """
        room = self._aliases.get(outcome.room, outcome.room)
        self._heard.pop(room, None)  # it may have left the call before
        self.answered(outcome, None, asked)
        call = self._rooms.known.calls.get(room)
        if call is not None:
            self.deliver(call)

    def tell_offline(self) -> None:
        """Report that the callee of the device's last call is offline, if it is to be told."""
        if self.offline is not None:
            (outcome, asked), self.offline = self.offline, None
            self.answered(outcome, None, asked)

    def revoked(self) -> None:
        """Close: the token of this connection was revoked. The device leaves its call (§2.4)."""
        self._rooms.revoke(self).addErrback(log_unless_unavailable)
        self._peer.close(CloseCode.TOKEN_INVALID, "token revoked")

    def displaced(self) -> None:
        """Close: a newer connection of the device is open."""
        self._limits.displaced(self.address)
        self._peer.close(CloseCode.DISPLACED, "connected elsewhere")

    def is_in_call(self) -> bool:
        """Return whether the device rings or is in a call."""
        return self._rooms.local_calls.of(self.address) is not None

    def known(self) -> tuple[Known, ...]:
        """The device's confirmed knowledge of the outcomes of its calls (protocol §2.4).

        These were sent before the device closed the connection, or some time before anything was received from it: a
        frame received right after may have been sent before.
        """
        known_until = self._peer.heard_at() - (0.0 if self._said_goodbye else KNOWN_AFTER)
        heard = [(room, one.is_over, one.at) for room, one in self._heard.items()]
        return tuple(Known(room, is_over) for room, is_over, at in heard if is_over is not None and at <= known_until)

    # To the socket

    def send(self, message: base.Frame, asked: str = "") -> None:
        """Send a message; an answer to a request with its id, if it has one."""
        self._peer.send(self._encode(replace(message, id=asked) if asked else message))

    def _ring(self, called: base.Called, call: CallRecord) -> None:
        """Ring the device with the owner's settings for this caller, and tell an extended caller.

        A device whose own call failed is told so before: while it calls it would not ring.
        """
        if self.offline is not None:
            self.tell_offline()
        wanted, phone = self.preferences, called.from_phone
        if is_guest(phone):
            link_name = wanted.name_of(phone_of_link(phone))
            called = replace(called, from_name=called.from_device_id, guest=True, link_name=link_name)
        elif wanted is not PLAIN:
            called = replace(called, from_name=wanted.name_of(phone), auto_answer=phone in wanted.auto_answer)
        self._peer.send(base.encode_called(called))
        if call.placed_at * 1000 >= self.generation:  # otherwise it was ringing before the device connected
            self._rooms.counts.rang_after.count(max(0.0, self._rooms.now() - call.placed_at))
        if call.caller in call.extended and isinstance(call.state, Ringing) and not call.state.announced:
            self._rooms.extensions.announced(self, call.room)

    def _late_answer(self, frame: base.CalledSuccess | base.CalledRefuse, late: TooLate | NotYours | None) -> None:
        if late is None:
            if isinstance(frame, base.CalledRefuse):
                self._knows_of_end(self._aliases.get(frame.room_id, frame.room_id))
        elif isinstance(late, TooLate):
            if self.extended or not self._was_told_before(self._aliases.get(frame.room_id, frame.room_id)):
                self._tell_over(frame, late.reason, frame.from_phone, frame.from_device_id)
        else:
            self._refuse(frame)

    def _was_told_before(self, room: RoomId) -> bool:
        """Return whether the device was told the end of a call, and of a newer call since.

        A base device may not look at the room, and would leave the newer one.
        """
        heard = self._heard
        was_told = heard.get(room, NOTHING_HEARD).said is base.CallingBeHangup
        return was_told and not heard[next(reversed(heard))].is_over

    def _hung_up(self, frame: base.Frame, room: RoomId, late: NotYours | None) -> None:
        if late is not None:
            self._heard.pop(room, None)  # it was never in it
            self._refuse(frame)

    def _tell_over(self, frame: Any, reason: Reason, phone: str = "", device_id: str = "") -> None:
        """Answer that the call that a frame names is over for its sender."""
        room = self._aliases.get(frame.room_id, frame.room_id)
        self._hear(room, Heard(NEVER, base.CallingBeHangup, True, self._clock.seconds()))
        self.send(base.CallingBeHangup(phone, device_id, frame.room_id, reason), frame.id)

    def _refuse(self, frame: Any, why: str = "room_id is of another's call") -> None:
        """Answer that a frame is invalid."""
        kind = frame.__struct_config__.tag
        self._bad_frame(BadFrame(error_frame(f"{kind}: {why}", frame.id)))

    def _hear(self, room: RoomId, heard: Heard) -> None:
        """Record the device's knowledge of a call. Its age never falls."""
        of_rooms = self._heard
        known = of_rooms.pop(room, NOTHING_HEARD)  # the newest is last
        of_rooms[room] = heard if heard.age >= known.age else replace(heard, age=known.age)
        if len(of_rooms) > _KEPT:
            for oldest, one in of_rooms.items():
                if one.is_over and oldest != room:
                    break
            else:
                oldest = next(iter(of_rooms))
            del of_rooms[oldest]

    def _knows_of_end(self, room: RoomId) -> None:
        """Record that the device knows the end of a call in any case."""
        self._hear(room, replace(self._heard.get(room, NOTHING_HEARD), is_over=True, at=-inf))

    def _tell_old_end(self) -> None:
        if self._old_end is not None:
            call, self._old_end = self._old_end[1], None
            self.deliver(call)

    def _forget_old_end(self) -> None:
        if self._old_end is not None:
            self._old_end[0].cancel()
            self._old_end = None

    def _bad_frame(self, bad: BadFrame) -> None:
        """Answer an invalid frame; too many of them close the socket (protocol §2.6)."""
        if bad.unknown_type and not self.unknown_types_count:
            if not self._told_of_types:
                self._told_of_types = True
                self.send(bad.answer)
            return
        self.send(bad.answer)
        now = self._clock.seconds()
        if now - self._bad_since >= 60.0:
            self._bad_since, self._bad_frames = now, 0
        self._bad_frames += 1
        if self._bad_frames > self.bad_frames_a_minute:
            self._peer.close(CloseCode.BAD_FRAMES, "too many bad frames")

    def _give_up(self, failure: Failure) -> None:
        log_unless_unavailable(failure)
        self._peer.close(CloseCode.INTERNAL_ERROR, "try again")

    takes: ClassVar[Mapping[type, Callable[[Any, Any], None]]] = {
        base.Call: _call,
        base.CalledSuccess: _answer_call,
        base.CalledRefuse: _answer_call,
        base.CallingHangup: _hang_up,
    }
    """The method for each struct of a frame."""
