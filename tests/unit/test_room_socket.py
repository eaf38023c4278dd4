"""The page's room socket: the visitors in a room, and their messages (protocol §3, docs/room.md)."""

from __future__ import annotations

from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress
from tests.support.room_case import SESSIONS, WAITING, RoomCase, ended, meeting
from tests.support.wires import World

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")


class MeetingTests(RoomCase):
    """A room that was made up by hand."""

    def setUp(self) -> None:
        """Let two pages meet."""
        super().setUp()
        self.first = self.join(0)
        self.assertEqual(self.first.hears(), WAITING)
        self.second = self.join(1)

    def meet(self) -> None:
        """Let both hear that they have met."""
        self.assertEqual(self.first.hears(), meeting(SESSIONS[1]))
        self.assertEqual(self.second.hears(), meeting(SESSIONS[0]))

    def test_meeting(self) -> None:
        """The first waits; when the second comes, each is told the other's session."""
        self.meet()

    def test_ping(self) -> None:
        """A ping is answered by a pong."""
        self.meet()
        for _ in range(3):
            self.first.say("ping")
            self.assertEqual(self.first.hears(), {"type": "pong"})

    def test_relay(self) -> None:
        """Any JSON goes to the other page as it is, with the session that said it."""
        self.meet()
        said: tuple[object, ...] = (
            {"sdp": "v=0\r\n", "": [1.5, None]},
            "电视",
            0,
            None,
            [[[]]],
            {"type": "relay", "from": "x"},
        )
        for data in said:
            self.first.say("relay", to=SESSIONS[1], data=data)
            self.assertEqual(self.second.hears(), {"type": "relay", "from": SESSIONS[0], "data": data})
        self.second.say("relay", to=SESSIONS[0], data=1)
        self.assertEqual(self.first.hears()["data"], 1)

    def test_relay_to_nobody(self) -> None:
        """A message for another session than the other page's is dropped: that page load is over."""
        self.meet()
        for to in (SESSIONS[0], SESSIONS[2]):
            self.first.say("relay", to=to, data="x")
        self.assertEqual(self.first.heard() + self.second.heard(), [])

    def test_relay_in_another_room(self) -> None:
        """Pages of other rooms cannot be reached, though they have the same session."""
        self.meet()
        third, fourth = self.join(2, "elsewhere"), self.join(1, "elsewhere")
        third.heard(), fourth.heard()
        third.say("relay", to=SESSIONS[1], data="x")
        self.assertEqual(fourth.hears()["data"], "x")
        self.assertEqual(self.second.heard(), [])

    def test_third_visitor(self) -> None:
        """A third visitor is refused and closed with 4403; the two do not notice."""
        self.meet()
        third = self.join(2)
        self.assertEqual(third.hears(), {"type": "refused", "reason": "full"})
        self.assertEqual(third.close_code, 4403)
        self.assertEqual(self.first.heard() + self.second.heard(), [])

    def test_seat_that_was_left(self) -> None:
        """The seat of a page that is away is kept for 10 s, then a third visitor may have it."""
        self.meet()
        self.second.leave()
        self.assertEqual(self.first.hears(), meeting(SESSIONS[1], present=False))
        self.world.advance(9)
        self.assertEqual(self.join(2).hears()["reason"], "full")
        self.assertEqual(self.first.heard(), [])
        self.world.advance(1.5)
        self.assertEqual(self.first.hears(), WAITING)
        self.assertEqual(self.join(2).hears(), meeting(SESSIONS[0]))
        self.assertEqual(self.first.hears(), meeting(SESSIONS[2]))

    def test_reload(self) -> None:
        """A reload gets its own seat back under a new session, in a room that is full for others."""
        self.meet()
        self.second.leave()
        self.first.heard()
        again = self.join(1, session=SESSIONS[3])
        self.assertEqual(again.hears(), meeting(SESSIONS[0]))
        self.assertEqual(self.first.hears(), meeting(SESSIONS[3]))
        self.first.say("relay", to=SESSIONS[1], data="for the page before")
        self.assertEqual(again.heard(), [])

    def test_same_session_is_back(self) -> None:
        """A page whose socket broke comes back with its session, and is present again."""
        self.meet()
        self.second.leave()
        self.assertEqual(self.first.hears(), meeting(SESSIONS[1], present=False))
        back = self.join(1)
        self.assertEqual(back.hears(), meeting(SESSIONS[0]))
        self.assertEqual(self.first.hears(), meeting(SESSIONS[1]))

    def test_taken_over(self) -> None:
        """The same seat taken by a newer socket closes the older one with 4409, whose end has no effect."""
        self.meet()
        newer = self.join(1)
        self.assertEqual(self.second.close_code, 4409)
        self.assertTrue(self.second.wire.lost)
        self.assertEqual(newer.hears(), meeting(SESSIONS[0]))
        self.assertEqual(self.first.hears(), meeting(SESSIONS[1]))
        self.world.advance(15)
        self.assertEqual(self.first.heard(), [])
        self.first.say("relay", to=SESSIONS[1], data="x")
        self.assertEqual(newer.hears()["data"], "x")

    def test_hang_up(self) -> None:
        """Hanging up ends the meeting for both; the sockets stay open, and nothing is relayed any more."""
        self.meet()
        self.second.say("hangup")
        self.assertEqual(self.first.hears(), ended("hangup"))
        self.assertEqual(self.second.hears(), ended("hangup"))
        self.first.say("relay", to=SESSIONS[1], data="x")
        self.first.say("ping")
        self.assertEqual(self.first.hears(), {"type": "pong"})
        self.assertEqual(self.second.heard(), [])
        self.assertTrue(self.second.wire.open)

    def test_new_meeting(self) -> None:
        """After that, or when both have left, the room may be used again by anybody."""
        self.meet()
        self.second.say("hangup")
        third = self.join(2)
        self.assertEqual(third.hears(), WAITING)
        third.leave()
        self.first.leave()
        self.second.leave()
        self.world.advance(11)
        self.assertEqual(self.join(3).hears(), WAITING)


class MediaSetupTests(RoomCase):
    """The reports of pages on their connection."""

    def counted(self) -> tuple[dict[str, tuple[int, float]], int]:
        """The number of pages of each path, and their seconds; and the number that gave up."""
        counts = self.world.rooms.counts
        took = {path: (list(times.buckets())[-1][1], times.sum) for path, times in counts.media_setup.items()}
        return {path: seen for path, seen in took.items() if seen[0]}, counts.media_failed

    def test_counted(self) -> None:
        """A ping may tell how long it took until media flowed, and how it goes; it is answered as ever."""
        first, second = self.join(0), self.join(1)
        first.heard(), second.heard()
        first.say("ping", media={"path": "host", "seconds": 0.75})
        second.say("ping", media={"path": "relay", "seconds": 120})
        self.assertEqual([{"type": "pong"}] * 2, [first.hears(), second.hears()])
        self.assertEqual(({"host": (1, 0.75), "relay": (1, 120.0)}, 0), self.counted())

    def test_given_up(self) -> None:
        """A page that gave up is counted as that, whatever time it took."""
        first, _ = self.join(0), self.join(1)
        first.say("ping", media={"path": "none", "seconds": 31.5})
        self.assertEqual(({}, 1), self.counted())

    def test_once(self) -> None:
        """Only the first of a socket counts; the second is a ping like any other."""
        first, _ = self.join(0), self.join(1)
        first.heard()
        for path in ("srflx", "srflx", "none"):
            first.say("ping", media={"path": path, "seconds": 1})
        self.assertEqual([{"type": "pong"}] * 3, first.heard())
        self.assertEqual(({"srflx": (1, 1.0)}, 0), self.counted())

    def test_alone(self) -> None:
        """A page without a peer is not counted."""
        first = self.join(0)
        first.say("ping", media={"path": "host", "seconds": 1})
        self.assertEqual(({}, 0), self.counted())
        self.join(1)
        first.say("ping", media={"path": "unknown", "seconds": 1})
        self.assertEqual(({"unknown": (1, 1.0)}, 0), self.counted())

    def test_plain_ping(self) -> None:
        """A ping that tells nothing counts for nothing."""
        first, _ = self.join(0), self.join(1)
        first.say("ping")
        first.say("ping", media=None)
        self.assertTrue(first.wire.open)
        self.assertEqual(({}, 0), self.counted())


class CallRoomTests(RoomCase):
    """The room of a call."""

    def setUp(self) -> None:
        """Let a television ring a phone."""
        super().setUp()
        self.tv, self.phone = self.world.device(*TV), self.world.device(*PHONE)
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.room = self.phone.hears()["room_id"]
        self.secrets.append(self.room)

    def accept(self) -> None:
        """Let the phone accept."""
        self.phone.say("called_success", from_phone=TV.phone, from_device_id=TV.device_id, room_id=self.room)
        self.tv.hears()

    def hang_up(self) -> None:
        """Let the television hang up, by signaling."""
        self.tv.say("calling_hangup", notified_phone="", notified_device_id="", room_id=self.room)

    def test_ringing(self) -> None:
        """While the call rings, seats wait; when it is answered, they meet."""
        first, second = self.join(0), self.join(1)
        self.assertEqual(first.heard() + second.heard(), [WAITING, WAITING])
        first.say("relay", to=SESSIONS[1], data="x")
        self.assertEqual(second.heard(), [])
        self.accept()
        self.assertEqual(first.hears(), meeting(SESSIONS[1], elapsed=0))
        self.assertEqual(second.hears(), meeting(SESSIONS[0], elapsed=0))

    def test_active(self) -> None:
        """In a call that was answered the second page meets the first, and both are told for how long it lasts."""
        self.accept()
        first = self.join(0)
        self.assertEqual(first.hears(), WAITING)
        self.world.advance(4)
        self.assertEqual(self.join(1).hears(), meeting(SESSIONS[0], elapsed=4))
        self.assertEqual(first.hears(), meeting(SESSIONS[1], elapsed=4))
        self.assertEqual(self.join(2).hears()["reason"], "full")

    def test_end_by_signaling(self) -> None:
        """When the call ends by signaling, both pages are told, and do not meet any more."""
        self.accept()
        first, second = self.join(0), self.join(1)
        first.heard(), second.heard()
        self.hang_up()
        self.assertEqual(first.hears(), ended("hangup"))
        self.assertEqual(second.hears(), ended("hangup"))
        first.say("relay", to=SESSIONS[1], data="x")
        self.assertEqual(second.heard(), [])
        self.assertEqual(self.phone.hears()["reason"], "hangup")

    def test_end_by_a_page(self) -> None:
        """Hanging up on the page ends the call: both devices and both pages are told."""
        self.accept()
        first, second = self.join(0), self.join(1)
        first.heard(), second.heard()
        first.say("hangup")
        for page in (first, second):
            self.assertEqual(page.hears(), ended("hangup"))
        for device, other in ((self.tv, PHONE), (self.phone, TV)):
            message = device.hears()
            self.assertEqual((message["type"], message["reason"]), ("calling_be_hangup", "hangup"))
            self.assertEqual((message["fire_phone"], message["fire_device_id"]), other)

    def test_refused_call(self) -> None:
        """A page that waits in the room of a call that is refused is told."""
        page = self.join(0)
        page.heard()
        self.phone.say("called_refuse", from_phone=TV.phone, from_device_id=TV.device_id, room_id=self.room)
        self.assertEqual(page.hears()["state"], "ended")

    def test_room_of_an_ended_call(self) -> None:
        """While it is remembered the room of an ended call is ``ended``, for newcomers and for a reload."""
        self.accept()
        first = self.join(0)
        self.hang_up()
        first.leave()
        for number in (0, 1, 2):
            page = self.join(number)
            self.assertEqual(page.hears(), ended("hangup"))
            page.say("hangup")
            page.say("relay", to=SESSIONS[0], data="x")
            page.say("ping")
            self.assertEqual(page.hears(), {"type": "pong"})
        self.world.advance(119)
        self.assertEqual(self.join(3).hears(), ended("hangup"))

    def test_pages_that_leave(self) -> None:
        """A call whose two pages have gone is over after 30 s; one page that is away may come back until then."""
        self.accept()
        first, second = self.join(0), self.join(1)
        first.leave()
        self.world.advance(20)
        first = self.join(0)
        self.assertEqual(first.hears(), meeting(SESSIONS[1], elapsed=20))
        first.leave()
        second.leave()
        self.world.advance(29)
        self.assertEqual(self.tv.heard() + self.phone.heard(), [])
        self.world.advance(2)
        self.assertEqual([device.hears()["reason"] for device in (self.tv, self.phone)], ["abandoned"] * 2)


class NoMadeUpRoomsTests(CallRoomTests):
    """Where made-up rooms are switched off, the rooms of calls work all the same."""

    def make_world(self) -> World:
        """Start a server without them."""
        return World(CallSettings(adhoc_rooms=False))

    def test_made_up_room(self) -> None:
        """A made-up room is refused as unknown."""
        for room in ("living room", "0" * 32):
            page = self.join(0, room)
            self.assertEqual(page.hears(), {"type": "refused", "reason": "unknown_room"})
            self.assertEqual(page.close_code, 4403)
