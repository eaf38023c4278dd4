"""The operator's listener of the whole daemon, in memory."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from typing import Any

from click.testing import CliRunner
from twisted.internet.defer import Deferred

from callnet.cli.main import main
from harness.websocket import TEXT
from tests.support.http_wire import Answer, HttpWire
from tests.support.room_case import KEYS, SESSIONS
from tests.support.tap_case import DaemonTestCase
from tests.support.wires import Wire


class AdminCase(DaemonTestCase):
    """A daemon whose operator asks."""

    def setUp(self) -> None:
        """A daemon that has started."""
        super().setUp()
        self.daemon = self.begin(self.compose())

    def wire(self, port: int = 8084) -> HttpWire:
        """A connection to one of its ports."""
        wire = HttpWire(self.factory(port))
        self.addCleanup(wire.leave)
        return wire

    def get(self, path: str) -> Answer:
        """Ask for a path, for which the database may have to be asked."""
        wire = self.wire()
        wire.send(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while not wire.answers():
            self.reactor.take_thread()
        [answer] = wire.answers()
        return answer

    def login(self) -> str:
        """Log a device in."""
        wire = self.wire(8083)
        body = '{"phone": "13651884967", "device_id": "tv888"}'
        wire.send(f"POST /account/login HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        while not wire.answers():
            self.reactor.take_thread()
        [answer] = wire.answers()
        token: str = answer.json()["token"]
        return token


class AdminTests(AdminCase):
    """The pages for the operator."""

    def test_health(self) -> None:
        """It is well."""
        self.assertEqual(self.get("/healthz").json(), {"status": "ok"})

    def test_readiness(self) -> None:
        """It is ready when it takes connections and the database answers; nothing else is needed."""
        answer = self.get("/readyz")
        checks = {"listeners": {"ok": True}, "database": {"ok": True}}
        self.assertEqual((answer.status, answer.json()), (200, {"ready": True, "checks": checks}))
        for check in checks:
            self.assertIn(f'callnet_ready{{check="{check}"}} 1.0\n', self.get("/metrics").body.decode())

    def test_a_database_that_is_away(self) -> None:
        """It is not ready when the database does not answer, and says why."""
        os.rename(self.state_dir, f"{self.state_dir}.away")
        os.mkdir(self.state_dir)
        os.mkdir(os.path.join(self.state_dir, "callnet.db"))
        self.daemon._database.close()  # open connections go on to work
        answer = self.get("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json()["checks"]["database"], {"ok": False, "why": "unable to open database file"})
        text = self.get("/metrics").body.decode()
        self.assertIn('callnet_ready{check="database"} 0.0\n', text)
        self.assertIn('callnet_ready{check="listeners"} 1.0\n', text)

    def test_metrics(self) -> None:
        """Calls and sockets are counted."""
        text = self.get("/metrics").body.decode()
        self.assertIn("\ncallnet_calls_placed_total 0.0\n", text)
        self.assertIn('\ncallnet_sockets{kind="device"} 0.0\n', text)
        for state in ("ringing", "active"):
            self.assertIn(f'\ncallnet_calls{{state="{state}"}} 0.0\n', text)

    def test_version(self) -> None:
        """It tells the version that is installed, as ``callnet --version`` does."""
        line = f'callnet_build_info{{version="{version("callnet")}"}} 1.0'
        self.assertIn(line, self.get("/metrics").body.decode().splitlines())
        self.assertIn(version("callnet"), CliRunner().invoke(main, ["--version"]).output)

    def test_limits(self) -> None:
        """Requests have the same limits of length as those of the other listeners."""
        self.end(self.daemon)
        del self.reactor.tcpServers[:]
        self.daemon = self.begin(self.compose("[http]\nheader_bytes = 2048\n"))
        for length, status in ((1900, 200), (2100, 431)):
            wire = self.wire()
            wire.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * length + b"\r\n\r\n")
            self.assertEqual([status], [answer.status for answer in wire.answers()])

    def test_what_was_refused(self) -> None:
        """Handshakes that were refused, sockets that were closed, and answers are counted by their numbers."""
        stranger = Wire(self.factory(8082))
        stranger.handshake("/socket.io?token=nothing")
        device = Wire(self.factory(8082))
        device.handshake(f"/socket.io?token={self.login()}")
        device.frame(2, b"binary")
        for wire in (stranger, device):
            while wire.move():
                pass
        text = self.get("/metrics").body.decode()
        self.assertIn(f'callnet_handshakes_refused_total{{status="{stranger.status}"}} 1.0\n', text)
        self.assertIn('callnet_sockets_closed_total{code="1003"} 1.0\n', text)
        self.assertIn('callnet_http_answers_total{status="200"} 1.0\n', text)

    def test_what_came_and_went(self) -> None:
        """Texts and their bytes are counted by who holds the socket, and so are those who do not read."""
        self.reactor.advance(1)
        caller, callee = self.ring()
        [called] = [frame.payload for frame in callee.frames]
        text = self.get("/metrics").body.decode()
        asked = len(b'{"type":"call","to_phone":"13651884967","to_device_id":"tv888"}')
        for line in (
            'callnet_frames_received_total{kind="device"} 1.0',
            f'callnet_bytes_received_total{{kind="device"}} {float(asked)}',
            'callnet_frames_sent_total{kind="device"} 1.0',
            f'callnet_bytes_sent_total{{kind="device"}} {float(len(called))}',
            'callnet_frames_sent_total{kind="page"} 0.0',
            'callnet_sockets_not_reading{kind="device"} 0.0',
            'callnet_bytes_unread{kind="page"} 0.0',
            "callnet_call_rang_after_seconds_count 1.0",
            "callnet_call_answered_after_seconds_count 0.0",
        ):
            self.assertIn(f"\n{line}\n", text)
        self.assertTrue(caller.open)

    def test_media(self) -> None:
        """The connection paths of pages are counted as they report them."""
        self.assertIn('callnet_media_setup_seconds_count{path="relay"} 0.0\n', self.get("/metrics").body.decode())
        pages = [Wire(self.factory(8080)) for _ in KEYS[:2]]
        for page, key, session in zip(pages, KEYS, SESSIONS, strict=False):
            page.handshake("/room", {"Origin": "https://callnet.test"})
            self.carry(page)
            join = {"type": "join", "room_id": "blue house", "key": key, "session": session}
            page.frame(TEXT, json.dumps(join).encode())
            self.carry(*pages)
        for page, media in zip(pages, ({"path": "host", "seconds": 0.5}, {"path": "none", "seconds": 40}), strict=True):
            page.frame(TEXT, json.dumps({"type": "ping", "media": media}).encode())
            self.carry(page)
        text = self.get("/metrics").body.decode()
        for line in (
            'callnet_media_setup_seconds_bucket{le="0.25",path="host"} 0.0',
            'callnet_media_setup_seconds_bucket{le="0.5",path="host"} 1.0',
            'callnet_media_setup_seconds_sum{path="host"} 0.5',
            "callnet_media_setup_failed_total 1.0",
        ):
            self.assertIn(f"\n{line}\n", text)

    def test_times(self) -> None:
        """The lag of the event loop and the latency of the database are shown; and Redis where there is one."""
        self.get("/readyz")
        self.reactor.advance(3)
        text = self.get("/metrics").body.decode()
        self.assertIn('callnet_loop_lag_seconds_bucket{le="+Inf"} ', text)
        self.assertRegex(text, r"callnet_database_seconds_count [1-9]")
        self.assertNotIn("callnet_redis_seconds", text)

    def test_metrics_of_the_webhook(self) -> None:
        """Events that a program of the operator has not accepted are counted if there is one, and only then."""
        self.assertNotIn("callnet_webhook_events", self.get("/metrics").body.decode())
        self.end(self.daemon)
        self.reactor.tcpServers.clear()
        self.daemon = self.begin(self.compose(f'webhooks = {{ url = "http://127.0.0.1:9/", secret = "{"s" * 32}" }}'))
        self.assertIn('callnet_webhook_events{state="dead"} 0.0\n', self.get("/metrics").body.decode())

    def test_it_tells_that_it_drains(self) -> None:
        """While it stops it tells so, and is closed last."""
        self.get("/readyz")
        token = self.login()
        device = Wire(self.factory(8082))
        device.handshake(f"/socket.io?token={token}")
        while device.move():
            pass
        stopped: Deferred[Any] = self.daemon.stopService()
        self.assertNoResult(stopped)
        answer = self.get("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json()["checks"]["listeners"], {"ok": False, "why": "draining"})
        self.assertNotIn("callnet_ready{", self.get("/metrics").body.decode())
        while device.move():
            pass
        self.successResultOf(stopped)
