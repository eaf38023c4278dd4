"""The past calls of each phone, in the database."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, Select, Table, select, tuple_
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.history_interfaces import CallCursor, IHistory, PastCall
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId
from callnet.storage.database import Database
from callnet.storage.sql import Run, insert_rows
from callnet.storage.tables import account, account_device, blocked, call_history, contact

_FORGOTTEN_AT_ONCE: Final = 1000
"""Rows that one transaction removes: others write meanwhile."""

_row = call_history.c
_PLACE: Final = (_row.started_at, _row.room_id, _row.incoming)
_KEY: Final = (_row.phone, *_PLACE)
_NEWEST_FIRST: Final = tuple(column.desc() for column in _PLACE)


@implementer(IHistory)
class SqlHistory:
    """The history, for the daemon.

    :param contacts_only: whether nobody but contacts may call.
    :param rows_max: of each phone about so many calls are kept, the newest; 0: any number.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool, rows_max: int) -> None:
        self._database = database
        self._run = run
        self._contacts_only = contacts_only
        self._rows_max = rows_max

    def write(self, calls: Sequence[PastCall]) -> Deferred[None]:
        """See :meth:`IHistory.write`."""
        return self._run(self._write, calls)

    def _write(self, calls: Sequence[PastCall]) -> None:
        in_doubt = [call for call in calls if not call.rang]
        with self._database.write(may_be_lost=True) as connection:
            not_told = unwanted(connection, in_doubt, self._contacts_only)
            # In the order of the table's key: that is a third cheaper, and two nodes do not wait for each other.
            in_order = sorted(calls, key=_key)
            rows = [_as_row(call) for call in in_order if call.rang or call not in not_told]
            if rows:
                insert_rows(connection, self._database.insert_missing(call_history), rows)
        # Room ids are random: one call of 256 has its phones looked at, whichever node writes it.
        looked_at = {call.phone for call in calls if call.room.endswith("00")} if self._rows_max else ()
        for phone in sorted(looked_at):
            newest_first = select(*_KEY).where(_row.phone == phone).order_by(*_NEWEST_FIRST)
            self._remove(newest_first.offset(self._rows_max))

    def past_calls(self, phone: str, after: CallCursor | None, limit: int) -> Deferred[Sequence[PastCall]]:
        """See :meth:`IHistory.past_calls`."""
        return self._run(self._past_calls, phone, after, limit)

    def _past_calls(self, phone: str, after: CallCursor | None, limit: int) -> Sequence[PastCall]:
        with self._database.read() as connection:
            return past_calls(connection, phone, after, limit)

    def forget(self, before: float) -> Deferred[None]:
        """See :meth:`IHistory.forget`."""
        return Deferred.fromCoroutine(self._forget(before))

    async def _forget(self, before: float) -> None:
        while await self._run(self._forget_some, before):
            pass

    def _forget_some(self, before: float) -> bool:
        """Remove some, and tell whether there may be more."""
        return self._remove(select(*_KEY).where(_row.started_at < before).order_by(_row.started_at))

    def _remove(self, unwanted: Select[Any]) -> bool:
        """Remove some of these, and tell whether there may be more."""
        with self._database.write(may_be_lost=True) as connection:
            found = connection.execute(unwanted.limit(_FORGOTTEN_AT_ONCE)).all()
            if found:
                connection.execute(call_history.delete().where(tuple_(*_KEY).in_([tuple(one) for one in found])))
        return len(found) == _FORGOTTEN_AT_ONCE


def unwanted(connection: Connection, calls: Sequence[PastCall], contacts_only: bool) -> Collection[PastCall]:
    """Those of calls that reached nobody which are not to be told of."""
    if not calls:
        return ()
    there = _those_there(connection, calls)
    pairs = {(call.phone, call.peer.phone) for call in calls}
    refused = _pairs(connection, blocked, blocked.c.phone, pairs)
    listed = _pairs(connection, contact, contact.c.contact, pairs) if contacts_only else pairs
    return {
        call
        for call in calls
        if DeviceAddress(call.phone, call.device_id) not in there
        or (call.phone != call.peer.phone and not _may_call(call, refused, listed))
    }


def past_calls(
    connection: Connection, phone: str, after: CallCursor | None = None, limit: int | None = None
) -> list[PastCall]:
    """What :meth:`IHistory.past_calls` says; without ``limit`` all of them."""
    statement = select(call_history).where(_row.phone == phone)
    if after is not None:
        statement = statement.where(tuple_(*_PLACE) < tuple_(after.started_at, after.room, after.incoming))
    newest_first = statement.order_by(*_NEWEST_FIRST).limit(limit)
    return [_as_call(row) for row in connection.execute(newest_first)]


def _may_call(call: PastCall, refused: Collection[tuple[str, str]], listed: Collection[tuple[str, str]]) -> bool:
    pair = call.phone, call.peer.phone
    return pair in listed and pair not in refused


def _those_there(connection: Connection, calls: Sequence[PastCall]) -> Collection[DeviceAddress]:
    """The called devices that exist, and with ``*`` the called phones."""
    device, asked = account_device.c, {(call.phone, call.device_id) for call in calls}
    found = connection.execute(
        select(device.phone, device.device_id).where(tuple_(device.phone, device.device_id).in_(asked))
    ).all()
    wholes = [phone for phone, device_id in asked if device_id == EVERY_DEVICE]
    phones = connection.scalars(select(account.c.phone).where(account.c.phone.in_(wholes))).all() if wholes else ()
    return {DeviceAddress(*row) for row in found} | {DeviceAddress(phone, EVERY_DEVICE) for phone in phones}


def _pairs(
    connection: Connection, table: Table, other: Column[str], pairs: Collection[tuple[str, str]]
) -> Collection[tuple[str, str]]:
    owner = table.c.owner
    return {(row[0], row[1]) for row in connection.execute(select(owner, other).where(tuple_(owner, other).in_(pairs)))}


def _key(call: PastCall) -> tuple[str, float, str, bool]:
    return call.phone, call.started_at, call.room, call.incoming


def _as_row(call: PastCall) -> dict[str, Any]:
    return {
        "phone": call.phone,
        "started_at": call.started_at,
        "room_id": call.room,
        "incoming": call.incoming,
        "device_id": call.device_id,
        "peer_phone": call.peer.phone,
        "peer_device_id": call.peer.device_id,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "outcome": call.outcome,
        "auto_answered": call.auto_answered,
    }


def _as_call(row: Any) -> PastCall:
    return PastCall(
        row.phone,
        row.started_at,
        RoomId(row.room_id),
        row.incoming,
        row.device_id,
        DeviceAddress(row.peer_phone, row.peer_device_id),
        row.answered_at,
        row.ended_at,
        row.outcome,
        row.auto_answered,
    )
