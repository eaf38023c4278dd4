"""What the room manager needs of whoever is connected: devices, and pages in their seats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from callnet.calls.preferences import Preferences
from callnet.calls.records import CallRecord, Known, SeatsRecord
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress, Outcome, RoomId


class DeviceSession(Protocol):
    """A connected device."""

    @property
    def address(self) -> DeviceAddress:
        """Which device it is."""

    @property
    def extended(self) -> bool:
        """Whether it speaks ``callnet.v2``."""

    generation: int
    preferences: Preferences

    def missed(self, calls: Sequence[MissedCall]) -> None:
        """Tell an extended client which calls its phone has missed."""

    def sees(self, device: DeviceAddress, is_online: bool) -> None:
        """Tell an extended client that a device has come, or gone."""

    def welcomed(self, present: CallRecord | None, of_phone: Sequence[CallRecord]) -> None:
        """Tell an extended client the call that it is in, and the active ones of its phone's other devices."""

    def signalled(self, room: RoomId, data: bytes) -> None:
        """Hand over what the other party of a call said."""

    def told(self, call: CallRecord) -> None:
        """Have the device look at a call that has changed."""

    def told_later(self, call: CallRecord) -> None:
        """Have the device, which has just connected, look at a call that was over before."""

    def began(self, generation: int, known: tuple[Known, ...]) -> None:
        """Take note that the connection is the device's newest, and what the device knew before it."""

    def answered(self, outcome: Outcome, call: CallRecord | None = None) -> None:
        """Tell the device how a call came out that it has placed, be it on an earlier connection.

        :param call: its record, if there is one that says just this.
        """

    def displaced(self) -> None:
        """A newer connection of the device is open."""

    def known(self) -> tuple[Known, ...]:
        """The outcomes of its calls that the device has shown to know."""


class Onlooker(Protocol):
    """A connected device that is told who comes and goes."""

    @property
    def address(self) -> DeviceAddress:
        """Which device it is."""

    def sees(self, device: DeviceAddress, is_online: bool) -> None:
        """Tell it that a device has come, or gone."""


class SeatSession(Protocol):
    """A page in its seat."""

    generation: int
    room: RoomId
    """The room in which it has a seat, or wants one: that of the record, not an alias."""

    is_open: bool
    """True while the page is there."""

    def waits(self) -> None:
        """Say that it has no seat yet."""

    def told(self, seats: SeatsRecord, call: CallRecord | None) -> None:
        """Have the page look at its room, which has changed."""

    def relayed(self, sender: str, data: bytes) -> None:
        """Hand over what the other page said."""

    def displaced(self) -> None:
        """A newer socket holds the seat."""
