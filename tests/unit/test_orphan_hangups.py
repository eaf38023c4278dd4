"""Ends of unknown calls are tried again for some time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.outage import End, Retries
from callnet.calls.transitions import NoSuchCall
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId

ANN, TV = DeviceAddress("13600000001", "phone"), DeviceAddress("13600000002", "tv")
BLUE, RED = RoomId("b" * 32), RoomId("e" * 32)


class UnknownCallsTests(SynchronousTestCase):
    """A clock, and a store that gets a call when the test says so."""

    def setUp(self) -> None:
        """Nothing is known."""
        self.clock = Clock()
        self.tried: list[End] = []
        self.reply: NoSuchCall | None = NoSuchCall()
        self.is_away = False
        self.retries = Retries(self.clock, self.settle)

    async def settle(self, event: events.Event) -> NoSuchCall | None:
        """Try a hang-up."""
        assert isinstance(event, events.HangUp | events.Cancel)
        self.tried.append(event)
        if self.is_away:
            raise Unavailable("away")
        return self.reply

    def wait(self, seconds: int) -> list[End]:
        """Let time pass; returns the attempts meanwhile."""
        self.tried.clear()
        self.clock.pump([0.25] * (4 * seconds))
        return list(self.tried)

    def assert_idle(self) -> None:
        """Nothing waits."""
        self.assertEqual([], self.clock.getDelayedCalls())
        self.assertEqual({}, self.retries._orphans)

    def test_until_it_is_known(self) -> None:
        """It waits for the call, with or without a store meanwhile."""
        self.retries.keep_orphan(events.HangUp(BLUE, ANN))
        self.assertEqual([events.HangUp(BLUE, ANN)], self.wait(2))
        self.is_away = True
        self.assertEqual([events.HangUp(BLUE, ANN)], self.wait(2))
        self.is_away, self.reply = False, None
        self.assertEqual([events.HangUp(BLUE, ANN)], self.wait(20))
        self.assert_idle()

    def test_not_for_ever(self) -> None:
        """A room that never was costs five tries."""
        self.retries.keep_orphan(events.HangUp(BLUE, ANN))
        self.assertEqual([events.HangUp(BLUE, ANN)] * 5, self.wait(60))
        self.assert_idle()

    def test_newest(self) -> None:
        """The newest of each device is tried, however many it names."""
        for room in (BLUE, BLUE, RED):
            self.retries.keep_orphan(events.HangUp(room, ANN))
        self.retries.keep_orphan(events.HangUp(BLUE, TV))
        self.assertEqual({events.HangUp(RED, ANN), events.HangUp(BLUE, TV)}, set(self.wait(1)))
        self.assertEqual(2, len(self.tried))
        self.retries.stop()
        self.assert_idle()

    def test_taken_over_since(self) -> None:
        """A device that is in the call again has not hung up; other ends of it are tried nevertheless."""
        hangup, cancel = events.HangUp(BLUE, ANN), events.Cancel(ANN, TV.phone, 7, 3.0)
        self.retries.keep(hangup, (events.HangUp, ANN))
        self.retries.keep_orphan(hangup)
        self.retries.forget_end(ANN, BLUE)
        self.assertEqual([], self.wait(20))
        self.assert_idle()
        for end in (events.HangUp(RED, ANN), cancel, events.HangUp(BLUE, TV)):
            self.retries.keep_orphan(end)
            self.retries.forget_end(ANN, BLUE)
            self.assertEqual([end] * 5, self.wait(20))

    def test_after_one_taken_over(self) -> None:
        """A device that hangs up once more is heard."""
        for _ in range(2):
            self.retries.keep_orphan(events.HangUp(BLUE, ANN))
            self.retries.forget_end(ANN, BLUE)
        self.retries.keep_orphan(events.HangUp(BLUE, ANN))
        self.reply = None
        self.assertEqual([events.HangUp(BLUE, ANN)], self.wait(20))
        self.assert_idle()

    def test_cancelled(self) -> None:
        """A call may be cancelled, too."""
        cancel = events.Cancel(ANN, TV.phone, 7, 3.0)
        self.retries.keep_orphan(events.HangUp(BLUE, ANN))
        self.retries.keep_orphan(cancel)
        self.reply = None
        self.assertEqual([cancel], self.wait(20))
        self.assert_idle()
