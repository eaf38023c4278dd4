"""Webhook events, in the database until they are delivered.

Each is a row. Who is handed one out puts off when it is due, so that nobody else takes it, and that others do when it
does not come back. Ids stay for some time after that, so that an event that is written again is not sent again.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from sqlalchemy import Column, ColumnElement, Connection, bindparam, func, literal, or_, select, true

from callnet.frames.webhooks import DeviceEnrolled
from callnet.model import DeviceAddress
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.history import PastCall, unwanted
from callnet.storage.schema import FAILURE_MAX, outbox
from callnet.util.deferreds import as_deferred

_FORGOTTEN_AT_ONCE: Final = 1000
"""Rows that one transaction removes: others write meanwhile."""

_row = outbox.c
_DONE: Final = {"body": "", "phone": None, "peer_phone": None, "due_at": None, "died_at": None, "failure": ""}
"""The columns of a settled event: its content is removed."""
_THIS_ONE: Final = (_row.id == bindparam("this"), _row.tries == bindparam("tried"), _row.due_at.is_not(None))
"""A condition: the event was not handed out again since."""
_SET_DONE: Final = (
    outbox.update()
    .where(_row.id == bindparam("this"), _row.done_at.is_(None))
    .values(**_DONE, done_at=bindparam("now"))
)
_PUT_OFF: Final = outbox.update().where(*_THIS_ONE).values(due_at=bindparam("next"), failure=bindparam("why"))
_SET_DEAD: Final = (
    outbox.update().where(*_THIS_ONE).values(due_at=None, died_at=bindparam("now"), failure=bindparam("why"))
)


class OutboxEvent(Struct, frozen=True, gc=False):
    """An event for the operator's webhook."""

    id: str
    event: str
    created_at: float
    """Seconds since 1970, as all times here."""
    body: bytes
    """JSON."""
    phone: str
    """The phones in the event."""
    peer_phone: str | None = None
    unreached: PastCall | None = None
    """The missed call of the event, if it reached nobody: it is sent only if :meth:`SqlHistory.write` would write that
    call."""


class DueEvent(Struct, frozen=True, gc=False):
    """An event taken for sending."""

    id: str
    body: bytes
    tries: int
    """The number of times it was taken."""


class Tried(Struct, frozen=True, gc=False):
    """The result of an attempt to send an event."""

    event: DueEvent
    failure: str = ""
    """The reason of the failure, in a few words."""
    due_at: float | None = None
    """The time of the next attempt; ``None``: never. After a failure it is a dead letter then, otherwise it was
    delivered."""


class SqlOutbox(Queries):
    """Events until they are sent, for the daemon.

    :param contacts_only: whether nobody but contacts may call.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool) -> None:
        super().__init__(database, run)
        self._contacts_only = contacts_only

    @in_thread
    def write(self, events: Sequence[OutboxEvent], now: float) -> None:
        """Write events, due now, except those with ids already there, sent or not."""
        in_doubt = [event.unreached for event in events if event.unreached is not None]
        with self._database.write(may_be_lost=True) as connection:
            not_told = unwanted(connection, in_doubt, self._contacts_only)
            put(self._database, connection, [event for event in events if event.unreached not in not_told], now)

    @in_thread
    def take(self, most: int, now: float, until: float) -> Sequence[DueEvent]:
        """Take the events due for longest, and reserve them until ``until``."""
        due = select(_row.id).where(_row.due_at <= now).order_by(_row.due_at)
        with self._database.read() as connection:  # who writes keeps others from writing, and mostly nothing is due
            if connection.execute(due.limit(1)).first() is None:
                return ()
        these = due.limit(most).with_for_update(skip_locked=True).scalar_subquery()
        taken = outbox.update().where(_row.id.in_(these)).values(due_at=until, tries=_row.tries + 1)
        with self._database.write(may_be_lost=True) as connection:
            rows = connection.execute(taken.returning(_row.id, _row.body, _row.tries, _row.created_at)).all()
        return [DueEvent(row.id, row.body.encode(), row.tries) for row in sorted(rows, key=lambda row: row.created_at)]

    @in_thread
    def settle(self, tried: Sequence[Tried], now: float) -> None:
        """Write the results of attempts. Those of an event that was taken again since are ignored."""
        done, put_off, dead = [], [], []
        for one in sorted(tried, key=lambda one: one.event.id):
            this = {"this": one.event.id, "tried": one.event.tries, "why": one.failure[:FAILURE_MAX]}
            if one.due_at is not None:
                put_off.append({**this, "next": one.due_at})
            elif one.failure:
                dead.append({**this, "now": now})
            else:
                done.append({"this": one.event.id, "now": now})
        with self._database.write(may_be_lost=True) as connection:
            for statement, rows in ((_SET_DONE, done), (_PUT_OFF, put_off), (_SET_DEAD, dead)):
                if rows:
                    connection.execute(statement, rows)

    @in_thread
    def count(self, most: int) -> tuple[int, int]:
        """Count the waiting events and the dead letters; of each kind at most ``most`` are counted."""
        with self._database.read() as connection:
            waiting, dead = (_count(connection, column, most) for column in (_row.due_at, _row.died_at))
        return waiting, dead

    @as_deferred
    async def forget(self, done: float, dead: float) -> None:
        """Remove the ids of events done before one time, and the dead letters from before another."""
        for column, before in ((_row.done_at, done), (_row.died_at, dead)):
            while await self._run(self._forget_some, column, before):
                pass

    def _forget_some(self, column: Column[float], before: float) -> bool:
        """Remove some, and tell whether there may be more."""
        old = select(_row.id).where(column < before).order_by(column).limit(_FORGOTTEN_AT_ONCE).scalar_subquery()
        with self._database.write(may_be_lost=True) as connection:
            return connection.execute(outbox.delete().where(_row.id.in_(old))).rowcount == _FORGOTTEN_AT_ONCE


def put(database: Database, connection: Connection, events: Sequence[OutboxEvent], now: float) -> None:
    """Write down events that are due now, within a transaction, but those whose ids are there already."""
    # In order: two nodes that write the same rows in another one would wait for each other.
    rows = [_as_row(event, now) for event in sorted(events, key=lambda event: event.id)]
    if rows:
        connection.execute(database.insert_missing(outbox), rows)


def enrolled(device: DeviceAddress, now: float) -> OutboxEvent:
    """The event of a new device."""
    event = DeviceEnrolled(id=secrets.token_hex(16), at=now, phone=device.phone, device_id=device.device_id)
    return OutboxEvent(event.id, "device_enrolled", now, msgspec.json.encode(event), device.phone)


def names(phone: str) -> ColumnElement[bool]:
    """A condition: the event names a phone. Delivered events name nobody."""
    return or_(_row.phone == phone, _row.peer_phone == phone)


def bodies(connection: Connection, which: ColumnElement[bool]) -> Sequence[str]:
    """The bodies of events that were not taken yet, the oldest first."""
    return connection.scalars(select(_row.body).where(which, _row.done_at.is_(None)).order_by(_row.created_at)).all()


class Letter(Struct, frozen=True):
    """An event that was not taken yet."""

    id: str
    event: str
    created_at: float
    tries: int
    failure: str
    """Why it was not taken the last time, if it was tried."""
    is_dead: bool
    """It is not sent again by itself."""


def letters(database: Database, with_waiting: bool) -> Sequence[Letter]:
    """The dead letters, the oldest first, and on request what waits."""
    statement = select(_row.id, _row.event, _row.created_at, _row.tries, _row.failure, _row.died_at)
    which = _row.done_at.is_(None) if with_waiting else _row.died_at.is_not(None)
    with database.read() as connection:
        rows = connection.execute(statement.where(which).order_by(_row.created_at, _row.id))
        return [Letter(*row[:-1], is_dead=row.died_at is not None) for row in rows]


def chosen(ids: Collection[str]) -> ColumnElement[bool]:
    """A condition: the event is one of these; if none are given, any event."""
    return _row.id.in_(sorted(ids)) if ids else true()


def drop(connection: Connection, which: ColumnElement[bool], now: float) -> int:
    """Have events that were not taken yet never be sent, and keep nothing of them but their ids; how many they were."""
    return connection.execute(
        outbox.update().where(which, _row.done_at.is_(None)).values(**_DONE, done_at=now)
    ).rowcount


def retry(connection: Connection, which: ColumnElement[bool], now: float) -> int:
    """Have dead letters, and what waits since it was not taken, be sent now, as if for the first time; their number."""
    failed = outbox.update().where(which, _row.done_at.is_(None), _row.failure != "")
    return connection.execute(failed.values(due_at=now, died_at=None, tries=0)).rowcount


def _count(connection: Connection, column: Column[float], most: int) -> int:
    some = select(literal(1).label("one")).select_from(outbox).where(column.is_not(None)).limit(most).subquery()
    return connection.scalar(select(func.count()).select_from(some)) or 0


def _as_row(event: OutboxEvent, now: float) -> dict[str, Any]:
    return {
        "id": event.id,
        "event": event.event,
        "created_at": event.created_at,
        "body": event.body.decode(),
        "phone": event.phone,
        "peer_phone": event.peer_phone,
        "due_at": now,
        "tries": 0,
        "failure": "",
    }
