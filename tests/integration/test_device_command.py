"""``callnet device``, as a newcomer runs it: processes with pipes for a terminal, at a daemon over real sockets."""

from __future__ import annotations

import os
import platform
import re
import signal
import stat
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from callnet_client import Account, Server
from harness.daemon import BIN, staying_listeners
from tests.support.daemon import Daemon
from tests.support.forked_process import ForkedProcess
from tests.support.shared_daemon import new_phone, shared_daemon

PHONE: Final = ("13651884967", "phone1")
TV: Final = ("13651884968", "tv")
LIMIT: Final = 60
"""Seconds that anything may take on a machine that is busy with other tests."""

reactor: Any = installed


class DeviceProcess:
    """One ``callnet device``, forked.

    :param network: the name of the network namespace that it is in.
    """

    def __init__(self, daemon: Daemon, *arguments: str, network: str = "") -> None:
        self.output = ""
        self._waiting: list[tuple[str, Deferred[str]]] = []
        complaints, path = mkstemp(dir=daemon.folder)
        self._errors = Path(path)
        command = (os.path.join(BIN, "callnet"), "device", *arguments)
        loads = ("callnet.cli.media",) if "--media" in arguments else ()
        with os.fdopen(complaints, "wb") as errors:
            self._forked = ForkedProcess(
                self._heard, command, daemon.folder, daemon.environ, errors, network=network, loads=loads
            )
        self.process = self._forked.process
        self._ended = self._forked.ended.addCallback(self._end)

    @property
    def errors(self) -> str:
        """Its complaints."""
        return self._errors.read_text("utf-8")

    def shows(self, pattern: str) -> Deferred[str]:
        """Wait until the output matches; fires with the first group, or with the whole match."""
        shown: Deferred[str] = Deferred()
        self._waiting.append((pattern, shown))
        self._look()
        return shown.addTimeout(LIMIT, reactor)

    def type(self, line: str) -> None:
        """Type a line."""
        self._forked.write(f"{line}\n")

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def status(self) -> Deferred[int]:
        """Wait for the end; fires with the exit status."""
        return self._ended.addTimeout(LIMIT, reactor)

    def stop(self) -> Deferred[int]:
        """Make sure that it is gone."""
        self.process.kill()
        return self._ended

    def _heard(self, data: bytes) -> None:
        self.output += data.decode()
        self._look()

    def _end(self, status: int) -> int:
        for pattern, shown in self._waiting:
            shown.errback(AssertionError(f"it ended without {pattern!r}:\n{self.output}\n{self.errors}"))
        return status

    def _look(self) -> None:
        for waiting in list(self._waiting):
            pattern, shown = waiting
            if found := re.search(pattern, self.output):
                self._waiting.remove(waiting)
                shown.callback(found[found.re.groups])


class DeviceCommandTests(TestCase):
    """Two terminals at one daemon."""

    timeout = 300

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        """Have a daemon."""
        self.daemon: Daemon = await shared_daemon(self)
        self.phone, self.tv = (new_phone(), PHONE[1]), (new_phone(), TV[1])

    def device(self, *arguments: str) -> DeviceProcess:
        """Start a device at the daemon's own ports."""
        process = DeviceProcess(
            self.daemon,
            *arguments,
            f"--account-url={self.daemon.account_url}",
            f"--signaling-url={self.daemon.signaling_url}",
            f"--site-url={self.daemon.site_url}",
        )
        self.addCleanup(process.stop)
        return process

    async def test_whole_call(self) -> None:
        """One calls, the other is asked and accepts, both are shown the same page, and one hangs up."""
        tv = self.device(*self.tv)
        await tv.shows("waiting for calls")
        phone = self.device(*self.phone, "--call", *self.tv)
        await tv.shows(re.escape("is calling: accept? [y/n]"))
        tv.type("y")
        page = re.escape(self.daemon.site_url) + r"/static/demo/direct_chat\.html\?room_id=([0-9a-f]{32})\n"
        self.assertEqual(await tv.shows(page), await phone.shows(page))
        phone.interrupt()
        await tv.shows(rf"the call is over: {self.phone[0]} phone1 hung up \(hangup\)")
        self.assertEqual(0, await phone.status())
        tv.interrupt()
        self.assertEqual(0, await tv.status())
        for process in (phone, tv):
            self.assertEqual("", process.errors)
            self.assertNotIn("eyJ", process.output)

    async def test_pairing(self) -> None:
        """A device without a number shows a code, and is one of a phone once that lets it in, until it is removed."""
        path = Path(self.mktemp()).absolute()
        first = self.device("--pair", str(path))
        code = await first.shows(r"    ((?:[B-Z] ){4}- (?:[B-Z] ){3}[B-Z])\n")
        first.interrupt()
        await first.status()
        tv = self.device("--pair", str(path))  # which waits on
        await tv.shows(re.escape(f"    {code}\n"))
        await tv.shows(re.escape(f"{self.daemon.site_url}/#pair={code.replace(' ', '')}\n"))
        phone = Account(Server(self.daemon.account_url, reactor), *self.phone, keep=lambda _: None)
        await phone.login()
        found = await phone.waiting_device(code)
        self.assertEqual(platform.node(), found.name)
        await phone.accept_pairing(found.pairing_id, "tv", "Television")
        await tv.shows("waiting for calls")
        tv.interrupt()
        self.assertEqual(0, await tv.status())
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        again = self.device("--pair", str(path))
        await again.shows("waiting for calls")
        self.assertEqual(["phone1", "tv"], [device.device_id for device in await phone.devices()])
        await phone.remove_device("tv")
        self.assertEqual(1, await again.status())
        self.assertFalse(path.exists())
        anew = self.device("--pair", str(path))
        code = await anew.shows(r"    ((?:[B-Z] ){4}- (?:[B-Z] ){3}[B-Z])\n")
        found = await phone.waiting_device(code)
        await phone.refuse_pairing(found.pairing_id)
        self.assertEqual(1, await anew.status())
        self.assertIn("the pairing was refused", anew.errors)
        self.assertFalse(path.exists())
        self.assertEqual("", tv.errors)

    async def test_file_of_pairing(self) -> None:
        """A file that is of no use, or open to others, is named in one line, and left alone."""
        path = Path(self.mktemp()).absolute()
        path.write_bytes(b"{}")
        for mode, why in ((0o644, "is accessible to others"), (0o600, "is not a file that --pair has written")):
            path.chmod(mode)
            process = self.device("--pair", str(path))
            self.assertEqual(1, await process.status())
            self.assertRegex(process.errors, rf"\AError: --pair: /\S+ {why}.*\n\Z")
        self.assertEqual(b"{}", path.read_bytes())

    async def test_second_call(self) -> None:
        """With media, which needs the extended protocol, a device in a call is asked about a second one."""
        tv = self.device(*self.tv, "--media", "--insecure")
        await tv.shows("waiting for calls")
        phone = self.device(*self.phone, "--call", *self.tv)
        await tv.shows(re.escape("is calling: accept? [y/n]"))
        tv.type("y")
        await phone.shows("in a call")
        second = self.device(new_phone(), "pad", "--media", "--insecure", "--call", *self.tv)
        await tv.shows(re.escape("pad is calling: end this call and accept? [y/n]"))
        tv.type("y")
        await phone.shows(rf"the call is over: {self.tv[0]} tv hung up \(replaced\)")
        await second.shows(f"in a call with {self.tv[0]} tv")
        tv.interrupt()
        self.assertEqual([0, 0], [await process.status() for process in (phone, second)])

    async def test_refused_call(self) -> None:
        """A call that is refused ends the command with status 1."""
        tv = self.device(*self.tv, "--answer", "refuse")
        await tv.shows("waiting for calls")
        phone = self.device(*self.phone, "--call", self.tv[0], "*")
        self.assertEqual(1, await phone.status())
        self.assertRegex(phone.output, rf"{self.tv[0]} \* refused the call")

    async def test_callee_hangs_up(self) -> None:
        """When the callee hangs up the caller is done, with status 0; the callee waits for more."""
        tv = self.device(*self.tv, "--answer", "accept")
        await tv.shows("waiting for calls")
        phone = self.device(*self.phone, "--call", *self.tv)
        await phone.shows(f"in a call with {self.tv[0]} tv")
        tv.interrupt()
        self.assertEqual(0, await phone.status())
        again = self.device(*self.phone, "--call", *self.tv)
        await again.shows(f"in a call with {self.tv[0]} tv")

    async def test_interrupted_while_it_rings(self) -> None:
        """Ctrl-C cancels the ringing; the call was not answered, so the status is 1."""
        tv = self.device(*self.tv)
        await tv.shows("waiting for calls")
        phone = self.device(*self.phone, "--call", *self.tv)
        await tv.shows("accept")
        phone.interrupt()
        self.assertEqual(1, await phone.status())
        await tv.shows(r"stopped ringing \(cancelled\)")

    async def test_everything_at_the_site(self) -> None:
        """One address serves everything, over TLS, to clients that trust its certificate."""
        there = (*self.phone, "--call", *self.tv, f"--server={self.daemon.site_url}")
        for option in ("--insecure", f"--certificate={self.daemon.certificate}"):
            process = DeviceProcess(self.daemon, *there, option)
            self.addCleanup(process.stop)
            self.assertEqual(1, await process.status())
            self.assertRegex(process.output, r"was not reached \(offline\)")
        process = DeviceProcess(self.daemon, *there)
        self.addCleanup(process.stop)
        self.assertEqual(1, await process.status())
        self.assertEqual(
            "callnet device: the server cannot be reached: untrusted certificate (see --certificate and --insecure)\n",
            process.errors,
        )

    async def test_daemon_stops(self) -> None:
        """A device whose server goes away says so, and comes back when the server is back."""
        self.daemon = Daemon(self.mktemp(), listeners=staying_listeners())
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        tv = self.device(*self.tv)
        await tv.shows("waiting for calls")
        await self.daemon.stop()
        await tv.shows("the connection was closed: 1001 .*; reconnecting")
        await self.daemon.start()
        await tv.shows("reconnected")
        tv.interrupt()
        self.assertEqual(0, await tv.status())

    async def test_what_cannot_work_is_said_in_one_line(self) -> None:
        """A refused login, and options that make no sense, end the command with one line and no traceback."""
        process = self.device("not a phone", "tv")
        self.assertEqual(1, await process.status())
        self.assertRegex(process.errors, r"\Acallnet device: ERROR_CODE_PHONE_INVALID: .*\n\Z")
        for options in (("--certificate=callnet.toml",), ("--signaling-url=ftp://callnet.test",)):
            process = DeviceProcess(self.daemon, *self.phone, *options)
            self.addCleanup(process.stop)
            self.assertEqual(2, await process.status())
            self.assertNotIn("Traceback", process.errors)
