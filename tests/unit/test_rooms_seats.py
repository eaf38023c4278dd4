"""The room manager and the pages in their seats."""

from __future__ import annotations

from callnet.calls.records import Relay
from callnet.calls.seats import NoSeat, RoomOver, Seated
from callnet.model import Reason, RoomId
from tests.support.rooms_case import ANN, TV, RecordedPage, RoomsCase, answer


class SeatsTests(RoomsCase):
    """Pages in their seats."""

    def take(self, room: RoomId, key: str, session: str = "s") -> RecordedPage:
        """Have a page come and get a seat."""
        page = RecordedPage()
        self.assertIsInstance(self.successResultOf(self.rooms.pages.take(room, key, session, page)), Seated)
        return page

    def sessions(self, page: RecordedPage) -> list[str]:
        """The sessions in the room, as the page knows it."""
        return [seat.session for seat in page.seen[-1][0].seats if seat is not None and seat.empty_since is None]

    def test_two_pages(self) -> None:
        """Each is told the room when it comes, and whenever it changes."""
        red = self.take(RoomId("r"), "red", "one")
        self.assertEqual(["one"], self.sessions(red))
        blue = self.take(RoomId("r"), "blue", "two")
        self.assertEqual(["one", "two"], self.sessions(red))
        self.assertEqual(["one", "two"], self.sessions(blue))
        self.rooms.pages.leave("blue", blue)
        self.assertEqual(["one"], self.sessions(red))

    def test_no_seat(self) -> None:
        """A page that gets no seat is told nothing."""
        for key in ("red", "blue"):
            self.take(RoomId("r"), key)
        third = RecordedPage()
        reply = self.successResultOf(self.rooms.pages.take(RoomId("r"), "green", "s", third))
        self.assertEqual(NoSeat("full"), reply)
        self.rooms.pages.hung_up(RoomId("r"), "red")
        self.assertEqual([], third.seen)
        self.rooms.pages.leave("green", third)

    def test_relay(self) -> None:
        """A page's message goes to the seat it is for."""
        red, blue = self.take(RoomId("r"), "red"), self.take(RoomId("r"), "blue")
        self.rooms.pages.publish("here", Relay(RoomId("r"), "here", "red", "b", b"{}"))
        self.rooms.pages.publish("here", Relay(RoomId("r"), "here", "green", "b", b"{}"))
        self.assertEqual(([("b", b"{}")], []), (red.relays, blue.relays))

    def test_reload(self) -> None:
        """A reload displaces the older socket of its seat, whose going changes nothing."""
        old = self.take(RoomId("r"), "red", "one")
        new = self.take(RoomId("r"), "red", "two")
        self.assertEqual((1, 0), (old.displacements, new.displacements))
        self.rooms.pages.leave("red", old)
        self.assertEqual(["two"], self.sessions(new))

    def test_call_ends(self) -> None:
        """The end of the call reaches the pages, and the button of a page that meets another the devices."""
        ann, tv = self.connect(ANN), self.connect(TV)
        self.call(ANN, TV)
        room = self.room_of(tv)
        answer(self.rooms, self.newest(TV), room, True)
        red = self.take(room, "red")
        self.rooms.pages.hung_up(room, "red")
        self.assertEqual([], ann.rooms)
        self.take(room, "blue")
        self.rooms.pages.hung_up(room, "red")
        self.assertEqual([(room, Reason.HANGUP)], ann.rooms)
        self.assertEqual((room, Reason.HANGUP), tv.rooms[-1])
        call = red.seen[-1][1]
        assert call is not None
        self.assertEqual(Reason.HANGUP, call.end and call.end.reason)
        reply = self.successResultOf(self.rooms.pages.take(room, "green", "s", RecordedPage()))
        self.assertEqual(RoomOver(Reason.HANGUP), reply)

    def test_room_is_forgotten(self) -> None:
        """A room that was left is forgotten after 10 s."""
        red = self.take(RoomId("r"), "red")
        self.rooms.pages.leave("red", red)
        self.wait(11)
        self.assert_nothing_is_stored()
        self.assertEqual({}, self.rooms.pages._seated)
