"""One-time codes in the database, so that every node knows them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, update
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.accounts.ports import ICodes
from callnet.storage.database import Database
from callnet.storage.tables import Run, one_time_code, shared_time

_HOUR: Final = 3600.0


@implementer(ICodes)
class SqlCodes:
    """One code for each phone that was sent one lately."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run

    def put(self, phone: str, digest: bytes, now: float, valid_for: float, most: int) -> Deferred[bool]:
        """See :meth:`ICodes.put`."""
        return self._run(self._put, phone, digest, now, valid_for, most)

    def _put(self, phone: str, digest: bytes, now: float, valid_for: float, most: int) -> bool:
        row = one_time_code.c
        with self._database.write() as connection:
            self._database.take_turns(connection, phone)
            time = shared_time(connection, now)
            connection.execute(one_time_code.delete().where(row.since < time - _HOUR, row.expires_at < time))
            sent = connection.execute(
                select(row.since, row.sent).where(row.phone == phone, row.since >= time - _HOUR)
            ).first()
            if sent is not None and sent.sent >= most:
                return False
            new = self._database.insert_or_replace(one_time_code).values(
                phone=phone,
                digest=digest,
                expires_at=time + valid_for,
                tries=0,
                since=time if sent is None else sent.since,
                sent=1 if sent is None else sent.sent + 1,
            )
            connection.execute(new)
        return True

    def try_(self, phone: str, now: float, most: int) -> Deferred[bytes | None]:
        """See :meth:`ICodes.try_`."""
        return self._run(self._try, phone, now, most)

    def _try(self, phone: str, now: float, most: int) -> bytes | None:
        row = one_time_code.c
        with self._database.write() as connection:
            statement = (
                update(one_time_code)
                .where(row.phone == phone, row.expires_at > shared_time(connection, now), row.tries < most)
                .values(tries=row.tries + 1)
            )
            if not connection.execute(statement).rowcount:
                return None
            kept: bytes | None = connection.scalar(select(row.digest).where(row.phone == phone))
            return kept

    def spend(self, phone: str, digest: bytes) -> Deferred[bool]:
        """See :meth:`ICodes.spend`."""
        return self._run(self._spend, phone, digest)

    def _spend(self, phone: str, digest: bytes) -> bool:
        row = one_time_code.c
        statement = (
            update(one_time_code)
            .where(row.phone == phone, row.digest == digest, row.expires_at > 0)
            .values(digest=b"", expires_at=0.0)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0
