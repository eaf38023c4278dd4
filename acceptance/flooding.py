"""Clients that send as much as they can, in a process of their own: ``python -m acceptance.flooding PLAN``.

What is measured meanwhile is measured in another process, which these do not slow down.
"""

from __future__ import annotations

import asyncio
import selectors
import socket
import ssl
import sys
import time
from typing import Final, cast

from msgspec import Struct
from msgspec.json import decode, encode

from harness import ROOT
from harness.wire import HOST, upgrade

_SENT_AT_ONCE: Final = 65536
_QUIET: Final = 0.5
"""Seconds without any byte on any connection after which nothing more is to come."""


class Plan(Struct, frozen=True):
    """The actions of these clients."""

    port: int
    count: int
    seconds: float
    """Their duration, unless there is nothing left to do before."""
    again: bytes
    """The bytes that each sends again and again."""
    first: bytes = b""
    """The bytes that it sends once, before that."""
    most: int | None = None
    """The number of bytes of ``again``; ``None``: any number."""
    until_cut: bool = False
    """True: a pause is not the end, as the server is to end all connections."""
    tls: bool = False
    reads: bool = True
    upgrades: tuple[str, ...] = ()
    """The paths of WebSockets that are opened first, one for each client."""
    origin: str = ""


class Done(Struct, frozen=True):
    """The result."""

    sent: int = 0
    most_sent: int = 0
    """Bytes that one client got rid of."""
    received: int = 0
    cut: int = 0
    """The number of connections that the server ended."""


class _Client:
    def __init__(self, plan: Plan, number: int) -> None:
        self.sent = self.received = 0
        self.is_cut = False
        self._plan = plan
        self._left = plan.first
        self._room = sys.maxsize if plan.most is None else plan.most
        self.socket = self._connect(number)
        self.socket.setblocking(False)

    @property
    def is_done(self) -> bool:
        return self.is_cut or not (self._left or self._room > 0)

    def work(self, events: int) -> bool:
        """Send and receive the pending bytes; tell whether there were any."""
        before = self.sent + self.received
        try:
            if events & selectors.EVENT_READ and self._plan.reads:
                self._receive()
            if events & selectors.EVENT_WRITE:
                self._send()
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except OSError:
            self.is_cut = True
        return self.sent + self.received > before

    def _connect(self, number: int) -> socket.socket:
        plan = self._plan
        made: socket.socket = socket.socket()
        made.settimeout(30)
        # The system's buffers of sent bytes say nothing about read ones.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, plan.most or _SENT_AT_ONCE)
        if not plan.reads:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        made.connect((HOST, plan.port))
        if plan.tls:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            made = context.wrap_socket(made)
        if plan.upgrades:
            upgrade(made, plan.upgrades[number], f"{HOST}:{plan.port}", plan.origin)
        return made

    def _receive(self) -> None:
        while True:
            data = self.socket.recv(_SENT_AT_ONCE)
            if not data:
                self.is_cut = True
                return
            self.received += len(data)

    def _send(self) -> None:
        again = self._plan.again
        while self._left or self._room > 0:
            if not self._left:
                whole = again * (_SENT_AT_ONCE // len(again))
                self._left = whole[: self._room]
                self._room -= len(self._left)
            count = self.socket.send(self._left)
            self.sent += count
            self._left = self._left[count:]


def flood(plan: Plan) -> Done:
    """Do it."""
    clients = [_Client(plan, number) for number in range(plan.count)]
    print(flush=True)  # they are connected: from here on it is measured
    until = time.monotonic() + plan.seconds
    quiet_for = plan.seconds if plan.until_cut else _QUIET
    quiet_since = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, client)
        while selector.get_map() and (now := time.monotonic()) < until and now < quiet_since + quiet_for:
            for key, events in selector.select(0.1):
                client = key.data
                if client.work(events):
                    quiet_since = time.monotonic()
                if client.is_cut:
                    selector.unregister(client.socket)
                elif client.is_done and key.events != selectors.EVENT_READ:
                    selector.modify(client.socket, selectors.EVENT_READ, client)
            if not plan.reads:
                time.sleep(0.01)
    for client in clients:
        client.socket.close()
    return Done(
        sum(client.sent for client in clients),
        max(client.sent for client in clients),
        sum(client.received for client in clients),
        sum(client.is_cut for client in clients),
    )


class Flood:
    """These clients, as another process sees them."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._output = cast(asyncio.StreamReader, process.stdout)

    @classmethod
    async def begin(cls, plan: Plan) -> Flood:
        """Start them, and wait until they are connected."""
        command = (sys.executable, "-m", __spec__.name, encode(plan).decode())
        flood = cls(await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE))
        await flood._output.readline()
        return flood

    async def end(self) -> Done:
        """Wait until they are done."""
        done = decode(await self._output.read(), type=Done)
        await self._process.wait()
        return done


if __name__ == "__main__":
    sys.stdout.buffer.write(encode(flood(decode(sys.argv[1], type=Plan))))
