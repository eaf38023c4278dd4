"""The daemon as a process: started in each way there is, used over real sockets, stopped by SIGTERM."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent

from callnet.storage.database import Database
from callnet_client import certificate_trust
from harness import ROOT
from harness.daemon import BIN, LISTENERS, READY, STOP_LIMIT, TWISTD
from harness.leaks import check
from tests.support.commands import ended
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of, site_of
from tests.support.processes import ProcessEnd, written

TWIST: Final = (os.path.join(BIN, "twist"), "--log-format=text", "callnet")
TAC: Final = (os.path.join(BIN, "twistd"), "--pidfile=", "-ny", str(ROOT / "callnet.tac"))
FORKING: Final = (os.path.join(BIN, "twistd"), "callnet")
PHONE: Final = "13651884967"

reactor: Any = installed


class ForkingDaemon(Daemon):
    """A daemon that `twistd` leaves behind in the background."""

    _pid = 0

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.log_file = self.folder / "twistd.log"

    @property
    def pid(self) -> int:
        """The process, which is no child of ours."""
        return self._pid

    def start(self) -> Deferred[None]:  # type: ignore[override]
        """Start it; fires when `twistd` has gone into the background, and the daemon serves."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        self.write_settings()
        begun = getProcessOutputAndValue(FORKING[0], FORKING[1:], self.environ, str(self.folder), reactor)
        out, err, status = await begun
        assert (out, err, status) == (b"", b"", 0), (out, err, status)
        self._pid = int(Path(self.folder, "twistd.pid").read_text(encoding="ascii"))
        self._note(await written(self.log_file, READY))

    def stop(self, limit: float = STOP_LIMIT) -> Deferred[None]:  # type: ignore[override]
        """Send SIGTERM; fires when the process is gone."""
        if not self._pid:
            return super().stop()
        pid, self._pid = self._pid, 0
        end = ProcessEnd(pid)
        os.kill(pid, signal.SIGTERM)
        return end.reached.addTimeout(limit, reactor).addCallback(lambda _: check(self.log))


class LifeMixin:
    """The life of a daemon, however it was started."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        raise NotImplementedError

    async def test_it_serves_and_tells_everyone_when_it_stops(self) -> None:
        """Devices log in, connect and call each other on the plain ports and on the site; SIGTERM tells them 1001."""
        case: Any = self
        daemon = self.make(case.mktemp())
        case.addCleanup(daemon.stop)
        await daemon.start()
        plain = service_of(daemon)
        secure = site_of(daemon, trust=certificate_trust(Path(daemon.certificate).read_bytes()))
        caller = await member(case, plain, PHONE, "phone")
        callee = await member(case, secure, PHONE, "tv")
        answer = await plain.post("/getContactPersons", {"phone": PHONE, "token": callee.account.token})
        case.assertEqual(answer["contacts"], [])
        await caller.reaches(callee)

        page = f"{daemon.site_url}/static/demo/direct_chat.html?room_id={'0123456789abcdef' * 2}"
        trust = certificate_trust(Path(daemon.certificate).read_bytes())
        for method in (b"HEAD", b"TRACE"):  # whose answers Twisted would log, and a look at the log would find
            await Agent(reactor, trust).request(method, page.encode("ascii"))
        closed = gatherResults([caller.lost(), callee.lost()])
        await daemon.stop()
        case.assertEqual(await closed, [1001, 1001])
        case.assertNotIn("Traceback", daemon.log)
        case.assertNotIn(PHONE, daemon.log)


class TwistdTests(LifeMixin, TestCase):
    """``twistd -n callnet``."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, command=(sys.executable, *TWISTD))


class TwistTests(LifeMixin, TestCase):
    """``twist callnet``."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, command=TWIST)


class TacTests(LifeMixin, TestCase):
    """``twistd -ny callnet.tac``."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return Daemon(directory, command=TAC)


class ForkingTests(LifeMixin, TestCase):
    """``twistd callnet``, which goes into the background."""

    def make(self, directory: str) -> Daemon:
        """The daemon to test."""
        return ForkingDaemon(directory)


class StuckTests(TestCase):
    """Peers that do not go."""

    async def test_sigterm_ends_it_all_the_same(self) -> None:
        """Sockets that say nothing, send half a request, or never answer a close frame do not keep the process."""
        daemon = Daemon(self.mktemp())
        self.addCleanup(daemon.stop)
        await daemon.start()
        token = await log_in(service_of(daemon), PHONE, "tv")
        handshake = (
            f"GET /socket.io?token={token} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        for url, data in (
            (daemon.account_url, ""),
            (daemon.account_url, "POST /account/login HTTP/1.1\r\nContent-Length: 9\r\n\r\nx"),
            (daemon.signaling_url, ""),
            (daemon.signaling_url, "GET /socket.io"),
            (daemon.site_url, ""),
        ):
            self.send(url, data)
        stuck = self.send(daemon.signaling_url, handshake)
        stuck.recv(1)  # the socket is upgraded
        await daemon.stop()
        self.assertNotIn("Traceback", daemon.log)

    def send(self, url: str, data: str) -> socket.socket:
        """Connect to where a URL leads, and send this."""
        _, host, port = re.split(r"://|:", url.split("/socket.io")[0])
        peer = socket.create_connection((host, int(port)), timeout=30)
        self.addCleanup(peer.close)
        peer.sendall(data.encode("ascii"))
        return peer


class FirstStartTests(TestCase):
    """A start with nothing there, and the next."""

    async def test_what_the_first_makes_the_second_uses(self) -> None:
        """The first start makes a key for its owner alone and a certificate; tokens outlive a restart."""
        daemon = Daemon(self.mktemp())
        self.addCleanup(daemon.stop)
        await daemon.start()
        made = {name: Path(daemon.state_dir, name) for name in ("signing.key", "self-signed.key", "self-signed.crt")}
        self.assertEqual(
            {name: oct(path.stat().st_mode & 0o777) for name, path in made.items()},
            {"signing.key": "0o600", "self-signed.key": "0o600", "self-signed.crt": "0o644"},
        )
        content = {name: path.read_bytes() for name, path in made.items()}
        token = await log_in(service_of(daemon), PHONE, "tv")
        await daemon.stop()

        again = Daemon(daemon.folder)
        self.addCleanup(again.stop)
        await again.start()
        self.assertEqual({name: path.read_bytes() for name, path in made.items()}, content)
        answer = await service_of(again).post("/getContactPersons", {"phone": PHONE, "token": token})
        self.assertEqual(answer["contacts"], [])


class RefusalTests(TestCase):
    """A start that is stopped prints one line on stderr, with exit status 1 and without a traceback, whatever began it.

    ``tests.unit.test_tap`` and ``tests.unit.test_listening`` show each cause.
    """

    def setUp(self) -> None:
        """A daemon that nobody has started."""
        self.daemon = Daemon(self.mktemp())

    async def refusal(self, command: Sequence[str], settings: str = "", listeners: str = LISTENERS) -> str:
        """The line that a start with this command ends with."""
        daemon = Daemon(self.daemon.folder, settings, listeners=listeners)
        daemon.write_settings()
        out, answer, status = await ended(daemon, command)
        self.assertEqual((out, status), ("", 1))
        self.assertRegex(answer, r"\Acallnet: [^\n]+\n\Z")
        return answer.removeprefix("callnet: ").rstrip()

    async def test_twistd(self) -> None:
        """``twistd -n callnet`` names a wrong key of the settings."""
        answer = await self.refusal(TWISTD, "calls.ring_tyme = 45")
        self.assertRegex(answer, r"^/\S+/callnet\.toml: unknown key calls\.ring_tyme: known keys are ring_time, ")

    async def test_twist(self) -> None:
        """``twist callnet`` names a busy port with its setting."""
        busy = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(busy.close)
        endpoint = f"tcp:{busy.getsockname()[1]}:interface=127.0.0.1"
        answer = await self.refusal(TWIST, listeners=f'listeners.account = [{{ endpoint = "{endpoint}" }}]')
        self.assertEqual(answer, f"listeners.account[0].endpoint '{endpoint}': Address already in use")

    async def test_tac(self) -> None:
        """``twistd -ny callnet.tac`` names a signing key that cannot be read with its setting."""
        answer = await self.refusal(TAC, 'tokens.signing_key_file = "/"')
        self.assertEqual(answer, "tokens.signing_key_file: /: Is a directory")

    async def test_forking(self) -> None:
        """``twistd callnet`` leaves a database that needs newer code alone, and nothing in the background."""
        os.makedirs(self.daemon.state_dir)
        database = Database(f"sqlite:///{self.daemon.state_dir}/callnet.db")
        self.addCleanup(database.close)
        database.upgrade()
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE schema_info SET oldest_code = 9999")
        answer = await self.refusal(FORKING)
        self.assertRegex(answer, r"^database\.url: the database needs schema level 9999, but ")
        self.assertFalse(Path(self.daemon.folder, "twistd.pid").exists())
