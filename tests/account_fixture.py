"""An account service to test with."""

from __future__ import annotations

from twisted.internet.task import Clock

from callnet.accounts.enrolment import phone_rule
from callnet.accounts.service import AccountService
from callnet.accounts.tokens import Key, Tokens
from callnet.cluster.memory import MemoryBus, MemoryCallStore
from callnet.model import DeviceAddress
from callnet.records import Changes, DeviceRecord
from callnet.storage.database import Database
from callnet.storage.enrolling import SqlAccounts
from callnet.storage.sql import SqlContacts
from tests.immediate import run_at_once

PHONE = "13651884967"
FRIEND = "13651884968"
TV = DeviceAddress(PHONE, "tv888")


class ServiceFixture:
    """An account service on an empty database in memory."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.database = Database("sqlite://")
        self.database.upgrade()
        self.store = MemoryCallStore(MemoryBus(), self.clock)
        self.tokens = Tokens([Key.of(b"k" * 32)], 3600, self.clock.seconds, split_user_name=True)
        self.service = AccountService(
            SqlAccounts(self.database, run_at_once, self.clock),
            SqlContacts(self.database, run_at_once),
            self.store,
            self.tokens,
            phone_rule("cn-mobile"),
        )

    def put_online(self, address: DeviceAddress) -> None:
        """Let a device hold a socket."""
        record = DeviceRecord(address, 1, "here", 1, True, None, None, None, None, None)
        self.store.commit(Changes(devices=[record]))
