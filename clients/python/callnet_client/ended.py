"""The ended calls of a device, with the device's own ends."""

from __future__ import annotations

from typing import Final

REMEMBERED: Final = 50


class Ended:
    """The rooms of the last own ends, and the phone of a call cancelled before it had a room."""

    def __init__(self) -> None:
        self._rooms: list[str] = []
        self._withdrawn = ""
        self._told: list[str] = []

    def add(self, room_id: str, phone: str) -> None:
        """Record that a call was ended; ``room_id`` is empty if there was none yet."""
        if not room_id:
            self._withdrawn = phone
        else:
            self._rooms = _newest(room_id, self._rooms)

    def hear(self, room_id: str) -> None:
        """Record that the device was told the end of a call."""
        self._told = _newest(room_id, self._told)

    def was_told(self, room_id: str) -> bool:
        """Return whether it was told the end of the call of that room."""
        return room_id in self._told

    def begin_own(self) -> None:
        """Record that the device places a call, to which later answers belong."""
        self._withdrawn = ""

    def has(self, room_id: str, phone: str = "") -> bool:
        """Return whether it has ended the call of that room, possibly its cancelled one to ``phone``."""
        return room_id in self._rooms or bool(phone and phone == self._withdrawn)


def _newest(room_id: str, rooms: list[str]) -> list[str]:
    return [room_id, *(room for room in rooms if room != room_id)][:REMEMBERED]
