"""Pages that open a room, to test the room socket with."""

from __future__ import annotations

from typing import Any

from tests.support.quiet import QuietTestCase
from tests.support.wires import Device

KEYS = ["a" * 32, "b" * 32, "c" * 32, "d" * 32]
SESSIONS = ["1" * 32, "2" * 32, "3" * 32, "4" * 32]
WAITING: dict[str, Any] = {"type": "room", "state": "waiting", "reason": "", "peer": None, "ice_servers": []}


def meeting(session: str, present: bool = True, elapsed: float | None = None) -> dict[str, Any]:
    """The room as it is when the other page is there, or is away for a moment.

    :param elapsed: seconds since the call was answered; ``None``: the room is no call's.
    """
    peer = {"session": session, "present": present}
    room = {"type": "room", "state": "meeting", "reason": "", "peer": peer, "ice_servers": []}
    return room if elapsed is None else {**room, "elapsed": elapsed}


def ended(reason: str) -> dict[str, Any]:
    """The room after its call or its meeting."""
    return {"type": "room", "state": "ended", "reason": reason, "peer": None, "ice_servers": []}


class RoomCase(QuietTestCase):
    """Pages that open a room."""

    room = "living room"

    def join(self, number: int, room: str | None = None, session: str | None = None) -> Device:
        """Open the page of one visitor: each has a key and a session of its own."""
        page = self.world.page()
        self.enter(page, number, room, session)
        return page

    def enter(self, page: Device, number: int, room: str | None = None, session: str | None = None) -> None:
        """Let an open page ask for a seat."""
        named = self.room if room is None else room
        page.say("join", room_id=named, key=KEYS[number], session=session or SESSIONS[number])
