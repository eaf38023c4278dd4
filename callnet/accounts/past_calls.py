"""Ended calls from the side of each phone, and their history, without HTTP (protocol §1)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from msgspec import Struct

from callnet.accounts import cursors
from callnet.accounts.tokens import Tokens
from callnet.calls.records import Active, CallRecord, Over
from callnet.errors import DataInvalid
from callnet.model import EVERY_CALL, Reason, RoomId, is_guest, is_room_id
from callnet.storage.history import CallCursor, PastCall, Sides, SqlHistory
from callnet.util.deferreds import as_deferred
from callnet.util.schema_hints import DEVICE_ID, PHONE, ROOM, one_of

PAGE: Final = 50
"""The default number of calls in an answer."""
_DECLINED: Final = (Reason.REFUSED, Reason.BUSY)
"""Reasons for which a rung device declined the call."""


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
        begin = None if after is None else cursors.decode(after, CallCursor)
        if begin is not None and not is_room_id(begin.room):
            raise DataInvalid(cursors.WRONG)
        found = await self._history.past_calls(phone, begin, most + 1)
        page = found[:most]
        following = None
        if len(found) > most:
            last = page[-1]
            following = cursors.encode(CallCursor(last.started_at, last.room, last.incoming))
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
