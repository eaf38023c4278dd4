"""The preferences and settings of phones in the database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict
from sqlalchemy import Column, ColumnElement, Connection, Select, Table, select, union

from callnet.calls.preferences import Policy, Preferences, QuietExceptions, QuietHours, encode_names
from callnet.model import GUEST, Topic
from callnet.storage import changes
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.push import PushKind
from callnet.storage.schema import (
    auto_answer,
    blocked,
    contact,
    contacts_only,
    link,
    push_registration,
    quiet_hours,
    quiet_until,
    rings_through,
    second_call_rings,
)

WhoMayCall: TypeAlias = Literal["anyone", "contacts"]
"""The phones that may call one, in the words of ``accounts.who_may_call``: all that it does not block, or of these
those that it lists."""


class PhoneSettings(Struct, frozen=True):
    """The settings of a phone."""

    quiet: QuietHours | None
    auto_answer: Sequence[str]
    """Phones whose calls its devices may answer automatically, in order."""
    who_may_call: WhoMayCall = "anyone"
    quiet_until: float | None = None
    """The time before which it does not ring, in seconds since 1970; it may be over."""
    rings_through: Sequence[str] = []
    """Phones that may call in quiet hours too, in order."""
    second_call_rings: bool = False
    """In quiet hours each phone may call again."""


class SettingsChange(Struct, frozen=True):
    """New settings of a phone; those that are not set stay as they are."""

    quiet: QuietHours | UnsetType | None = UNSET
    """The hours in which the phone rings for its own devices only; ``None``: there are none."""
    auto_answer: Collection[str] | UnsetType = UNSET
    """The phones whose calls its devices may answer automatically, each once."""
    who_may_call: WhoMayCall | UnsetType = UNSET
    quiet_until: float | UnsetType | None = UNSET
    """The time before which it rings for its own devices only, whatever the hours, in seconds since 1970; ``None``:
    there is none."""
    rings_through: Collection[str] | UnsetType = UNSET
    """The phones for whose devices it rings in quiet hours and before that time, too, each once."""
    second_call_rings: bool | UnsetType = UNSET
    """It then rings for each phone that may call and calls again (protocol §2.4, step 5)."""


class SqlPreferences(Queries):
    """The preferences and settings of phones: all lists of each, and its quiet hours.

    :param contacts_only: whether nobody but contacts may call.
    :param ways: those in which devices can be woken.
    """

    def __init__(self, database: Database, run: Run, contacts_only: bool, ways: Collection[PushKind] = ()) -> None:
        super().__init__(database, run)
        self._contacts_only = contacts_only
        self._is_way = push_registration.c.kind.in_(sorted(ways))

    @in_thread
    def restricted(self, most: int) -> Collection[str] | None:
        """The phones with restricted callers or hours, or with devices that can be woken; ``None``: there are more than
        ``most``, or all are.
        """
        if self._contacts_only:
            return None
        wakeful = select(push_registration.c.phone).where(self._is_way)
        strict = select(contacts_only.c.phone)
        quiet = select(quiet_hours.c.phone), select(quiet_until.c.phone)
        return self._owners(most, select(blocked.c.owner), *quiet, wakeful, strict)

    @in_thread
    def announced(self, most: int) -> Collection[str] | None:
        """The phones with names for others, or with automatic answers; ``None``: there are more than ``most``."""
        named_contacts = select(contact.c.owner).where(contact.c.name != "")
        named_links = select(link.c.phone).where(link.c.name != "")
        return self._owners(most, named_contacts, named_links, select(auto_answer.c.owner))

    def _owners(self, most: int, *kinds: Select[tuple[str]]) -> Collection[str] | None:
        with self._database.read() as connection:
            rows = connection.execute(union(*kinds).limit(most + 1)).all()
        return [str(row[0]) for row in rows] if len(rows) <= most else None

    @in_thread
    def wakeful(self, after: str, most: int) -> Sequence[str]:
        """The first phones with wakeable devices, in order, at most ``most``.

        :param after: only those that come after this one.
        """
        phone = push_registration.c.phone
        with self._database.read() as connection:
            found = select(phone).distinct().where(self._is_way, phone > after).order_by(phone).limit(most)
            return connection.scalars(found).all()

    @in_thread
    def read(self, phones: Collection[str]) -> Mapping[str, Preferences]:
        """The preferences of each of these phones."""
        with self._database.read() as connection:
            refused = _lists(connection, blocked, blocked.c.phone, phones)
            answered = _lists(connection, auto_answer, auto_answer.c.phone, phones)
            wakes = _lists(connection, push_registration, push_registration.c.device_id, phones, self._is_way)
            names, linked = _names(connection, phones), _names_of_links(connection, phones)
            quiet, until = _quiet_hours(connection, phones), _quiet_until(connection, phones)
            silenced = quiet.keys() | until.keys()
            through = _lists(connection, rings_through, rings_through.c.phone, silenced) if silenced else {}
            again = _those_in(connection, second_call_rings, silenced) if silenced else ()
            strict = phones if self._contacts_only else strict_phones(connection, phones)
        found: dict[str, Preferences] = {}
        for phone in phones:
            listed = names.get(phone, {})
            only = frozenset(listed) if phone in strict else None
            policy = Policy(
                frozenset(refused.get(phone, ())),
                only,
                quiet.get(phone),
                frozenset(wakes.get(phone, ())),
                until.get(phone),
                _exceptions(through.get(phone, ()), phone in again),
            )
            known = {other: name for other, name in listed.items() if name} | linked.get(phone, {})
            found[phone] = Preferences(policy, frozenset(answered.get(phone, ())), encode_names(known))
        return found

    @in_thread
    def change(self, phone: str, wanted: SettingsChange, now: float) -> PhoneSettings:
        """Change some settings of a phone, and return all. A change notifies every node.

        :param now: in seconds since 1970.
        """
        return change(self._database, phone, wanted, now)


def _exceptions(through: Collection[str], again: bool) -> QuietExceptions | None:
    return QuietExceptions(frozenset(through), again) if through or again else None


def strict_phones(connection: Connection, phones: Collection[str]) -> Collection[str]:
    """Those of these phones that only their contacts may call, by their own setting."""
    return _those_in(connection, contacts_only, phones)


def _those_in(connection: Connection, table: Table, phones: Collection[str]) -> Collection[str]:
    """Those of these phones that have a row."""
    phone: Column[str] = table.c.phone
    return frozenset(connection.scalars(select(phone).where(phone.in_(sorted(phones)))))


def _lists(
    connection: Connection,
    table: Table,
    other: Column[str],
    owners: Collection[str],
    which: ColumnElement[bool] | None = None,
) -> dict[str, list[str]]:
    """The rows of each owner in a table, all or some."""
    owner: Column[str] = table.c.phone if which is not None else table.c.owner
    statement = select(owner.label("owner"), other.label("other")).where(owner.in_(owners))
    if which is not None:
        statement = statement.where(which)
    lists: dict[str, list[str]] = {}
    for row in connection.execute(statement):
        lists.setdefault(row.owner, []).append(row.other)
    return lists


def _names(connection: Connection, owners: Collection[str]) -> dict[str, dict[str, str]]:
    """The names that each owner has for its contacts, be they empty."""
    row = contact.c
    statement = select(row.owner, row.contact, row.name).where(row.owner.in_(owners))
    names: dict[str, dict[str, str]] = {}
    for found in connection.execute(statement):
        names.setdefault(found.owner, {})[found.contact] = found.name
    return names


def _names_of_links(connection: Connection, owners: Collection[str]) -> dict[str, dict[str, str]]:
    """The names that each owner has for its links, by what the phones of their guests have in common."""
    row = link.c
    names: dict[str, dict[str, str]] = {}
    for found in connection.execute(select(row.id, row.phone, row.name).where(row.phone.in_(owners), row.name != "")):
        names.setdefault(found.phone, {})[GUEST + found.id] = found.name
    return names


def _quiet_hours(connection: Connection, phones: Collection[str]) -> dict[str, QuietHours]:
    rows = connection.execute(select(quiet_hours).where(quiet_hours.c.phone.in_(phones)))
    return {row.phone: QuietHours(row.begins, row.ends, row.time_zone) for row in rows}


def _quiet_until(connection: Connection, phones: Collection[str]) -> dict[str, float]:
    rows = connection.execute(select(quiet_until).where(quiet_until.c.phone.in_(phones)))
    return {row.phone: row.until for row in rows}


NOTHING_SET: Final = PhoneSettings(None, [])


def change(database: Database, phone: str, wanted: SettingsChange, now: float) -> PhoneSettings:
    """Do what :meth:`SqlPreferences.change` says, and return when it is done."""
    if wanted == SettingsChange():
        with database.read() as connection:
            return settings_of(connection, phone)
    with database.write() as connection:
        database.take_turns(connection, phone)
        if not isinstance(wanted.quiet, UnsetType):
            hours = [] if wanted.quiet is None else [asdict(wanted.quiet)]
            _replace(connection, quiet_hours.c.phone, phone, hours)
        if not isinstance(wanted.auto_answer, UnsetType):
            _replace(connection, auto_answer.c.owner, phone, [{"phone": other} for other in wanted.auto_answer])
        if not isinstance(wanted.who_may_call, UnsetType):
            _replace(connection, contacts_only.c.phone, phone, [{}] if wanted.who_may_call == "contacts" else [])
        if not isinstance(wanted.quiet_until, UnsetType):
            until = [] if wanted.quiet_until is None else [{"until": wanted.quiet_until}]
            _replace(connection, quiet_until.c.phone, phone, until)
        if not isinstance(wanted.rings_through, UnsetType):
            _replace(connection, rings_through.c.owner, phone, [{"phone": other} for other in wanted.rings_through])
        if not isinstance(wanted.second_call_rings, UnsetType):
            _replace(connection, second_call_rings.c.phone, phone, [{}] if wanted.second_call_rings else [])
        changes.note(connection, [phone], now, Topic.SETTINGS)
        return settings_of(connection, phone)


def settings_of(connection: Connection, phone: str) -> PhoneSettings:
    """The settings of a phone."""
    return PhoneSettings(
        _quiet_hours(connection, [phone]).get(phone),
        listed_phones(connection, auto_answer, phone),
        "contacts" if strict_phones(connection, [phone]) else "anyone",
        _quiet_until(connection, [phone]).get(phone),
        listed_phones(connection, rings_through, phone),
        bool(_those_in(connection, second_call_rings, [phone])),
    )


def listed_phones(connection: Connection, table: Table, owner: str) -> Sequence[str]:
    """One owner's rows in a table of pairs, in order."""
    phone: Column[str] = table.c.phone
    return connection.scalars(select(phone).where(table.c.owner == owner).order_by(phone)).all()


def _replace(connection: Connection, owner: Column[str], phone: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Have these rows, and no others, be those of a phone in a table.

    :param owner: the table's column with the phone.
    :param rows: their other columns.
    """
    connection.execute(owner.table.delete().where(owner == phone))
    new = [{owner.name: phone, **row} for row in rows]
    if new:
        connection.execute(owner.table.insert(), new)
