"""The operator's view and orders over HTTP, without a socket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.ops.admin_api import (
    AdminCommand,
    AdminKey,
    AdminResult,
    CallShown,
    ChooseLevel,
    DeviceShown,
    Disconnect,
    EndCall,
    FailureShown,
    ListCalls,
    ListDevices,
    ListFailures,
    ListNodes,
    Named,
    NodeShown,
    Revoke,
)
from callnet.ops.metrics import Observed
from callnet.ops.readiness import Check, Report
from callnet.util.logger import threshold
from callnet.web import admin
from callnet.web.http import NO_SETTINGS
from tests.support.http_wire import Answer, HttpWire

KEY = "k" * 32
ONE, OTHER = Named("13651884967", "phone"), Named("13651884968", "*")


class ControlTestCase(SynchronousTestCase):
    """An operator's connection."""

    def setUp(self) -> None:
        """Something that takes orders, and a connection to give them by."""
        self.orders: list[AdminCommand] = []
        self.outcome: Deferred[AdminResult] = succeed(AdminResult(done=1))
        self.stops = 0
        self.draining = False
        dashboard = Path(self.mktemp())
        dashboard.mkdir()
        (dashboard / "index.html").write_text("<!doctype html>")
        (dashboard / "dashboard.js").write_text("export {};")
        self.clock = Clock()
        self.key = AdminKey(KEY.encode())
        observed = Observed(self.report, lambda: succeed([]), self.execute, self.stop)
        root = admin.root(observed, self.key, str(dashboard), self.clock)
        self.wire = HttpWire(admin.AdminSite(root, self.clock, NO_SETTINGS, ["callnet.test"]))
        self.addCleanup(self.wire.leave)
        self.addCleanup(threshold.choose, "info")

    def report(self) -> Deferred[Report]:
        """The report."""
        return succeed(
            Report(not self.draining, {"listeners": Check(not self.draining, "draining" if self.draining else "")})
        )

    def execute(self, order: AdminCommand) -> Deferred[AdminResult]:
        """Take an order."""
        self.orders.append(order)
        if isinstance(order, ChooseLevel):
            threshold.choose(order.level)
        return self.outcome

    def stop(self) -> None:
        """Take note that it is to stop."""
        self.stops += 1

    def post(self, path: str, asked: object = None, key: str | None = KEY) -> Answer:
        """Ask for something."""
        headers = [] if key is None else [f"Authorization: Bearer {key}"]
        return self.wire.request("POST", path, json.dumps({} if asked is None else asked).encode(), *headers)


class KeyTests(ControlTestCase):
    """Access by the key."""

    def test_without_the_key(self) -> None:
        """Without the key nothing is seen, nothing is done, and the answer names the missing key."""
        for path in ("/api/calls", "/api/calls/end", "/api/drain", "/api/nothing"):
            for key in (None, "", "wrong", KEY[:-1], f"{KEY}k"):
                answer = self.post(path, key=key)
                self.assertEqual((answer.status, answer.json()["errorCode"]), (401, 4))
                self.assertEqual(answer.headers["www-authenticate"], 'Bearer realm="callnet"')
        self.assertEqual((self.orders, self.stops), ([], 0))

    def test_a_key_in_a_url(self) -> None:
        """A key in a URL, where logs would have it, is none."""
        self.assertEqual(self.post(f"/api/calls?key={KEY}&token={KEY}", key=None).status, 401)

    def test_another_key(self) -> None:
        """When the key is another one, the old one is none any more."""
        self.key.value = b"n" * 32
        self.assertEqual((self.post("/api/calls").status, self.post("/api/calls", key="n" * 32).status), (401, 200))


class OrderTests(ControlTestCase):
    """The orders that are handed on, and their answers."""

    def test_calls(self) -> None:
        """Calls are named as in the log, without their rooms."""
        call = CallShown("0123456789ab", "ringing", ONE, OTHER, 1.5, None)
        self.outcome = succeed(AdminResult(calls=[call], silent=1))
        answer = self.post("/api/calls").json()
        self.assertEqual(
            answer["calls"],
            [
                {
                    "call": "0123456789ab",
                    "state": "ringing",
                    "caller": {"phone": "13651884967", "device_id": "phone"},
                    "callee": {"phone": "13651884968", "device_id": "*"},
                    "seconds": 1.5,
                    "answered": None,
                }
            ],
        )
        self.assertEqual((answer["errorCode"], answer["silent"], self.orders), (0, 1, [ListCalls(100)]))

    def test_devices(self) -> None:
        """Devices are named, all or those of a phone."""
        device = DeviceShown("13651884967", "tv", False, 7.0, "192.0.2.7", None)
        self.outcome = succeed(AdminResult(devices=[device]))
        [shown] = self.post("/api/devices").json()["devices"]
        self.assertEqual((shown["device_id"], shown["address"], shown["extended"]), ("tv", "192.0.2.7", False))
        self.post("/api/devices", {"phone": "13651884967", "limit": 5})
        self.assertEqual(self.orders, [ListDevices(100), ListDevices(5, "13651884967")])

    def test_failures(self) -> None:
        """Calls that failed are named with the reason."""
        self.outcome = succeed(AdminResult(failures=[FailureShown(None, 3.0, ONE, OTHER, "offline")]))
        [shown] = self.post("/api/failures", {"limit": 7}).json()["failures"]
        self.assertEqual((shown["call"], shown["reason"], self.orders), (None, "offline", [ListFailures(7)]))

    def test_nodes(self) -> None:
        """Nodes are named, and how they are."""
        self.outcome = succeed(AdminResult(nodes=[NodeShown("0a.1", True, 2.5, 7)]))
        [shown] = self.post("/api/nodes").json()["nodes"]
        self.assertEqual(shown, {"node": "0a.1", "here": True, "lease": 2.5, "holds": 7})
        self.assertEqual(self.orders, [ListNodes()])

    def test_no_more_than_asked_for(self) -> None:
        """No more of the workers' rows are shown than were asked for."""
        device = DeviceShown("13651884967", "tv", False, 7.0, "192.0.2.7", None)
        self.outcome = succeed(AdminResult(devices=[device] * 4))
        self.assertEqual(len(self.post("/api/devices", {"limit": 3}).json()["devices"]), 3)

    def test_orders(self) -> None:
        """Calls are ended, and devices disconnected and revoked."""
        asked: Sequence[tuple[str, dict[str, str], AdminCommand]] = (
            ("/api/calls/end", {"call": "0123456789ab"}, EndCall("0123456789ab")),
            ("/api/devices/disconnect", {"phone": "1", "device_id": "tv"}, Disconnect("1", "tv")),
            ("/api/devices/revoke", {"phone": "1", "device_id": "tv"}, Revoke("1", "tv")),
            ("/api/devices/revoke", {"phone": "1"}, Revoke("1", "*")),
        )
        for path, body, order in asked:
            self.assertEqual(self.post(path, body).json()["errorCode"], 0)
            self.assertEqual(self.orders[-1], order)

    def test_nothing_of_the_kind(self) -> None:
        """An unknown target is answered with 404."""
        self.outcome = succeed(AdminResult())
        for path, body in (
            ("/api/calls/end", {"call": "0123456789ab"}),
            ("/api/devices/disconnect", {"phone": "1", "device_id": "tv"}),
            ("/api/devices/revoke", {"phone": "1"}),
        ):
            answer = self.post(path, body)
            self.assertEqual((answer.status, answer.json()["errorCode"]), (404, 2))

    def test_who_has_not_answered_may_have_it(self) -> None:
        """That a target does not exist is said only if every worker has said so; else it is worth trying again."""
        self.outcome = succeed(AdminResult(silent=1))
        answer = self.post("/api/calls/end", {"call": "0123456789ab"})
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))
        self.assertEqual(answer.json()["message"], "not all workers have answered; it may still be done")
        self.outcome = succeed(AdminResult(done=1, silent=1))
        self.assertEqual(self.post("/api/calls/end", {"call": "0123456789ab"}).status, 200)

    def test_bad_bodies(self) -> None:
        """A bad body is answered with the name of the field, and nothing is done."""
        for path, body, field in (
            ("/api/calls", {"limit": 0}, "limit"),
            ("/api/calls", {"limit": 501}, "limit"),
            ("/api/calls/end", {}, "call"),
            ("/api/devices/disconnect", {"phone": "1"}, "device_id"),
            ("/api/devices/revoke", {"phone": "1" * 33}, "phone"),
            ("/api/log-level", {"level": "loud"}, "level"),
        ):
            answer = self.post(path, body).json()
            self.assertEqual(answer["errorCode"], 2)
            self.assertIn(field, answer["message"])
        self.assertEqual(self.orders, [])

    def test_name_of_an_order(self) -> None:
        """The path alone says what is to be done: the field that names an order in messages to workers is ignored."""
        for name in ("EndCall", "", 7):
            self.assertEqual(self.post("/api/nodes", {"$order": name}).json()["errorCode"], 0)
        self.assertEqual(self.orders, 3 * [ListNodes()])

    def test_it_cannot_be_done_now(self) -> None:
        """When the database is away it is said that it is worth trying again."""
        self.outcome = fail(Unavailable("the database does not answer"))
        answer = self.post("/api/devices/revoke", {"phone": "1"})
        self.assertEqual((answer.status, answer.headers["retry-after"]), (503, "5"))

    def test_drain(self) -> None:
        """It is told to stop once: to be told again is not to be told to hurry."""
        self.post("/api/drain")
        self.draining = True
        self.assertEqual(self.post("/api/drain").json()["errorCode"], 0)
        self.assertEqual(self.stops, 1)

    def test_log_level(self) -> None:
        """The level of the log is shown, and changed."""
        self.assertEqual(self.post("/api/log-level").json()["level"], "info")
        self.assertEqual(self.post("/api/log-level", {"level": "debug"}).json()["level"], "debug")
        self.assertEqual(self.orders, [ChooseLevel("debug")])


class SiteTests(ControlTestCase):
    """Access to the site, and the log of it."""

    def test_by_another_name(self) -> None:
        """A request by another name than ours, as from a page after DNS rebinding, is told nothing at all."""
        for path in ("/", "/metrics", "/readyz", "/api/calls", "/dashboard/dashboard.js"):
            self.wire.send(f"GET {path} HTTP/1.1\r\nHost: evil.example\r\n\r\n".encode())
            answer = self.wire.answers()[-1]
            self.assertEqual((answer.status, answer.json()["errorCode"]), (421, 2))

    def test_the_dashboard(self) -> None:
        """The dashboard is served to anybody who may ask, and takes nothing from elsewhere."""
        for path, kind in (
            ("/", "text/html; charset=utf-8"),
            ("/dashboard/dashboard.js", "text/javascript; charset=utf-8"),
        ):
            answer = self.wire.request("GET", path)
            self.assertEqual((answer.status, answer.headers["content-type"]), (200, kind))
            self.assertIn("default-src 'none'; script-src 'self'", answer.headers["content-security-policy"])
            self.assertEqual(answer.headers["x-frame-options"], "DENY")
            self.assertEqual(answer.headers["cross-origin-opener-policy"], "same-origin")
            self.assertEqual(answer.headers["cross-origin-resource-policy"], "same-origin")
        self.assertEqual(self.wire.request("GET", "/dashboard/../admin.key").status, 404)

    def test_a_name_of_bytes(self) -> None:
        """A name of bytes that are no UTF-8 is another name, and no traceback."""
        self.wire.send(b"GET / HTTP/1.1\r\nHost: call\xeanet\r\n\r\n")
        self.assertEqual(self.wire.answers()[-1].status, 421)

    def test_methods_that_a_path_does_not_take(self) -> None:
        """Other methods are answered with 405 in JSON, by the dashboard and by the paths for probes."""
        for path in ("/", "/dashboard/dashboard.js", "/healthz", "/metrics"):
            for method in ("TRACE", "PUT", "BREW"):
                answer = self.wire.request(method, path)
                self.assertEqual((answer.status, answer.json()["errorCode"]), (405, 2), (method, path))

    def logged(self, path: str, asked: object = None) -> list[str]:
        """The log of one request."""
        with capturedLogs() as events:
            self.post(path, asked)
        return [str(formatEvent(event)) for event in events]

    def test_looks_leave_no_line(self) -> None:
        """Looking leaves no line in the log: a dashboard looks every two seconds."""
        self.assertEqual([self.logged(f"/api/{what}") for what in ("calls", "devices", "failures", "nodes")], 4 * [[]])

    def test_orders_do(self) -> None:
        """Orders leave a log line, without phones."""
        [line] = self.logged("/api/devices/revoke", {"phone": "13651884967"})
        self.assertIn("POST /api/devices/revoke 200", line)
        self.assertNotIn("13651884967", line)

    def test_so_do_wrong_keys(self) -> None:
        """Wrong keys leave a line, too, which does not contain them."""
        with capturedLogs() as events:
            self.post("/api/calls", key="wrong-key")
        [line] = [str(formatEvent(event)) for event in events]
        self.assertIn("POST /api/calls 401", line)
        self.assertNotIn("wrong-key", line)
