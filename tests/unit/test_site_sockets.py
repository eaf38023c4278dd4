"""Devices' and pages' sockets on the site's port, where HTTP has had the connection first (protocol §2, §3)."""

from __future__ import annotations

import json
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.web.resource import Resource

from callnet.model import DeviceAddress
from callnet.web import site
from callnet.web.http import NO_SETTINGS
from harness.websocket import PING, client_frame
from tests.support.quiet import QuietTestCase
from tests.support.room_case import KEYS, SESSIONS, WAITING

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")


class SiteCase(QuietTestCase):
    """A server with a site, whose account service and static files are not needed here."""

    def setUp(self) -> None:
        """Put the site together."""
        super().setUp()
        root = site.root(
            Resource(),
            self.world.signaling.web_resource(),
            self.world.pages.web_resource(),
            self.mktemp(),
            self.world.clock,
        )
        self.site = site.Site(root, self.world.clock, 0)
        self.token = self.world.tokens.issue(TV)
        self.secrets += [self.token]


class SiteTests(SiteCase):
    """Sockets that a site has upgraded."""

    def test_devices_of_both_ports_meet(self) -> None:
        """A device on the site's port calls one on the signaling port."""
        tv, phone = self.world.device(*TV, self.site), self.world.device(*PHONE)
        tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        room = phone.hears()["room_id"]
        phone.say("called_success", from_phone=TV.phone, from_device_id=TV.device_id, room_id=room)
        self.assertEqual(tv.hears()["room_id"], room)

    def test_newest_wins_on_either_port(self) -> None:
        """The newer of two connections of one device stays, whichever ports they are on."""
        first = self.world.device(*TV, self.site)
        second = self.world.device(*TV)
        self.assertEqual(first.close_code, 4409)
        third = self.world.device(*TV, self.site)
        self.assertEqual((second.close_code, third.close_code), (4409, None))

    def test_page(self) -> None:
        """A page joins its room, and one that is silent for 25 s is closed with 4408."""
        page = self.world.page(self.site)
        page.say("join", room_id="8888", key=KEYS[0], session=SESSIONS[0])
        self.assertEqual(page.hears(), WAITING)
        page.wire.answers_ping = False
        self.world.advance(31)
        self.assertEqual(page.close_code, 4408)
        self.assertTrue(page.wire.lost)

    def test_limits_of_http_do_not_reach(self) -> None:
        """The deadlines of HTTP end no socket."""
        tv = self.world.device(*TV, self.site)
        self.world.advance(2 * (NO_SETTINGS.idle_time + NO_SETTINGS.request_time))
        self.assertTrue(tv.wire.open)

    def test_refused(self) -> None:
        """Refused requests have the same statuses, and the connection ends."""
        origin = {"Origin": "https://callnet.test"}
        for path, headers, status in (
            ("/socket.io", {}, 401),
            ("/socket.io?token=x", {}, 401),
            (f"/socket.io/x?token={self.token}", {}, 404),
            ("/room", {}, 403),
            ("/room", {"Origin": "https://evil.example"}, 403),
            ("/room/x", origin, 404),
            (f"/socket.io?token={self.token}", {"Upgrade": None}, 426),
            (f"/socket.io?token={self.token}", {"Sec-WebSocket-Version": "8"}, 400),
            (f"/socket.io?token={self.token}", {"Cookie": "x" * 9000}, 431),
        ):
            wire = self.world.ask(path, headers, self.site)
            self.assertEqual(wire.status, status, path)
            self.assertTrue(wire.lost, path)
            self.assertNotIn("server:", wire.head.lower())
        self.assertEqual(self.world.signaling.sockets, {})

    def test_other_versions_of_http(self) -> None:
        """HTTP/1.0 knows no upgrade (RFC 6455 §4.1)."""
        for path in (f"/socket.io?token={self.token}", "/room"):
            wire = self.world.connect(self.site)
            wire.handshake(path, {"Origin": "https://callnet.test"})
            wire.send(wire.take_unsent().replace(b" HTTP/1.1", b" HTTP/1.0", 1))
            self.world.settle()
            self.assertEqual((wire.status, wire.lost), (505, True), path)
        self.assertEqual((self.world.signaling.refused[505], self.world.pages.refused[505]), (1, 1))

    def test_bodies(self) -> None:
        """A handshake with a body is refused: the bytes after it could be read as frames by one and not by another."""
        frame = client_frame(PING, b"x")
        for factory in (self.site, self.world.signaling):
            for header, body, status in (
                ({"Content-Length": "10"}, b"x" * 10, 400),
                ({"Content-Length": str(len(frame))}, frame, 400),
                ({"Content-Length": "0"}, b"", 101),
            ):
                wire = self.world.connect(factory)
                wire.handshake(f"/socket.io?token={self.token}", header)
                wire.send(body)
                self.world.settle()
                self.assertEqual((wire.status, wire.lost), (status, status == 400), header)
                wire.leave()
            wire = self.world.connect(factory)
            wire.handshake(f"/socket.io?token={self.token}", {"Transfer-Encoding": "chunked"})
            wire.send(b"1\r\nx\r\n0\r\n\r\n")
            self.world.settle()
            self.assertEqual((wire.status, wire.lost), (400, True))

    def test_two_origins(self) -> None:
        """Two Origin headers make none that is the site's own."""
        wire = self.world.connect(self.site)
        wire.handshake("/room", {"Origin": "https://evil.example\r\nOrigin: https://callnet.test"})
        self.world.settle()
        self.assertIn(wire.status, (400, 403))

    def test_upgrade_after_a_request(self) -> None:
        """A connection that was used for HTTP first can be upgraded."""
        wire = self.world.connect(self.site)
        wire.send(b"GET /nothing HTTP/1.1\r\nHost: callnet.test\r\n\r\n")
        self.world.settle()
        self.assertEqual(wire.status, 404)
        wire.begin_anew()
        wire.handshake(f"/socket.io?token={self.token}")
        self.world.settle()
        self.assertEqual(wire.status, 101)
        self.world.advance(120)
        self.assertTrue(wire.open)

    def test_who_does_not_read(self) -> None:
        """A client that pings without reading is not read from any more, here too."""
        tv = self.world.device(*TV, self.site)
        tv.wire.reads = False
        for _ in range(50):
            tv.wire.send(client_frame(PING, b"x" * 125) * 500)
            self.world.settle()
        self.assertLess(len(tv.wire.transport.value()), 200_000)
        self.world.advance(41)
        self.assertTrue(tv.wire.lost)

    def test_stop(self) -> None:
        """When the server stops, those on the site's port are told 1001, and newcomers are refused."""
        tv, page = self.world.device(*TV, self.site), self.world.page(self.site)
        self.world.signaling.shut_down()
        self.world.pages.shut_down()
        self.world.settle()
        self.assertEqual((tv.close_code, page.close_code), (1001, 1001))
        wire = self.world.ask(f"/socket.io?token={self.token}", factory=self.site)
        self.assertEqual(wire.status, 503)
        self.assertIn("Retry-After", wire.head)

    def test_left_in_the_middle(self) -> None:
        """A client that breaks off is gone for the device too."""
        tv = self.world.device(*TV, self.site)
        tv.leave()
        self.assertEqual(self.successResultOf(self.world.store.online([TV])), frozenset())
        self.assertEqual(self.world.signaling.sockets, {})


class Client(WebSocketClientProtocol):
    """A client made with Autobahn."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.closed: tuple[bool, int] | None = None

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Note a message."""
        assert not isBinary
        self.heard.append(payload.decode())

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:  # noqa: ARG002
        """Note the end."""
        self.closed = (wasClean, code)


class AutobahnTests(QuietTestCase):
    """A third-party client library agrees with the wires of these tests."""

    def connect(self) -> tuple[Any, IOPump]:
        """Connect a client made with Autobahn; returns it and the pump that moves its bytes."""
        token = self.world.tokens.issue(TV)
        factory = WebSocketClientFactory(f"ws://callnet.test/socket.io?token={token}", reactor=self.world.clock)
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0, serverConnectionDropTimeout=0)
        factory.protocol = Client
        client, _, pump = connectedServerAndClient(
            lambda: self.world.signaling.buildProtocol(None), lambda: factory.buildProtocol(None)
        )
        return client, pump

    def test_call(self) -> None:
        """It connects, calls, is answered, and is closed cleanly with 1001."""
        client, pump = self.connect()
        client.sendMessage(b'{"type":"call","to_phone":"13651884968","to_device_id":"phone1"}')
        pump.flush()
        (answer,) = client.heard
        self.assertEqual(json.loads(answer)["reason"], "offline")
        self.world.signaling.shut_down()
        pump.flush()
        self.assertEqual(client.closed, (True, 1001))
        self.assertEqual(self.world.signaling.sockets, {})

    def test_displaced(self) -> None:
        """It is told 4409 when the device is connected elsewhere."""
        client, pump = self.connect()
        self.world.device(*TV)
        pump.flush()
        self.assertEqual(client.closed, (True, 4409))

    def test_client_closes(self) -> None:
        """It may close by itself."""
        client, pump = self.connect()
        client.sendClose(3000, "bye")
        pump.flush()
        self.assertEqual(client.closed, (True, 1000))
        self.assertEqual(self.successResultOf(self.world.store.online([TV])), frozenset())
