"""A whole daemon in memory: its real parts on a reactor that does nothing by itself."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, cast

from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from callnet.app.service import Daemon
from callnet.config.load import load
from callnet.tap import IDaemonReactor, Options, compose, makeService
from harness.websocket import TEXT
from tests.support.http_wire import HttpWire
from tests.support.still_reactor import StillReactor
from tests.support.wires import Wire


class DaemonTestCase(SynchronousTestCase):
    """A daemon with a state directory of its own."""

    def setUp(self) -> None:
        """A directory, and a reactor."""
        self.state_dir = self.mktemp()
        self.reactor = StillReactor()

    def write_settings(self, settings: str) -> str:
        """Write these settings beside its state directory; the file."""
        path = f"{self.state_dir}.toml"
        Path(path).write_text(f'state_dir = "{self.state_dir}"\n{settings}', encoding="utf-8")
        return path

    def compose(self, settings: str = "") -> Daemon:
        """Make a daemon with these settings."""
        read = partial(load, self.write_settings(settings), {})
        return cast(Daemon, compose(read, cast(IDaemonReactor, self.reactor)))

    def refusal(self, settings: str) -> str:
        """The line with which ``twistd`` and ``twist`` end at once, with exit status 1, if they have these settings."""
        options = Options()
        options.parseOptions(["--config", self.write_settings(settings)])
        refused = self.assertRaises(SystemExit, makeService, options, self.reactor)
        self.assertRegex(refused.code, r"\Acallnet: [^\n]+\Z")
        return str(refused.code).removeprefix("callnet: ")

    def factory(self, port: int) -> Any:
        """The factory that serves a port, inside of the TLS if there is any."""
        [factory] = [factory for at, factory, _, _ in self.reactor.tcpServers if at == port]
        return factory.wrappedFactory if isinstance(factory, TLSMemoryBIOFactory) else factory

    def begin(self, daemon: Daemon) -> Daemon:
        """Start a daemon, and let it read everything that it needs before devices are sent to it."""
        daemon.startService()
        self.addCleanup(self.end, daemon)
        while not daemon.change_feed.begun.called:
            self.reactor.take_thread()
        return daemon

    def end(self, daemon: Daemon) -> None:
        """Stop a daemon, if it runs, however its peers behave and whatever it still has to write."""
        if not daemon.running:
            return
        stopped = daemon.stopService()
        daemon.hurry()
        while not stopped.called:
            self.reactor.advance(1)
            self.reactor.take_threads()
        self.successResultOf(stopped)

    def post(self, port: int, path: str, **fields: str) -> dict[str, Any]:
        """Ask the account service, whose database works in a thread."""
        wire = HttpWire(self.factory(port))
        body = json.dumps(fields)
        wire.send(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        while not (answers := wire.answers()):
            self.reactor.take_thread()
        (answer,) = answers
        wire.leave()
        return cast("dict[str, Any]", answer.json())

    def device(self, port: int, device_id: str) -> Wire:
        """Log a device in and open its socket."""
        token = self.post(8083, "/account/login", phone="13651884967", device_id=device_id)["token"]
        wire = Wire(self.factory(port))
        wire.handshake(f"/socket.io?token={token}")
        self.carry(wire)
        self.assertTrue(wire.open, wire.head)
        while not all(peer.session.generation for peer in self.factory(8082).sockets):
            self.reactor.take_thread()
        return wire

    def carry(self, *wires: Wire) -> None:
        """Carry everything that is under way."""
        while any(wire.move() for wire in wires):
            pass

    def ring(self) -> tuple[Wire, Wire]:
        """Have a device call another one, which is on another port."""
        caller, callee = self.device(8082, "phone"), self.device(8080, "tv888")
        caller.frame(TEXT, b'{"type":"call","to_phone":"13651884967","to_device_id":"tv888"}')
        self.carry(caller, callee)
        return caller, callee
