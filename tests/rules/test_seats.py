"""The two seats of a page's room: the pages that get them, and the state shown to both (protocol §3)."""

from __future__ import annotations

from callnet.calls.records import Active, Over
from callnet.calls.seats import NoSeat, RoomOver, RoomView, Seated
from callnet.config.schema import CallSettings
from callnet.model import Reason, RoomId
from tests.rules.frames import be_hangup
from tests.rules.world import Page, RulesTestCase

TYPED = RoomId("our room")
WAITING = RoomView("waiting", "", None)


class SeatsTestCase(RulesTestCase):
    """Three pages at the door of a room that was made up by hand."""

    room = TYPED

    def setUp(self) -> None:
        """Nobody has a seat yet."""
        super().setUp()
        self.open(self.room)

    def open(self, room: RoomId) -> None:
        """Open three pages with this room."""
        self.red, self.blue, self.green = (Page(self.world, room, key) for key in ("red", "blue", "green"))

    def assert_meets(self, page: Page, session: str, present: bool = True) -> None:
        """``page`` sees the page load ``session`` in the other seat."""
        assert page.view is not None
        assert page.view.peer is not None, page.view
        seen = (page.view.state, page.view.peer.session, page.view.peer.empty_since is None)
        self.assertEqual(("meeting", session, present), seen)


class TypedRoomTests(SeatsTestCase):
    """A room typed by hand lives while somebody sits in it."""

    def test_two_meet(self) -> None:
        """The first waits, and with the second they meet."""
        self.assertIsInstance(self.red.comes("r"), Seated)
        self.assertEqual(WAITING, self.red.view)
        self.assertIsInstance(self.blue.comes("b"), Seated)
        self.assert_meets(self.red, "b")
        self.assert_meets(self.blue, "r")

    def test_third_is_refused(self) -> None:
        """A room has two seats; a third visitor reads that the room is full, and nobody notices."""
        self.red.comes("r")
        self.blue.comes("b")
        before = dict(self.world.seats)
        self.assertEqual(NoSeat("full"), self.green.comes("g"))
        self.assertEqual(before, self.world.seats)

    def test_reload(self) -> None:
        """A reload gets its own seat back, whether its old socket is gone already or not."""
        self.red.comes("r")
        self.blue.comes("b")
        self.blue.comes("b2")
        self.assert_meets(self.red, "b2")
        self.blue.goes()
        self.assert_meets(self.red, "b2", present=False)
        self.blue.comes("b3")
        self.assert_meets(self.red, "b3")

    def test_seat_is_kept(self) -> None:
        """A seat whose socket went away is kept for its key for 10 s; after that any page may take it."""
        self.red.comes("r")
        self.blue.comes("b")
        self.blue.goes()
        self.world.wait(9.9)
        self.assertEqual(NoSeat("full"), self.green.comes("g"))
        self.world.wait(0.1)
        self.assertEqual(WAITING, self.red.view)
        self.assertIsInstance(self.green.comes("g"), Seated)
        self.assert_meets(self.red, "g")
        self.assertEqual(NoSeat("full"), self.blue.comes("b"))

    def test_who_is_told(self) -> None:
        """A page that is gone is not told of the room, and each socket of a seat has a greater generation."""
        generations = [page.comes().generation for page in (self.red, self.blue, self.red, self.blue)]
        self.assertEqual(sorted(set(generations)), generations)
        self.world.wait(1)
        self.assertEqual(1_001_000, self.red.comes().generation)
        self.blue.view = None
        self.blue.goes()
        self.red.comes()
        self.assertIsNone(self.blue.view)

    def test_all_are_gone(self) -> None:
        """When both were away for 10 s the room is forgotten."""
        self.red.comes("r")
        self.blue.comes("b")
        self.red.goes()
        self.world.wait(5)
        self.blue.goes()
        self.world.wait(9.9)
        self.assertIn(TYPED, self.world.seats)
        self.world.wait(0.1)
        self.assertEqual({}, self.world.seats)

    def test_hang_up(self) -> None:
        """Hang up ends the meeting for both."""
        self.red.comes("r")
        self.blue.comes("b")
        self.red.hangs_up()
        for page in (self.red, self.blue):
            self.assertEqual(RoomView("ended", "hangup", None), page.view)

    def test_ended_room_begins_anew(self) -> None:
        """A meeting that was ended is forgotten when both have left; a page that comes before that starts a new one."""
        self.red.comes("r")
        self.blue.comes("b")
        self.red.hangs_up()
        self.red.goes()
        self.green.comes("g")
        self.assertEqual(WAITING, self.green.view)
        self.blue.goes()
        self.assertEqual(WAITING, self.green.view)
        self.green.hangs_up()
        self.green.goes()
        self.assertEqual({}, self.world.seats)

    def test_strangers_to_the_room(self) -> None:
        """A page without a seat can neither leave nor end the room."""
        self.red.comes("r")
        before = dict(self.world.seats)
        self.green.hangs_up()
        self.green.goes(generation=1)
        self.red.goes(generation=7)
        self.assertEqual(before, self.world.seats)


class NoTypedRoomsTests(SeatsTestCase):
    """`adhoc_rooms = false` admits only rooms of calls that are ringing or active."""

    settings = CallSettings(adhoc_rooms=False)

    def test_typed_room(self) -> None:
        """A room typed by hand is unknown."""
        self.assertEqual(NoSeat("unknown_room"), self.red.comes())
        self.assertEqual({}, self.world.seats)

    def test_rooms_of_calls(self) -> None:
        """The room of a call has seats from its ringing on, and none when the call is forgotten."""
        room = self.ringing(self.ann, self.tv)
        self.open(room)
        self.assertIsInstance(self.red.comes("r"), Seated)
        self.tv.accepts(room)
        self.assertIsInstance(self.blue.comes("b"), Seated)
        self.tv.hangs_up(room)
        self.world.wait(121)
        self.assertEqual(NoSeat("unknown_room"), self.red.comes("r"))


class CallRoomTests(SeatsTestCase):
    """In a call's room the seats follow the call."""

    def setUp(self) -> None:
        """A call that rings, and two pages in its room."""
        super().setUp()
        self.room = self.ringing(self.ann, self.tv)
        self.open(self.room)
        self.red.comes("r")
        self.blue.comes("b")

    def test_ringing(self) -> None:
        """In the room of a RINGING call a seat waits."""
        self.assertEqual(WAITING, self.red.view)
        self.assertEqual(WAITING, self.blue.view)

    def test_active(self) -> None:
        """Two seats meet when the call is ACTIVE."""
        self.tv.accepts(self.room)
        self.assert_meets(self.red, "b")
        self.assert_meets(self.blue, "r")

    def test_every_end(self) -> None:
        """When the call ends, by signaling or by itself, the page says so."""
        self.tv.refuses(self.room)
        for page in (self.red, self.blue):
            self.assertEqual(RoomView("ended", "refused_elsewhere", None), page.view)
        room = self.active(self.ann, self.tv)
        self.open(room)
        self.red.comes("r")
        self.ann.hangs_up(room)
        self.assertEqual(RoomView("ended", "hangup", None), self.red.view)

    def test_button(self) -> None:
        """Hang up on the page ends the call: both devices are told, and both pages."""
        self.tv.accepts(self.room)
        self.forget_heard()
        self.red.hangs_up()
        self.assert_call(self.room, Over, Reason.HANGUP)
        self.assert_heard(self.ann, be_hangup(self.tv, self.room, "hangup"))
        self.assert_heard(self.tv, be_hangup(self.ann, self.room, "hangup"))
        for page in (self.red, self.blue):
            self.assertEqual(RoomView("ended", "hangup", None), page.view)

    def test_button_of_a_stranger(self) -> None:
        """A page without a seat in the room ends nothing."""
        self.tv.accepts(self.room)
        self.green.hangs_up()
        self.assert_call(self.room, Active)

    def test_remembered(self) -> None:
        """While the call is remembered its room is `ended`, never ad hoc; then a room like any other."""
        self.ann.hangs_up(self.room)
        self.red.goes()
        self.blue.goes()
        self.world.wait(119.9)
        self.assertEqual(RoomOver(Reason.CANCELLED), self.green.comes("g"))
        self.world.wait(0.1)
        self.assertEqual({}, self.world.seats)
        self.assertIsInstance(self.green.comes("g"), Seated)

    def test_seat_outlives_its_page(self) -> None:
        """A seat of a call is not given up by itself, but after 10 s to any page."""
        self.tv.accepts(self.room)
        self.blue.goes()
        self.world.wait(9.9)
        self.assertEqual(NoSeat("full"), self.green.comes("g"))
        self.world.wait(0.1)
        self.assert_meets(self.red, "b", present=False)
        self.green.comes("g")
        self.assert_meets(self.red, "g")
