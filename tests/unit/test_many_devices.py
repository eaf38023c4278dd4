"""The number of devices that logins make of one phone (docs/security.md), and the ones that are forgotten."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

from sqlalchemy.event import listen
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import DeviceInvalid
from callnet.model import DeviceAddress
from callnet.storage import contacts, devices
from callnet.storage.database import Database, Run
from callnet.storage.enrolling import SqlAccounts
from callnet.storage.push import PushKind
from tests.support.account_fixture import FRIEND, PHONE, ServiceFixture
from tests.support.tap_case import DaemonTestCase

MOST = 20
DAY = 86400.0


class ManyDevicesTests(SynchronousTestCase):
    """A stranger logs in as ever more devices of a phone."""

    def setUp(self) -> None:
        """Nobody has logged in yet."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.fixture.change_feed.start()
        self.addCleanup(self.fixture.change_feed.stop)
        self.fixture.clock.advance(100 * DAY)

    def log_in(self, name: object, phone: str = PHONE) -> str:
        """Log a device in; its token."""
        return self.successResultOf(self.fixture.logins.login(phone, str(name))).token

    def fill(self) -> None:
        """Log as many devices in as may be."""
        for number in range(MOST):
            self.log_in(number)

    def assert_full(self) -> None:
        """No further device is made."""
        before = contacts.accounts(self.fixture.database)
        self.failureResultOf(self.fixture.logins.login(PHONE, "another"), DeviceInvalid)
        self.assertEqual(before, contacts.accounts(self.fixture.database))

    def test_most(self) -> None:
        """A phone has at most twenty devices by login; those that it has go on to log in, and other phones too."""
        self.fill()
        self.assert_full()
        self.log_in(3)
        self.log_in("phone", FRIEND)
        self.assertEqual(1, self.fixture.accounts.refused)

    def test_together(self) -> None:
        """The same holds if they all ask at the same time."""
        logins = [self.fixture.logins.login(PHONE, str(number)) for number in range(MOST + 5)]
        for number, login in enumerate(logins):
            if number < MOST:
                self.successResultOf(login)
            else:
                self.failureResultOf(login, DeviceInvalid)

    def test_of_the_operator(self) -> None:
        """Devices that the operator makes are not counted, and may be as many as wanted."""
        made = [f"box {number}" for number in range(30)]
        devices.provision(self.fixture.database, PHONE, made, self.fixture.clock.seconds())
        self.fill()
        self.assert_full()

    def test_forgotten(self) -> None:
        """Devices that were never used are forgotten after a week, and make room."""
        self.fill()
        self.fixture.clock.advance(7 * DAY - 10)
        self.assert_full()
        self.fixture.clock.advance(20)
        self.log_in("another")
        self.assertEqual([contacts.Account(PHONE, 1)], contacts.accounts(self.fixture.database))
        self.assertEqual(MOST, self.fixture.accounts.forgotten)

    def test_used(self) -> None:
        """A device that logs in with its secret, connects, or says how it is woken, is used, and not forgotten then."""
        claimed = self.successResultOf(self.fixture.logins.login(PHONE, "claimed"))
        self.successResultOf(self.fixture.logins.login(PHONE, "claimed", claimed.device_secret))
        for name in ("connected", "woken"):
            token = self.log_in(name)
        self.fixture.accounts.used(DeviceAddress(PHONE, "connected"))
        self.fixture.clock.advance(1)
        self.successResultOf(self.fixture.ways_to_wake.register(token, PushKind.WEBHOOK, "box"))
        self.log_in("never")
        self.fixture.clock.advance(8 * DAY)
        self.log_in("phone", FRIEND)
        self.assertEqual(
            [contacts.Account(PHONE, 3), contacts.Account(FRIEND, 1)], contacts.accounts(self.fixture.database)
        )

    def test_used_together(self) -> None:
        """Uses of devices within a moment are looked up by one statement, and written by another one."""
        statements: list[str] = []

        def note(*args: Any) -> None:
            if "account_device" in args[2]:
                statements.append(args[2][:6])

        for number in range(MOST):
            self.log_in(f"tv{number}")
        listen(self.fixture.database._engine, "before_cursor_execute", note)
        for number in range(MOST):
            self.fixture.accounts.used(DeviceAddress(PHONE, f"tv{number}"))
        self.assertEqual([], statements)
        self.fixture.clock.advance(1)
        self.assertEqual(["SELECT", "UPDATE"], statements)

    def test_used_meanwhile(self) -> None:
        """Uses that come while others are written wait for that, and are gathered in turn."""
        writes: list[Deferred[Collection[str]]] = []

        def run(_: object, some: list[DeviceAddress]) -> Deferred[Collection[str]]:
            written.append(len(some))
            writes.append(Deferred())
            return writes[-1]

        written: list[int] = []
        accounts = SqlAccounts(self.fixture.database, cast(Run, run), self.fixture.clock)
        for number in range(3):
            accounts.used(DeviceAddress(PHONE, f"tv{number}"))
            self.fixture.clock.advance(1)
        self.assertEqual([1], written)
        writes.pop().callback([])
        self.assertEqual([1], written)
        self.fixture.clock.advance(1)
        self.assertEqual([1, 2], written)
        accounts.used(DeviceAddress(PHONE, "last"))
        accounts.stop()
        writes.pop().callback([])
        self.fixture.clock.advance(1)
        self.assertEqual([1, 2], written)

    def test_forgotten_device_comes_back(self) -> None:
        """A device that was forgotten is a new one when it logs in the next time."""
        self.log_in("tv")
        self.fixture.clock.advance(8 * DAY)
        self.log_in("phone", FRIEND)
        self.fixture.clock.advance(2)
        self.assertIsNotNone(self.successResultOf(self.fixture.logins.login(PHONE, "tv")).device_secret)


class DaemonTests(DaemonTestCase):
    """A whole daemon."""

    def test_connected(self) -> None:
        """A device that holds a socket is used; refusals are counted; the setting may be changed."""
        daemon = self.compose("limits.devices_of_a_phone = 2")
        self.begin(daemon)
        wire = self.device(8082, "tv")
        self.addCleanup(wire.leave)
        self.reactor.advance(1)
        asked = {"phone": PHONE, "device_id": "new"}
        self.post(8083, "/account/login", phone=PHONE, device_id="pad")
        self.assertEqual(5, self.post(8083, "/account/login", **asked)["errorCode"])
        database = Database(f"sqlite:///{self.state_dir}/callnet.db")
        with database.read() as connection:
            unused = connection.exec_driver_sql("SELECT device_id FROM account_device WHERE unused_since IS NOT NULL")
            self.assertEqual(["pad"], [row.device_id for row in unused])
        database.close()
        counted = {family.name: family.samples for family in self.successResultOf(daemon.observed.families())}
        self.assertEqual([1], [sample.value for sample in counted["callnet_new_devices_refused"]])
        daemon.live.settings.limits.devices_of_a_phone = 0
        self.assertEqual(0, self.post(8083, "/account/login", **asked)["errorCode"])
