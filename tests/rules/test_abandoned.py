"""Calls that nobody is in any more, read off the seats of their page (protocol §2.4)."""

from __future__ import annotations

from callnet.calls.records import Active, Over
from callnet.config.schema import CallSettings
from callnet.model import Reason, RoomId
from tests.rules.frames import be_hangup
from tests.rules.world import Page, RulesTestCase


class SeatsTests(RulesTestCase):
    """Seats were taken and left."""

    def setUp(self) -> None:
        """A call that has just been answered."""
        super().setUp()
        self.room = self.active(self.ann, self.tv, seconds=0)
        self.page = Page(self.world, self.room, "a")
        self.other = Page(self.world, self.room, "b")

    def assert_abandoned_after(self, seconds: float) -> None:
        """The call ends when this much time has passed, and both are told."""
        self.world.wait(seconds - 0.1)
        self.assert_call(self.room, Active)
        self.assert_silence()
        self.world.wait(0.1)
        self.assert_call(self.room, Over, Reason.ABANDONED)
        self.assert_heard(self.ann, be_hangup(self.tv, self.room, "abandoned"))
        self.assert_heard(self.tv, be_hangup(self.ann, self.room, "abandoned"))
        self.assert_silence()

    def test_one_seat_was_taken(self) -> None:
        """A seat of the page was taken and both have been empty for 30 s: OVER `abandoned`; both told."""
        self.world.wait(60)
        self.page.comes()
        self.world.wait(60)
        self.page.goes()
        self.assert_abandoned_after(30)

    def test_both_seats_were_taken(self) -> None:
        """Both must have been empty for 30 s, so the one that was left last counts."""
        self.page.comes()
        self.other.comes()
        self.page.goes()
        self.world.wait(20)
        self.other.goes()
        self.assert_abandoned_after(30)

    def test_one_of_two_seats_was_left(self) -> None:
        """Both seats were taken and one has been empty for 2 min: OVER `abandoned`; both told."""
        self.page.comes()
        self.other.comes()
        self.page.goes()
        self.assert_abandoned_after(120)

    def test_last_page_goes_late(self) -> None:
        """With one seat empty for almost 2 min, the other's going gives the call only the 2 min."""
        self.page.comes()
        self.other.comes()
        self.page.goes()
        self.world.wait(100)
        self.other.goes()
        self.assert_abandoned_after(20)

    def test_one_seat_was_never_taken(self) -> None:
        """A page that sits alone from the beginning waits as long as it likes."""
        self.page.comes()
        self.world.wait(3600)
        self.assert_call(self.room, Active)
        self.assert_silence()

    def test_page_comes_back(self) -> None:
        """A seat that is taken again is not empty."""
        self.page.comes()
        self.other.comes()
        for _ in range(3):
            self.page.goes()
            self.other.goes()
            self.world.wait(29)
            self.page.comes("again")
            self.other.comes("again")
            self.world.wait(100)
        self.assert_call(self.room, Active)
        self.assert_silence()

    def test_older_socket_of_the_seat(self) -> None:
        """The end of a seat's older socket leaves the newer one in its seat."""
        self.page.comes()
        self.page.comes("reloaded")
        self.page.goes(generation=1)
        self.world.wait(60)
        self.assert_call(self.room, Active)


class WaitingSeatTests(RulesTestCase):
    """A seat was taken and left while the call rang."""

    def test_time_counts_from_the_accept(self) -> None:
        """Only an answered call can be abandoned: 30 s from its accept."""
        room = self.ringing(self.ann, self.tv)
        page = Page(self.world, room, "a")
        page.comes()
        page.goes()
        self.world.wait(40)
        self.tv.accepts(room)
        self.world.wait(29.9)
        self.assert_call(room, Active)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.ABANDONED)


class UnseatedTests(RulesTestCase):
    """Nobody came to the page."""

    def assert_abandoned_after(self, room: RoomId, seconds: float) -> None:
        """The call ends this long after its accept."""
        self.world.wait(seconds - 0.1)
        self.assert_call(room, Active)
        self.world.wait(0.1)
        self.assert_call(room, Over, Reason.ABANDONED)

    def test_limit(self) -> None:
        """No seat and no v2 `signal` for 10 min after the accept: OVER `abandoned`; both told."""
        room = self.active(self.ann, self.tv, seconds=0)
        self.assert_abandoned_after(room, 600)
        self.assert_heard(self.ann, be_hangup(self.tv, room, "abandoned"))
        self.assert_heard(self.tv, be_hangup(self.ann, room, "abandoned"))
        self.assert_silence()

    def test_signal_instead_of_the_page(self) -> None:
        """A v2 `signal` shows that the fleet has media of its own."""
        room = self.active(self.ann, self.tv, seconds=0)
        self.world.wait(599)
        self.tv.signals(room)
        self.world.wait(3600)
        self.assert_call(room, Active)

    def test_seat_in_time(self) -> None:
        """A seat taken within the 10 min lifts this limit."""
        room = self.active(self.ann, self.tv, seconds=0)
        self.world.wait(599)
        Page(self.world, room, "a").comes()
        self.world.wait(3600)
        self.assert_call(room, Active)


class NoLimitTests(RulesTestCase):
    """For fleets with media of their own."""

    settings = CallSettings(unseated_limit=0.0)

    def test_never(self) -> None:
        """`unseated_limit` 0 = never."""
        room = self.active(self.ann, self.tv, seconds=0)
        self.world.wait(11 * 3600)
        self.assert_call(room, Active)
