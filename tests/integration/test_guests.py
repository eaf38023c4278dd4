"""Guests of a daemon with workers, many at once."""

from __future__ import annotations

from twisted.internet.defer import gatherResults

from callnet_client import Account, GuestCall
from tests.integration.test_workers import WorkersTestCase
from tests.support.checked_client import CHECKED_GUEST
from tests.support.devices import member
from tests.support.shared_daemon import new_phone

MANY = 20


class GuestsTests(WorkersTestCase):
    """A phone with a television and a pad, a link, and a friend."""

    settings = "calls = { ring_time = 5 }"

    async def setUp(self) -> None:  # type: ignore[override]
        """Connect them, and make a link."""
        await super().setUp()
        await self.become_ready()
        self.number, friend = new_phone(), new_phone()
        self.tv = await member(self, self.service, self.number, "tv", extended=True)
        self.pad = await member(self, self.service, self.number, "pad", extended=True)
        self.friend = await member(self, self.service, friend, "phone", extended=True)
        owner = Account(self.service, self.number, "desk", keep=lambda _: None)
        await owner.login()
        self.link = await owner.make_link("Door")

    def guest(self, secret: str) -> GuestCall:
        """A guest that rings."""
        guest = GuestCall(self.service, secret, "Eve", watch=CHECKED_GUEST)
        self.addCleanup(guest.close)
        guest.ring()
        return guest

    async def test_flood(self) -> None:
        """One guest rings all devices, others and wrong links ring nobody. A friend gets through."""
        first = self.guest(self.link.secret)
        rung = [await device.ringing.get() for device in (self.tv, self.pad)]
        self.assertEqual([(True, "Eve", first.room_id)] * 2, [(call.is_guest, call.name, "") for call in rung])
        good = [self.guest(self.link.secret) for _ in range(MANY)]
        bad = [self.guest(f"no link {number}") for number in range(MANY)]
        called = await self.friend.reaches(self.tv)
        called.accept()
        call = self.friend.device.call
        assert call is not None
        self.assertEqual("active", await call.until("active"))
        guests = [first, *good, *bad]
        await gatherResults([guest.until("over") for guest in guests])
        self.assertEqual("active", call.state)
        self.assertEqual({"no_answer"}, {guest.reason for guest in bad})
        self.assertLessEqual({guest.reason for guest in good}, {"busy", "no_answer"})
        self.assertEqual("no_answer", first.reason)
        self.assertEqual({""}, {guest.room_id for guest in guests})
