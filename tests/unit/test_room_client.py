"""A seat in a room, as a client without a page has it: against a scripted server (docs/room.md)."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter

from callnet.schemas import FROM_PAGE, RELAYED, TO_PAGE
from callnet_client.reconnecting_socket import (
    ANSWER_WITHIN,
    DEAD_AFTER,
    LOOK_EVERY,
    ROUND_TRIPS,
    SPREAD,
    URGENT_EVERY,
)
from callnet_client.relayed import Negotiate, Restart, parse_relayed
from callnet_client.room import FULL_AGAIN_AFTER, LONGEST_DELAY, PING_EVERY, RoomSocket
from callnet_client.room_frames import Join, Room, parse_message
from tests.support.client_case import PORT, ClientCase, ScriptedServer
from tests.support.frame_schemas import check
from tests.support.room_case import KEYS, SESSIONS, WAITING, ended, meeting
from tests.unit.test_schema_frames import bad_frames, good_frames, written

JOIN = Join("living room", KEYS[0], SESSIONS[0])


class Guest:
    """A visitor who remembers the events."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def reached(self, is_up: bool) -> None:
        """Remember it."""
        self.events.append(is_up)

    def entered(self, room: Room) -> None:
        """Remember the state."""
        self.events.append(room.state if room.peer is None else (room.state, room.peer.session, room.peer.present))

    def told(self, session: str, data: bytes) -> None:
        """Remember it."""
        self.events.append((session, json.loads(data)))

    def refused(self, reason: str) -> None:
        """Remember it."""
        self.events.append(reason)

    def take(self) -> list[Any]:
        """The events since the last call."""
        events, self.events = self.events, []
        return events


class RoomSocketTests(ClientCase):
    """One seat."""

    def setUp(self) -> None:
        """Ask for it."""
        super().setUp()
        self.server = ScriptedServer()
        self.listen(self.server)
        self.guest = Guest()
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", PORT)
        self.seat = RoomSocket("http://callnet.test:8080", JOIN, self.guest, self.reactor, endpoint=endpoint)
        self.addCleanup(self.leave)
        self.arrive()

    def arrive(self) -> None:
        """Let it reach the server."""
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        self.pumps.append(pump)
        self.settle()

    def leave(self) -> None:
        """Give the seat up; nothing is left of it."""
        self.seat.close()
        self.settle()

    def say(self, message: dict[str, Any]) -> None:
        """Let the server say something."""
        self.server.say_raw(json.dumps(message).encode())
        self.settle()

    def heard(self) -> list[dict[str, Any]]:
        """The frames that the server has received since the last call, each as the schemas say."""
        self.settle()
        payloads, self.server.heard = self.server.heard, []
        for payload in payloads:
            check(FROM_PAGE, payload)
        return [json.loads(payload) for payload in payloads]

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 4)):
            self.reactor.advance(0.25)
            self.settle()

    def is_trying(self) -> bool:
        """True if it wants to reach the server now."""
        return bool(self.reactor.tcpClients)

    def test_join(self) -> None:
        """It says first which seat it wants, from the origin of the site, port and all."""
        (request,) = self.server.requests
        self.assertEqual(
            ("/room", "callnet.test:8080", "http://callnet.test:8080"),
            (request.path, request.headers["host"], request.origin),
        )
        self.assertEqual(
            [{"type": "join", "room_id": "living room", "key": KEYS[0], "session": SESSIONS[0]}], self.heard()
        )

    def test_default_port(self) -> None:
        """The port is in both also where the site's URL has none, since it is in the header Host."""
        server = ScriptedServer()
        self.reactor.listenTCP(443, server)
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", 443)
        seat = RoomSocket("http://callnet.test/", JOIN, self.guest, self.reactor, endpoint=endpoint)
        self.arrive()
        self.assertEqual(
            ("callnet.test:80", "http://callnet.test:80"),
            (server.requests[0].headers["host"], server.requests[0].origin),
        )
        seat.close()

    def test_rooms(self) -> None:
        """Its visitor is told how the room is, whenever the server says so."""
        for room, seen in (
            (WAITING, "waiting"),
            (meeting(SESSIONS[1]), ("meeting", SESSIONS[1], True)),
            (meeting(SESSIONS[1], present=False), ("meeting", SESSIONS[1], False)),
            (ended("hangup"), "ended"),
        ):
            self.say(room)
            self.assertEqual([True, seen], self.guest.take())

    def test_ice_servers(self) -> None:
        """The ICE servers come with the room, with credentials where there are some."""
        servers = [{"urls": ["stun:a"]}, {"urls": ["turn:b", "turns:b"], "username": "u", "credential": "c"}]
        room = parse_message(json.dumps({**meeting(SESSIONS[1]), "ice_servers": servers}).encode())
        assert isinstance(room, Room)
        self.assertEqual(
            [(["stun:a"], "", ""), (["turn:b", "turns:b"], "u", "c")],
            [(server.urls, server.username, server.credential) for server in room.ice_servers],
        )

    def test_relay(self) -> None:
        """A visitor's message goes to the session that it is for, and comes from its sender."""
        self.heard()
        self.seat.relay(SESSIONS[1], Negotiate())
        self.seat.relay(SESSIONS[1], Restart(KEYS[2]))
        self.assertEqual(
            [{"kind": "negotiate"}, {"kind": "restart", "connection": KEYS[2]}],
            [frame["data"] for frame in self.heard()],
        )
        self.say({"type": "relay", "from": SESSIONS[1], "data": {"kind": "negotiate"}})
        self.assertEqual([(SESSIONS[1], {"kind": "negotiate"})], self.guest.take())

    def test_pings(self) -> None:
        """It asks every two seconds whether the server is there, and goes on while that answers."""
        self.say(WAITING)
        self.heard()
        for _ in range(10):
            self.wait(PING_EVERY)
            self.assertEqual([{"type": "ping"}], self.heard())
            self.say({"type": "pong"})
        self.assertEqual([True, "waiting"], self.guest.take())

    def test_connected(self) -> None:
        """The time until media flowed goes along with a ping, and is never more than the server accepts."""
        self.heard()
        for seconds in (0.5, 500.0):
            self.seat.connected(seconds)
        told = [{"path": "unknown", "seconds": seconds} for seconds in (0.5, 120.0)]
        self.assertEqual([{"type": "ping", "media": media} for media in told], self.heard())

    def test_silent_server(self) -> None:
        """A server that answers nothing for six seconds is given up, and tried again."""
        self.say(WAITING)
        self.guest.take()
        self.wait(PING_EVERY + DEAD_AFTER)
        self.assertEqual([False], self.guest.take())
        self.wait(1)
        self.heard()
        self.arrive()
        self.assertEqual([SESSIONS[0]], [frame["session"] for frame in self.heard()])

    def test_doubted(self) -> None:
        """A server that is in doubt has 1.5 s to answer; then its socket is replaced at once."""
        self.say(WAITING)
        self.heard()
        self.seat.check()
        self.assertEqual([{"type": "ping"}], self.heard())
        self.wait(0.25)
        self.say({"type": "pong"})
        self.wait(ANSWER_WITHIN + SPREAD)
        self.assertEqual([True, "waiting"], self.guest.take())
        self.seat.check()
        self.wait(ANSWER_WITHIN + SPREAD)
        self.assertEqual([False], self.guest.take())
        self.wait(0.25)
        self.assertTrue(self.is_trying())
        self.seat.check()
        self.heard()
        self.arrive()
        self.assertEqual([SESSIONS[0]], [frame["session"] for frame in self.heard()])

    def test_doubted_on_slow_path(self) -> None:
        """A server has four times as long as its last answer took."""
        self.say(WAITING)
        self.seat.check()
        self.wait(1)
        self.say({"type": "pong"})
        self.guest.take()
        self.seat.check()
        self.wait(ROUND_TRIPS - 0.25)
        self.assertEqual([], self.guest.take())
        self.wait(0.25 + SPREAD)
        self.assertEqual([False], self.guest.take())

    def test_doubted_again(self) -> None:
        """A socket that has just replaced a doubted one has six seconds, as if nobody had doubted."""
        self.say(WAITING)
        self.seat.check()
        self.wait(ANSWER_WITHIN + SPREAD + 0.25)
        self.arrive()
        self.say(WAITING)
        self.guest.take()
        self.seat.check()
        self.wait(DEAD_AFTER - 0.5)
        self.assertEqual([], self.guest.take())
        self.wait(LOOK_EVERY + 0.5)
        self.assertEqual([False], self.guest.take())
        self.wait(URGENT_EVERY - DEAD_AFTER - LOOK_EVERY)
        self.arrive()
        self.say(WAITING)
        self.guest.take()
        self.seat.check()
        self.wait(ANSWER_WITHIN + SPREAD)
        self.assertEqual([False], self.guest.take())

    def test_again_and_again(self) -> None:
        """While the server cannot be reached it is tried again, ever more seldom, but never more than 12 s apart."""
        self.server.socket.sendCloseFrame(1001, b"")
        self.settle()
        pauses = []
        for _ in range(8):
            began = self.reactor.seconds()
            while not self.is_trying():
                self.reactor.advance(0.05)
            pauses.append(self.reactor.seconds() - began)
            ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError()))
        self.assertLess(pauses[0], 0.9)
        self.assertGreater(min(pauses[-3:]), LONGEST_DELAY / 2 - 0.1)
        self.assertLess(max(pauses), LONGEST_DELAY * 1.5 + 0.1)

    def test_full(self) -> None:
        """A full room is tried again after five seconds."""
        self.say({"type": "refused", "reason": "full"})
        self.server.socket.sendClose(4403)
        self.settle()
        self.assertEqual(["full", False], self.guest.take())
        self.wait(FULL_AGAIN_AFTER)
        self.assertTrue(self.is_trying())

    def test_no_such_room(self) -> None:
        """A room that does not exist is not tried again."""
        self.say({"type": "refused", "reason": "unknown_room"})
        self.server.socket.sendClose(4403)
        self.settle()
        self.assertEqual(["unknown_room", False], self.guest.take())
        self.wait(30)
        self.assertFalse(self.is_trying())

    def test_taken_or_broken(self) -> None:
        """So is a room whose seat somebody has taken over, or whose server does not understand."""
        self.server.socket.sendClose(4409)
        self.settle()
        self.assertEqual([False, "taken"], self.guest.take())
        self.wait(30)
        self.assertFalse(self.is_trying())

    def test_hang_up_and_leave(self) -> None:
        """It hangs up, and leaves in form; it ignores all later messages."""
        self.say(WAITING)
        self.heard()
        self.guest.take()
        self.seat.hang_up()
        self.seat.close()
        self.server.say_raw(json.dumps(ended("hangup")).encode())
        self.assertEqual([{"type": "hangup"}], self.heard())
        self.wait(30)
        self.assertEqual([], self.guest.take())
        self.assertFalse(self.is_trying())

    def test_leave_before_it_has_come(self) -> None:
        """It may be given up before it has reached the server."""
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", PORT)
        RoomSocket("http://callnet.test", JOIN, self.guest, self.reactor, endpoint=endpoint).close()
        self.assertEqual([], self.guest.take())

    def test_nonsense(self) -> None:
        """A message that it does not understand is ignored: a later server may say more."""
        for payload in (b"", b"[]", b"[" * 5000, b'{"type":"later"}', b'{"type":"room"}', b'{"type":7}'):
            self.server.say_raw(payload)
        self.settle()
        self.assertEqual([], self.guest.take())
        self.say({**WAITING, "later": 1})
        self.assertEqual([True, "waiting"], self.guest.take())


class ReadingTests(ClientCase):
    """The client reads everything that the schemas accept."""

    @given(good_frames(TO_PAGE))
    def test_what_a_client_is_told(self, frame: dict[str, Any]) -> None:
        """Whatever the server may say is read."""
        self.assertIsNotNone(parse_message(written(frame)))

    @given(good_frames(RELAYED))
    def test_what_clients_say(self, message: dict[str, Any]) -> None:
        """Whatever the other client may say is read."""
        self.assertIsNotNone(parse_relayed(written(message)))

    @given(bad_frames(RELAYED))
    def test_what_clients_do_not_say(self, seen: tuple[str, dict[str, Any]]) -> None:
        """An invalid field is ignored."""
        self.assertIsNone(parse_relayed(written(seen[1])))

    @given(st.binary(max_size=200))
    def test_anything(self, payload: bytes) -> None:
        """No payload raises anything."""
        self.assertIsNone(parse_relayed(payload))
        self.assertIsNone(parse_message(payload))
