"""Records, between nodes of this release and of the one before: both read the other's."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.msgpack import Decoder
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.preferences import Policy, QuietExceptions, QuietHours
from callnet.calls.records import CallRecord, DeviceRecord, Known, Ringing, Seat, TurnedAway
from callnet.model import DeviceAddress, RoomId
from callnet.redis.codec import decode_call, encode, encode_call, encode_device

ROOM, OTHER_ROOM = RoomId("1" * 32), RoomId("2" * 32)
TV = DeviceAddress("13600000002", "tv")


class OlderRecord(Struct, array_like=True):
    """A device, as the release before has it."""

    address: DeviceAddress
    version: int
    node: str
    generation: int
    connected: bool
    heard: float | tuple[RoomId, float, float] | None
    lost_at: float | None
    room: RoomId | None
    previous_room: RoomId | None
    due: float | None
    policy: Policy


class OlderRecordsTests(SynchronousTestCase):
    """A device that has gone."""

    def test_read_by_an_older_node(self) -> None:
        """An older node does not send the confirmations of a device: they are unknown."""
        gone = DeviceRecord(TV, 3, "here", 7, False, None, 9.0, ROOM, OTHER_ROOM, 39.0, known=(Known(ROOM, True),))
        read = Decoder(OlderRecord).decode(encode(gone))
        self.assertEqual((None, ROOM, 39.0, Policy()), (read.heard, read.room, read.due, read.policy))

    def test_written_by_an_older_node(self) -> None:
        """Confirmations written by an older node are ignored: nothing is known, and everything is sent."""
        for heard in (None, 8.5, (OTHER_ROOM, 7.5, 8.5)):
            gone = OlderRecord(TV, 3, "here", 7, False, heard, 9.0, ROOM, OTHER_ROOM, 39.0, Policy())
            read = Decoder(DeviceRecord).decode(encode(gone))
            self.assertEqual(((), ROOM), (read.known, read.room))

    def test_exceptions(self) -> None:
        """An older node, which knows no exceptions from quiet hours, drops them, and turns the callers away."""
        quiet = QuietHours(0, 0, "UTC")
        policy = Policy(quiet=quiet, exceptions=QuietExceptions(frozenset(["13600000001"]), True))
        noted = (TurnedAway("13600000003", 1.0),)
        device = DeviceRecord(TV, 3, "here", 7, True, policy=policy, call_waiting=True, turned_away=noted)
        fields = Decoder(list[Any]).decode(encode_device(device))
        fields[10] = fields[10][:5]
        read = Decoder(DeviceRecord).decode(encode(fields[:13]))
        self.assertEqual(replace(device, policy=Policy(quiet=quiet), turned_away=()), read)
        self.assertFalse(read.policy.allows("13600000001", 1.0))
        for one in (device, replace(device, turned_away=())):
            self.assertEqual(one, Decoder(DeviceRecord).decode(encode_device(one)))


class OlderRoomsTests(SynchronousTestCase):
    """A call that rings two devices, and a page of it: the release before has no room ids of devices."""

    def by_an_older_node(self, written: bytes, known: int) -> bytes:
        """A record rewritten by an older node, which knows only the first ``known`` of its fields."""
        return encode(Decoder(list[Any]).decode(written)[:known])

    def test_call(self) -> None:
        """An older node that changes the call has everybody go by its room."""
        pad = DeviceAddress(TV.phone, "pad")
        both, everywhere = (TV, pad), DeviceAddress(TV.phone, "*")
        ids = (TV, RoomId("3" * 32)), (pad, OTHER_ROOM)
        caller = DeviceAddress("13600000001", "phone")
        call = CallRecord(ROOM, 1, Ringing(both), caller, everywhere, both, 8.0, 9.0, aliases=ids)
        self.assertEqual([room for _, room in ids], [call.room_for(device) for device in both])
        read = decode_call(self.by_an_older_node(encode_call(call), 25))
        self.assertEqual(replace(call, aliases=()), read)
        self.assertEqual([ROOM, ROOM], [read.room_for(device) for device in both])

    def test_seat(self) -> None:
        """An older node that changes the seats has everybody go by the room of the call, too."""
        seat = Seat("red", "page", "here", 7, None, OTHER_ROOM)
        read = Decoder(Seat).decode(self.by_an_older_node(encode(seat), 5))
        self.assertEqual(replace(seat, came_by=None), read)
