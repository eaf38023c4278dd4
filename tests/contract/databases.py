"""The databases that the contracts are run against, but for those that need a server."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import event
from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from callnet.model import DeviceAddress
from callnet.storage.contacts import SqlContacts
from callnet.storage.database import Database, IThreadsReactor, Run, Threads
from callnet.storage.enrolling import SqlAccounts
from callnet.storage.preferences import PhoneSettings, SettingsChange, SqlPreferences
from tests.support import migrated
from tests.support.immediate import run_at_once

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object


OFFER = b"o" * 32
"""The secret that new devices are offered."""


class DatabaseCase(_Base):
    """An empty database with an up-to-date schema; a mixin below says of which kind."""

    database: Database

    def setUp(self) -> None:
        """An empty database with an up-to-date schema, whose statements are noted."""
        self.database = self.make_database()
        self.addCleanup(self.database.close)
        self.run_there = self.make_run()
        self.clock = Clock()
        self.accounts = SqlAccounts(self.database, self.run_there, self.clock)
        self.contacts = SqlContacts(self.database, self.run_there)
        self.settings = SqlPreferences(self.database, self.run_there, contacts_only=False)
        self.statements: list[str] = []
        event.listen(self.database._engine, "before_cursor_execute", self._note)

    def make_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    def make_migrated(self) -> Database:
        """An empty database with an up-to-date schema."""
        raise NotImplementedError

    def make_database(self) -> Database:
        """The database of the test."""
        return self.make_migrated()

    def make_run(self) -> Run:
        """Makes the runner of the database's functions."""
        return run_at_once

    def _note(self, *args: object) -> None:
        self.statements.append(str(args[2]))

    def writes(self) -> list[str]:
        """The statements so far that were no reading."""
        return [statement for statement in self.statements if not statement.startswith("SELECT")]

    async def enrolled(self, *addresses: DeviceAddress) -> None:
        """Let devices log in, one after the other."""
        for address in addresses:
            await self.accounts.enrol(address, OFFER)

    async def set_(self, phone: str, **wanted: Any) -> PhoneSettings:
        """Change settings of a phone."""
        return await self.settings.change(phone, SettingsChange(**wanted), 1.0)

    def check(self, test: Callable[[], Coroutine[Deferred[object], object, None]]) -> Deferred[None]:
        """Run a test that may have to wait."""
        return Deferred.fromCoroutine(test())


class InMemory(_Base):
    """SQLite in memory, at once, in this thread: every Deferred has fired."""

    def make_url(self) -> str:
        """See the contract."""
        return "sqlite://"

    def make_migrated(self) -> Database:
        """See the contract."""
        return migrated.in_memory()


class _Unhurried(Clock):
    """A reactor whose time stands still: nobody gives up a database for being slow on a busy machine."""

    def callFromThread(self, call: Callable[..., object], *args: object, **kwargs: object) -> None:
        """Call something in the thread of the real one."""
        IReactorFromThreads(global_reactor).callFromThread(call, *args, **kwargs)


class InThreads(_Base):
    """A database reached from real threads."""

    database: Database

    def make_run(self) -> Run:
        """See the contract."""
        threads = Threads(cast(IThreadsReactor, _Unhurried()), self.database.threads, self.database.give_up)
        threads.start()
        self.addCleanup(threads.stop)
        return threads.run


class InFile(InThreads):
    """SQLite in a file, with one thread."""

    def make_url(self) -> str:
        """See the contract."""
        return f"sqlite:///{Path(self.mktemp()).absolute()}"

    def make_migrated(self) -> Database:
        """See the contract."""
        return migrated.in_file(Path(self.mktemp()).absolute())
