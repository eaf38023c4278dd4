"""The settings of phones in the database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import UNSET, UnsetType
from sqlalchemy import Connection, select
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.accounts.ports import IPhoneSettings, PhoneSettings
from callnet.calls.quiet_hours import QuietHours
from callnet.storage import changes
from callnet.storage.database import Database
from callnet.storage.preferences import quiet_hours_of
from callnet.storage.sql import Run
from callnet.storage.tables import auto_answer, quiet_hours

NOTHING_SET: Final = PhoneSettings(None, [])


@implementer(IPhoneSettings)
class SqlPhoneSettings:
    """The settings of phones, for the daemon."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run

    def change(
        self,
        phone: str,
        quiet: QuietHours | UnsetType | None,
        answered: Collection[str] | UnsetType,
        now: float,
    ) -> Deferred[PhoneSettings]:
        """See :meth:`IPhoneSettings.change`."""
        return self._run(change, self._database, phone, quiet, answered, now)


def change(
    database: Database,
    phone: str,
    quiet: QuietHours | UnsetType | None,
    answered: Collection[str] | UnsetType,
    now: float,
) -> PhoneSettings:
    """Do what :meth:`IPhoneSettings.change` says, and return when it is done."""
    if quiet is UNSET and answered is UNSET:
        with database.read() as connection:
            return settings_of(connection, phone)
    with database.write() as connection:
        database.take_turns(connection, phone)
        if not isinstance(quiet, UnsetType):
            _set_quiet_hours(connection, phone, quiet)
        if not isinstance(answered, UnsetType):
            _set_auto_answer(connection, phone, answered)
        changes.note(connection, [phone], now)
        return settings_of(connection, phone)


def settings_of(connection: Connection, phone: str) -> PhoneSettings:
    """The settings of a phone."""
    row = connection.execute(select(quiet_hours).where(quiet_hours.c.phone == phone)).first()
    others = select(auto_answer.c.phone).where(auto_answer.c.owner == phone).order_by(auto_answer.c.phone)
    return PhoneSettings(None if row is None else quiet_hours_of(row), connection.scalars(others).all())


def _set_quiet_hours(connection: Connection, phone: str, quiet: QuietHours | None) -> None:
    connection.execute(quiet_hours.delete().where(quiet_hours.c.phone == phone))
    if quiet is not None:
        row = {"phone": phone, "begins": quiet.begins, "ends": quiet.ends, "time_zone": quiet.time_zone}
        connection.execute(quiet_hours.insert(), [row])


def _set_auto_answer(connection: Connection, owner: str, phones: Collection[str]) -> None:
    connection.execute(auto_answer.delete().where(auto_answer.c.owner == owner))
    rows = [{"owner": owner, "phone": phone} for phone in phones]
    if rows:
        connection.execute(auto_answer.insert(), rows)
