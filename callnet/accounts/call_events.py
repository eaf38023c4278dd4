"""Webhook events of calls and devices (docs/webhooks.md).

The ids of a call's events are derived from its room, so that they are the same if an event is written again; and as a
room's id admits anyone to the room, they do not reveal it.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

import msgspec
from twisted.internet.defer import Deferred, succeed

from callnet.accounts.past_calls import sides
from callnet.calls.records import CallRecord, Over, is_over
from callnet.config.schema import WebhookEvent
from callnet.frames.webhooks import CallAnswered, CallEnded, CallMissed, CallStarted, Party
from callnet.model import DeviceAddress, RoomId, is_guest
from callnet.storage.history import PastCall
from callnet.storage.outbox import OutboxEvent, SqlOutbox

NOTICED_MAX: Final = 10_000
"""The maximum of placed or answered calls that wait to be written. The events of others follow at their end."""


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
