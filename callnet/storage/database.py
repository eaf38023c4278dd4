"""A database, SQLite or PostgreSQL, set up so that both behave alike, and the threads in which the daemon talks to it.

Everything here blocks but :class:`Threads`: the daemon never calls it on the thread of the reactor.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial, wraps
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, Concatenate, Final, NoReturn, ParamSpec, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, Insert, Table, create_engine, event, make_url, select, text
from sqlalchemy import exc as sql_errors
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.python.threadpool import ThreadPool

from callnet.errors import StartError, Unavailable, root_cause
from callnet.storage import schema
from callnet.storage.schema import account, metadata
from callnet.util import files
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

_WRITES = "callnet_writes"
"""The execution option of connections whose transactions write: what SQLite calls ``synchronous``."""

_BUSY_TIMEOUT = 10.0
"""The time for which a process waits for another that writes to the same SQLite file, in seconds."""
_LOOKS_EVERY: Final = 100
"""Milliseconds after which it looks whether anybody still wants it to."""

_POSTGRESQL_THREADS: Final = 4

_POSTGRESQL_TIMEOUTS = {
    "connect_timeout": "3",
    "tcp_user_timeout": "5000",
    "options": "-c statement_timeout=5000",
}
"""In the words of libpq, unless the URL has its own: no thread may wait forever for a host that is gone."""

_TURNS: Final = 0x63616C6C
"""``call``. PostgreSQL's locks for turns are pairs of numbers that begin with it, and no others are pairs."""
_TAKE_TURNS: Final = text("SELECT pg_advisory_xact_lock(:space, hashtext(:subject))")

_ROOM: Final = 2**20
"""Bytes without which the disk counts as full."""
_DAMAGED: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

_AWAY = (sql_errors.OperationalError, sql_errors.InterfaceError, sql_errors.TimeoutError, OSError)


class Database:
    """A database.

    :param url: as SQLAlchemy writes it, ``sqlite:///FILE`` or ``postgresql://…``.
    :raises StartError: not such a URL.
    """

    def __init__(self, url: str) -> None:
        self._url = _parse(url)
        self._is_sqlite = self._url.drivername == "sqlite+pysqlite"
        self._given_up = Event()
        self.in_memory: Final = self._is_sqlite and self._url.database in (None, "", ":memory:")
        self._engine = self._sqlite_engine() if self._is_sqlite else self._postgresql_engine()
        # A statement that reads is a transaction of its own: it costs no BEGIN and no ROLLBACK.
        self._reading = (
            self._engine if self._is_sqlite else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._writing, self._writing_loosely = (
            self._engine.execution_options(**{_WRITES: level}) for level in ("FULL", "NORMAL")
        )

    @property
    def threads(self) -> int:
        """The number of threads. SQLite is fastest, and never meets a lock, with one."""
        return 1 if self._is_sqlite else _POSTGRESQL_THREADS

    def refuse_many_machines(self) -> None:
        """Make sure that processes on other machines can use this database too.

        :raises StartError: they cannot.
        """
        if self._is_sqlite:
            raise StartError(
                f"{schema.SETTING}: SQLite works on one machine only, but redis.url names another; use PostgreSQL"
            )

    @property
    def file(self) -> Path | None:
        """The file of SQLite that it is, if it is one."""
        return Path(self._url.database or "").absolute() if self._is_sqlite and not self.in_memory else None

    @property
    def is_missing(self) -> bool:
        """True if it is an SQLite file that does not exist yet."""
        return self.file is not None and not self.file.exists()

    def is_whole(self) -> bool:
        """Look through all of a file of SQLite for damage.

        :raises StartError: not such a file.
        """
        with self._at_start(), self.read() as connection:
            return connection.exec_driver_sql("PRAGMA quick_check").scalars().all() == ["ok"]

    def copy_to(self, path: Path) -> None:
        """Copy a file of SQLite as it is at one moment, while others go on to write; the copy is one file.

        :raises Unavailable: it cannot be read, or the copy not written.
        """
        with self.read() as connection, closing(sqlite3.connect(path)) as copy:
            source: Any = connection.connection.driver_connection
            try:
                source.backup(copy)
                copy.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.Error as error:
                raise Unavailable(f"cannot write the copy: {error}") from None

    def clock_difference(self) -> float:
        """By how many seconds the clock of its server is ahead of this machine's; 0 for SQLite, which has none.

        :raises Unavailable: the database cannot be reached.
        """
        if self._is_sqlite:
            return 0.0
        with self.read() as connection:
            theirs = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())").scalar_one()
            return float(theirs) - time.time()

    def ping(self) -> None:
        """Make sure that it answers, and that there is room for more.

        :raises Unavailable: the database cannot be reached, is damaged, or the disk is full.
        """
        if self.file is not None:
            disk = os.statvfs(self.file.parent)
            if disk.f_bavail * disk.f_frsize < _ROOM:
                raise Unavailable("the disk is full")
        with self.read() as connection:
            connection.execute(select(account.c.phone).limit(1))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Read, each statement for itself.

        :raises Unavailable: the database cannot be reached.
        """
        with _translated(), self._reading.connect() as connection:
            yield connection

    @contextmanager
    def write(self, may_be_lost: bool = False) -> Iterator[Connection]:
        """Do a transaction: all of it, or after an error nothing. When it is done, a power failure does not undo it.

        :param may_be_lost: it may, on SQLite, for a few seconds: nobody was promised anything.
        :raises Unavailable: the database cannot be reached.
        """
        with _translated(), (self._writing_loosely if may_be_lost else self._writing).begin() as connection:
            yield connection

    def take_turns(self, connection: Connection, subject: str) -> None:
        """Wait, within a transaction, until no other is left that takes turns at this subject.

        What it counts then, nobody changes before it ends. On SQLite writers take turns anyway.

        :raises Unavailable: (the transaction) the others took too long.
        """
        if not self._is_sqlite:
            connection.execute(_TAKE_TURNS, {"space": _TURNS, "subject": subject})

    def prepare(self, upgrades: bool) -> None:
        """Make it ready for use: bring the schema up to date, or only check it.

        :raises StartError: the database cannot be reached, or has a schema that this code cannot use.
        """
        if upgrades:
            self.upgrade()
        else:
            self.check()

    def upgrade(self) -> None:
        """Bring the schema up to date. Two processes may do so at once.

        :raises StartError: the database cannot be reached, or needs newer code.
        """
        with self._at_start(), self.write() as connection:
            if not self._is_sqlite:
                driver: Any = connection.connection.driver_connection
                driver.is_patient = True  # others may be upgrading, or have much to do
            schema.upgrade(connection)

    def levels(self) -> tuple[int, int]:
        """The level of its schema, and that of the schema that this code brings.

        :raises StartError: the database cannot be reached, or is no database of callnet's.
        """
        with self._at_start(), self.read() as connection:
            return schema.database_level(connection), schema.code_level()

    def check(self) -> None:
        """Make sure that this code may use the schema as it is.

        :raises StartError: the database cannot be reached, or has another schema.
        """
        with self._at_start(), self.read() as connection:
            schema.check(connection)

    def give_up(self) -> None:
        """Let nobody wait for a server any more: what is being asked of it fails, and nothing more is asked."""
        self._given_up.set()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def insert_missing(self, table: Table) -> Insert:
        """An ``INSERT`` that leaves a row alone that is there already."""
        return self._insert(table).on_conflict_do_nothing()

    def insert_or_replace(self, table: Table, *columns: str) -> Insert:
        """An ``INSERT`` that overwrites these columns of an existing row, or without ``columns`` all others."""
        insert = self._insert(table)
        replaced = columns or [column.name for column in table.columns if not column.primary_key]
        others = {name: insert.excluded[name] for name in replaced}
        return insert.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=others)

    def insert_or_raise(self, table: Table, column: str) -> Insert:
        """An ``INSERT`` that gives a row that is there already a greater value of this column, and no smaller one."""
        insert = self._insert(table)
        new = insert.excluded[column]
        keys = list(table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=keys, set_={column: new}, where=table.c[column] < new)

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        if self._is_sqlite:
            return sqlite.insert(table)
        from sqlalchemy.dialects import postgresql  # is there since the engine was made

        return postgresql.insert(table)

    def _sqlite_engine(self) -> Engine:
        engine = create_engine(
            self._url,
            hide_parameters=True,
            connect_args={"timeout": _BUSY_TIMEOUT, "check_same_thread": False},
            **({"poolclass": StaticPool} if self.in_memory else {}),
        )
        directory = None if self.in_memory else os.path.dirname(os.path.abspath(self._url.database or ""))
        event.listen(engine, "connect", partial(_prepare_sqlite, directory))
        event.listen(engine, "begin", partial(_begin_sqlite, self._given_up))
        return engine

    def _postgresql_engine(self) -> Engine:
        from callnet.storage import postgresql  # a tenth of a start that SQLite has no use for

        postgresql.prepare_indexes(metadata)
        timeouts = {name: value for name, value in _POSTGRESQL_TIMEOUTS.items() if name not in self._url.query}
        engine = create_engine(
            self._url.update_query_dict(timeouts),
            hide_parameters=True,  # an error must not carry phones into the log
            pool_size=_POSTGRESQL_THREADS,
            pool_pre_ping=True,
            pool_timeout=5,
        )
        event.listen(engine, "do_connect", partial(postgresql.connect, self._given_up))
        return engine

    @contextmanager
    def _at_start(self) -> Iterator[None]:
        try:
            with files.private():  # SQLite makes its file when it is first asked for
                yield
        except (Unavailable, sql_errors.DBAPIError, OSError) as error:
            name = f"{self._url.database}: " if self._is_sqlite else ""
            raise StartError(f"{schema.SETTING}: {name}{root_cause(error)}") from None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _AWAY as error:
        raise Unavailable("the database cannot be reached") from error
    except sql_errors.DatabaseError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF not in _DAMAGED:
            raise
        raise Unavailable("the database is damaged") from error


def _parse(given: str) -> URL:
    try:
        url = make_url(given)
        backend = url.get_backend_name()
    except (sql_errors.ArgumentError, ValueError):
        raise StartError(f"{schema.SETTING}: not a URL such as sqlite:///FILE or postgresql://HOST/NAME") from None
    if backend == "sqlite":
        return url.set(drivername="sqlite+pysqlite")
    if backend == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    raise StartError(f"{schema.SETTING}: must begin with sqlite: or postgresql:")


def _prepare_sqlite(directory: str | None, connection: Any, _record: object) -> None:
    # The module sqlite3 would begin transactions by itself, too late, and never with IMMEDIATE.
    connection.isolation_level = None
    if directory is not None:
        # Of two that switch a new file to WAL at once, one is told that it is locked, whatever the busy timeout.
        with files.alone_in(directory):
            connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(given_up: Event, connection: Connection) -> None:
    # A transaction that reads before it writes fails beside another writer, whatever the busy timeout.
    level = connection.get_execution_options().get(_WRITES)
    if level is None:
        return
    driver: Any = connection.connection.driver_connection
    until = time.monotonic() + _BUSY_TIMEOUT
    # SQLite's own wait cannot be interrupted, so it waits for short times.
    driver.execute(f"PRAGMA busy_timeout = {_LOOKS_EVERY}")
    driver.execute(f"PRAGMA synchronous = {level}")  # with NORMAL the log of a transaction need not be on the disk
    try:
        while True:
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            except sql_errors.OperationalError as error:
                if given_up.is_set() or not _is_busy(error) or time.monotonic() > until:
                    raise
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT * 1000:.0f}")


def _is_busy(error: sql_errors.OperationalError) -> bool:
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY


# Threads

LIMIT: Final = 5.0
"""Seconds that anybody waits."""
STOP_LIMIT: Final = 2.0
"""Seconds that all together may still wait when the daemon stops."""
_THREAD_LIMIT: Final = 0.2
"""Seconds that each thread then has to come back. One that hangs in the system may never do so."""

log = Logger()

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""


class Queries:
    """Queries of the database, which a thread runs.

    What the methods return fails with :class:`callnet.errors.Unavailable` if the database cannot be reached.
    """

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run


_Q = TypeVar("_Q", bound=Queries)


def in_thread(query: Callable[Concatenate[_Q, _P], _T]) -> Callable[Concatenate[_Q, _P], Deferred[_T]]:
    """Have a method that blocks run where its object runs what it asks."""

    @wraps(query)
    def run(self: _Q, /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        return self._run(query, self, *args, **kwargs)

    return run


class IThreadsReactor(IReactorFromThreads, IReactorTime):
    """The reactor that threads need."""


class _Thread(Thread):
    """A thread that does not keep the process when it hangs."""

    def join(self, timeout: float | None = _THREAD_LIMIT) -> None:
        """Wait until it has come to its end, if that does not take long."""
        super().join(timeout)


class Threads:
    """A few threads.

    :param size: how many; see :attr:`Database.threads`.
    :param give_up: has those who wait in a thread for somebody else come back soon; see :meth:`Database.give_up`.
    """

    def __init__(self, reactor: IThreadsReactor, size: int, give_up: Callable[[], None]) -> None:
        self._reactor = reactor
        self._give_up = give_up
        self._stopping = False
        self._deadline: IDelayedCall | None = None
        self._asked: set[Deferred[Any]] = set()
        """The answers that somebody waits for."""
        self.took: Final = Histogram()
        """Seconds from what was asked to the answer, the wait for a thread included."""
        self._pool = ThreadPool(minthreads=size, maxthreads=size, name="database")
        self._pool.threadFactory = partial(_Thread, daemon=True)  # type: ignore[assignment]

    def start(self) -> None:
        """Start the threads."""
        self._pool.start()

    def stop_soon(self) -> None:
        """Have whoever still waits in :data:`STOP_LIMIT` be told that the database cannot be reached."""
        self._deadline = self._reactor.callLater(STOP_LIMIT, self._end)

    def stop(self) -> None:
        """Begin nothing more, wait for a moment until what was begun is done or has failed, and end the threads."""
        if self._deadline is not None and self._deadline.active():
            self._deadline.cancel()
        self._stopping = True
        self._give_up()
        self._pool.stop()

    def _end(self) -> None:
        self._stopping = True
        self._give_up()
        if self._asked:
            log.warn("gave up {count} database queries: no answer while stopping", count=len(self._asked))
        for asked in list(self._asked):
            asked.errback(Unavailable("the database did not answer while callnet was stopping"))

    def run(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function`` in a thread. What nobody waits for any more is not begun.

        :raises Unavailable: it was not done in time; if it was begun it may still be done.
        """
        if self._stopping:
            return fail(Unavailable("callnet is stopping and sends no more queries"))
        outcome: Deferred[_T] = Deferred()
        self._asked.add(outcome)
        asked_at = self._reactor.seconds()

        def work() -> _T:
            if outcome.called or self._stopping:
                raise Unavailable("callnet is stopping and sends no more queries")
            return function(*args, **kwargs)

        def done(is_success: bool, result: object) -> None:
            deliver = outcome.callback if is_success else outcome.errback
            self._reactor.callFromThread(answered, deliver, result)

        def answered(deliver: Callable[[Any], None], result: object) -> None:
            self.took.count(self._reactor.seconds() - asked_at)
            if not outcome.called:
                deliver(result)

        def told(result: Any) -> Any:
            self._asked.discard(outcome)
            return result

        self._pool.callInThreadWithCallback(done, work)
        return outcome.addBoth(told).addTimeout(LIMIT, self._reactor, _too_late)


def _too_late(_result: object, seconds: float) -> NoReturn:
    raise Unavailable("the database cannot be reached") from TimeoutError(f"no answer within {seconds:g} s")
