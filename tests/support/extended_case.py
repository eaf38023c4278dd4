"""Devices, some with ``callnet.v2``, over wires in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.calls.ports import IRoster, Roster
from callnet.frames.v2 import MissedCall
from callnet.model import DeviceAddress
from tests.support.quiet import QuietTestCase
from tests.support.wires import Device

ANN = DeviceAddress("13651884968", "phone")
TV = DeviceAddress("13651884967", "tv")
PAD = DeviceAddress("13651884967", "pad")
DOB = DeviceAddress("13651884966", "phone")


@implementer(IRoster)
class Lists:
    """Rosters and missed calls, as the test says."""

    def __init__(self) -> None:
        self.lists: dict[str, frozenset[str]] = {}
        self.missed: dict[DeviceAddress, list[MissedCall]] = {}
        self.left: list[DeviceAddress] = []
        self.is_unanswered = False
        """A device that comes has its roster read, and never gets it."""

    def came(self, device: DeviceAddress) -> Deferred[Roster]:
        """See :meth:`IRoster.came`."""
        if self.is_unanswered:
            return Deferred()
        return succeed(Roster(self.lists.get(device.phone, frozenset()), self.missed.pop(device, [])))

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:
        """See :meth:`IRoster.contacts_of`."""
        return succeed(self.lists.get(phone, frozenset()))

    def went(self, device: DeviceAddress) -> None:
        """See :meth:`IRoster.went`."""
        self.left.append(device)


class ExtendedCase(QuietTestCase):
    """Devices; some are extended."""

    def extended(self, address: DeviceAddress, claimed: bool = False, more: str = "") -> Device:
        """Connect an extended device, which is welcomed first; ``more``: in the query of its socket."""
        device = self.world.extended(*address, claimed=claimed, more=more)
        self.welcome, *_ = device.heard()
        self.assertEqual("welcome", self.welcome["type"])
        return device

    def rings(self, caller: Device, callee: Device, address: DeviceAddress = TV) -> str:
        """Let one call the other; the room."""
        caller.say("call", to_phone=address.phone, to_device_id=address.device_id)
        room = callee.hears()["room_id"]
        assert isinstance(room, str)
        return room

    def accepts(self, callee: Device, room: str) -> None:
        """Let the called device accept."""
        callee.say("called_success", from_phone="", from_device_id="", room_id=room)

    def talk(self, caller: Device, callee: Device, address: DeviceAddress = TV) -> str:
        """Let both talk to each other; the room."""
        room = self.rings(caller, callee, address)
        self.accepts(callee, room)
        self.assertEqual("call_success", caller.heard()[-1]["type"])
        return room
