"""The past calls of each phone in the database, and the rosters of its devices: contacts, and missed calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import inf
from operator import itemgetter
from typing import Any, Final, TypeAlias

from msgspec import Struct
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Subquery,
    Table,
    and_,
    exists,
    false,
    select,
    true,
    tuple_,
    union_all,
)
from twisted.internet.defer import Deferred

from callnet.calls.ports import Roster
from callnet.frames.v2 import MissedCall
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId, Topic, is_guest
from callnet.storage import changes
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.preferences import strict_phones
from callnet.storage.schema import account, account_device, blocked, contact, heard_until, insert_rows, past_call
from callnet.util.deferreds import as_deferred

_FORGOTTEN_AT_ONCE: Final = 1000
"""Rows that one transaction removes: others write meanwhile."""

_call = past_call.c
_key: Final = itemgetter(*past_call.primary_key.columns.keys())


class PastCall(Struct, frozen=True, gc=False):
    """A call from the side of one of its two phones. Times are seconds since 1970."""

    phone: str
    started_at: float
    room: RoomId
    incoming: bool
    device_id: str
    """The phone's own device; ``*``: the phone was called, and none of its devices answered or refused."""
    peer: DeviceAddress
    answered_at: float | None
    ended_at: float
    outcome: str
    """``answered``, ``refused`` or ``missed``; for a failed outgoing call, the reason sent to its caller (§2.1)."""
    auto_answered: bool
    rang: bool = True
    """``False``: the phone was not reached, and it has not been checked that it exists and may be told."""


Sides: TypeAlias = tuple[PastCall, PastCall]
"""The two sides of a call: the caller's phone, and the called one."""


class CallCursor(Struct, frozen=True, array_like=True):
    """The position of a call in the history of a phone."""

    started_at: float
    room: RoomId
    incoming: bool


def _view(
    phone: Column[str],
    room: Column[str],
    incoming: ColumnElement[bool],
    device_id: Column[str],
    peer_phone: Column[str],
    peer_device_id: Column[str],
    outcome: Column[str],
) -> Subquery:
    """Calls as one of their two phones sees them, with the columns in the order of the fields of :class:`PastCall`."""
    return (
        select(
            phone.label("phone"),
            _call.started_at,
            room.label("room_id"),
            incoming.label("incoming"),
            device_id.label("device_id"),
            peer_phone.label("peer_phone"),
            peer_device_id.label("peer_device_id"),
            _call.answered_at,
            _call.ended_at,
            outcome.label("outcome"),
            _call.auto_answered,
        )
        .where(outcome.is_not(None))
        .subquery()
    )


_PLACED: Final = _view(
    _call.caller_phone,
    _call.room_id,
    false(),
    _call.caller_device_id,
    _call.callee_phone,
    _call.asked_device_id,
    _call.caller_outcome,
)
_CALLED: Final = _view(
    _call.callee_phone,
    _call.callee_room_id,
    true(),
    _call.callee_device_id,
    _call.caller_phone,
    _call.caller_device_id,
    _call.callee_outcome,
)
_VIEWS: Final = (_PLACED, _CALLED)
"""All in which a phone may have calls."""
_HIDDEN: Final = (
    ("caller", _call.room_id, _call.callee_outcome, {"caller_outcome": None}),
    (
        "callee",
        _call.callee_room_id,
        _call.caller_outcome,
        {"callee_outcome": None, "callee_device_id": "", "callee_room_id": ""},
    ),
)
"""The two sides of a row, with the room as that one knows it; the outcome of the other one; and the values of a row in
which this one is hidden."""


class SqlHistory(Queries):
    """The history, for the daemon.

    :param contacts_only: whether nobody but contacts may call.
    :param rows_max: the approximate number of calls kept for each phone, the newest; 0: any number.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool, rows_max: int) -> None:
        super().__init__(database, run)
        self._contacts_only = contacts_only
        self._rows_max = rows_max

    @in_thread
    def write(self, calls: Sequence[Sides], now: float) -> None:
        """Write calls, except those already there. Nodes are notified of phones that have an extended device, and
        another device.

        A phone that was not reached sees a call only if it concerns it: the called device, or for ``*`` the account,
        must exist, and the caller must be allowed to call at some time. Otherwise only the caller's phone sees the
        call.

        :param now: in seconds since 1970.
        """
        in_doubt = [called for _, called in calls if not called.rang]
        with self._database.write(may_be_lost=True) as connection:
            not_told = unwanted(connection, in_doubt, self._contacts_only)
            rows = [_as_row(*sides, sides[1].rang or sides[1] not in not_told) for sides in calls]
            rows.sort(key=_key)  # so that two nodes do not wait for each other
            insert_rows(connection, self._database.insert_missing(past_call), rows)
            changes.note(connection, _with_onlookers(connection, calls), now, Topic.HISTORY)
        # Room ids are random: one call of 256 has its phones looked at, whichever node writes it.
        looked_at = {side.phone for sides in calls if sides[0].room.endswith("00") for side in sides}
        for phone in sorted(looked_at if self._rows_max else ()):
            self._trim(phone)

    def _trim(self, phone: str) -> None:
        """Remove some of what a phone has too much."""
        began = union_all(*(select(view.c.started_at).where(view.c.phone == phone) for view in _VIEWS))
        too_many = began.order_by(began.selected_columns.started_at.desc()).offset(self._rows_max)
        with self._database.write(may_be_lost=True) as connection:
            times = connection.scalars(too_many.limit(_FORGOTTEN_AT_ONCE)).all()
            if times:
                drop(connection, phone, times[-1], times[0])

    @in_thread
    def past_calls(self, phone: str, after: CallCursor | None, limit: int) -> Sequence[PastCall]:
        """Calls of a phone, the newest first.

        :param after: only older ones than this.
        """
        with self._database.read() as connection:
            return past_calls(connection, phone, after, limit)

    @in_thread
    def delete(self, phone: str, room: RoomId | None, now: float) -> None:
        """Remove a call of a phone, or with ``None`` all of them; the other phone keeps it. A removal notifies every
        node.
        """
        with self._database.write() as connection:
            if drop(connection, phone, room=room):
                changes.note(connection, [phone], now, Topic.HISTORY)

    @as_deferred
    async def forget(self, before: float) -> None:
        """Remove the calls from before a time."""
        while await self._run(self._forget_some, before):
            pass

    def _forget_some(self, before: float) -> bool:
        """Remove some, and tell whether there may be more."""
        key, began = past_call.primary_key.columns, _call.started_at
        old = select(*key).where(began < before).order_by(began).limit(_FORGOTTEN_AT_ONCE)
        with self._database.write(may_be_lost=True) as connection:
            found = connection.execute(old).all()
            if found:
                connection.execute(past_call.delete().where(tuple_(*key).in_([tuple(one) for one in found])))
        return len(found) == _FORGOTTEN_AT_ONCE


def unwanted(connection: Connection, calls: Sequence[PastCall], contacts_only: bool) -> Collection[PastCall]:
    """Those of calls that reached nobody which are not to be told of."""
    if not calls:
        return ()
    there = _those_there(connection, calls)
    pairs = {(call.phone, call.peer.phone) for call in calls}
    refused = _pairs(connection, blocked, blocked.c.phone, pairs)
    phones = {call.phone for call in calls}
    strict = phones if contacts_only else strict_phones(connection, phones)
    open_to_all = {pair for pair in pairs if pair[0] not in strict}
    listed = open_to_all.union(_pairs(connection, contact, contact.c.contact, pairs - open_to_all) if strict else ())
    return {
        call
        for call in calls
        if DeviceAddress(call.phone, call.device_id) not in there
        or (call.phone != call.peer.phone and not _may_call(call, refused, listed))
    }


def past_calls(
    connection: Connection, phone: str, after: CallCursor | None = None, limit: int | None = None
) -> list[PastCall]:
    """The result of :meth:`SqlHistory.past_calls`; without ``limit`` all calls."""
    found: list[Any] = []
    for view in _VIEWS:
        place = view.c.started_at, view.c.room_id, view.c.incoming
        statement = select(view).where(view.c.phone == phone)
        if after is not None:
            statement = statement.where(tuple_(*place) < tuple_(after.started_at, after.room, after.incoming))
        newest_first = statement.order_by(*(column.desc() for column in place)).limit(limit)
        found += connection.execute(newest_first)
    found.sort(key=itemgetter(1, 2, 3), reverse=True)
    return [_as_call(row) for row in found[:limit]]


def missed_calls(connection: Connection, phone: str, since: float, limit: int) -> list[PastCall]:
    """Calls that a phone has missed and that ended after a time, the newest first."""
    view = _CALLED.c
    missed = select(_CALLED).where(view.phone == phone, view.outcome == "missed", view.ended_at > since)
    newest_first = missed.order_by(view.started_at.desc()).limit(limit)
    return [_as_call(row) for row in connection.execute(newest_first)]


def drop(
    connection: Connection, phone: str, oldest: float = 0.0, newest: float = inf, room: RoomId | None = None
) -> int:
    """Remove calls of a phone that began in a time, within a transaction; other phones keep theirs. Their number.

    :param room: only the call of this room; ``None``: all.
    """

    def of_room(column: Column[str]) -> ColumnElement[bool]:
        return true() if room is None else column == room

    removed = 0
    for side, own_room, others, hidden in _HIDDEN:
        seen = _call[f"{side}_phone"] == phone, _call[f"{side}_outcome"].is_not(None)
        these = and_(*seen, _call.started_at.between(oldest, newest), of_room(own_room))
        removed += connection.execute(past_call.delete().where(these, others.is_(None))).rowcount
        removed += connection.execute(past_call.update().where(these).values(hidden)).rowcount
    return removed


def _with_onlookers(connection: Connection, calls: Sequence[Sides]) -> Collection[str]:
    """The phones of calls that have an extended device, and another device, which may have had the call."""
    phones = {side.phone for sides in calls for side in sides}
    others = account_device.c
    has_another = exists().where(others.phone == heard_until.c.phone, others.device_id != heard_until.c.device_id)
    found = select(heard_until.c.phone).where(heard_until.c.phone.in_(sorted(phones)), has_another)
    return connection.scalars(found).all()


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


def _as_row(placed: PastCall, called: PastCall, is_told: bool) -> dict[str, Any]:
    """The row of a call.

    :param is_told: whether the called phone sees it.
    """
    return {
        "started_at": placed.started_at,
        "room_id": placed.room,
        "caller_phone": placed.phone,
        "caller_device_id": placed.device_id,
        "caller_outcome": None if is_guest(placed.phone) else placed.outcome,
        "asked_device_id": placed.peer.device_id,
        "callee_phone": called.phone,
        "callee_device_id": called.device_id,
        "callee_room_id": called.room,
        "callee_outcome": called.outcome if is_told else None,
        "answered_at": placed.answered_at,
        "ended_at": placed.ended_at,
        "auto_answered": placed.auto_answered,
    }


def _as_call(row: Any) -> PastCall:
    phone, started_at, room, incoming, device_id, *peer = row[:7]
    return PastCall(phone, started_at, RoomId(room), incoming, device_id, DeviceAddress(*peer), *row[7:])


MISSED_MAX: Final = 50
"""The most missed calls that a device is told of; the history has all of them."""

_heard = heard_until.c


class SqlRoster(Queries):
    """The lists of contacts, the history, and until when each device has heard of it.

    :param mutual: of the contacts of a phone, tell only of those that list it, too.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        super().__init__(database, run)
        self._mutual = mutual

    def met(self, devices: Mapping[DeviceAddress, float]) -> Deferred[Mapping[DeviceAddress, Roster]]:
        """Look up the rosters of devices, and record their visits.

        A device that is new had missed nothing when it connected.

        :param devices: when each connected, in seconds since 1970.
        """
        return self._run(self._met, dict(sorted(devices.items())))

    def _met(self, devices: Mapping[DeviceAddress, float]) -> Mapping[DeviceAddress, Roster]:
        with self._database.write(may_be_lost=True) as connection:
            heard = _heard_until(connection, devices)
            # A clock may have been set back.
            since = {device: min(heard.get(device, came), came) for device, came in devices.items()}
            found = {
                device: Roster(
                    self._listed(connection, device.phone), *_missed(connection, device.phone, since[device])
                )
                for device in devices
            }
            new = [_heard_row(device, came) for device, came in devices.items() if heard.get(device, inf) > came]
            if new:
                connection.execute(self._database.insert_or_replace(heard_until), new)
        return found

    @in_thread
    def contacts_of(self, phone: str) -> frozenset[str]:
        """The contacts of a phone."""
        with self._database.read() as connection:
            return self._listed(connection, phone)

    def _listed(self, connection: Connection, phone: str) -> frozenset[str]:
        statement = select(contact.c.contact).where(contact.c.owner == phone)
        if self._mutual:
            back = contact.alias()
            statement = statement.join(back, (back.c.owner == contact.c.contact) & (back.c.contact == phone))
        return frozenset(connection.scalars(statement))

    def heard(self, devices: Mapping[DeviceAddress, float]) -> Deferred[None]:
        """Record until when each device knows all ended calls, in seconds since 1970; earlier times are ignored."""
        return self._run(self._note, dict(devices))

    def _note(self, devices: Mapping[DeviceAddress, float]) -> None:
        with self._database.write(may_be_lost=True) as connection:
            rows = [_heard_row(device, devices[device]) for device in sorted(devices)]
            connection.execute(self._database.insert_or_raise(heard_until, "at"), rows)


def _heard_row(device: DeviceAddress, at: float) -> dict[str, str | float]:
    return {"phone": device.phone, "device_id": device.device_id, "at": at}


def _heard_until(connection: Connection, devices: Collection[DeviceAddress]) -> dict[DeviceAddress, float]:
    pairs = [(device.phone, device.device_id) for device in devices]
    rows = connection.execute(select(heard_until).where(tuple_(_heard.phone, _heard.device_id).in_(pairs)))
    return {DeviceAddress(row.phone, row.device_id): row.at for row in rows}


def _missed(connection: Connection, phone: str, since: float) -> tuple[list[MissedCall], float]:
    found = missed_calls(connection, phone, since, MISSED_MAX)
    calls = [MissedCall(call.room, *call.peer, call.device_id, call.started_at) for call in found]
    return calls, max((call.ended_at for call in found), default=0.0)
