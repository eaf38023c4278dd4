"""Migration from the Go server that callnet replaces, and back: its tables in MySQL or MariaDB, and the rows that move.

Only ``callnet migrate`` uses it; the daemon has no part in it. What is not here is in docs/migrating.md.
Everything here blocks, and nothing holds more than one batch in memory.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

from msgspec import Meta, Struct
from sqlalchemy import (
    URL,
    Column,
    ColumnElement,
    Connection,
    Engine,
    LargeBinary,
    NullPool,
    TableClause,
    cast,
    column,
    create_engine,
    exists,
    insert,
    inspect,
    literal,
    make_url,
    select,
    table,
    true,
    tuple_,
)
from sqlalchemy import exc as sql_errors

from callnet.accounts.validation import PhoneRule, is_device_id
from callnet.config.load import decode_toml
from callnet.errors import CallnetError
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, has_control_characters
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from callnet.storage.devices import make
from callnet.storage.schema import account, account_device, contact


class MigrationError(CallnetError):
    """The migration cannot go on; the message is shown to who asked. It may be run again."""


_Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
_NameOrNone: TypeAlias = Annotated[str, Meta(max_length=64)]


class AccountTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The phones."""

    table: _Name = "account_data"
    phone: _Name = "phone"
    id: _NameOrNone = "id"
    """The name of a row in reports; empty: its number in the order of the other columns."""


class DeviceTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The devices of each phone."""

    table: _Name = "account_device"
    phone: _Name = "phone"
    device_id: _Name = "device_id"
    id: _NameOrNone = ""


class ContactTable(Struct, frozen=True, forbid_unknown_fields=True):
    """The contacts of each phone."""

    table: _Name = "contact_person"
    phone: _Name = "phone"
    contact_phone: _Name = "contact_phone"
    id: _NameOrNone = ""


class Mapping(Struct, frozen=True, forbid_unknown_fields=True):
    """The names of tables and columns."""

    account_data: AccountTable = AccountTable()
    account_device: DeviceTable = DeviceTable()
    contact_person: ContactTable = ContactTable()


def load_mapping(path: Path | None) -> Mapping:
    """Read a mapping from a TOML file; ``None``: as the seed has it.

    :raises MigrationError: the file cannot be read.
    :raises StartError: not a mapping.
    """
    if path is None:
        return Mapping()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise MigrationError(f"{path}: {error.strerror}") from None
    return decode_toml(content, Mapping, str(path))


_SHOWN: Final = 60
_LONG: Final = 11
"""The length from which a text may show its ends."""


Key: TypeAlias = tuple[str, ...]
"""The key of a row: a phone; a phone and a device id; an owner and its contact."""


class Kind(StrEnum):
    """The kinds of rows, in the order of their import."""

    ACCOUNTS = "accounts"
    DEVICES = "devices"
    CONTACTS = "contacts"


_DEVICE_ID: Final = "device id"
_FIELDS: Final[dict[Kind, tuple[str, ...]]] = {
    Kind.ACCOUNTS: ("phone",),
    Kind.DEVICES: ("phone", _DEVICE_ID),
    Kind.CONTACTS: ("phone", "contact's phone"),
}


class Refused(Struct, frozen=True):
    """A row that cannot be taken, and why."""

    reason: str


class Row(Struct, frozen=True):
    """A row as it was found."""

    place: str
    """Which one it is: ``id 17``, or ``row 17``."""
    values: Sequence[object]
    """Of the columns of the key."""
    has_accounts: bool
    """True if there is an account for each phone in it."""


class Judge:
    """Tells which rows callnet can take."""

    def __init__(self, kind: Kind, rule: PhoneRule) -> None:
        self._kind = kind
        self._rule = rule
        self._last: Key | None = None

    def judge(self, row: Row) -> Key | Refused:
        """The key of a row in callnet. Rows come in the order of their keys: equal ones are neighbours."""
        key = tuple(text for value in row.values if (text := as_text(value)) is not None)
        if len(key) < len(row.values):
            return Refused("a field is empty (NULL) or not UTF-8")
        for text, field in zip(key, _FIELDS[self._kind], strict=True):
            if field == _DEVICE_ID:
                if not is_device_id(text):
                    return Refused(f"the device id {_fault(text)}")
            elif self._rule.read(text) != text:  # devices in the field know it as it stands there
                return Refused(f"the {field} is not valid (accounts.phone_format)")
        if key == self._last:
            return Refused("duplicate row")
        self._last = key
        return key


def as_text(value: object) -> str | None:
    """A driver's value of a column as text; ``None``: it is none."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return None
    return None if value is None else str(value)


def _fault(device_id: str) -> str:
    if device_id in ("", EVERY_DEVICE):
        return "is *, which means every device" if device_id else "is empty"
    return "has control characters" if has_control_characters(device_id) else f"has over {DEVICE_ID_MAX} characters"


def shown(kind: Kind, values: Sequence[object]) -> str:
    """The key of a row, for the operator, on one line. Phones are masked, and device ids that look like phones."""
    texts = (as_text(value) for value in values)
    fields = zip(texts, _FIELDS[kind], strict=True)
    return " ".join(
        _masked(text) if field != _DEVICE_ID or _is_number(text) else _quoted(text) for text, field in fields
    )


def _is_number(text: str | None) -> bool:
    return text is not None and text.isdecimal()


def _masked(phone: str | None) -> str:
    """``136****4967``. What is too short for that shows nothing but its length."""
    if phone is None:
        return "NULL"
    return _quoted(f"{phone[:3]}****{phone[-4:]}") if len(phone) >= _LONG else "*" * len(phone) or "''"


def _quoted(text: str | None) -> str:
    """A text that may have anything in it."""
    if text is None:
        return "NULL"
    short = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return short if short.isprintable() and " " not in short and short else ascii(short)


_DRIVERS: Final = {"mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_PATIENCE: Final = {"connect_timeout": 10, "read_timeout": 600, "write_timeout": 60}
"""Seconds. Sorting a large table takes the server some time."""
# Otherwise a server may cut what is too long, and say nothing.
_STRICT: Final = "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')"

_STANDS_IN_THE_WAY: Final = {
    1062: "the older server already has it in another spelling",
    1264: "it does not fit into the older server's column",
    1366: "it does not fit into the older server's column",
    1406: "it does not fit into the older server's column",
    1452: "the older server needs an account for each phone in it",
}
"""By the number of the server's error. Its texts repeat phones."""


class OlderDatabase:
    """The database.

    :param url: ``mysql://USER:PASSWORD@HOST/NAME``.
    :raises MigrationError: not such a URL, or the driver is not there.
    """

    def __init__(self, url: str, mapping: Mapping) -> None:
        self._engine: Final = _engine(_parse(url))
        self._tables: Final = {
            Kind.ACCOUNTS: _Table(mapping.account_data.table, (mapping.account_data.phone,), mapping.account_data.id),
            Kind.DEVICES: _Table(
                mapping.account_device.table,
                (mapping.account_device.phone, mapping.account_device.device_id),
                mapping.account_device.id,
            ),
            Kind.CONTACTS: _Table(
                mapping.contact_person.table,
                (mapping.contact_person.phone, mapping.contact_person.contact_phone),
                mapping.contact_person.id,
            ),
        }

    @contextmanager
    def reading(self) -> Iterator[Snapshot]:
        """Read it as it is at this moment, whatever others write meanwhile.

        :raises MigrationError: it cannot be reached, or a table or column is missing.
        """
        with self._connected() as connection:
            yield Snapshot(connection, self._tables)

    @contextmanager
    def writing(self) -> Iterator[Additions]:
        """Add to it: all of it, or after an error nothing.

        :raises MigrationError: it cannot be reached, or a table or column is missing.
        """
        with self._connected() as connection:
            connection.exec_driver_sql(_STRICT)
            yield Additions(connection, self._tables)
            connection.commit()

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        try:
            with self._connect() as connection:
                for each in self._tables.values():
                    each.require(connection)
                connection.rollback()  # what was looked up until now is older than what is to be read
                yield connection
        except sql_errors.DBAPIError as error:
            raise MigrationError(f"the older server's database: {_explained(error)}") from None

    def _connect(self) -> Connection:
        try:
            return self._engine.connect().execution_options(isolation_level="REPEATABLE READ")
        except (TypeError, ValueError, OSError):  # from the driver, which is given the options as they are
            raise MigrationError("the older server's database: an option in its URL is unknown or wrong") from None


class _Table:
    """One table, as the mapping has it."""

    def __init__(self, name: str, keys: tuple[str, ...], id_: str) -> None:
        self.name = name
        self.names = (*keys, *filter(None, (id_,)))
        self.clause: TableClause = table(name, *(column(each) for each in dict.fromkeys(self.names)))
        self.keys = [self.clause.c[each] for each in keys]
        self.id = self.clause.c[id_] if id_ else None

    def require(self, connection: Connection) -> None:
        """Make sure that it is there, and its columns.

        :raises MigrationError: it is not.
        """
        there = inspect(connection)
        if not there.has_table(self.name):
            raise MigrationError(_missing("table", self.name, there.get_table_names()))
        columns = [str(each["name"]) for each in there.get_columns(self.name)]
        for name in self.names:
            if name not in columns:
                raise MigrationError(_missing("column", f"{self.name}.{name}", columns))


class Snapshot:
    """All rows as they are at one moment."""

    def __init__(self, connection: Connection, tables: dict[Kind, _Table]) -> None:
        self._connection = connection
        self._tables = tables

    def batches(self, kind: Kind, size: int) -> Iterator[Sequence[Row]]:
        """All rows of a table, in the order of their keys byte by byte, in batches: they are not kept."""
        of = self._tables[kind]
        statement = select(
            literal(None) if of.id is None else of.id, self._has_accounts(kind).label("has_accounts"), *of.keys
        ).order_by(*(cast(each, LargeBinary) for each in of.keys))
        number = 0
        with self._connection.execute(statement, execution_options={"yield_per": size}) as found:
            for part in found.partitions():
                rows = []
                for id_, has_accounts, *values in part:
                    number += 1
                    place = f"row {number}" if of.id is None else f"id {id_}"
                    rows.append(Row(place, values, bool(has_accounts)))
                yield rows

    def _has_accounts(self, kind: Kind) -> ColumnElement[bool]:
        """A condition: there is an account for each phone in a row."""
        if kind is Kind.ACCOUNTS:
            return true()
        account = self._tables[Kind.ACCOUNTS]
        phones = self._tables[kind].keys[: 1 if kind is Kind.DEVICES else 2]
        each = [exists(select(1).select_from(account.clause).where(account.keys[0] == phone)) for phone in phones]
        return each[0] if len(each) == 1 else each[0] & each[1]


class Additions:
    """Rows added in one transaction."""

    def __init__(self, connection: Connection, tables: dict[Kind, _Table]) -> None:
        self._connection = connection
        self._tables = tables

    def missing(self, kind: Kind, keys: Collection[Key]) -> Sequence[Key]:
        """Those of ``keys`` that are not there, character by character, in the same order."""
        of = self._tables[kind]
        found = self._connection.execute(select(*of.keys).where(of.keys[0].in_({key[0] for key in keys})))
        there = {tuple(as_text(value) for value in row) for row in found}
        return [key for key in keys if key not in there]

    def add(self, kind: Kind, key: Key) -> str | None:
        """Add a row. Returns why it cannot be added; ``None``: it was."""
        of = self._tables[kind]
        row = {each.name: text for each, text in zip(of.keys, key, strict=True)}
        try:
            self._connection.execute(insert(of.clause), row)
        except sql_errors.DBAPIError as error:
            reason = _STANDS_IN_THE_WAY.get(_number(error))
            if reason is None:
                raise
            return reason
        return None


def _parse(given: str) -> URL:
    try:
        url = make_url(given)
    except (sql_errors.ArgumentError, ValueError):
        url = None
    if url is None or url.get_backend_name() not in _DRIVERS or not url.database:
        raise MigrationError("the older server's database: not a URL such as mysql://USER:PASSWORD@HOST/NAME")
    return url.set(drivername=_DRIVERS[url.get_backend_name()])


def _engine(url: URL) -> Engine:
    patience = {name: seconds for name, seconds in _PATIENCE.items() if name not in url.query}
    try:
        return create_engine(url, hide_parameters=True, poolclass=NullPool, connect_args=patience)
    except ModuleNotFoundError:
        raise MigrationError(
            "PyMySQL is not installed: see docs/migrating.md, or pip install 'callnet[migrate]'"
        ) from None


def _missing(what: str, name: str, there: Sequence[str]) -> str:
    known = ", ".join(there) or "none"
    return f"the older server's database has no {what} {name} (found: {known}); give its name with --mapping"


def _number(error: sql_errors.DBAPIError) -> int:
    """The number of a server's or the driver's error."""
    arguments = error.orig.args if error.orig is not None else ()
    return arguments[0] if arguments and isinstance(arguments[0], int) else 0


def _explained(error: sql_errors.DBAPIError) -> str:
    """The error text of the server, unless it may repeat the content of a row."""
    number = _number(error)
    said = [str(each) for each in (error.orig.args if error.orig is not None else ())[1:]]
    about_rows = number in _STANDS_IN_THE_WAY or not said
    return f"error {number}" if about_rows else f"{said[0]} (error {number})"


# Moving rows, and the report of it

BATCH: Final = 1000
"""Rows that are in memory at a time."""
WITHOUT_ACCOUNT: Final = {
    Kind.DEVICES: "no such account; created",
    Kind.CONTACTS: "no account for one of the two phones",
}
_COLUMNS: Final[dict[Kind, tuple[Column[str], ...]]] = {
    Kind.ACCOUNTS: (account.c.phone,),
    Kind.DEVICES: (account_device.c.phone, account_device.c.device_id),
    Kind.CONTACTS: (contact.c.owner, contact.c.contact),
}
"""The columns of a key in callnet's tables."""


class Report:
    """Counts, and tells. It keeps no rows.

    :param tell: writes a line about one row.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._read: Counter[Kind] = Counter()
        self._moved: Counter[Kind] = Counter()
        self._refused: Counter[tuple[Kind, str]] = Counter()
        self._noted: Counter[tuple[Kind, str]] = Counter()

    def read(self, kind: Kind, rows: int) -> None:
        """Rows read."""
        self._read[kind] += rows

    def moved(self, kind: Kind, rows: int) -> None:
        """Rows added."""
        self._moved[kind] += rows

    def refused(self, kind: Kind, place: str, values: Sequence[object], reason: str) -> None:
        """A row stays behind."""
        self._refused[kind, reason] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: rejected: {reason}")

    def noted(self, kind: Kind, place: str, values: Sequence[object], what: str) -> None:
        """There is something about a row that is taken."""
        self._noted[kind, what] += 1
        self._tell(f"{kind}: {place}{shown(kind, values)}: {what}")

    @property
    def is_complete(self) -> bool:
        """True if no row was rejected."""
        return not self._refused

    def lines(self, moved: str) -> Iterator[str]:
        """The counts.

        :param moved: what was done with rows that were not there yet, such as ``imported``.
        """
        for kind in Kind:
            refused = sum(number for (of, _), number in self._refused.items() if of is kind)
            there = self._read[kind] - self._moved[kind] - refused
            numbers = f"{self._moved[kind]} {moved}, {there} already present, {refused} rejected"
            yield f"{kind}: {self._read[kind]} read, {numbers}"
            for counted, word in ((self._refused, "rejected: "), (self._noted, "")):
                for (of, text), number in counted.items():
                    if of is kind:
                        yield f"    {number} {word}{text}"


def take_over(older: Snapshot, database: Database | None, rule: PhoneRule, report: Report, trial: bool) -> None:
    """Put what the older server has into callnet's database. What is there is left as it is.

    :param database: ``None``: there is none yet, which a trial takes for an empty one.
    :param trial: change nothing.
    """
    for kind in Kind:
        judge = Judge(kind, rule)
        for rows in older.batches(kind, BATCH):
            keys = _accepted(kind, judge, rows, report)
            new = keys if database is None else missing(database, kind, keys)
            if new and database is not None and not trial:
                add(database, kind, new, time.time())
            report.read(kind, len(rows))
            report.moved(kind, len(new))


def _accepted(kind: Kind, judge: Judge, rows: Sequence[Row], report: Report) -> Sequence[Key]:
    keys = []
    for row in rows:
        verdict = judge.judge(row)
        if isinstance(verdict, Refused):
            report.refused(kind, f"{row.place}, ", row.values, verdict.reason)
            continue
        keys.append(verdict)
        if not row.has_accounts:
            report.noted(kind, f"{row.place}, ", row.values, WITHOUT_ACCOUNT[kind])
    return keys


def give_back(database: Database | None, older: Additions, report: Report, trial: bool) -> None:
    """Add to the older server's database what it has not. Nothing is changed there, and nothing removed.

    :param database: ``None``: there is none yet.
    :param trial: change nothing; then it is not known what the older server would refuse.
    """
    if database is None:
        return
    for kind in Kind:
        for keys in pages(database, kind, BATCH):
            new = older.missing(kind, keys)
            refused = 0
            for key in () if trial else new:
                reason = older.add(kind, key)
                if reason is not None:
                    refused += 1
                    report.refused(kind, "", key, reason)
            report.read(kind, len(keys))
            report.moved(kind, len(new) - refused)


def missing(database: Database, kind: Kind, keys: Collection[Key]) -> Sequence[Key]:
    """Those of ``keys`` that callnet does not have, in the same order. It costs least if they are neighbours."""
    columns = _COLUMNS[kind]
    # Not by whole keys: of a thousand pairs PostgreSQL makes a thousand conditions.
    of_phones = columns[0].in_({key[0] for key in keys})
    with database.read() as connection:
        there = set(map(tuple, connection.execute(select(*columns).where(of_phones))))
    return [key for key in keys if key not in there]


def add(database: Database, kind: Kind, keys: Sequence[Key], now: float) -> None:
    """Add rows to callnet's, all or none; what is there is left as it is. A device without an account gets one."""
    if kind is Kind.CONTACTS:
        contacts.add(database, (), now, missing=[Pair(*key) for key in keys])
        return
    rows: list[dict[str, Any]] = [{"phone": key[0], "device_id": key[1]} for key in keys if kind is Kind.DEVICES]
    with database.write() as connection:
        make(database, connection, dict.fromkeys(key[0] for key in keys), rows, None)


def pages(database: Database, kind: Kind, size: int) -> Iterator[Sequence[Key]]:
    """All rows that callnet has, in order, in pages."""
    columns = _COLUMNS[kind]
    key, last = tuple_(*columns), None
    while True:
        statement = select(*columns).order_by(*columns).limit(size)
        if last is not None:
            statement = statement.where(key > tuple_(*last))
        with database.read() as connection:
            page = [tuple(row) for row in connection.execute(statement)]
        if not page:
            return
        yield page
        last = page[-1]
