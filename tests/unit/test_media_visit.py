"""A visit to a room without a page, from joining to the end: messages sent, shown and ignored (docs/room.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from autobahn.twisted.websocket import WebSocketServerProtocol
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.test.iosim import ConnectionCompleter

from callnet.schemas import FROM_PAGE, NOTE, RELAYED, TO_PAGE
from callnet_client import DeviceAddress
from callnet_client.media.connection import FAREWELL, Connection
from callnet_client.media.visit import Visit, seat_key
from callnet_client.notes import State, parse_note
from callnet_client.room import RoomSocket, Visitor
from callnet_client.room_frames import IceServer, Join
from tests.support.client_case import PORT, ClientCase, ScriptedServer
from tests.support.frame_schemas import check
from tests.support.media_wire import Wire
from tests.support.room_case import KEYS, WAITING, ended, meeting
from tests.support.schema_strategies import ANYTHING
from tests.unit.test_schema_frames import bad_frames, good_frames, written

LESS, GREATER = "0" * 32, "f" * 32
"""Sessions between which every other is, all but surely."""
OFFER = {"kind": "offer", "connection": KEYS[0], "round": 1, "sdp": "sdp"}
SEEN = State(muted=False, camera_off=True, sharing=False)


class VisitCase(ClientCase):
    """A device in a room; the test is the server and the other side."""

    def setUp(self) -> None:
        """Let it in."""
        super().setUp()
        self.lines: list[str] = []
        self.log: list[Any] = []
        self.wires: list[Wire] = []
        self.ice_servers: Sequence[IceServer] = ()
        self.begin()
        self.addCleanup(self.end)

    def begin(self) -> None:
        """Let it join."""
        self.server = ScriptedServer()
        self.reactor.tcpServers.clear()
        self.listen(self.server)
        self.visit = Visit(self.open_room, self.build, ("room", KEYS[0]), SEEN, self.lines.append, self.reactor)
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        self.pumps.append(pump)
        (join,) = self.heard()
        self.session = join["session"]

    def open_room(self, join: Join, visitor: Visitor) -> RoomSocket:
        """Make the socket."""
        endpoint = TCP4ClientEndpoint(self.reactor, "192.0.2.1", PORT)
        return RoomSocket("http://callnet.test", join, visitor, self.reactor, endpoint=endpoint)

    def build(self, connection: Connection, ice_servers: Sequence[IceServer]) -> Wire:
        """Make a connection."""
        self.ice_servers = ice_servers
        self.wires.append(Wire(connection, self.log))
        return self.wires[-1]

    def end(self) -> None:
        """End the visit."""
        self.visit.leave(farewell=False)
        self.settle()

    def say(self, message: Any) -> None:
        """Let the server say something, unless the device has left."""
        if self.server.socket.state == WebSocketServerProtocol.STATE_OPEN:
            self.server.say_raw(json.dumps(message).encode())
        self.settle()

    def relay(self, session: str, data: Any) -> None:
        """Let a client say something."""
        self.say({"type": "relay", "from": session, "data": data})

    def heard(self) -> list[dict[str, Any]]:
        """The frames that the server has received since the last call, each as the schemas say."""
        self.settle()
        payloads, self.server.heard = self.server.heard, []
        frames = [json.loads(payload) for payload in payloads]
        for payload, frame in zip(payloads, frames, strict=True):
            check(FROM_PAGE, payload)
            if frame["type"] == "relay":
                check(RELAYED, json.dumps(frame["data"]).encode())
        return [frame for frame in frames if frame["type"] != "ping"]

    def pings(self) -> list[dict[str, Any]]:
        """The pings among the received frames, each as the schemas say."""
        for payload in self.server.heard:
            check(FROM_PAGE, payload)
        return [frame for frame in map(json.loads, self.server.heard) if frame["type"] == "ping"]

    def meet(self) -> Wire:
        """Let the other side offer and be answered, and media flow."""
        self.say(meeting(GREATER))
        self.relay(GREATER, OFFER)
        self.wires[-1].become(True)
        self.heard()
        return self.wires[-1]


class VisitTests(VisitCase):
    """The actions of a visit."""

    def test_who_offers(self) -> None:
        """The greater session offers: this one waits to be asked, or asks."""
        self.say(meeting(LESS))
        self.assertEqual("media: connecting; this side offers", self.lines[-1])
        self.assertEqual([], self.heard())
        self.relay(LESS, {"kind": "negotiate"})
        (frame,) = self.heard()
        self.assertEqual((LESS, "offer"), (frame["to"], frame["data"]["kind"]))
        self.say(meeting(GREATER))
        self.assertEqual("media: connecting; the other side offers", self.lines[-1])
        self.assertEqual([{"type": "relay", "to": GREATER, "data": {"kind": "negotiate"}}], self.heard())
        self.assertTrue(self.wires[0].is_closed)

    def test_ice_servers(self) -> None:
        """A connection is made with the latest ICE servers."""
        for username in ("older", "newer"):
            self.say({**meeting(GREATER), "ice_servers": [{"urls": ["turn:a"], "username": username}]})
        self.relay(GREATER, OFFER)
        self.assertEqual(["newer"], [server.username for server in self.ice_servers])

    def test_said_early(self) -> None:
        """Messages of the other side before the room tells of it are not lost; messages of others are."""
        self.relay(GREATER, OFFER)
        self.assertEqual([], self.wires)
        self.say(meeting(GREATER))
        self.assertEqual([("answer", "sdp")], self.log)
        self.relay(LESS, {**OFFER, "connection": KEYS[1]})
        self.assertEqual(1, len(self.wires))

    def test_left(self) -> None:
        """The connection with a page that says that it leaves is dropped, and made again with the next session only."""
        wire = self.meet()
        self.relay(GREATER, {"kind": "leaving"})
        self.assertEqual("media: the other side has left and may come back", self.lines[-1])
        self.assertTrue(wire.is_closed)
        self.say(meeting(GREATER, present=False))
        self.assertEqual(1, len(self.wires))
        self.say(meeting(LESS))
        self.assertEqual("media: connecting; this side offers", self.lines[-1])

    def test_choosing(self) -> None:
        """It says what the other side is doing before that connects."""
        self.say(meeting(GREATER))
        self.relay(GREATER, {"kind": "choosing"})
        self.assertEqual("media: the other side is choosing camera and microphone", self.lines[-1])
        self.relay(GREATER, OFFER)
        self.assertEqual([("answer", "sdp")], self.log)

    def test_state(self) -> None:
        """Its state is sent when the channel opens, and the state of the other side is shown."""
        wire = self.meet()
        wire.connection.opened(wire)
        name, note = self.log[-1]
        check(NOTE, note)
        self.assertEqual(("send", SEEN), (name, parse_note(note)))
        for muted, camera_off, sharing, shown in (
            (False, False, True, "sound, the camera's picture, a screen"),
            (True, True, False, "nothing"),
        ):
            state = {"kind": "state", "muted": muted, "camera_off": camera_off, "sharing": sharing}
            wire.connection.heard(wire, json.dumps(state))
            self.assertEqual(f"media: the other side sends {shown}", self.lines[-1])

    def test_chat(self) -> None:
        """A chat message is shown, and does nothing to the terminal."""
        wire = self.meet()
        wire.connection.heard(wire, json.dumps({"kind": "chat", "text": "你好\n\x1b[2J"}))
        self.assertEqual("media: chat: 你好\\n\\x1b[2J", self.lines[-1])

    def test_missed(self) -> None:
        """When nothing comes any more it asks the server whether it is still there."""
        self.say(meeting(LESS))
        self.server.heard.clear()
        self.visit.missed()
        self.settle()
        self.assertEqual([b'{"type":"ping"}'], self.server.heard)

    def test_media_setup(self) -> None:
        """The time until media flowed is reported to the server: the first time, and once."""
        self.say(meeting(GREATER))
        self.reactor.advance(0.75)
        self.relay(GREATER, OFFER)
        wire = self.wires[-1]
        self.server.heard.clear()
        for is_flowing in (True, False, True):
            wire.become(is_flowing)
            self.settle()
        self.assertEqual([{"type": "ping", "media": {"path": "unknown", "seconds": 0.75}}], self.pings())

    def test_bye(self) -> None:
        """A peer that says goodbye may have lost the server: it is told for them, and the visit is over."""
        wire = self.meet()
        wire.connection.heard(wire, '{"kind":"bye"}')
        self.assertEqual([{"type": "hangup"}], self.heard())
        self.assertTrue(wire.is_closed)
        self.assertEqual("media: the other side has hung up", self.lines[-1])

    def test_ended(self) -> None:
        """When the room has ended everything is closed."""
        wire = self.meet()
        self.say(ended("hangup"))
        self.assertTrue(wire.is_closed)
        self.assertEqual("media: the room has ended (hangup)", self.lines[-1])

    def test_leave(self) -> None:
        """A visitor who leaves an ended call says goodbye, and is gone when that has had its time."""
        self.meet()
        left = self.visit.leave(farewell=True)
        self.assertEqual(("send", b'{"kind":"bye"}'), self.log[-1])
        self.assertNoResult(left)
        self.reactor.advance(FAREWELL)
        self.successResultOf(left)
        self.assertEqual("close", self.log[-1])

    def test_other_side_away(self) -> None:
        """While the other side's socket is away, or its seat is empty, media that flows goes on."""
        wire = self.meet()
        for room in (meeting(GREATER, present=False), WAITING):
            self.say(room)
            self.assertFalse(wire.is_closed)
        wire.become(False)
        self.assertEqual("media: connection lost; reconnecting", self.lines[-1])
        self.say(WAITING)
        self.assertTrue(wire.is_closed)

    def test_other_side_anew(self) -> None:
        """Another session is another start of the other side: it is met with a new connection."""
        wire = self.meet()
        self.say(meeting(LESS))
        self.assertTrue(wire.is_closed)

    def test_socket_lost(self) -> None:
        """When the room's socket is lost media goes on, and it comes back under the same session."""
        wire = self.meet()
        self.server.socket.sendCloseFrame(1001, b"")
        self.settle()
        self.assertEqual("media: the room's socket was lost; trying again", self.lines[-1])
        while not self.reactor.tcpClients:
            self.reactor.advance(0.25)
        pump = ConnectionCompleter(self.reactor).succeedOnce()
        assert pump is not None
        self.pumps.append(pump)
        self.assertEqual([self.session], [frame["session"] for frame in self.heard()])
        self.say(meeting(GREATER))
        self.assertEqual(([], False), (self.heard(), wire.is_closed))

    def test_refused(self) -> None:
        """Why there is no seat is shown."""
        self.say({"type": "refused", "reason": "full"})
        self.assertEqual("media: the room is full; trying again", self.lines[-1])

    def test_seat_key(self) -> None:
        """A device has the same key in a room whenever it is started, and another in another room or as another."""
        tv, room = DeviceAddress("13651884967", "tv"), "0" * 32
        self.assertEqual(seat_key(tv, room), seat_key(tv, room))
        keys = {seat_key(tv, room), seat_key(tv, "1" * 32), seat_key(DeviceAddress("13651884967", "tv2"), room)}
        self.assertEqual(3, len(keys))
        for key in keys:
            self.assertRegex(key, "^[0-9a-f]{32}$")


class AnythingTests(VisitCase):
    """Whatever others say, the device does not die of it."""

    @settings(max_examples=100)
    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("server"), good_frames(TO_PAGE) | ANYTHING),
                st.tuples(
                    st.just("relay"), good_frames(RELAYED) | bad_frames(RELAYED).map(lambda bad: bad[1]) | ANYTHING
                ),
                st.tuples(st.just("note"), good_frames(NOTE) | bad_frames(NOTE).map(lambda bad: bad[1]) | ANYTHING),
                st.tuples(st.just("raw note"), st.text() | st.binary() | st.just("x" * 20_000)),
            ),
            max_size=15,
        )
    )
    def test_anything(self, said: list[tuple[str, Any]]) -> None:
        """No message from the server, through the relay or over the channel raises anything."""
        self.end()
        self.begin()
        self.say(meeting(GREATER))
        self.relay(GREATER, OFFER)
        for place, what in said:
            wire = self.wires[-1]
            if place == "server":
                self.say(what)
            elif place == "relay":
                self.relay(GREATER, what)
            elif place == "note":
                wire.connection.heard(wire, json.dumps(what))
            else:
                wire.connection.heard(wire, what)
            self.reactor.advance(0.5)
            self.settle()
        for line in self.lines:
            self.assertTrue(line.isprintable(), line)


class NotesTests(ClientCase):
    """Reading notes."""

    @given(good_frames(NOTE))
    def test_notes(self, note: dict[str, Any]) -> None:
        """Whatever the other side may tell is read."""
        self.assertIsNotNone(parse_note(written(note)))

    @given(bad_frames(NOTE))
    def test_what_is_wrong(self, seen: tuple[str, dict[str, Any]]) -> None:
        """An invalid field is ignored, and so is a note that is too long as a whole."""
        self.assertIsNone(parse_note(written(seen[1])))
        self.assertIsNone(parse_note(b'{"kind":"bye"' + b" " * 16_384 + b"}"))
