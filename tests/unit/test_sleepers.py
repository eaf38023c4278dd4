"""A node that begins makes those known who sleep and can be woken."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.preferences import Policy, Preferences
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.push import waking
from callnet.push.waking import AGAIN, Sleepers
from callnet.storage.preferences import SqlPreferences


class Records(SqlPreferences):
    """A database with this number of phones, each of which has two devices that can be woken."""

    def __init__(self, count: int) -> None:
        self.phones = [f"136{number:08d}" for number in range(count)]
        self.is_away = False

    def wakeful(self, after: str, most: int) -> Deferred[Sequence[str]]:
        """See :meth:`SqlPreferences.wakeful`."""
        if self.is_away:
            return fail(Unavailable("away"))
        return succeed([phone for phone in self.phones if phone > after][:most])

    def read(self, phones: Collection[str]) -> Deferred[Mapping[str, Preferences]]:
        """See :meth:`SqlPreferences.read`."""
        return succeed({phone: Preferences(Policy(wakes=frozenset(["tv", "pad"]))) for phone in phones})


class SleepersTests(SynchronousTestCase):
    """At a start, and later."""

    def begin(self, count: int) -> Sleepers:
        """Begin with this number of phones."""
        self.clock, self.records = Clock(), Records(count)
        self.known: list[DeviceAddress] = []
        self.store_is_away = False
        return Sleepers(self.records, self.clock, self.sleeps)

    def sleeps(self, device: DeviceAddress, policy: Policy) -> Deferred[None]:
        """Take note of a device."""
        if self.store_is_away:
            return fail(Unavailable("away"))
        self.assertIn(device.device_id, policy.wakes)
        self.known.append(device)
        return succeed(None)

    def test_all(self) -> None:
        """All are made known, each once."""
        made = self.begin(450)
        made.start()
        self.assertEqual(900, len(set(self.known)))
        self.assertEqual(900, len(self.known))
        self.successResultOf(made.stop())

    def test_away(self) -> None:
        """While the database or the store is away it is tried again."""
        for name in ("database", "store"):
            made = self.begin(3)
            self.records.is_away, self.store_is_away = name == "database", name == "store"
            made.start()
            self.clock.advance(AGAIN)
            self.assertEqual([], self.known)
            self.records.is_away = self.store_is_away = False
            self.clock.advance(AGAIN)
            self.assertEqual(6, len(self.known))
            self.successResultOf(made.stop())

    def test_records_lost(self) -> None:
        """When the store has lost records all are made known again, but not before the start or after the end."""
        made = self.begin(3)
        made.again()
        self.assertEqual([], self.known)
        made.start()
        self.records.is_away = True
        made.again()
        self.records.is_away = False
        made.again()
        self.assertEqual((6, 12), (len(set(self.known)), len(self.known)))
        self.assertEqual([], self.clock.getDelayedCalls())
        self.successResultOf(made.stop())
        made.again()
        self.assertEqual(12, len(self.known))

    def test_very_many(self) -> None:
        """If there are very many the first are made known; the others are when they connect."""
        self.patch(waking, "SLEEPERS_MAX", 200)
        made = self.begin(500)
        made.start()
        self.assertEqual(400, len(self.known))
        self.successResultOf(made.stop())

    def test_stopped(self) -> None:
        """At a stop nothing is waited for."""
        made = self.begin(3)
        self.records.is_away = True
        made.start()
        self.successResultOf(made.stop())
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_registered(self) -> None:
        """A device that has registered is made known at once, unless its registration is gone again."""
        made = self.begin(1)
        phone = self.records.phones[0]
        for device_id in ("tv", "other"):
            self.successResultOf(made.registered(DeviceAddress(phone, device_id)))
        self.assertEqual([DeviceAddress(phone, "tv")], self.known)

    def test_registered_while_away(self) -> None:
        """While the store is away a registration is told to try again."""
        made = self.begin(1)
        self.store_is_away = True
        self.failureResultOf(made.registered(DeviceAddress(self.records.phones[0], "tv")), Unavailable)
