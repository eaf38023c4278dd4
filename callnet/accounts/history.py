"""The history of calls, without HTTP (protocol §1), and the webhook events of calls (docs/webhooks.md).

An ended call has two sides, which are written to the history of both phones; each phone reads its own.

The ids of events are derived from the room of their call, so that they are the same if an event is written again; and
as the id of a room admits anyone to it, they do not reveal it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Annotated, Final, Literal, TypeVar

import msgspec
from msgspec import Struct
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import NOT_A_CURSOR, decode_cursor, encode_cursor
from callnet.calls.ports import IEndedCalls
from callnet.calls.records import Active, CallRecord, Over, is_over
from callnet.config.schema import WebhookEvent
from callnet.errors import DataInvalid, Unavailable
from callnet.frames.webhooks import CallAnswered, CallEnded, CallMissed, CallStarted, Party
from callnet.model import EVERY_CALL, DeviceAddress, Reason, RoomId, is_guest, is_room_id
from callnet.storage.history import CallCursor, PastCall, Sides, SqlHistory
from callnet.storage.outbox import OutboxEvent, SqlOutbox
from callnet.util.deferreds import as_deferred, logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.schema_hints import DEVICE_ID, PHONE, ROOM, one_of
from callnet.util.timers import PeriodicRuns

PAGE: Final = 50
"""The default number of calls in an answer."""
_DECLINED: Final = (Reason.REFUSED, Reason.BUSY)
"""Reasons for which a rung device declined the call."""
NOTICED_MAX: Final = 10_000
"""The maximum of placed or answered calls that wait to be written. The events of others follow at their end."""
WRITE_EVERY: Final = 1.0
"""Seconds between two writes."""
AT_ONCE: Final = 500
"""The maximum number of calls in one transaction."""
_FORGET_EVERY: Final = 3600.0
"""Seconds between two removals of expired history."""
_DAY: Final = 86400.0
C = TypeVar("C", bound=CallRecord)

log = Logger()
_failed = logged_unless_unavailable(log, "failed to write ended calls", CancelledError)


class PastCallRow(Struct, frozen=True):
    """A call from the side of the requesting phone. Times are seconds since 1970."""

    room_id: Annotated[str, ROOM]
    direction: Literal["incoming", "outgoing"]
    device_id: Annotated[str, DEVICE_ID]
    """The phone's own device; ``*``: the phone was called, and none of its devices answered or refused."""
    peer_phone: Annotated[str, PHONE]
    peer_device_id: Annotated[str, DEVICE_ID]
    started_at: float
    answered_at: float | None
    ended_at: float
    outcome: Annotated[str, one_of(("answered", "missed", *Reason))]
    auto_answer: bool
    """The called device answered automatically."""
    guest: bool
    """The caller was a guest: ``peer_device_id`` is the name that it gave, and nobody can call it back."""


class PastCallPage(Struct, frozen=True, omit_defaults=True):
    """A page of calls, the newest first, and the cursor of the older ones if there are any."""

    calls: list[PastCallRow]
    next: str | None = None
    """The ``after`` of the request for older calls, if there are any."""


class PastCalls:
    """Shows devices the calls of their phone.

    All methods raise :class:`TokenInvalid` if the token is not valid, and :class:`Unavailable` if the database
    cannot be reached.
    """

    def __init__(self, history: SqlHistory, tokens: Tokens) -> None:
        self._history = history
        self._tokens = tokens

    @as_deferred
    async def page(self, token: str, limit: int | None = None, after: str | None = None) -> PastCallPage:
        """The calls of the token's phone.

        :param limit: the maximum number; ``None``: :data:`PAGE`.
        :param after: the ``next`` of an earlier page.
        :raises DataInvalid: ``after`` is not such a cursor.
        """
        phone = self._tokens.verify(token).device.phone
        most = PAGE if limit is None else limit
        begin = None if after is None else decode_cursor(after, CallCursor)
        if begin is not None and not is_room_id(begin.room):
            raise DataInvalid(NOT_A_CURSOR)
        found = await self._history.past_calls(phone, begin, most + 1)
        page = found[:most]
        following = None
        if len(found) > most:
            last = page[-1]
            following = encode_cursor(CallCursor(last.started_at, last.room, last.incoming))
        return PastCallPage([row_of(call) for call in page], following)

    @as_deferred
    async def delete(self, token: str, room_id: str) -> None:
        """Delete a call from the history of the token's phone, if it is there. The other phone keeps it.

        :param room_id: the room of its row; ``*``: all calls.
        """
        phone = self._tokens.verify(token).device.phone
        room = None if room_id == EVERY_CALL else RoomId(room_id)
        await self._history.delete(phone, room, self._tokens.now())


def row_of(call: PastCall) -> PastCallRow:
    """The row of a call for its phone."""
    return PastCallRow(
        call.room,
        "incoming" if call.incoming else "outgoing",
        call.device_id,
        call.peer.phone,
        call.peer.device_id,
        call.started_at,
        call.answered_at,
        call.ended_at,
        call.outcome,
        call.auto_answered,
        is_guest(call.peer.phone) is not None,
    )


def sides(call: CallRecord[Over]) -> Sides:
    """Both sides of an ended call.

    An unanswered ring was missed, and so was a call that found every device busy or offline. The phone that a guest
    calls is told of it in any case: it has the link.
    """
    end = call.state
    answer = end.was if isinstance(end.was, Active) else None
    callee = None if answer is None else answer.callee
    if answer is not None:
        went_out = came_in = "answered"
    else:
        went_out = end.reason.value
        came_in = "refused" if call.targets and end.reason in _DECLINED else "missed"
    asked = callee or (end.by if came_in == "refused" else None) or call.target
    common = None if answer is None else answer.since, end.at
    by_itself = answer is not None and answer.by_itself
    return (
        PastCall(
            call.caller.phone,
            call.placed_at,
            call.room_for(call.caller) if call.aliases else call.room,
            False,
            call.caller.device_id,
            callee or call.target,
            *common,
            went_out,
            by_itself,
        ),
        PastCall(
            asked.phone,
            call.placed_at,
            call.room_for(asked) if call.aliases else call.room,
            True,
            asked.device_id,
            call.caller,
            *common,
            came_in,
            by_itself,
            rang=bool(call.targets) or is_guest(call.caller.phone) is not None,
        ),
    )


def events_of(call: CallRecord, told: Collection[WebhookEvent]) -> Iterator[OutboxEvent]:
    """All events of a call until now, of the kinds in ``told``."""
    for event in _events_of(call):
        kind: WebhookEvent = event.__struct_config__.tag  # type: ignore[assignment]
        if kind in told:
            body = msgspec.json.encode(event)
            is_unreached = isinstance(event, CallMissed) and not event.rang and not event.guest
            unreached = _missed(call) if is_unreached and is_over(call) else None
            yield OutboxEvent(event.id, kind, event.at, body, event.caller.phone, event.called.phone, unreached)


def _events_of(call: CallRecord) -> Iterator[CallStarted | CallAnswered | CallEnded | CallMissed]:
    room, name = call.room, _derived(call.room, "call")
    caller, asked = _party(call.caller), _party(call.target)
    guest = is_guest(call.caller.phone) is not None
    answer = call.answer
    called = asked if answer is None else _party(answer.callee)
    if call.targets:
        at = call.placed_at
        yield CallStarted(id=_derived(room, "call_started"), at=at, call=name, caller=caller, called=asked, guest=guest)
    if answer is not None:
        yield CallAnswered(
            id=_derived(room, "call_answered"),
            at=answer.since,
            call=name,
            caller=caller,
            called=called,
            guest=guest,
            auto_answer=answer.by_itself,
        )
    if not is_over(call):
        return
    end = call.state
    if call.targets:
        yield CallEnded(
            id=_derived(room, "call_ended"),
            at=end.at,
            call=name,
            caller=caller,
            called=called,
            guest=guest,
            started_at=call.placed_at,
            answered_at=None if answer is None else answer.since,
            reason=end.reason.value,
        )
    missed = _missed(call)
    if missed is not None:
        yield CallMissed(
            id=_derived(room, "call_missed"),
            at=end.at,
            call=name,
            caller=caller,
            called=Party(missed.phone, missed.device_id),
            guest=guest,
            started_at=call.placed_at,
            rang=bool(call.targets),
        )


def _missed(call: CallRecord[Over]) -> PastCall | None:
    """A missed call in its called phone's history, or ``None``."""
    called = sides(call)[1]
    return called if called.outcome == "missed" else None


def _party(device: DeviceAddress) -> Party:
    return Party(device.phone, device.device_id)


def _derived(room: RoomId, what: str) -> str:
    """An id derived from a room without revealing it: a room has 128 random bits."""
    return hashlib.sha256(f"{room} {what}".encode()).hexdigest()[:32]


class CallEvents:
    """Collects ringing and answered calls, and writes their events.

    :param told: the kinds of events to write; if there are none, nothing is done.
    :param now: the time, in seconds since 1970.
    """

    def __init__(self, outbox: SqlOutbox, told: Collection[WebhookEvent], now: Callable[[], float]) -> None:
        self._outbox = outbox
        self._told = told
        self._now = now
        self._tells_what_goes_on = not {"call_started", "call_answered"}.isdisjoint(told)
        self._noticed: deque[CallRecord] = deque(maxlen=NOTICED_MAX)

    def notice(self, call: CallRecord) -> None:
        """Record that a call rings, or was answered."""
        if self._tells_what_goes_on:
            self._noticed.append(call)

    def take_noticed(self, most: int) -> Sequence[CallRecord]:
        """Take at most ``most`` recorded calls, the oldest first."""
        return [self._noticed.popleft() for _ in range(min(most, len(self._noticed)))]

    def put_back(self, calls: Sequence[CallRecord]) -> None:
        """Put taken calls back, as far as there is room."""
        room = NOTICED_MAX - len(self._noticed)
        self._noticed.extendleft(reversed(calls[:room]))

    def write(self, calls: Sequence[CallRecord]) -> Deferred[None]:
        """Write the events of calls until now, except those already written.

        :raises callnet.errors.Unavailable: the database cannot be reached.
        """
        events = [event for call in calls for event in events_of(call, self._told)] if self._told else ()
        return self._outbox.write(events, self._now()) if events else succeed(None)


class Historian:
    """Writes ended calls every second. While the database is away they are kept.

    :param events: the events of calls.
    :param now: the time, in seconds since 1970.
    :param days: the retention of the history; 0: none is written.
    """

    def __init__(
        self,
        ended: IEndedCalls,
        history: SqlHistory,
        events: CallEvents,
        clock: IReactorTime,
        now: Callable[[], float],
        days: int,
    ) -> None:
        self._ended = ended
        self._history = history
        self._events = events
        self._clock = clock
        self._now = now
        self._days = days
        self._rounds = PeriodicRuns(self.write, clock, WRITE_EVERY)
        self._forget_at = clock.seconds()

    def start(self) -> None:
        """Start the writes."""
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Write the calls ended until now, if possible, and stop. Fires when that is done."""
        return self._rounds.stop().addCallback(lambda _: self._write_the_rest())

    def _write_the_rest(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._write()).addErrback(_not_written).addErrback(_failed)

    def write(self) -> Deferred[None]:
        """Write ended calls. Fires when that is done or has failed; it does not fail itself."""
        return Deferred.fromCoroutine(self._write()).addErrback(_failed)

    async def _write(self) -> None:
        while noticed := self._events.take_noticed(AT_ONCE):
            try:
                await _written("webhook events of calls in progress", noticed, self._events.write)
            except Unavailable:
                self._events.put_back(noticed)
                raise
        while ended := await self._ended.take(AT_ONCE):
            calls = [one.call for one in ended if not _rang_nobody(one.call)]
            if self._days:
                await _written("the history", calls, self._write_histories)
            await _written("webhook events of ended calls", calls, self._events.write)
            await self._ended.done(ended)
            if len(ended) < AT_ONCE:
                break
        if self._days and self._clock.seconds() >= self._forget_at:
            await self._history.forget(self._now() - self._days * _DAY)
            self._forget_at = self._clock.seconds() + _FORGET_EVERY

    def _write_histories(self, calls: Sequence[CallRecord[Over]]) -> Deferred[None]:
        return self._history.write([sides(call) for call in calls], self._now())


def _rang_nobody(call: CallRecord) -> bool:
    """Return whether a guest called nobody: neither its link nor it is known."""
    return call.target.phone == call.caller.phone and is_guest(call.caller.phone) is not None


async def _written(what: str, calls: Sequence[C], write: Callable[[Sequence[C]], Deferred[None]]) -> None:
    """Write calls with ``write``.

    :raises Unavailable: the database cannot be reached.
    """
    if not calls:
        return
    try:
        await write(calls)
    except Unavailable:
        raise
    except Exception:  # noqa: BLE001  whatever it is, these calls must not keep those that follow from being written
        log.failure("failed to write {what}; dropped {count} calls", what=what, count=len(calls))


def _not_written(failure: Failure) -> None:
    failure.trap(Unavailable)
    log.warn("stopped before the last ended calls were written: {cause}", cause=failure.getErrorMessage())
