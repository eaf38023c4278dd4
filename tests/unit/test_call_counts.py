"""A node's counts of calls."""

from __future__ import annotations

from typing import Any

from callnet.calls import events
from callnet.calls.counts import REMEMBERED
from callnet.calls.ports import ICallStore
from callnet.calls.records import CallRecord
from callnet.calls.rooms import RoomManager
from callnet.frames.page import MediaSetup
from callnet.model import DeviceAddress, Failed, Reason
from tests.support.late_case import AwayCase
from tests.support.rooms_case import ANN, CAROL, PAD, TV, RoomsCase, answer, cancel, hang_up


class CountsTests(RoomsCase):
    """Ann and Carol are here, and the television there."""

    def make_rooms(self, store: ICallStore, **more: Any) -> RoomManager:
        """Make a node that notes which calls go on."""

        def note(call: CallRecord) -> None:
            self.noticed.append((store.node, call.state.word))

        return super().make_rooms(store, on_progress=note, **more)

    def setUp(self) -> None:
        """Connect everyone."""
        self.noticed: list[tuple[str, str]] = []
        super().setUp()
        self.ann, self.carol = self.connect(ANN), self.connect(CAROL)
        self.tv = self.connect(TV, self.others)

    def counted(self) -> list[tuple[int, int, dict[Reason, int], dict[Reason, int]]]:
        """The counts of either node: placed, answered, failed, ended."""
        both = (self.rooms.counts, self.others.counts)
        return [(counts.placed, counts.answered, counts.failed, counts.ended) for counts in both]

    def test_nothing(self) -> None:
        """A device that only connects and disconnects is not counted."""
        self.assertEqual([(0, 0, {}, {})] * 2, self.counted())

    def test_recent_failures(self) -> None:
        """Failed calls are remembered where they were placed, the last ones up to a maximum."""
        for number in range(REMEMBERED + 7):
            self.call(ANN, DeviceAddress(f"139{number:08}", "nobody"))
        recent = self.rooms.counts.recent
        self.assertEqual((len(recent), len(self.others.counts.recent)), (REMEMBERED, 0))
        self.assertEqual([recent[0].target.phone, recent[-1].target.phone], ["13900000007", f"139{REMEMBERED + 6:08}"])
        self.assertEqual(
            {(failed.caller, failed.reason, failed.room) for failed in recent}, {(ANN, Reason.OFFLINE, None)}
        )

    def test_answered(self) -> None:
        """A call counts where it is placed, where it is answered, and where it is ended."""
        self.call(ANN, TV)
        answer(self.others, self.tv, self.room_of(self.tv), True)
        self.assertEqual([(1, 0, {}, {}), (0, 1, {}, {})], self.counted())
        self.elsewhere(events.Signalled(self.room_of(self.tv), ANN))
        hang_up(self.rooms, self.ann, self.room_of(self.tv))
        self.assertEqual([(1, 0, {}, {Reason.HANGUP: 1}), (0, 1, {}, {})], self.counted())

    def test_times(self) -> None:
        """The ringing time of a call counts where it is answered, in buckets of the times that people take."""
        self.call(ANN, TV)
        self.wait(7)
        answer(self.others, self.tv, self.room_of(self.tv), True)
        here, there = self.rooms.counts.answered_after, self.others.counts.answered_after
        self.assertEqual((0.0, 7.0), (here.sum, there.sum))
        self.assertEqual([0, 0, 0, 1, 1], [number for _, number in there.buckets()][:5])

    def test_progress(self) -> None:
        """Each is told once that a call of its device rings, or that its device has accepted one."""
        self.call(ANN, TV)
        self.call(CAROL, TV)
        for _ in range(2):
            answer(self.others, self.tv, self.room_of(self.tv), True)
        self.elsewhere(events.Signalled(self.room_of(self.tv), ANN))
        hang_up(self.rooms, self.ann, self.room_of(self.tv))
        self.assertEqual([("here", "ringing"), ("there", "active")], self.noticed)

    def test_unfinished(self) -> None:
        """Each call in progress is reported by the node of its caller, also when that is away for a moment."""

        def go_on() -> list[dict[str, int]]:
            return [rooms.local_calls.placed_here() for rooms in (self.rooms, self.others)]

        self.call(ANN, TV)
        self.assertEqual([{"ringing": 1}, {}], go_on())
        answer(self.others, self.tv, self.room_of(self.tv), True)
        self.ann.goes()
        self.assertEqual([{"active": 1}, {}], go_on())
        hang_up(self.others, self.tv, self.room_of(self.tv))
        self.assertEqual([{}, {}], go_on())

    def test_failed(self) -> None:
        """A call that failed counts where its caller is told, whether it ever rang or not."""
        self.call(ANN, TV)
        self.call(CAROL, TV)
        self.call(CAROL, PAD)
        answer(self.others, self.tv, self.room_of(self.tv), False)
        self.assertEqual(
            [
                (1, 0, {Reason.BUSY: 1, Reason.OFFLINE: 1, Reason.REFUSED: 1}, {}),
                (0, 0, {}, {Reason.REFUSED: 1}),
            ],
            self.counted(),
        )

    def test_cancelled(self) -> None:
        """A caller that cancels its own call is told of no failure."""
        self.call(ANN, TV)
        cancel(self.rooms, self.ann, TV.phone)
        self.assertEqual((1, 0, {}, {Reason.CANCELLED: 1}), self.counted()[0])

    def test_glare(self) -> None:
        """Two who call each other have placed one call, and answered it."""
        self.call(ANN, TV)
        self.others.call(self.tv, ANN, "", self.clock.seconds())
        self.assertEqual([(1, 0, {}, {}), (0, 1, {}, {})], self.counted())

    def test_leaving(self) -> None:
        """A call that is left for another one counts as ended, and one that goes on ringing as nothing."""
        self.call(ANN, TV)
        self.call(ANN, TV)
        self.call(ANN, CAROL)
        self.assertEqual((2, 0, {}, {Reason.CANCELLED: 1}), self.counted()[0])

    def test_no_answer(self) -> None:
        """A call that ends by itself counts once, on the node that ended it."""
        self.call(ANN, TV)
        self.wait(46)
        self.assertEqual(1, self.rooms.counts.failed[Reason.NO_ANSWER])
        ended = [counts.ended[Reason.NO_ANSWER] for counts in (self.rooms.counts, self.others.counts)]
        self.assertEqual(1, sum(ended))

    def test_media(self) -> None:
        """The time until media flowed counts by path, and those who gave up count apart."""
        counts = self.rooms.counts
        setups = (
            MediaSetup("host", 0.1),
            MediaSetup("host", 0.2),
            MediaSetup("relay", 120.0),
            MediaSetup("none", 40.0),
            MediaSetup("none", 40.0, relay_offered=False, relay_answered=False),
            MediaSetup("none", 40.0, relay_offered=False),
            MediaSetup("none", 40.0, relay_answered=False),
        )
        for media in setups:
            counts.connected(media)
        self.assertEqual(["host", "srflx", "relay", "unknown"], list(counts.media_setup))
        failed = counts.media_failed, counts.media_failed_without_relay, counts.media_failed_relay_unreachable
        self.assertEqual((4, 2, 1), failed)
        buckets = {path: [number for _, number in times.buckets()] for path, times in counts.media_setup.items()}
        self.assertEqual([1, *[2] * 11], buckets["host"])
        self.assertEqual([*[0] * 11, 1], buckets["relay"])
        self.assertEqual([0] * 12, buckets["srflx"])

    def test_shutting_down(self) -> None:
        """So does a call that a node refused because it stops."""
        self.rooms.refuse_calls()
        self.call(ANN, TV)
        self.assertEqual((0, 0, {Reason.SHUTTING_DOWN: 1}, {}), self.counted()[0])


class FaultCountsTests(AwayCase):
    """Something is wrong on our side."""

    def test_unavailable(self) -> None:
        """A call that failed since the store was away."""
        self.connect(ANN)
        self.goes_away()
        self.assert_fails(self.place(self.newest(ANN), TV))
        self.assertEqual({Reason.UNAVAILABLE: 1}, self.rooms.counts.failed)

    def test_internal(self) -> None:
        """One that met a fault."""
        self.connect(ANN)
        self.connect(TV)

        def fail() -> None:
            raise ZeroDivisionError

        self.late.before_commit.append(fail)
        outcome = self.place(self.newest(ANN), TV)
        self.pass_turns()
        self.assertEqual(Failed(TV, Reason.INTERNAL), self.successResultOf(outcome))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual({Reason.INTERNAL: 1}, self.rooms.counts.failed)
