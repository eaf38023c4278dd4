"""A connection of ``callnet.v2`` whose frames a test says and hears, each checked against the schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from callnet_client import CloseReason, Connection, Server
from tests.support.checked_client import checked

PATIENCE = 30
"""Seconds that a frame may take to come."""


class ExtendedDevice:
    """A device that keeps its messages."""

    connection: Connection

    def __init__(self, reactor: Any) -> None:
        self.frames: list[dict[str, Any]] = []
        self._reactor = reactor
        self._wanted: list[tuple[Callable[[dict[str, Any]], bool], Deferred[dict[str, Any]]]] = []

    def says(self, kind: str, **fields: Any) -> None:
        """Send a frame."""
        self.connection.send_raw(json.dumps({"type": kind, **fields}).encode())

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
        return heard.addTimeout(PATIENCE, self._reactor)

    def leaves(self) -> Deferred[CloseReason]:
        """Break the connection."""
        return self.connection.abort()

    def received(self, payload: bytes) -> None:
        """Keep a frame, and tell those that wait for one."""
        frame = json.loads(payload)
        self.frames.append(frame)
        for is_it, heard in list(self._wanted):
            if not heard.called and is_it(frame):
                heard.callback(frame)


async def open_extended(service: Server, token: str) -> ExtendedDevice:
    """Open the socket of a device, whatever becomes of it."""
    device = ExtendedDevice(service.reactor)
    device.connection = await service.connect(token, device.received, extended=True, watch=checked(extended=True))
    return device


async def connect_extended(service: Server, token: str) -> ExtendedDevice:
    """Connect a device; it has been welcomed."""
    device = await open_extended(service, token)
    await device.hears("welcome")
    return device
