"""The schema of the database: its tables, the SQL that both databases understand, its level, and its upgrade.

Each migration is numbered: ``0015`` makes the schema of the first release, and ``0016`` and so on change it. The
*level* of the code is the number of the newest migration that it brings. Migrations only add, so older code usually
works on with a newer schema, and nodes can be upgraded one by one. Where it does not, the migration raises
``schema_info.oldest_code`` to the level of the oldest code that does. A new database is not migrated: it gets
the tables as the newest migration leaves them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from sqlalchemy import (
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    ForeignKey,
    Index,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    cast,
    extract,
    func,
    inspect,
    literal,
    select,
    text,
)

from callnet.calls.preferences import TIME_ZONE_MAX
from callnet.errors import StartError
from callnet.model import (
    CONTACT_NAME_MAX,
    DEVICE_ID_MAX,
    DEVICE_LABEL_MAX,
    EVERY_DEVICE,
    LINK_ID_LENGTH,
    LINK_NAME_MAX,
    PHONE_MAX,
    PROFILE_NAME_MAX,
    PUSH_TARGET_MAX,
    DeviceAddress,
)

_P = ParamSpec("_P")
_T = TypeVar("_T")


def insert_rows(connection: Connection, insert: Insert, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert many rows with the driver's own ``executemany`` (PEP 249).

    SQLAlchemy's own looks at each value of each row, which takes as long as the database does, and the interpreter's
    lock.

    :param rows: their values by the names of the columns, as the driver takes them; all have the same.
    """
    compiled = insert.compile(dialect=connection.dialect, column_keys=list(rows[0]))
    places = compiled.positiontup
    values: Any = rows if places is None else list(map(itemgetter(*places), rows))
    connection.exec_driver_sql(str(compiled), values)


def shared_time(connection: Connection, now: float) -> ColumnElement[float]:
    """The time by the clock that all who use a database have in common, in seconds since 1970.

    :param now: the time of this machine, by which a file of SQLite goes; PostgreSQL goes by its server's.
    """
    if connection.dialect.name == "postgresql":
        return cast(extract("epoch", func.clock_timestamp()), Double)
    return literal(now, Double)


JTI_MAX: Final = 255
"""The longest id of a token that can be revoked, in characters."""
OUTCOME_MAX: Final = 20
"""The longest word for how a call came out."""
FAILURE_MAX: Final = 60
"""The longest text about why an event was not taken."""
TOPIC_MAX: Final = 10
"""The longest word for what a change is about."""
LINK_SECRET_LENGTH: Final = 22
"""The characters of a link's secret."""
PHOTO_KIND_MAX: Final = 4
"""The longest word for the format of a photo."""
PHOTO_VERSION_MAX: Final = 16
"""The longest name of one version of a photo."""
PUSH_KIND_MAX: Final = 10
"""The longest word for a way to wake a device."""


def text_of(longest: int) -> String:
    """The type of a column of texts of at most ``longest`` characters, which both databases sort by code points.

    Migrations use it, too: if it changed, upgraded databases would differ from new ones.
    """
    return String(longest).with_variant(String(longest, collation="C"), "postgresql")


def _index_of_set(name: str, column: str, *indexed: str) -> Index:
    # PostgreSQL's option would import its dialect, for SQLite too (callnet.storage.postgresql).
    return Index(name, *(indexed or [column]), sqlite_where=text(f"{column} IS NOT NULL"))


def _phone(name: str) -> Column[str]:
    return Column(name, text_of(PHONE_MAX), primary_key=True)


def _pairs_of_phones(name: str) -> Table:
    return Table(name, metadata, _phone("owner"), _phone("phone"))


metadata = MetaData()

account = Table("account", metadata, _phone("phone"))

account_device = Table(
    "account_device",
    metadata,
    Column("phone", text_of(PHONE_MAX), ForeignKey(account.c.phone), primary_key=True),
    Column("device_id", text_of(DEVICE_ID_MAX), primary_key=True),
    Column("secret", LargeBinary(32)),  # SHA-256 of the secret without which it may not log in
    Column("offered", LargeBinary(32)),  # the same of one that it was offered and has not used yet
    Column("by_login", Boolean),  # whether a login made it: a phone has a limited number of these
    Column("unused_since", Double),  # when a login made it, in seconds since 1970, until it is used
    Column("label", text_of(DEVICE_LABEL_MAX)),  # what its owner calls it
    Column("last_used_at", Double),  # in seconds since 1970, to the day
    Column("kiosk_pin", LargeBinary(48)),  # a salt and the hash of the PIN that ends its kiosk; NULL: it is none
    Column("wrong_pins", Integer),  # one after the other
    Column("locked_until", Double),  # the time before which no PIN is looked at, in seconds since 1970
    Column("auto_answers", Boolean),  # whether it answers the callers of auto_answer
    _index_of_set("account_device_unused", "unused_since"),
)

# Tokens that are refused though they have not expired: those of one login, or of all logins before a time.
revocation = Table(
    "revocation",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("phone", text_of(PHONE_MAX), nullable=False, index=True),
    Column("device_id", text_of(DEVICE_ID_MAX), nullable=False),  # * for every device of the phone
    Column("before", Double),  # times are seconds since 1970, by the database's clock
    Column("jti", text_of(JTI_MAX)),  # the id of the login session, which is that of its first token
    Column("expires_at", Double, nullable=False, index=True),  # from then on all these tokens have expired
)

# The newest code of each phone that was sent one in the last hour; what is kept is its keyed hash.
one_time_code = Table(
    "one_time_code",
    metadata,
    _phone("phone"),
    Column("digest", LargeBinary(32), nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("since", Double, nullable=False),  # the hour that counts began then
    Column("sent", Integer, nullable=False),  # the number in that hour
)

# Devices that wait to be let in by another device of a phone, and for some minutes what became of that.
pairing = Table(
    "pairing",
    metadata,
    Column("id", text_of(32), primary_key=True),
    Column("secret", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the secret that the device will have
    Column("code", LargeBinary(32), nullable=False, unique=True),  # SHA-256 of the letters that it shows
    Column("name", text_of(DEVICE_LABEL_MAX), nullable=False),  # what it calls itself
    Column("begun_at", Double, nullable=False),  # times are seconds since 1970, by the database's clock
    Column("expires_at", Double, nullable=False, index=True),
    Column("is_refused", Boolean, nullable=False),
    Column("phone", text_of(PHONE_MAX)),  # the device that it has become
    Column("device_id", text_of(DEVICE_ID_MAX)),
)

# Links that ring a phone. Who has the secret needs no account.
link = Table(
    "link",
    metadata,
    Column("id", text_of(LINK_ID_LENGTH), primary_key=True),  # begins the SHA-256 of the secret
    Column("phone", text_of(PHONE_MAX), nullable=False, index=True),
    Column("secret", text_of(LINK_SECRET_LENGTH), nullable=False),  # as it is: its owner is shown it again
    Column("name", text_of(LINK_NAME_MAX), nullable=False),
    Column("is_on", Boolean, nullable=False),
    Column("begins", Integer),  # of each day: the part in which it rings, as that of quiet hours, or all of it
    Column("ends", Integer),
    Column("time_zone", text_of(TIME_ZONE_MAX)),
    Column("expires_at", Double),  # times are seconds since 1970
    Column("calls_left", Integer),  # that may still be answered
    Column("made_at", Double, nullable=False),
    Column("last_used_at", Double),  # when a call by it was last answered
)

# Phones about which something has changed that nodes remember, and when: each of them looks here every second.
change = Table(
    "change",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("phone", text_of(PHONE_MAX), nullable=False),
    Column("at", Double, nullable=False),  # by the database's clock
    Column("topic", text_of(TOPIC_MAX)),  # what devices of the phone are to read again, if anything
    sqlite_autoincrement=True,
)

# Pairs of phones. Neither needs an account yet: lists may be imported before anyone logs in.
contact = Table(
    "contact",
    metadata,
    _phone("owner"),
    _phone("contact"),
    Column("name", text_of(CONTACT_NAME_MAX), nullable=False),
    Column("favourite", Boolean),
    Column("is_dismissed", Boolean),  # the contact does not want to be told any more that it is listed
    Column("photo_kind", text_of(PHOTO_KIND_MAX)),  # the photo that the owner has given it: all three, or none
    Column("photo_version", text_of(PHOTO_VERSION_MAX)),
    Column("photo", LargeBinary),  # at most PHOTO_MAX bytes
    Index("contact_contact", "contact"),
)

# Pairs of phones: ``owner`` does not want to hear of ``phone``, whether or not it is a contact.
blocked = _pairs_of_phones("blocked")

# How each phone presents itself to others. A photo has all three, or none.
profile = Table(
    "profile",
    metadata,
    _phone("phone"),
    Column("name", text_of(PROFILE_NAME_MAX), nullable=False),
    Column("photo", LargeBinary),  # at most PHOTO_MAX bytes
    Column("photo_kind", text_of(PHOTO_KIND_MAX)),
    Column("photo_version", text_of(PHOTO_VERSION_MAX)),
    Column("changed_at", Double, nullable=False),  # in seconds since 1970
)

# Phones that want to be called by their contacts alone.
contacts_only = Table("contacts_only", metadata, _phone("phone"))

# The part of each day in which a phone is not to ring, in minutes of the day; see ``callnet.calls.preferences``.
quiet_hours = Table(
    "quiet_hours",
    metadata,
    _phone("phone"),
    Column("begins", Integer, nullable=False),
    Column("ends", Integer, nullable=False),
    Column("time_zone", text_of(TIME_ZONE_MAX), nullable=False),
)

# Phones that are not to ring before a time, whatever their quiet hours.
quiet_until = Table(
    "quiet_until",
    metadata,
    _phone("phone"),
    Column("until", Double, nullable=False),  # in seconds since 1970
)

# Pairs of phones: ``phone`` may call ``owner`` in its quiet hours too.
rings_through = _pairs_of_phones("rings_through")

# Phones that ring in their quiet hours when somebody calls again.
second_call_rings = Table("second_call_rings", metadata, _phone("phone"))

# Pairs of phones: devices of ``owner`` may answer ``phone`` by themselves.
auto_answer = _pairs_of_phones("auto_answer")

# Calls that are over. Each of both phones has those whose outcome for it is set in its history.
past_call = Table(
    "past_call",
    metadata,
    Column("started_at", Double, primary_key=True),  # times are seconds since 1970
    Column("room_id", text_of(32), primary_key=True),  # as its caller knows it
    Column("caller_phone", text_of(PHONE_MAX), nullable=False),
    Column("caller_device_id", text_of(DEVICE_ID_MAX), nullable=False),
    Column("caller_outcome", text_of(OUTCOME_MAX)),
    Column("asked_device_id", text_of(DEVICE_ID_MAX), nullable=False),  # the called device, as the caller knows it
    Column("callee_phone", text_of(PHONE_MAX), nullable=False),
    Column("callee_device_id", text_of(DEVICE_ID_MAX), nullable=False),  # * if no device answered or refused
    Column("callee_room_id", text_of(32), nullable=False),
    Column("callee_outcome", text_of(OUTCOME_MAX)),
    Column("answered_at", Double),
    Column("ended_at", Double, nullable=False),
    Column("auto_answered", Boolean, nullable=False),
    _index_of_set("past_call_caller", "caller_outcome", "caller_phone", "started_at"),
    _index_of_set("past_call_callee", "callee_outcome", "callee_phone", "started_at"),
)

# Empty: only 1.0.0rc1 reads it, and only code from before that wrote it. When that is no longer the release before
# this one, the table can go.
call_history = Table(
    "call_history",
    metadata,
    _phone("phone"),
    Column("started_at", Double, primary_key=True),
    Column("room_id", text_of(32), primary_key=True),
    Column("incoming", Boolean, primary_key=True),
    Column("device_id", text_of(DEVICE_ID_MAX), nullable=False),
    Column("peer_phone", text_of(PHONE_MAX), nullable=False),
    Column("peer_device_id", text_of(DEVICE_ID_MAX), nullable=False),
    Column("answered_at", Double),
    Column("ended_at", Double, nullable=False),
    Column("outcome", text_of(OUTCOME_MAX), nullable=False),
    Column("auto_answered", Boolean, nullable=False),
    Index("call_history_age", "started_at"),
    sqlite_with_rowid=False,
)

# Until when each device that speaks ``callnet.v2`` has heard which calls its phone has missed.
heard_until = Table(
    "heard_until",
    metadata,
    _phone("phone"),
    Column("device_id", text_of(DEVICE_ID_MAX), primary_key=True),
    Column("at", Double, nullable=False),  # seconds since 1970
    sqlite_with_rowid=False,
)

# Events for a program of the operator's. One of three times is set: when it is to be sent, when that was done with, or
# when it was given up. A settled event keeps only its id for some time, so that nobody writes it again.
outbox = Table(
    "outbox",
    metadata,
    Column("id", text_of(32), primary_key=True),
    Column("event", text_of(20), nullable=False),
    Column("created_at", Double, nullable=False),  # times are seconds since 1970
    Column("body", Text, nullable=False),  # JSON; empty when it is done with
    Column("phone", text_of(PHONE_MAX)),  # the phone that it names
    Column("peer_phone", text_of(PHONE_MAX)),
    Column("due_at", Double),  # whoever is at work on it has put it off until then
    Column("done_at", Double),
    Column("died_at", Double),
    Column("tries", Integer, nullable=False),
    Column("failure", text_of(FAILURE_MAX), nullable=False),  # of the last try, if there was one
    *(_index_of_set(f"outbox_{column}", column) for column in ("due_at", "done_at", "died_at")),
    sqlite_with_rowid=False,
)

# How devices that sleep are woken. ``target`` means something only to who wakes them.
push_registration = Table(
    "push_registration",
    metadata,
    _phone("phone"),
    Column("device_id", text_of(DEVICE_ID_MAX), primary_key=True),
    Column("kind", text_of(PUSH_KIND_MAX), nullable=False),
    Column("target", text_of(PUSH_TARGET_MAX), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("push_registration_target", "target", info={"is_long": True}),
)

# One row. ``oldest_code`` is the level of the oldest code that may still use the schema (:func:`check`).
schema_info = Table("schema_info", metadata, Column("oldest_code", Integer, nullable=False))


def covered_by(address: DeviceAddress, table: Table) -> ColumnElement[bool]:
    """The rows of a table that are of a device, or for ``*`` of any device of a phone."""
    of_phone = table.c.phone == address.phone
    return of_phone if address.device_id == EVERY_DEVICE else of_phone & (table.c.device_id == address.device_id)


SETTING: Final = "database.url"

_MIGRATIONS: Final = Path(__file__).parent / "migrations"

_FIRST_RELEASE: Final = 15
"""The level of 1.0.0rc1, the first release. What was made by code from before it cannot be migrated any more."""

_OLDEST_CODE: Final = 1
"""The value that the migrations leave in ``schema_info.oldest_code``."""

_version = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
"""Alembic's table with the number of the newest migration that was done."""

ADVISORY_LOCK: Final = 0x63616C6C6E6574
"""``callnet``: whoever upgrades holds this lock of PostgreSQL."""


def code_level() -> int:
    """The number of the newest migration that this code brings."""
    return max(int(path.name[1:5]) for path in (_MIGRATIONS / "versions").glob("m*.py"))


def database_level(connection: Connection) -> int:
    """The number of the newest migration that was done; 0: the database is new.

    :raises StartError: it is not callnet's, or older than the first release.
    """
    revision = connection.scalar(select(_version)) if inspect(connection).has_table(_version.name) else None
    try:
        level = int(revision or 0)
    except ValueError:
        raise StartError(f"{SETTING}: this database belongs to another program; name an empty one") from None
    if 0 < level < _FIRST_RELEASE:
        raise StartError(
            f"{SETTING}: schema level {level} is older than the first release; "
            "run `callnet database upgrade` of callnet 1.0.0rc1, then this version"
        )
    return level


def upgrade(connection: Connection) -> None:
    """Bring the schema up to date, in the transaction that ``connection`` is in.

    On SQLite that must be a writing transaction, which nobody else can have at the same time; on
    PostgreSQL this waits until nobody else upgrades.

    :raises StartError: the database needs newer code, or is too old.
    """
    if connection.dialect.name == "postgresql":
        # Another upgrade may take long: do not time out.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
    level = database_level(connection)
    if level == 0:
        _make(connection)
    elif level < code_level():
        migrate(connection)
    else:
        check(connection)


def check(connection: Connection) -> None:
    """Make sure that this code may use the database as it is.

    :raises StartError: the schema is too old, or needs newer code.
    """
    theirs, ours = database_level(connection), code_level()
    if theirs < ours:
        raise StartError(
            f"{SETTING}: schema level {theirs} is older than this version needs ({ours}); run: callnet database upgrade"
        )
    oldest = connection.scalar(select(schema_info.c.oldest_code)) or 0
    if oldest > ours:
        raise StartError(
            f"{SETTING}: the database needs schema level {oldest}, but this version has {ours}; install a newer callnet"
        )


def migrate(connection: Connection, to: str = "head") -> None:
    """Do the migrations that the database has not seen, in the transaction that ``connection`` is in.

    :param to: the number of the last of them.
    """
    # Nearly all starts find nothing to migrate, and importing Alembic is a tenth of one.
    from alembic import command
    from alembic.config import Config

    configuration = Config()
    configuration.set_main_option("script_location", "callnet.storage:migrations")
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, to)


def _make(connection: Connection) -> None:
    """Leave a new database as the migrations would."""
    metadata.create_all(connection, checkfirst=False)
    _version.create(connection, checkfirst=False)
    connection.execute(_version.insert().values(version_num=f"{code_level():04}"))
    connection.execute(schema_info.insert().values(oldest_code=_OLDEST_CODE))
