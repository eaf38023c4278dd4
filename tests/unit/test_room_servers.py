"""Which STUN and TURN servers the pages of a room are told of, and when (docs/turn.md)."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from callnet.config.schema import CallSettings, LimitSettings
from callnet.model import DeviceAddress
from tests.support.room_case import SESSIONS, RoomCase
from tests.support.turn_case import HOUR, STUN, TURN, expiry
from tests.support.wires import Device, World

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")


class ServersCase(RoomCase):
    """A server with TURN servers. Times begin at 0."""

    calls = CallSettings(longest=2 * HOUR, unseated_limit=0)
    turn = TURN
    limits = LimitSettings(turn_credentials_a_minute_from_an_address=0, frames_a_minute_of_a_page=0)

    def make_world(self) -> World:
        """Start it."""
        return World(self.calls, turn=self.turn, limits=self.limits)

    def told(self, page: Device) -> list[tuple[str, Any]]:
        """The states that a page was told since this was last asked, each with the servers."""
        return [(frame["state"], frame["ice_servers"]) for frame in page.heard() if frame["type"] == "room"]

    def servers(self, page: Device) -> Any:
        """The servers of the last of these states, in which two meet."""
        state, servers = self.told(page)[-1]
        self.assertEqual("meeting", state)
        return servers

    def ping(self, *pages: Device) -> None:
        """Have pages show that they are there, as they do every 2 s."""
        for page in pages:
            page.say("ping")

    def pass_time(self, seconds: float, *pages: Device) -> None:
        """Let time go by; pages, and devices, are there all the time."""
        for _ in range(int(seconds / 10)):
            self.world.advance(10)
            self.ping(*pages)


class MadeUpRoomTests(ServersCase):
    """A room that was made up by hand."""

    def test_no_credentials(self) -> None:
        """Anybody can make one up: its pages are told of STUN when they meet, of nothing before, and never of TURN."""
        first, second = self.join(0), self.join(1)
        self.assertEqual([("waiting", []), ("meeting", STUN)], self.told(first))
        self.assertEqual([("meeting", STUN)], self.told(second))
        second.say("hangup")
        self.assertEqual([("ended", [])], self.told(first))
        self.assertEqual(0, self.world.ice.given["page"])

    def test_room_that_looks_like_that_of_a_call(self) -> None:
        """A name like that of a call's room changes nothing."""
        first, second = self.join(0, "0" * 32), self.join(1, "0" * 32)
        self.assertEqual((STUN, STUN), (self.servers(first), self.servers(second)))


class GenerousTests(ServersCase):
    """The same where the operator lets everybody have credentials."""

    turn = replace(TURN, adhoc=True)

    def test_credentials(self) -> None:
        """When they meet each page gets credentials, good for as long as is set."""
        first = self.join(0)
        self.assertEqual([("waiting", [])], self.told(first))
        second = self.join(1)
        self.assertEqual(HOUR, expiry(self.servers(first)))
        self.assertEqual(HOUR, expiry(self.servers(second)))
        self.assertEqual(2, self.world.ice.given["page"])


class CallRoomTests(ServersCase):
    """The room of a call."""

    def setUp(self) -> None:
        """Let a television ring a phone."""
        super().setUp()
        self.devices = self.world.device(*TV), self.world.device(*PHONE)
        self.tv, self.phone = self.devices
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.room = self.phone.hears()["room_id"]
        self.secrets.append(self.room)

    def accept(self) -> None:
        """Let the phone accept."""
        self.phone.say("called_success", from_phone=TV.phone, from_device_id=TV.device_id, room_id=self.room)

    def meet(self) -> tuple[Device, Device]:
        """Let the phone accept 5 s after the beginning, and both pages meet."""
        self.world.advance(5)
        self.accept()
        return self.join(0), self.join(1)

    def test_ringing(self) -> None:
        """While the call rings nobody is told a server."""
        first, second = self.join(0), self.join(1)
        self.assertEqual([("waiting", [])], self.told(first))
        self.assertEqual([("waiting", [])], self.told(second))
        self.phone.say("called_refuse", from_phone=TV.phone, from_device_id=TV.device_id, room_id=self.room)
        self.assertEqual([("ended", [])], self.told(first))
        self.assertEqual(0, self.world.ice.given["page"])

    def test_answered(self) -> None:
        """When it was answered both pages get credentials, each others, good for as long as is set."""
        first, second = self.join(0), self.join(1)
        self.told(first), self.told(second)
        self.world.advance(5)
        self.accept()
        told = self.servers(first), self.servers(second)
        self.assertEqual([5 + HOUR] * 2, [expiry(servers) for servers in told])
        self.assertNotEqual(told[0], told[1])
        self.assertEqual(2, self.world.ice.given["page"])

    def test_alone(self) -> None:
        """The first in the room of an active call is told when the other comes."""
        self.accept()
        first = self.join(0)
        self.assertEqual([("waiting", [])], self.told(first))
        self.join(1)
        self.assertEqual(HOUR, expiry(self.servers(first)))

    def test_ended(self) -> None:
        """After the call no page is told of a server, neither a present nor a new one."""
        first, second = self.meet()
        self.told(first)
        second.say("hangup")
        self.assertEqual([("ended", [])], self.told(first))
        self.assertEqual([("ended", [])], self.told(self.join(2)))

    def test_full(self) -> None:
        """A third visitor gets no seat and no server."""
        self.meet()
        self.assertEqual([{"type": "refused", "reason": "full"}], self.join(2).heard())
        self.assertEqual(2, self.world.ice.given["page"])

    def test_no_longer_than_the_call(self) -> None:
        """Credentials that a page gets late in a call end when the call has to, however little that is."""
        first, second = self.meet()
        for passed in (1.5 * HOUR, HOUR / 2 - 30):
            self.pass_time(passed, first, second, *self.devices)
            second.leave()
            second = self.join(1, session=SESSIONS[3])
            self.assertEqual(5 + 2 * HOUR, expiry(self.servers(second)))

    def test_the_same_as_before(self) -> None:
        """While they are good a page is told the same again, whatever the other does; nothing new is handed out."""
        first, second = self.meet()
        servers = self.servers(first)
        second.leave()
        self.assertEqual(servers, self.servers(first))
        self.world.advance(5)
        second = self.join(1, session=SESSIONS[3])
        self.assertEqual(servers, self.servers(first))
        self.assertEqual(3, self.world.ice.given["page"])

    def test_renewed_in_time(self) -> None:
        """When half of their time is over a page is told new ones, unless they last until the end."""
        first, second = self.meet()
        self.told(first)
        self.pass_time(HOUR / 2 - 10, first, second, *self.devices)
        self.assertEqual([], self.told(first))
        self.pass_time(20, first, second, *self.devices)
        [(state, servers)] = self.told(first)
        self.assertEqual("meeting", state)
        self.assertEqual(5 + HOUR / 2 + HOUR, expiry(servers))
        self.assertEqual(4, self.world.ice.given["page"])

    def test_never_renewed(self) -> None:
        """Credentials that last until the call has to end are told once."""
        first, second = self.meet()
        self.pass_time(1.5 * HOUR, first, second, *self.devices)
        self.told(first)
        self.pass_time(HOUR / 2 - 20, first, second, *self.devices)
        self.assertEqual([], self.told(first))


class LimitTests(CallRoomTests):
    """The same where an address gets two credentials a minute: it is enough for two pages."""

    limits = LimitSettings(turn_credentials_a_minute_from_an_address=2, frames_a_minute_of_a_page=0)

    def test_the_same_as_before(self) -> None:
        """A page is told its servers again without a new one."""
        first, second = self.meet()
        servers = self.servers(first)
        second.leave()
        self.assertEqual(servers, self.servers(first))

    def test_too_many(self) -> None:
        """A page from an address that had too many gets STUN alone, and TURN as soon as it may."""
        first, second = self.meet()
        self.told(first)
        second.leave()
        second = self.join(1)
        self.assertEqual(STUN, self.servers(second))
        self.assertEqual((2, 1), (self.world.ice.given["page"], self.world.ice.refused["page"]))
        self.pass_time(20, second)
        self.assertEqual([], self.told(second))
        self.pass_time(20, second)
        self.assertIsNotNone(expiry(self.servers(second)))
        self.assertEqual(3, self.world.ice.given["page"])
