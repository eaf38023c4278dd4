"""The contracts of stores and buses of the shared store, over a real Redis and a real Valkey."""

from __future__ import annotations

from twisted.internet.task import deferLater

from callnet.calls.ports import IBus, ICallStore, IPresence
from tests.contract.store_case import StoreCase
from tests.contract.test_bus import BusContract
from tests.contract.test_call_store import CallStoreContract
from tests.contract.test_due_records import DueContract, PresenceContract
from tests.support.shared_nodes import PatientNodes, reactor


class OfANode(StoreCase, PatientNodes):
    """The store of one of many nodes."""

    async def make_store(self) -> tuple[ICallStore, IBus]:
        """Make one."""
        self.know_the_run()
        node = await self.node()
        return node.store, node.bus

    async def make_presence(self) -> tuple[IPresence, ICallStore]:
        """Make one."""
        self.know_the_run()
        node = await self.node()
        return node.presence, node.store

    async def make_bus(self) -> tuple[IBus, str]:
        """Make one."""
        self.know_the_run()
        node = await self.node()
        return node.bus, node.store.node

    async def pass_time(self, seconds: float) -> None:
        """See :meth:`StoreCase.pass_time`. A server forgets by its own clock."""
        await deferLater(reactor, seconds)


class RedisCallStoreTests(OfANode, CallStoreContract):
    """The store on Redis."""


class ValkeyCallStoreTests(OfANode, CallStoreContract):
    """The store on Valkey."""

    flavour = "valkey"


class RedisDueTests(OfANode, DueContract, PresenceContract):
    """Due and present records, on Redis."""


class ValkeyDueTests(OfANode, DueContract, PresenceContract):
    """Due and present records, on Valkey."""

    flavour = "valkey"


class RedisBusTests(OfANode, BusContract):
    """The bus on Redis."""


class ValkeyBusTests(OfANode, BusContract):
    """The bus on Valkey."""

    flavour = "valkey"
