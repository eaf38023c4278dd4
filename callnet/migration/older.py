"""The database of the older server: the names of its tables, its rows, and which of them callnet can take."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct
from sqlalchemy import (
    URL,
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
)
from sqlalchemy import exc as sql_errors

from callnet.accounts.enrolment import PhoneRule, is_device_id
from callnet.config.load import decode_toml
from callnet.errors import CallnetError
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, has_control_characters


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
