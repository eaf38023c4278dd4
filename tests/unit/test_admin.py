"""The operator's listener, without a socket."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.admin_api import AdminKey
from callnet.ops.metrics import Family, Sample
from callnet.ops.readiness import Check, Report
from callnet.web.admin import AdminSite, root
from callnet.web.http import NO_SETTINGS
from tests.support.http_wire import Answer, HttpWire
from tests.support.observed import looked_at

LISTENING = {"listeners": Check(True)}
WELL = Report(True, {**LISTENING, "database": Check(True)})
ILL = Report(False, {**LISTENING, "redis": Check(False, "no answer")})


class AdminTestCase(SynchronousTestCase):
    """An operator's connection."""

    def setUp(self) -> None:
        """Something to look at, and a connection to ask about it."""
        self.report: Deferred[Report] = succeed(WELL)
        self.families: Deferred[Sequence[Family]] = succeed([Family("c", "Some.", [Sample("", 3)])])
        self.clock = Clock()
        observed = looked_at(lambda: self.report, lambda: self.families)
        site = AdminSite(
            root(observed, AdminKey(b"k" * 32), self.mktemp(), self.clock), self.clock, NO_SETTINGS, ["callnet.test"]
        )
        self.wire = HttpWire(site)
        self.addCleanup(self.leave)

    def leave(self) -> None:
        """Close the connection, which leaves nothing to do."""
        self.wire.leave()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def get(self, path: str) -> Answer:
        """Ask for a path."""
        return self.wire.request("GET", path)


class HealthTests(AdminTestCase):
    """``/healthz``."""

    def test_it_depends_on_nothing(self) -> None:
        """It is answered, whatever else does not answer."""
        self.report, self.families = Deferred(), Deferred()
        answer = self.get("/healthz")
        self.assertEqual((answer.status, answer.json()), (200, {"status": "ok"}))


class ReadinessTests(AdminTestCase):
    """``/readyz``."""

    def test_ready(self) -> None:
        """When every check passes the answer is 200."""
        answer = self.get("/readyz")
        checks = {"listeners": {"ok": True}, "database": {"ok": True}}
        self.assertEqual((answer.status, answer.json()), (200, {"ready": True, "checks": checks}))

    def test_not_ready(self) -> None:
        """When something is not it is answered with 503, and with the reason."""
        self.report = succeed(ILL)
        answer = self.get("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json()["checks"]["redis"], {"ok": False, "why": "no answer"})

    def test_workers(self) -> None:
        """A parent tells of each of its workers."""
        self.report = succeed(Report(False, {"worker 1": Check(False, "not ready")}, {"1": ILL}))
        workers = self.get("/readyz").json()["workers"]
        self.assertEqual(workers["1"]["checks"]["redis"]["why"], "no answer")

    def test_nobody_keeps_the_answer(self) -> None:
        """Nobody may keep the answer for another time."""
        self.assertEqual(self.get("/readyz").headers["cache-control"], "no-store")


class MetricsTests(AdminTestCase):
    """``/metrics``."""

    def test_text(self) -> None:
        """It is the text that Prometheus reads."""
        answer = self.get("/metrics")
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertIn(b"\nc_total 3.0\n", answer.body)

    def test_readiness(self) -> None:
        """It tells which checks of readiness pass, and is a success even if one does not."""
        self.report = succeed(ILL)
        answer = self.get("/metrics")
        self.assertEqual(answer.status, 200)
        for line in ('callnet_ready{check="listeners"} 1.0', 'callnet_ready{check="redis"} 0.0'):
            self.assertIn(line, answer.body.decode().splitlines())


class OtherTests(AdminTestCase):
    """Requests for paths that do not exist."""

    def test_other_paths(self) -> None:
        """Other paths are answered with 404 in JSON."""
        for path in ("/nothing", "/healthz/x", "/account/login", "/%ff"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.json()["errorCode"]), (404, 2), path)

    def test_other_methods(self) -> None:
        """Other methods are answered with 405 in JSON, and with those that there are."""
        answer = self.wire.request("POST", "/healthz", b"{}")
        self.assertEqual((answer.status, answer.json()["errorCode"]), (405, 2))
        self.assertIn("GET", answer.headers["allow"])

    def test_our_own_errors(self) -> None:
        """An error of our own is logged, and not described."""
        self.report = fail(ZeroDivisionError("secret"))
        answer = self.get("/readyz")
        self.assertEqual(answer.status, 500)
        self.assertNotIn(b"secret", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class LogTests(AdminTestCase):
    """The log of the administration."""

    def logged(self, path: str) -> list[str]:
        """The log of one request."""
        with capturedLogs() as events:
            self.get(path)
        return [str(formatEvent(event)) for event in events]

    def test_probes_leave_no_line(self) -> None:
        """Probes, which come every few seconds, leave no line while they pass."""
        self.assertEqual([self.logged(path) for path in ("/healthz", "/readyz", "/metrics")], [[], [], []])

    def test_what_is_not_well_does(self) -> None:
        """A probe that fails leaves a line."""
        self.report = succeed(ILL)
        [line] = self.logged("/readyz")
        self.assertIn("GET /readyz 503", line)
