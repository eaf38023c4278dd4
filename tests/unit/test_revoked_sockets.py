"""A device whose token is revoked: its socket is closed with 4401, and it leaves its call (protocol §2, §2.4)."""

from __future__ import annotations

from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import devices
from tests.support.account_fixture import ServiceFixture
from tests.support.quiet import QuietTestCase
from tests.support.wires import ANSWERED, Device
from tests.unit.test_tokens import forge

TV = DeviceAddress("13651884967", "tv")
PAD = DeviceAddress("13651884967", "pad")
ANN = DeviceAddress("13651884968", "phone")


class RevokedSocketTests(QuietTestCase):
    """A whole server with its account service."""

    def setUp(self) -> None:
        """Devices may log in and out."""
        super().setUp()
        self.fixture = ServiceFixture(world=self.world)
        self.addCleanup(self.fixture.database.close)
        self.fixture.change_feed.start()
        self.addCleanup(self.fixture.change_feed.stop)

    def connected(self, address: DeviceAddress) -> tuple[Device, str]:
        """A device that has logged in and connected, and its token."""
        token = self.successResultOf(self.fixture.logins.login(*address)).token
        self.secrets.append(token)
        wire = self.world.ask(f"/socket.io?token={token}")
        return Device(self.world, wire, ANSWERED), token

    def log_out(self, token: str) -> None:
        """Have a token revoked by its holder."""
        self.successResultOf(self.fixture.logins.logout(token))
        self.world.settle()

    def revoke(self, device: DeviceAddress) -> None:
        """Have the operator revoke tokens on the command line."""
        devices.revoke(self.fixture.database, device, self.world.clock.seconds)
        self.world.advance(1.5)

    def talk(self) -> tuple[Device, Device, str, str]:
        """Ann has called the television, and it has answered: both, the room, and the television's token."""
        (ann, _), (tv, token) = self.connected(ANN), self.connected(TV)
        ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        room = tv.hears()["room_id"]
        tv.say("called_success", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=room)
        ann.hears()
        return ann, tv, room, token

    def test_logout(self) -> None:
        """A device that logs out is disconnected, and a new socket with that token is refused."""
        tv, token = self.connected(TV)
        self.log_out(token)
        self.assertEqual(4401, tv.close_code)
        self.assertEqual(401, self.world.ask(f"/socket.io?token={token}").status)

    def test_others_stay(self) -> None:
        """The other sockets of its phone stay, and so does one that the device has opened with another token."""
        (_, old), (pad, _) = self.connected(TV), self.connected(PAD)
        tv, _ = self.connected(TV)
        self.log_out(old)
        self.assertIsNone(tv.close_code)
        self.assertIsNone(pad.close_code)

    def test_in_a_call(self) -> None:
        """A party whose token is revoked leaves at once; the other one is told, and may be called again."""
        ann, tv, room, token = self.talk()
        self.log_out(token)
        self.assertEqual(4401, tv.close_code)
        message = ann.hears()
        self.assertEqual((room, "revoked"), (message["room_id"], message["reason"]))

    def test_while_it_is_waited_for(self) -> None:
        """So does a party that has no socket just now."""
        ann, tv, room, token = self.talk()
        tv.leave()
        self.log_out(token)
        message = ann.hears()
        self.assertEqual((room, "revoked"), (message["room_id"], message["reason"]))

    def test_ringing(self) -> None:
        """A caller whose token is revoked stops ringing; a callee whose token is revoked refuses."""
        (ann, token), (tv, other) = self.connected(ANN), self.connected(TV)
        ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        tv.hears()
        self.log_out(token)
        self.assertEqual("cancelled", tv.hears()["reason"])
        ann, _ = self.connected(ANN)
        ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.log_out(other)
        self.assertEqual("call_refuse", ann.hears()["type"])

    def test_operator(self) -> None:
        """The operator revokes a device's tokens, or those of a phone: within a second or two all is over."""
        (tv, _), (pad, _) = self.connected(TV), self.connected(PAD)
        self.world.advance(1)
        self.revoke(TV)
        self.assertEqual((4401, None), (tv.close_code, pad.close_code))
        tv, _ = self.connected(TV)
        self.world.advance(1)
        self.revoke(DeviceAddress(TV.phone, EVERY_DEVICE))
        self.assertEqual((4401, 4401), (tv.close_code, pad.close_code))

    def test_deleted(self) -> None:
        """Removing a phone's data does the same: its devices are disconnected, and may come back as new."""
        ann, tv, room, token = self.talk()
        devices.delete(self.fixture.database, TV.phone, self.world.clock.seconds)
        self.world.advance(1.5)
        self.assertEqual(4401, tv.close_code)
        message = ann.hears()
        self.assertEqual((room, "revoked"), (message["room_id"], message["reason"]))
        self.assertEqual(401, self.world.ask(f"/socket.io?token={token}").status)
        self.assertIsNotNone(self.successResultOf(self.fixture.logins.login(*TV)).device_secret)

    def test_expiry_closes_nothing(self) -> None:
        """A token that expires cuts no connection and no call."""
        soon = self.world.clock.seconds() + 5
        both = []
        for address in (ANN, TV):
            token = forge({"phone": address.phone, "deviceid": address.device_id, "exp": soon})
            both.append(Device(self.world, self.world.ask(f"/socket.io?token={token}"), ANSWERED))
        ann, tv = both
        ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        room = tv.hears()["room_id"]
        tv.say("called_success", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=room)
        ann.hears()
        self.world.advance(10)
        self.assertEqual((None, None), (ann.close_code, tv.close_code))
        tv.say("calling_hangup", notified_phone=ANN.phone, notified_device_id=ANN.device_id, room_id=room)
        self.assertEqual("hangup", ann.hears()["reason"])
