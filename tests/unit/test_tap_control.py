"""The operator's view of a whole daemon, and orders to it, in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.logger import capturedLogs, formatEvent

from callnet.storage.database import Database
from callnet.storage.links import SqlLinks, StoredLink
from callnet.util.logger import threshold
from harness.websocket import TEXT
from tests.support.http_wire import Answer
from tests.support.immediate import run_at_once
from tests.support.wires import Wire
from tests.unit.test_tap_admin import AdminCase

PHONE = "13651884967"


class ControlCase(AdminCase):
    """A daemon whose operator has the key."""

    def setUp(self) -> None:
        """Read the key that the daemon has made."""
        super().setUp()
        self.addCleanup(threshold.choose, "info")
        self.key = Path(self.state_dir, "admin.key").read_text().strip()
        self.reactor.advance(1)

    def order(self, path: str, **asked: Any) -> Answer:
        """Ask for something, for which the database may be asked."""
        wire, body = self.wire(), json.dumps(asked)
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.key}\r\n"
        wire.send(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        while not wire.answers():
            self.reactor.take_thread()
        [answer] = wire.answers()
        return answer

    def told(self, path: str, **asked: Any) -> dict[str, Any]:
        """The answer."""
        answer = self.order(path, **asked)
        self.assertEqual(answer.status, 200, answer.body)
        found: dict[str, Any] = answer.json()
        return found

    def types(self, wire: Wire) -> list[str]:
        """The frames that a device was sent."""
        self.carry(wire)
        return [json.loads(frame.payload)["type"] for frame in wire.frames]


class SeenTests(ControlCase):
    """The operator's view."""

    def test_nobody(self) -> None:
        """When nobody is there nothing is shown."""
        for name in ("calls", "devices", "failures", "nodes"):
            self.assertEqual(self.told(f"/api/{name}")[name], [])

    def test_a_call(self) -> None:
        """A call is shown from ringing on, until it is over; devices are shown with it."""
        caller, callee = self.ring()
        self.reactor.advance(2)
        [call] = self.told("/api/calls")["calls"]
        self.assertEqual((call["state"], call["answered"]), ("ringing", None))
        self.assertEqual(call["caller"], {"phone": PHONE, "device_id": "phone"})
        self.assertEqual(call["callee"], {"phone": PHONE, "device_id": "tv888"})
        self.assertGreaterEqual(call["seconds"], 2)
        [room] = [json.loads(frame.payload)["room_id"] for frame in callee.frames]
        self.assertNotIn(room, json.dumps(call))
        devices = {device["device_id"]: device for device in self.told("/api/devices")["devices"]}
        self.assertEqual({device["call"] for device in devices.values()}, {call["call"]})
        self.assertEqual(devices["tv888"]["extended"], False)

        accept = {"type": "called_success", "from_phone": PHONE, "from_device_id": "phone", "room_id": room}
        callee.frame(TEXT, json.dumps(accept).encode())
        self.carry(caller, callee)
        [call] = self.told("/api/calls")["calls"]
        self.assertEqual((call["state"], call["answered"]), ("active", 0.0))
        hang_up = {"type": "calling_hangup", "notified_phone": PHONE, "notified_device_id": "tv888", "room_id": room}
        caller.frame(TEXT, json.dumps(hang_up).encode())
        self.carry(caller, callee)
        self.assertEqual(self.told("/api/calls")["calls"], [])
        self.assertEqual(self.told("/api/failures")["failures"], [])

    def test_devices_of_a_phone(self) -> None:
        """Devices are looked up by their phone."""
        self.device(8082, "tv888")
        [device] = self.told("/api/devices", phone=PHONE)["devices"]
        self.assertEqual((device["phone"], device["device_id"], device["call"]), (PHONE, "tv888", None))
        self.assertEqual(self.told("/api/devices", phone="13651884968")["devices"], [])

    def test_failures(self) -> None:
        """Failed calls are shown, the newest first; those that people ended are not."""
        caller, _ = self.ring()
        self.reactor.advance(46)
        self.carry(caller)
        caller.frame(TEXT, b'{"type":"call","to_phone":"13651884968","to_device_id":"tv"}')
        self.carry(caller)
        newest, older = self.told("/api/failures")["failures"]
        self.assertEqual((newest["reason"], newest["call"]), ("offline", None))
        self.assertEqual(newest["callee"], {"phone": "13651884968", "device_id": "tv"})
        self.assertEqual(older["reason"], "no_answer")
        self.assertEqual(len(older["call"]), 12)


class DoneTests(ControlCase):
    """The operator's orders."""

    def test_a_call_is_ended(self) -> None:
        """A call is ended by its name in the log; both are told, and it is done once."""
        caller, callee = self.ring()
        [call] = self.told("/api/calls")["calls"]
        with capturedLogs() as events:
            self.told("/api/calls/end", call=call["call"])
        self.assertIn(f"ending call {call['call']} for the operator", [formatEvent(event) for event in events])
        self.assertEqual(self.types(caller)[-1:], ["call_failed"])
        self.assertEqual(self.types(callee)[-1:], ["calling_be_hangup"])
        self.assertEqual(self.order("/api/calls/end", call=call["call"]).status, 404)

    def test_a_device_is_disconnected(self) -> None:
        """The socket of a device is closed, so that it comes again; others stay."""
        tv, phone = self.device(8082, "tv888"), self.device(8082, "phone")
        self.told("/api/devices/disconnect", phone=PHONE, device_id="tv888")
        self.carry(tv, phone)
        self.assertEqual((tv.close_code, phone.open), (1001, True))
        self.assertEqual(self.order("/api/devices/disconnect", phone=PHONE, device_id="no").status, 404)

    def test_a_device_is_revoked(self) -> None:
        """The tokens of a device are refused from then on, and its socket is closed; another's are good."""
        tv, phone = self.device(8082, "tv888"), self.device(8082, "phone")
        self.reactor.advance(1)
        self.told("/api/devices/revoke", phone=PHONE, device_id="tv888")
        self.carry(tv, phone)
        self.assertEqual((tv.close_code, phone.open), (4401, True))
        self.told("/api/devices/revoke", phone=PHONE)
        self.carry(phone)
        self.assertEqual(phone.close_code, 4401)
        for unknown in ({"phone": PHONE, "device_id": "no"}, {"phone": f"{PHONE}0"}):
            self.assertEqual(self.order("/api/devices/revoke", **unknown).status, 404)

    def test_links(self) -> None:
        """The links of a phone are listed without their secrets, and removed."""
        database = Database(f"sqlite:///{self.state_dir}/callnet.db")
        self.addCleanup(database.close)
        new = StoredLink("0a1b2c3d4e5f", PHONE, "s" * 22, "Door", True, None, None, 3, 1.0)
        self.successResultOf(SqlLinks(database, run_at_once).make(new, 20, 1.0))
        [link] = self.told("/api/links", phone=PHONE)["links"]
        limits = {"is_on": True, "expires_at": None, "calls_left": 3, "made_at": 1.0, "last_used_at": None}
        self.assertEqual({"link_id": new.id, "name": "Door", **limits}, link)
        self.assertEqual(404, self.order("/api/links/remove", phone="13651884968", link_id=new.id).status)
        self.told("/api/links/remove", phone=PHONE, link_id=new.id)
        self.assertEqual([], self.told("/api/links", phone=PHONE)["links"])
        self.assertEqual(404, self.order("/api/links/remove", phone=PHONE, link_id=new.id).status)
        self.assertEqual(2, self.order("/api/links/remove", phone=PHONE, link_id="x").json()["errorCode"])

    def test_the_log_says_more(self) -> None:
        """At level debug the log has each step of a call, by its name; at warn not even requests."""
        self.told("/api/log-level", level="debug")
        with capturedLogs() as events:
            self.ring()
            [call] = self.told("/api/calls")["calls"]
        lines = " ".join(str(formatEvent(event)) for event in events)
        self.assertIn(f"call {call['call']}: ringing", lines)
        self.assertNotIn(PHONE, lines)
        self.told("/api/log-level", level="warn")
        with capturedLogs() as events:
            self.login()
        self.assertEqual(events, [])
