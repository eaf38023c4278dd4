"""The profiles of phones in the database: a name and a photo, for those who may see them."""

from __future__ import annotations

from hashlib import sha256

from msgspec import Struct, UnsetType
from sqlalchemy import ColumnElement, Connection, Exists, FromClause, exists, select

from callnet.model import Topic
from callnet.storage import changes
from callnet.storage.database import Database
from callnet.storage.schema import PHOTO_VERSION_MAX, blocked, contact, contacts_only, profile
from callnet.storage.threads import Queries, Run, in_thread

_row = profile.c


class Photo(Struct, frozen=True):
    """A photo."""

    kind: str
    """``jpeg``, ``png`` or ``webp``."""
    data: bytes
    """At most :data:`callnet.model.PHOTO_MAX` of them."""

    @property
    def version(self) -> str:
        """Its name: another photo has another one."""
        return sha256(self.data).hexdigest()[:PHOTO_VERSION_MAX]


def photo_columns(photo: Photo | None) -> dict[str, str | bytes | None]:
    """The columns of a photo, in a profile or of a contact."""
    if photo is None:
        return {"photo": None, "photo_kind": None, "photo_version": None}
    return {"photo": photo.data, "photo_kind": photo.kind, "photo_version": photo.version}


class Profile(Struct, frozen=True):
    """The name and the photo of a phone."""

    name: str = ""
    photo: str | None = None
    """The version of its photo, if it has one."""


class SqlProfiles(Queries):
    """The profiles, for the daemon. A change notifies every node.

    :param mutual: show them only to phones that their own phone lists.
    """

    def __init__(self, database: Database, run: Run, mutual: bool = False) -> None:
        super().__init__(database, run)
        self._mutual = mutual

    @in_thread
    def change(self, phone: str, name: str | UnsetType, photo: Photo | UnsetType | None, now: float) -> Profile:
        """Change a profile, and return all of it.

        :param photo: ``None``: the phone has none.
        :param now: in seconds since 1970.
        """
        values: dict[str, str | bytes | None] = {}
        if not isinstance(name, UnsetType):
            values["name"] = name
        if not isinstance(photo, UnsetType):
            values |= photo_columns(photo)
        if not values:
            with self._database.read() as connection:
                return profile_of(connection, phone)
        insert = self._database.insert_or_replace(profile, *values, "changed_at")
        with self._database.write() as connection:
            connection.execute(insert, {"name": "", **values, "phone": phone, "changed_at": now})
            changes.note(connection, [phone], now, Topic.PROFILE)
            return profile_of(connection, phone)

    @in_thread
    def photo(self, phone: str, asker: str) -> Photo | None:
        """The photo of a phone: the one that the asker has given its contact, else its own; ``None``: there is none, or
        the asker may not see it.
        """
        row = contact.c
        given = select(row.photo_kind, row.photo).where(
            row.owner == asker, row.contact == phone, row.photo_version.is_not(None)
        )
        own = select(_row.photo_kind, _row.photo).where(
            _row.phone == phone, _row.photo.is_not(None), is_visible(_row.phone, asker, self._mutual)
        )
        with self._database.read() as connection:
            found = connection.execute(given).first() or connection.execute(own).first()
        return None if found is None else Photo(found.photo_kind, found.photo)


def profile_of(connection: Connection, phone: str) -> Profile:
    """The profile of a phone."""
    found = connection.execute(select(_row.name, _row.photo_version).where(_row.phone == phone)).first()
    return Profile() if found is None else Profile(found.name, found.photo_version)


def photo_of(connection: Connection, phone: str) -> Photo | None:
    """The photo of a phone, if it has one."""
    found = connection.execute(select(_row.photo_kind, _row.photo).where(_row.phone == phone)).first()
    return None if found is None or found.photo is None else Photo(found.photo_kind, found.photo)


def is_visible(owner: ColumnElement[str], asker: str, mutual: bool) -> ColumnElement[bool]:
    """The condition under which a phone may see the profile of another.

    It is its own; or the owner does not block it, and lists it, or is listed by it and lets anyone call. So quiet hours
    apart, whoever sees it may call.

    :param mutual: being listed by the asker is not enough.
    """
    theirs, ours = contact.alias(), contact.alias()  # the statement may be about lists, too
    lists: ColumnElement[bool] = _exists(theirs, theirs.c.owner == owner, theirs.c.contact == asker)
    if not mutual:
        is_listed = _exists(ours, ours.c.owner == asker, ours.c.contact == owner)
        lists |= is_listed & ~_exists(contacts_only, contacts_only.c.phone == owner)
    return (owner == asker) | (lists & ~_exists(blocked, blocked.c.owner == owner, blocked.c.phone == asker))


def _exists(table: FromClause, *which: ColumnElement[bool]) -> Exists:
    return exists().where(*which).correlate_except(table)
