"""Links that ring a phone, in the database. A change notifies every node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, func, select

from callnet.calls.preferences import QuietHours
from callnet.model import Topic
from callnet.storage import changes
from callnet.storage.database import Database, Queries, in_thread
from callnet.storage.schema import link

_row = link.c


class StoredLink(Struct, frozen=True):
    """A link. Times are seconds since 1970."""

    id: str
    phone: str
    """Its owner's, which it rings."""
    secret: str
    name: str
    is_on: bool
    hours: QuietHours | None
    """The part of each day in which it rings; ``None``: always."""
    expires_at: float | None
    calls_left: int | None
    """The number of calls that may still be answered; ``None``: any."""
    made_at: float
    last_used_at: float | None = None
    """The time at which a call by it was last answered."""

    def exported(self) -> Mapping[str, Any]:
        """The fields of the link, with its hours as people read them."""
        return {**msgspec.structs.asdict(self), "hours": None if self.hours is None else self.hours.fields()}

    def rings(self, date: float) -> bool:
        """Return whether it rings at a date, in seconds since 1970."""
        is_valid = self.is_on and self.calls_left != 0 and (self.expires_at is None or date < self.expires_at)
        return is_valid and (self.hours is None or self.hours.cover(date))


class SqlLinks(Queries):
    """Links."""

    @in_thread
    def of(self, phone: str) -> Sequence[StoredLink]:
        """The links of a phone, by name."""
        return of(self._database, phone)

    @in_thread
    def make(self, new: StoredLink, most: int, now: float) -> bool:
        """Add a link; return whether that was done: the phone has less than ``most``."""
        with self._database.write() as connection:
            self._database.take_turns(connection, new.phone)
            of_phone = select(func.count()).select_from(link).where(_row.phone == new.phone)
            if (connection.scalar(of_phone) or 0) >= most:
                return False
            columns = ("id", "phone", "secret", "name", "is_on", "expires_at", "calls_left", "made_at")
            values = {name: getattr(new, name) for name in columns}
            connection.execute(link.insert().values(**values, **columns_of(new.hours)))
            changes.note(connection, [new.phone], now, Topic.LINKS)
        return True

    @in_thread
    def change(self, phone: str, link_id: str, values: Mapping[str, Any], now: float) -> StoredLink | None:
        """Change a link of a phone, and return it; ``None``: there is none.

        :param values: by column; nothing: it stays as it is.
        """
        this = _row.phone == phone, _row.id == link_id
        with self._database.write() as connection:
            if values:
                connection.execute(link.update().where(*this).values(**values))
            found = connection.execute(select(link).where(*this)).first()
            if found is not None:
                changes.note(connection, [phone], now, Topic.LINKS)
        return None if found is None else _link_of(found)

    @in_thread
    def remove(self, phone: str, link_id: str, now: float) -> bool:
        """Remove a link of a phone; return whether there was one."""
        return remove(self._database, phone, link_id, now)

    @in_thread
    def find(self, link_id: str) -> StoredLink | None:
        """The link with an id."""
        with self._database.read() as connection:
            found = connection.execute(select(link).where(_row.id == link_id)).first()
        return None if found is None else _link_of(found)

    @in_thread
    def answered(self, link_id: str, now: float) -> None:
        """Count an answered call by a link."""
        this = _row.id == link_id
        with self._database.write(may_be_lost=True) as connection:
            used = link.update().where(this).values(last_used_at=now)
            phone = connection.scalar(used.returning(_row.phone))
            if phone is not None:
                connection.execute(
                    link.update().where(this, _row.calls_left > 0).values(calls_left=_row.calls_left - 1)
                )
                changes.note(connection, [phone], now, Topic.LINKS)


def of(database: Database, phone: str) -> Sequence[StoredLink]:
    """The links of a phone, by name."""
    with database.read() as connection:
        return links_of(connection, phone)


def links_of(connection: Connection, phone: str) -> Sequence[StoredLink]:
    """The same, within a transaction."""
    return [_link_of(row) for row in connection.execute(select(link).where(_row.phone == phone).order_by(_row.name))]


def remove(database: Database, phone: str, link_id: str, now: float) -> bool:
    """Remove a link of a phone; return whether there was one."""
    with database.write() as connection:
        removed = connection.execute(link.delete().where(_row.phone == phone, _row.id == link_id)).rowcount
        if removed:
            changes.note(connection, [phone], now, Topic.LINKS)
    return removed > 0


def columns_of(hours: QuietHours | None) -> Mapping[str, Any]:
    """The hours of a link, by column."""
    if hours is None:
        return {"begins": None, "ends": None, "time_zone": None}
    return {"begins": hours.begins, "ends": hours.ends, "time_zone": hours.time_zone}


def _link_of(row: Any) -> StoredLink:
    hours = None if row.begins is None else QuietHours(row.begins, row.ends, row.time_zone)
    return StoredLink(
        row.id,
        row.phone,
        row.secret,
        row.name,
        row.is_on,
        hours,
        row.expires_at,
        row.calls_left,
        row.made_at,
        row.last_used_at,
    )
