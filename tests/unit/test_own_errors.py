"""The messages for clients, and the log for operators, on internal errors."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TypeVar

from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from callnet.calls.events import Event
from callnet.calls.ports import Commit, ICallStore
from callnet.calls.records import CallRecord, Changes, DeviceRecord, Over, Records, SeatsRecord
from callnet.calls.rooms import RoomManager
from callnet.config.schema import SignalingSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId
from callnet.ws.device_socket import SignalingFactory
from callnet.ws.factory import ServerSocketFactory
from callnet.ws.handshake import Opening
from callnet.ws.page_socket import RoomSocketFactory
from callnet.ws.protocol import ServerSocket
from harness.websocket import TEXT
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.quiet import QuietTestCase
from tests.support.unlimited import ALONE, NO_SERVERS, UNLIMITED
from tests.support.wires import AT_ONCE

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")
T = TypeVar("T")


@implementer(ICallStore)
class FailingStore:
    """Another store that fails when it is told to."""

    def __init__(self, store: ICallStore) -> None:
        self._store = store
        self.error: type[Exception] | None = None
        self.node = store.node
        self.now = store.now
        self.date_of = store.date_of

    def view(self, event: Event, again: bool = False) -> Records | None:
        """See :meth:`callnet.calls.ports.ICallStore.view`."""
        return None if self.error else self._store.view(event, again)

    def read(self, phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False) -> Deferred[Records]:
        """See :meth:`callnet.calls.ports.ICallStore.read`."""
        return fail(self.error("away")) if self.error else self._store.read(phones, rooms, fresh)

    def known(self) -> Records:
        """See :meth:`callnet.calls.ports.ICallStore.known`."""
        return self._store.known()

    def try_commit(self, changes: Changes) -> Commit | None:
        """See :meth:`callnet.calls.ports.ICallStore.try_commit`."""
        return None if self.error else self._store.try_commit(changes)

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.calls.ports.ICallStore.commit`."""
        return fail(self.error("away")) if self.error else self._store.commit(changes)

    def failed(self, call: CallRecord[Over]) -> None:
        """See :meth:`callnet.calls.ports.ICallStore.failed`."""
        self._store.failed(call)

    def due(self, now: float) -> Deferred[Iterable[DeviceRecord | CallRecord | SeatsRecord]]:
        """See :meth:`callnet.calls.ports.ICallStore.due`."""
        return fail(self.error("away")) if self.error else self._store.due(now)


class StoreTests(QuietTestCase):
    """A store that cannot be reached, or that has a fault."""

    def setUp(self) -> None:
        """Connect two devices to a server whose store can fail."""
        super().setUp()
        self.store = FailingStore(self.world.store)
        self.rooms = RoomManager(self.store, self.world.bus, self.world.clock, AT_ONCE, OPEN, NO_ROSTER)
        self.addCleanup(self.rooms.stop)
        self.signaling = SignalingFactory(
            self.rooms,
            self.world.tokens.verify,
            self.world.clock,
            UNLIMITED,
            ALONE,
            NO_SERVERS,
            SignalingSettings(),
        )
        self.tv = self.world.device(*TV, self.signaling)
        self.phone = self.world.device(*PHONE, self.signaling)

    def test_connecting(self) -> None:
        """A device that cannot be noted as connected is sent away with 1011, to try again."""
        self.store.error = Unavailable
        device = self.world.device("13651884969", "x", self.signaling)
        self.assertEqual(device.close_code, 1011)
        self.assertTrue(device.wire.lost)

    def test_calling(self) -> None:
        """A call fails as ``unavailable``, and one that meets a fault as ``internal``; the socket stays."""
        self.store.error = Unavailable
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(self.tv.hears()["reason"], "unavailable")
        self.store.error = ZeroDivisionError
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        answer = self.tv.hears()
        self.assertEqual(answer["reason"], "internal")
        self.assertNotIn("away", str(answer))
        self.expect_error(ZeroDivisionError)
        self.store.error = None
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(self.phone.hears()["type"], "called")

    def test_answering(self) -> None:
        """An answer waits; after 5 s its device is told that the call is lost, and that is done in the end."""
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        room = self.phone.hears()["room_id"]
        self.store.error = Unavailable
        answer = {"from_phone": TV.phone, "from_device_id": TV.device_id, "room_id": room}
        self.phone.say("called_success", **answer)
        self.world.advance(5)
        self.assertEqual(self.phone.heard() + self.tv.heard(), [])
        self.world.advance(1)
        self.assertEqual(self.phone.hears()["reason"], "connection_lost")
        self.store.error = None
        self.world.advance(1)
        self.assertEqual(self.tv.hears()["type"], "call_refuse")
        self.assertEqual(self.phone.heard(), [])

    def test_hanging_up(self) -> None:
        """A hang-up is done in the end."""
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.phone.heard()
        self.store.error = Unavailable
        self.tv.say("calling_hangup", notified_phone=PHONE.phone, notified_device_id=PHONE.device_id)
        self.world.advance(3)
        self.store.error = None
        self.world.advance(1)
        self.assertEqual(self.phone.hears()["reason"], "cancelled")
        self.assertEqual(self.tv.heard(), [])

    def test_leaving(self) -> None:
        """A device may go away all the same."""
        self.store.error = Unavailable
        self.tv.leave()
        self.assertEqual(len(self.signaling.sockets), 1)
        self.store.error = None
        self.world.advance(1)
        self.phone.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.assertEqual(self.phone.hears()["reason"], "offline")

    def test_page(self) -> None:
        """A page that can be given no seat is sent away with 1011; it tries again."""
        pages = RoomSocketFactory(self.rooms, self.world.clock, UNLIMITED, NO_SERVERS)
        self.store.error = Unavailable
        page = self.world.page(pages)
        page.say("join", room_id="8888", key="a" * 32, session="1" * 32)
        self.assertEqual(page.close_code, 1011)
        self.assertEqual(pages.sockets, {})


class FaultySocket(ServerSocket):
    """A socket of a kind that has a fault somewhere."""

    fault = ""

    def admit(self, opening: Opening) -> None:  # noqa: ARG002
        """Fail if this is to fail."""
        self.session = self
        self._fail("admit")

    def opened(self) -> None:
        """Fail if this is to fail."""
        self._fail("opened")

    def received(self, payload: bytes) -> None:  # noqa: ARG002
        """Fail if this is to fail."""
        self._fail("received")

    def gone(self) -> None:
        """End well."""

    def _fail(self, where: str) -> None:
        if self.fault == where:
            raise ZeroDivisionError("a secret of ours")


class FaultTests(QuietTestCase):
    """A fault in the code of a socket."""

    def factory(self, fault: str) -> ServerSocketFactory:
        """Make sockets that have this fault."""
        kind = type("Faulty", (FaultySocket,), {"fault": fault})
        return ServerSocketFactory(kind, self.world.clock, 1000)

    def test_admitting(self) -> None:
        """During a handshake: the answer is 500 and says no more."""
        factory = self.factory("admit")
        wire = self.world.ask("/", factory=factory)
        self.assertEqual(wire.status, 500)
        self.assertNotIn("secret", wire.head)
        self.assertTrue(wire.lost)
        self.assertEqual(factory.sockets, {})
        self.expect_error(ZeroDivisionError)

    def test_opening(self) -> None:
        """When a socket has opened: it is closed with 1011."""
        factory = self.factory("opened")
        wire = self.world.ask("/", factory=factory)
        self.assertEqual((wire.status, wire.close_code, wire.lost), (101, 1011, True))
        self.assertEqual(factory.sockets, {})
        self.expect_error(ZeroDivisionError)

    def test_receiving(self) -> None:
        """After a frame: the socket is closed with 1011, and the bytes after it are not looked at."""
        factory = self.factory("received")
        wire = self.world.ask("/", factory=factory)
        wire.frame(TEXT, b"{}")
        wire.frame(TEXT, b"{}")
        self.world.settle()
        self.assertEqual((wire.close_code, wire.lost), (1011, True))
        self.assertNotIn(b"secret", wire.frames[-1].payload)
        self.expect_error(ZeroDivisionError)
