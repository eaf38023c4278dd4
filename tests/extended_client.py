"""A client of ``callnet.v2`` over real sockets, every frame of which is checked against the schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime

from callnet.schemas.frames import FROM_EXTENDED, TO_EXTENDED
from tests.checked_client import look

PATIENCE = 30
"""Seconds that a frame may take to come."""


class ExtendedDevice(WebSocketClientProtocol):
    """A device. It keeps what it is told."""

    factory: Any

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[dict[str, Any]] = []
        self.gone: Deferred[int | None] = Deferred()
        """Fires with the code with which it was closed."""
        self._wanted: list[tuple[Callable[[dict[str, Any]], bool], Deferred[dict[str, Any]]]] = []

    def says(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        payload = json.dumps({"type": kind, **fields}).encode()
        look(FROM_EXTENDED, payload)
        self.sendMessage(payload)

    def hears(self, kind: str, **fields: Any) -> Deferred[dict[str, Any]]:
        """Fires with the first frame of a type, and with such fields, that came or comes."""

        def is_it(frame: dict[str, Any]) -> bool:
            return frame["type"] == kind and fields.items() <= frame.items()

        heard: Deferred[dict[str, Any]] = Deferred()
        known = next(filter(is_it, self.frames), None)
        if known is not None:
            heard.callback(known)
        else:
            self._wanted.append((is_it, heard))
        return heard.addTimeout(PATIENCE, self.factory.reactor)

    def leaves(self) -> Deferred[int | None]:
        """Break the connection."""
        self.dropConnection(abort=True)
        return self.gone

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Keep a frame, and tell whoever waits for one."""
        assert not isBinary
        look(TO_EXTENDED, payload)
        frame = json.loads(payload)
        self.frames.append(frame)
        for is_it, heard in list(self._wanted):
            if not heard.called and is_it(frame):
                heard.callback(frame)

    def onClose(self, wasClean: bool, code: int | None, reason: str) -> None:  # noqa: ARG002
        """Say so."""
        self.gone.callback(code)


async def open_extended(url: str, token: str, reactor: IReactorTime) -> ExtendedDevice:
    """Open the socket of a device, whatever becomes of it."""
    factory = WebSocketClientFactory(f"{url}?token={token}", protocols=["callnet.v2"], reactor=reactor)
    factory.protocol = ExtendedDevice
    made: ExtendedDevice = await clientFromString(reactor, f"tcp:{factory.host}:{factory.port}").connect(factory)
    return made


async def connect_extended(url: str, token: str, reactor: IReactorTime) -> ExtendedDevice:
    """Connect a device; it has been welcomed."""
    made = await open_extended(url, token, reactor)
    await made.hears("welcome")
    return made
