"""Several processes on one set of sockets: workers under a parent, and processes that systemd started."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import ssl
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody

from callnet.ops.certificates import sign
from harness.daemon import LISTENERS, STOP_LIMIT, TWISTD
from harness.redis_server import new_prefix, shared
from tests.integration.test_daemon import ForkingDaemon, LifeMixin
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of
from tests.support.processes import ProcessEnd, state_of, stopped
from tests.support.shared_daemon import new_phone, shared_daemon

PHONE: Final = "13651884967"

reactor: Any = installed


async def get(url: str) -> tuple[int, bytes]:
    """Status and body at a URL."""
    response = await Agent(reactor).request(b"GET", url.encode("ascii"))
    return response.code, await readBody(response)


def with_workers(directory: str, settings: str = "", kind: type[Daemon] = Daemon, drain_deadline: float = 0) -> Daemon:
    """A daemon with two workers."""
    return kind(directory, settings_of_workers(settings), drain_deadline=drain_deadline)


def settings_of_workers(settings: str = "") -> str:
    """TOML for two workers, and more."""
    redis = f'redis = {{ url = "{shared("redis").url()}", prefix = "{new_prefix()}" }}'
    return f"workers = 2\n{redis}\n{settings}"


_settings_of_shared = cache(settings_of_workers)


async def shared_workers(case: TestCase, settings: str = "") -> Daemon:
    """A daemon with two workers that tests share."""
    return await shared_daemon(case, _settings_of_shared(settings))


def workers_of(daemon: Daemon) -> list[int]:
    """The processes of its workers, by their number."""
    return [
        int(pid)
        for _, pid in sorted(
            dict(re.findall(r"worker (\d) started: process (\d+)", daemon.log_file.read_text())).items()
        )
    ]


class LifeTests(LifeMixin, TestCase):
    """The life of a daemon with workers is that of any other."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return with_workers(directory)


class BackgroundTests(LifeMixin, TestCase):
    """The same in the background."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return with_workers(directory, kind=ForkingDaemon)


class WorkersTestCase(TestCase):
    """A daemon with two workers that tests share."""

    settings = ""

    async def setUp(self) -> None:  # type: ignore[override]
        """Have it."""
        self.daemon = await shared_workers(self, self.settings)
        self.service = service_of(self.daemon)

    async def readiness(self) -> tuple[int, dict[str, Any]]:
        """Status and body of ``/readyz``."""
        status, body = await get(f"{self.daemon.admin_url}/readyz")
        return status, json.loads(body)

    async def become_ready(self) -> None:
        """Ask until it is ready."""
        while (await self.readiness())[0] != 200:
            await deferLater(reactor, 0.05)


class ServingTests(WorkersTestCase):
    """The service of the workers to devices and operators."""

    async def test_those_of_different_workers_call_each_other(self) -> None:
        """Devices of different workers call each other."""
        await self.become_ready()
        one, other = workers_of(self.daemon)
        phone = new_phone()
        with stopped(one):
            callee = await member(self, self.service, phone, "tv")
        with stopped(other):
            caller = await member(self, self.service, phone, "phone")
        await caller.reaches(callee)

        body = b""
        while b'callnet_sockets{kind="device"} 2.0\n' not in body:  # a worker that does not answer at once is left out
            status, body = await get(f"{self.daemon.admin_url}/metrics")
            self.assertEqual(status, 200)
        closed = gatherResults([caller.lost(), callee.lost()])
        await self.daemon.stop()
        self.assertEqual(await closed, [1001, 1001])

    async def test_the_log_has_a_line_of_each(self) -> None:
        """A worker's log lines are in the log of the parent, with its number and their level."""
        await log_in(self.service, new_phone(), "tv")
        await self.daemon.said(r"\[callnet\.web\.http\.CappedSite#info\] worker [12]: \S+ POST /account/login 200")

    async def test_no_secret_is_in_the_arguments(self) -> None:
        """Where Redis is and everything else that is set is in no argument of a process."""
        for pid in workers_of(self.daemon):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            self.assertEqual(arguments[1:-1], [b"-P", b"-m", b"callnet.worker"])


class DeathTests(WorkersTestCase):
    """The death of one of the processes."""

    async def test_who_is_killed_is_back(self) -> None:
        """Killed workers are back; meanwhile connections wait, and the operator is told."""
        await self.become_ready()
        before = workers_of(self.daemon)
        with stopped(self.daemon.pid):  # else they may be back before it is asked
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            login = log_in(self.service, new_phone(), "tv")
            asked = Deferred.fromCoroutine(self.readiness())
            await deferLater(reactor, 0.5)
        status, report = await asked
        self.assertEqual(status, 503)
        self.assertEqual(report["ready"], False)
        self.assertEqual(await get(f"{self.daemon.admin_url}/healthz"), (200, b'{"status":"ok"}'))
        await login
        await self.become_ready()
        after = workers_of(self.daemon)
        self.assertEqual(len({*before, *after}), 4)

        os.kill(after[0], signal.SIGKILL)
        await self.daemon.said(r"worker 1 was killed by SIGKILL; restarting in 0\.2 s")
        self.assertEqual(self.daemon.log.count("was killed by SIGKILL; restarting in 0.1 s"), 2)
        self.assertNotIn("is ready.", self.daemon.log)  # it said so when it was started

    async def test_who_does_not_answer_is_told(self) -> None:
        """A worker that does not answer is reported to the operator, and the other goes on serving."""
        await self.become_ready()
        with stopped(workers_of(self.daemon)[0]):
            is_well = False
            while not is_well:  # the other one may be late once, too
                status, report = await self.readiness()
                self.assertEqual(status, 503)
                self.assertEqual(report["checks"]["worker 1"], {"ok": False, "why": "no answer within 1 s"})
                is_well = "2" in report["workers"] and report["workers"]["2"]["ready"]
            await log_in(self.service, new_phone(), "tv")

    async def test_sigterm_ends_all(self) -> None:
        """SIGTERM ends all of them in time, even one that does nothing any more."""
        workers = workers_of(self.daemon)
        with stopped(workers[0]):
            await self.daemon.stop()
        self.assertEqual([state_of(pid) for pid in workers], ["", ""])
        self.assertIn("killed worker 1: it did not stop in time", self.daemon.log)

    async def test_sigterm_for_everyone_is_no_error(self) -> None:
        """SIGTERM for every process there is, as systemd may send it, is no error."""
        workers = workers_of(self.daemon)
        ends = [ProcessEnd(pid).reached for pid in workers]
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
        await self.daemon.stop()
        await gatherResults(ends)
        self.assertNotIn("Traceback", self.daemon.log)

    async def test_sigterm_again_and_again_is_no_error(self) -> None:
        """SIGTERM that comes again before the first was heeded is no error."""
        workers = workers_of(self.daemon)
        with contextlib.suppress(ProcessLookupError):  # trial takes a name "suppress" of this module for its own
            for _ in range(1000):
                for pid in workers:
                    os.kill(pid, signal.SIGTERM)
        await self.daemon.stop()
        self.assertNotIn("Traceback", self.daemon.log)

    async def test_when_the_parent_is_killed_the_workers_go(self) -> None:
        """When the parent is killed the workers stop in order: devices are told, and the sockets are closed."""
        device = await member(self, self.service, new_phone(), "tv")
        ends = [ProcessEnd(pid).reached.addTimeout(STOP_LIMIT, reactor) for pid in workers_of(self.daemon)]
        os.kill(self.daemon.pid, signal.SIGKILL)
        self.assertEqual(await device.lost(), 1001)
        await gatherResults(ends)
        port = int(self.daemon.account_url.rpartition(":")[2])
        self.assertRaises(ConnectionRefusedError, socket.create_connection, ("127.0.0.1", port))


class CertificateMixin:
    """A new certificate, in one process or in several."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        raise NotImplementedError

    def write(self, *names: str) -> list[bytes]:
        """Make certificates for these names and the key of the last; answers with the certificates."""
        made = [sign([name], [], datetime.now(UTC)) for name in names]
        Path(self.files, "crt").write_bytes(made[0].chain[0].public_bytes(Encoding.PEM))
        Path(self.files, "key").write_bytes(
            made[-1].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return [each.chain[0].public_bytes(Encoding.DER) for each in made]

    async def shown(self, daemon: Daemon) -> bytes:
        """The certificate that a new connection is shown."""
        port = int(daemon.site_url.rpartition(":")[2])

        def look() -> bytes:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with context.wrap_socket(socket.create_connection(("127.0.0.1", port))) as client:
                return client.getpeercert(binary_form=True) or b""

        return await deferToThread(look)

    async def test_the_certificate_is_renewed(self) -> None:
        """After SIGHUP, or some time, new connections are shown the new certificate; a wrong pair changes nothing."""
        case: Any = self
        self.files = os.path.abspath(case.mktemp())
        os.mkdir(self.files)
        settings = f'tls = {{ certificate = "{self.files}/crt", private_key = "{self.files}/key" }}\n'
        [old] = self.write("old")
        daemon = self.make(case.mktemp(), settings)
        case.addCleanup(daemon.stop)
        await daemon.start()
        case.assertEqual(await self.shown(daemon), old)

        [new] = self.write("new")
        os.kill(daemon.pid, signal.SIGHUP)
        await self.renewed(daemon)
        case.assertEqual([await self.shown(daemon) for _ in range(4)], [new] * 4)

        self.write("one", "another")
        os.kill(daemon.pid, signal.SIGHUP)
        line = await daemon.said(r"kept the old certificate: tls\.private_key: \S+ does not belong to .*\n")
        case.assertEqual([await self.shown(daemon) for _ in range(4)], [new] * 4)
        case.assertNotIn("reloaded the certificate", daemon.log[line.start() :])

        [newest] = self.write("newest")
        await daemon.said("certificate files changed; reloading")
        await self.renewed(daemon)
        case.assertEqual([await self.shown(daemon) for _ in range(4)], [newest] * 4)

    async def renewed(self, daemon: Daemon) -> None:
        """Wait until every process has read it."""
        raise NotImplementedError


class OneCertificateTests(CertificateMixin, TestCase):
    """One process."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, settings)

    async def renewed(self, daemon: Daemon) -> None:
        """Wait until it has read it."""
        await daemon.said("reloaded the certificate")


class ManyCertificatesTests(CertificateMixin, TestCase):
    """A parent and its workers."""

    def make(self, directory: str, settings: str) -> Daemon:
        """The daemon to test."""
        return with_workers(directory, settings)

    async def renewed(self, daemon: Daemon) -> None:
        """Wait until all have read it."""
        for _ in range(3):
            await daemon.said("reloaded the certificate")


class SystemdTests(TestCase):
    """Processes to which systemd hands the same listening sockets (sd_listen_fds(3)), as etc/callnet@.service does."""

    def make(self, sockets: dict[str, socket.socket]) -> Daemon:
        """One of them."""
        descriptors = [each.fileno() for each in sockets.values()]
        numbered = " ".join(f"{number}<&{descriptor}" for number, descriptor in enumerate(descriptors, 3))
        environment = f"LISTEN_PID=$$ LISTEN_FDS={len(sockets)} LISTEN_FDNAMES={':'.join(sockets)}"
        command = f'{environment} exec "$@" {numbered}'
        listeners = re.sub(r'"tcp:0:interface=127.0.0.1"', "NAME", LISTENERS)
        for name in ("account", "signaling"):
            listeners = listeners.replace("NAME", f'"systemd:domain=INET:name={name}"', 1)
        daemon = Daemon(
            self.mktemp(),
            "accounts.open_enrolment_on_network = true",
            ("bash", "-c", command, "bash", *TWISTD),
            listeners.replace("NAME", '"tcp:0:interface=127.0.0.1"'),
            descriptors=descriptors,
        )
        self.addCleanup(daemon.stop)
        return daemon

    async def test_both_serve(self) -> None:
        """Both take connections from the sockets, and either goes on when the other stops."""
        sockets = {name: socket.create_server(("127.0.0.1", 0)) for name in ("account", "signaling")}
        for each in sockets.values():
            self.addCleanup(each.close)
        one, other = self.make(sockets), self.make(sockets)
        await gatherResults([one.start(), other.start()])
        self.assertEqual(one.account_url, other.account_url)
        service = service_of(one)
        with stopped(one.pid):
            await log_in(service, PHONE, "tv")
        with stopped(other.pid):
            device = await member(self, service, PHONE, "tv")
        await other.stop()
        await log_in(service, PHONE, "tv")
        closed = device.lost()
        self.assertFalse(closed.called)
        await one.stop()
        self.assertEqual(await closed, 1001)
        waiting = socket.create_connection(sockets["account"].getsockname())
        self.addCleanup(waiting.close)
