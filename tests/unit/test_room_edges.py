"""Admission to the page's room socket, and the reasons to close it (docs/room.md)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from harness.websocket import BINARY, PING, TEXT, client_frame
from tests.support.room_case import KEYS, SESSIONS, WAITING, RoomCase, meeting


def bad_media() -> Iterator[object]:
    """Each wrong in one thing."""
    yield from ([], "host", 7, {}, {"path": "host"}, {"seconds": 1})
    yield from ({"path": "host", "seconds": seconds} for seconds in (-0.1, 120.1, 1e300, "1", None, True))
    yield from ({"path": path, "seconds": 1} for path in ("", "prflx", "HOST", "x" * 60_000, None, 1))


class EdgeTests(RoomCase):
    """Admission to the socket, and the reasons to close it."""

    def test_origin(self) -> None:
        """Only a page of the site itself may open it, whatever port and case its name has."""
        hosts = ("callnet.test", "callnet.test:8080", "CallNet.test", "192.0.2.1:8080", "[2001:db8::1]:8080")
        for host in hosts:
            wire = self.world.ask("/room", {"Host": host, "Origin": f"https://{host.lower()}"}, self.world.pages)
            self.assertEqual(wire.status, 101, host)
        for origin in (
            "https://evil.example",
            "https://callnet.test.evil.example",
            "https://callnet.test@evil.example",
            "https://callnet.test:8443",
            "https://callnet.test/",
            "https://callnet.test/static/demo/direct_chat.html",
            "https://callnet.test?",
            "https://callnet.test#",
            "ftp://callnet.test",
            "null",
            "file://",
            None,
        ):
            wire = self.world.ask("/room", {"Origin": origin}, self.world.pages)
            self.assertEqual(wire.status, 403, origin)
            self.assertTrue(wire.lost)

    def test_other_path(self) -> None:
        """Any other path is answered by 404."""
        self.assertEqual(self.world.ask("/rooms", {"Origin": "https://callnet.test"}, self.world.pages).status, 404)

    def test_invalid_room(self) -> None:
        """A room id that is empty, too long or has control characters is refused as invalid."""
        for room in ("", "x" * 65, "x" * 60_000, "a\nb", "\0", "\x7f"):
            page = self.join(0, room)
            self.assertEqual(page.hears(), {"type": "refused", "reason": "invalid"})
            self.assertEqual(page.close_code, 4403)

    def test_any_name(self) -> None:
        """Any other name is a room."""
        for room in ("8", " ", "客厅", "\U0001f4fa" * 64, "../..", "<b>", '"'):
            self.assertEqual(self.join(0, room).hears(), WAITING)

    def test_bad_frames(self) -> None:
        """A frame that is none of a page's closes the socket with 4400 and is not answered."""
        join = {"type": "join", "room_id": "x", "key": KEYS[0], "session": SESSIONS[0]}
        relay = {"type": "relay", "to": SESSIONS[1], "data": 1}
        wrong: tuple[object, ...] = (None, 7, [], "", "X" * 32)
        bad: list[dict[str, Any]] = [{**join, name: value} for name in join for value in wrong]
        bad.remove({**join, "room_id": ""})
        bad.remove({**join, "room_id": "X" * 32})
        bad += [{key: value for key, value in join.items() if key != name} for name in join]
        for frame in bad:
            page = self.world.page()
            page.say_raw(json.dumps(frame).encode())
            self.assertEqual((page.close_code, page.heard()), (4400, []), frame)
        others = [
            {**relay, "to": None},
            {**relay, "to": "x"},
            {"type": "relay", "to": SESSIONS[1]},
            {},
            {"type": "room"},
            *({"type": "ping", "media": media} for media in bad_media()),
        ]
        for payload in (
            *(json.dumps(frame).encode() for frame in others),
            b"",
            b"[]",
            b"[" * 60_000,
            b'{"type":"ping"',
            b'{"type":"ping","media":{"path":"host","seconds":NaN}}',
            b'{"type":"ping","media":{"path":"host","seconds":1e999}}',
        ):
            page = self.join(0, "x")
            page.heard()
            page.say_raw(payload)
            self.assertEqual((page.close_code, page.heard()), (4400, []), payload[:60])

    def test_order(self) -> None:
        """Joining comes first, and once."""
        for kind in ("hangup", "ping", "relay"):
            page = self.world.page()
            page.say(kind, to=SESSIONS[1], data=1)
            self.assertEqual(page.close_code, 4400)
        page = self.join(0)
        page.heard()
        self.enter(page, 0)
        self.assertEqual(page.close_code, 4400)

    def test_sizes(self) -> None:
        """Frames of 64 KiB are relayed whole; larger ones close the socket with 1009, binary ones with 1003."""
        first, second = self.join(0), self.join(1)
        first.heard(), second.heard()
        envelope = len(json.dumps({"type": "relay", "to": SESSIONS[1], "data": ""}))
        data = "x" * (65536 - envelope)
        first.say("relay", to=SESSIONS[1], data=data)
        self.assertEqual(second.hears()["data"], data)
        first.say("relay", to=SESSIONS[1], data=data + "x")
        self.assertEqual(first.close_code, 1009)
        second.say_raw(b"{}", BINARY)
        self.assertEqual(second.close_code, 1003)

    def test_page_that_does_not_read(self) -> None:
        """A page that does not read the other's messages is closed; the waiting bytes stay within bounds."""
        first, second = self.join(0), self.join(1)
        second.wire.reads = False
        for _ in range(20):
            first.say("relay", to=SESSIONS[1], data="x" * 60_000)
        self.assertLess(len(second.wire.transport.value()), 600_000)
        self.assertTrue(first.wire.open)
        second.wire.reads = True
        self.world.settle()
        self.assertEqual(second.close_code, 4413)
        self.assertEqual(first.heard()[-1], meeting(SESSIONS[1], present=False))

    def test_flood_of_pings(self) -> None:
        """A page that asks without end and does not read is not listened to any more."""
        page = self.join(0)
        page.wire.reads = False
        for _ in range(100):
            page.wire.send(client_frame(TEXT, b'{"type":"ping"}') * 1000 + client_frame(PING))
            self.world.settle()
        self.assertLess(len(page.wire.transport.value()), 200_000)

    def test_stop(self) -> None:
        """When the server stops every page is told 1001."""
        pages = [self.world.page(), self.join(0), self.join(1)]
        stopped = self.world.pages.shut_down()
        self.world.settle()
        self.successResultOf(stopped)
        self.assertEqual([page.close_code for page in pages], [1001] * 3)
