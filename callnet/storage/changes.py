"""Changes of data that nodes cache: each node looks every second, whoever made them.

The row of a change is written in the transaction that makes the change. Of two transactions the one with the
greater id may be the first to be seen, so each look asks again for the ids that were left out so far.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from msgspec import Struct
from sqlalchemy import Connection, func, insert, or_, select

from callnet.model import Topic
from callnet.storage.database import Database, Queries, Run, in_thread
from callnet.storage.schema import change, shared_time
from callnet.util.deferreds import as_deferred

KEPT: Final = 600.0
"""Seconds for which a change can be seen."""
_LATE_MAX: Final = 60.0
"""Seconds within which a transaction that has taken an id ends."""
_BEGUN_BEFORE: Final = 1000
"""Ids before the newest one that may still be seen late at a look at everything."""
_TOPICS: Final = frozenset(Topic)
_GAPS_MAX: Final = 200
"""Gaps that are asked about one by one."""


class Changed(Struct, frozen=True):
    """The changes since the last read."""

    phones: Mapping[str, Collection[Topic]]
    """The changed phones, each with what its devices are to read again."""
    time: float
    """The time of the read, in seconds since 1970, by the database's clock, which all nodes share. Of a file of SQLite
    that is the machine's."""
    is_all: bool = False
    """True if anything else may have changed as well: it was the first read, or the last was too long ago."""


def note(connection: Connection, phones: Iterable[str], now: float, topic: Topic | None = None) -> None:
    """Write down, within a transaction, that something has changed about these phones.

    :param now: see :func:`shared_time`.
    :param topic: what their devices are to read again; ``None``: nothing.
    """
    rows = [{"phone": phone, "topic": topic} for phone in dict.fromkeys(phones)]
    if rows:
        time = shared_time(connection, now)
        connection.execute(change.delete().where(change.c.at < time - KEPT))
        connection.execute(insert(change).values(at=time), rows)


class _Gap(Struct, frozen=True):
    """Ids of which no row was there: their transactions have not ended yet, or were rolled back."""

    first: int
    last: int
    noticed_at: float


class _Seen(Struct, frozen=True):
    """The changes that a node has seen."""

    newest: int
    """The greatest of their ids."""
    looked_at: float
    """The time of the read."""
    gaps: Sequence[_Gap] = ()
    """Lesser ids that were left out."""
    gave_up_at: float | None = None
    """The time when there were too many gaps to ask about."""


class SqlChanges(Queries):
    """The changes that one node has not seen yet.

    :param now: the time, in seconds since 1970.
    """

    def __init__(self, database: Database, run: Run, now: Callable[[], float]) -> None:
        super().__init__(database, run)
        self._now = now
        self._seen: _Seen | None = None

    @as_deferred
    async def new(self) -> Changed:
        """Read the new changes. Those of a read that fails, or ends too late, are new at the next one."""
        changed, self._seen = await self._read(self._seen)
        return changed

    @in_thread
    def _read(self, seen: _Seen | None) -> tuple[Changed, _Seen]:
        """Read the changes after those seen."""
        row = change.c
        with self._database.read() as connection:
            time_now = shared_time(connection, self._now())
            oldest, newest, time = connection.execute(select(func.min(row.id), func.max(row.id), time_now)).one()
            oldest, newest = oldest or 0, newest or 0
            is_all = seen is None or _has_missed(seen, oldest, newest, time)
            if seen is None or is_all:
                seen = _Seen(max(newest - _BEGUN_BEFORE, 0), time)
            wanted = [row.id.between(gap.first, gap.last) for gap in seen.gaps]
            if newest > seen.newest or wanted:
                rows = connection.execute(
                    select(row.id, row.phone, row.topic).where(or_(row.id > seen.newest, *wanted))
                ).all()
            else:
                rows = []
        ids = sorted(found.id for found in rows)
        latest = max([seen.newest, newest, *ids[-1:]])
        late = [gap for gap in seen.gaps if time - gap.noticed_at < _LATE_MAX]
        gaps = [*_without(late, ids), *_without([_Gap(seen.newest + 1, latest, time)], ids)]
        now_seen = _Seen(latest, time, gaps, seen.gave_up_at)
        if len(gaps) > _GAPS_MAX:
            now_seen = _Seen(latest, time, (), time)
        phones: dict[str, set[Topic]] = {}
        for found in rows:
            topics = phones.setdefault(found.phone, set())
            if found.topic in _TOPICS:  # a newer release may know others
                topics.add(Topic(found.topic))
        return Changed(phones, time, is_all), now_seen


def _has_missed(seen: _Seen, oldest: int, newest: int, time: float) -> bool:
    """Tell whether changes may be gone that were not seen: it was too long ago, or others had another database."""
    if not -_LATE_MAX < time - seen.looked_at < KEPT / 2 or oldest > seen.newest + 1 or newest < seen.newest:
        return True
    return seen.gave_up_at is not None and time - seen.gave_up_at >= _LATE_MAX


def _without(gaps: Iterable[_Gap], seen: Sequence[int]) -> Iterator[_Gap]:
    """The gaps that are left when these ids, in order, were seen."""
    for gap in gaps:
        ids = [gap.first - 1, *(one for one in seen if gap.first <= one <= gap.last), gap.last + 1]
        for one, next_ in pairwise(ids):
            if next_ - one > 1:
                yield _Gap(one + 1, next_ - 1, gap.noticed_at)
