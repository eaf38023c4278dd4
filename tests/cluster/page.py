"""A page's socket at a node, and the messages that it got."""

from __future__ import annotations

import json
from typing import Any

from zope.interface import implementer

from callnet.calls.pages import PageSession
from callnet.calls.ports import IPeer
from callnet.ops.ice import IceServers
from tests.cluster.case import AnyNode
from tests.support.unlimited import NO_SERVERS


@implementer(IPeer)
class Page:
    """A page that comes to a room. ``number`` tells it from the others there."""

    def __init__(self, node: AnyNode, room: str, number: int, ice: IceServers = NO_SERVERS) -> None:
        self.frames: list[dict[str, Any]] = []
        self._session = PageSession(node.rooms.pages, self, ice, None)
        self._key = f"{number:032x}"
        self._room = room

    # Calls of the session

    def send(self, payload: bytes) -> None:
        """Remember a frame."""
        self.frames.append(json.loads(payload))

    def close(self, code: int, reason: str) -> None:
        """Nobody closes it."""
        raise AssertionError(f"closed with {code}: {reason}")

    def heard_at(self) -> float:
        """Nobody asks."""
        raise NotImplementedError

    # Actions of the test

    def says(self, kind: str, **frame: object) -> None:
        """Send a frame."""
        self._session.received(json.dumps({"type": kind, **frame}).encode())

    def joins(self) -> None:
        """Take a seat."""
        self.says("join", room_id=self._room, key=self._key, session=self._key)

    def relays(self) -> None:
        """Say something to the other page."""
        room = next(frame for frame in reversed(self.frames) if frame["type"] == "room")
        self.says("relay", to=room["peer"]["session"], data={"candidate": "x" * 100})

    def goes(self) -> None:
        """Have the socket close."""
        self._session.closed()

    # Observations

    @property
    def servers(self) -> list[dict[str, Any]]:
        """The STUN and TURN servers that it was told of last."""
        return next(list(frame["ice_servers"]) for frame in reversed(self.frames) if frame["type"] == "room")

    @property
    def states(self) -> list[str]:
        """The states of its room, in order."""
        return [frame["state"] for frame in self.frames if frame["type"] == "room"]
