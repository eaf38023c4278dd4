"""One-time codes in the database, so that every node knows them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select, update

from callnet.storage.schema import one_time_code, shared_time
from callnet.storage.threads import Queries, in_thread

_HOUR: Final = 3600.0


class SqlCodes(Queries):
    """The newest one-time code of each phone, and its number of guesses. Times are seconds since 1970."""

    @in_thread
    def put(self, phone: str, digest: bytes, now: float, valid_for: float, most: int) -> bool:
        """Store a code in the place of the previous one; return whether that is within the limit.

        :param most: the maximum number of codes for a phone in an hour.
        """
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

    @in_thread
    def try_(self, phone: str, now: float, most: int) -> bytes | None:
        """Count a guess, and return the stored code; ``None``: there is no valid one, or it had the most guesses."""
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

    @in_thread
    def spend(self, phone: str, digest: bytes) -> bool:
        """Invalidate a code; return whether it was valid until now."""
        row = one_time_code.c
        statement = (
            update(one_time_code)
            .where(row.phone == phone, row.digest == digest, row.expires_at > 0)
            .values(digest=b"", expires_at=0.0)
        )
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0
