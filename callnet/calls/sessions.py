"""The interfaces of sessions to the room manager: devices, and pages in their seats."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from callnet.calls.preferences import Preferences
from callnet.calls.records import CallRecord, Known, SeatsRecord
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress, Outcome, RoomId, Topic


class DeviceSession(Protocol):
    """A connected device."""

    @property
    def address(self) -> DeviceAddress:
        """The device's address."""

    @property
    def extended(self) -> bool:
        """True if it speaks ``callnet.v2``."""

    generation: int
    preferences: Preferences

    def missed(self, calls: Sequence[MissedCall]) -> None:
        """Tell an extended client of its phone's missed calls."""

    def sees(self, device: DeviceAddress, is_online: bool) -> None:
        """Tell an extended client that a device has come or gone."""

    def changed(self, topics: Collection[Topic]) -> None:
        """Tell an extended client that data of its phone have changed."""

    def welcomed(self, present: CallRecord | None, of_phone: Sequence[CallRecord]) -> None:
        """Tell an extended client its current call, and the active calls of its phone's other devices."""

    def signalled(self, room: RoomId, data: bytes) -> None:
        """Deliver a signal of the other party of a call."""

    def deliver(self, call: CallRecord) -> None:
        """Tell the device of a change of a call."""

    def deliver_later(self, call: CallRecord) -> None:
        """Tell a newly connected device of a call ended before."""

    def began(self, generation: int, known: tuple[Known, ...]) -> None:
        """Record that the connection is the device's newest, and the knowledge of the device before it."""

    def answered(self, outcome: Outcome, call: CallRecord | None = None) -> None:
        """Tell the device the outcome of its own call, possibly from an earlier connection.

        :param call: its record, if the record says exactly this.
        """

    def displaced(self) -> None:
        """Handle a newer connection of the device."""

    def known(self) -> tuple[Known, ...]:
        """The device's confirmed knowledge of the outcomes of its calls."""


class Onlooker(Protocol):
    """A connected receiver of changes of presence and of its phone's data."""

    @property
    def address(self) -> DeviceAddress:
        """The device's address."""

    def sees(self, device: DeviceAddress, is_online: bool) -> None:
        """Tell it that a device has come or gone."""

    def changed(self, topics: Collection[Topic]) -> None:
        """Tell it that data of its phone have changed."""


class SeatSession(Protocol):
    """A page in its seat."""

    generation: int
    room: RoomId
    """The room of its seat, or the one that it wants a seat in: that of the record, not an alias."""

    is_open: bool
    """True while the page is there."""

    def waits(self) -> None:
        """Tell the page that it has no seat yet."""

    def deliver(self, seats: SeatsRecord, call: CallRecord | None) -> None:
        """Tell the page of a change of its room."""

    def relayed(self, sender: str, data: bytes) -> None:
        """Deliver a message of the other page."""

    def displaced(self) -> None:
        """Handle a newer socket in the seat."""
