"""Calls to devices that sleep: they are woken (protocol §1, `/devices/push`)."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from callnet.calls.ports import DeliveryResult
from callnet.calls.preferences import ANYONE, PLAIN, Policy, Preferences, encode_names
from callnet.calls.waking import WakeMessage
from callnet.model import DeviceAddress
from callnet.util.deferreds import Ready
from harness.websocket import TEXT
from tests.support.people_case import ANN, TV
from tests.support.plain_preferences import PlainPreferences
from tests.support.quiet import QuietTestCase
from tests.support.tap_case import DaemonTestCase
from tests.support.wires import Device, World

WAKES = Preferences(Policy(wakes=frozenset([TV.device_id])), names=encode_names({ANN.phone: "Ann"}))


class Wakeful(PlainPreferences):
    """The television can be woken, and its phone calls Ann's by her name."""

    def policy_of(self, phone: str) -> Ready[Policy]:
        """See :meth:`IPreferences.policy_of`."""
        return Ready(WAKES.policy if phone == TV.phone else ANYONE)

    def of(self, phone: str) -> Ready[Preferences]:
        """See :meth:`IPreferences.of`."""
        return Ready(WAKES if phone == TV.phone else PLAIN)


class WakingTests(QuietTestCase):
    """The television was here, and sleeps now."""

    def make_world(self) -> World:
        """A server where this is known."""
        return World(preferences=Wakeful(), wake=self.wake)

    def setUp(self) -> None:
        """Let it fall asleep."""
        super().setUp()
        self.woken: list[tuple[DeviceAddress, WakeMessage]] = []
        self.waiting: list[Deferred[DeliveryResult]] = []
        self.world.device(*TV).leave()
        self.world.advance(100)
        self.ann = self.world.device(*ANN)

    def wake(self, device: DeviceAddress, message: WakeMessage) -> Deferred[DeliveryResult]:
        """Record the message of a device."""
        self.woken.append((device, message))
        self.waiting.append(Deferred())
        return self.waiting[-1]

    def call(self) -> None:
        """Let Ann call it."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)

    def test_woken(self) -> None:
        """It is told who calls, by the name that it knows, and rings when it connects."""
        self.call()
        ((device, message),) = self.woken
        self.assertEqual((TV, ANN.phone, "Ann", 45.0), (device, message.from_phone, message.from_name, message.lasts))
        self.assertIsNone(message.ended)
        self.assertEqual([], self.ann.heard())
        self.waiting[0].callback(DeliveryResult.TAKEN)
        self.world.advance(5)
        tv = self.world.device(*TV)
        called = tv.hears()
        self.assertEqual(("called", "Ann", 40), (called["type"], called["from_name"], called["expires_in"]))
        self.assertEqual(message.room, called["room_id"])
        tv.say("called_success", from_phone="", from_device_id="", room_id=called["room_id"])
        self.assertEqual("call_success", self.ann.hears()["type"])

    def test_not_woken(self) -> None:
        """If it cannot be woken it is offline."""
        self.call()
        self.waiting[0].callback(DeliveryResult.GONE)
        self.world.settle()
        self.assertEqual("offline", self.ann.hears()["reason"])

    def test_gateway_takes_long(self) -> None:
        """Nobody waits for the gateway: the device may come before it has answered."""
        self.call()
        tv = self.world.device(*TV)
        called = tv.hears()
        tv.say("called_success", from_phone="", from_device_id="", room_id=called["room_id"])
        self.assertEqual("call_success", self.ann.hears()["type"])
        self.waiting[0].callback(DeliveryResult.GONE)
        self.assertEqual([], self.ann.heard() + tv.heard())

    def test_there(self) -> None:
        """A device that is there is not woken."""
        self.world.device(*TV)
        self.call()
        self.assertEqual([], self.woken)

    def test_lost_while_it_rings(self) -> None:
        """If it loses its connection before it has answered it is woken for the rest of the time; and again."""
        tv = self.world.device(*TV)
        self.call()
        room = tv.hears()["room_id"]
        for number, left in enumerate((38.5, 32.0)):
            self.world.advance(5)
            tv.leave()
            self.assertEqual(number, len(self.woken))
            self.world.advance(1.5)
            self.assertEqual(number + 1, len(self.woken))
            device, message = self.woken[-1]
            self.assertEqual((TV, "Ann", left, room), (device, message.from_name, message.lasts, message.room))
            self.waiting[-1].callback(DeliveryResult.TAKEN)
            tv = self.world.device(*TV)
            self.assertEqual(room, tv.hears()["room_id"])
        tv.say("called_success", from_phone="", from_device_id="", room_id=room)
        self.assertEqual("call_success", self.ann.hears()["type"])
        self.assertEqual([], self.ended())

    def test_lost_for_a_moment(self) -> None:
        """If it is back in a moment it is not woken, nor if the call rings no more then."""
        tv = self.world.device(*TV)
        self.call()
        tv.leave()
        self.world.advance(1)
        tv = self.world.device(*TV)
        self.world.advance(1)
        self.assertEqual([], self.woken)
        tv.leave()
        self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id)
        self.world.advance(2)
        self.assertEqual([True], [message.ended is not None for _, message in self.woken])

    def test_lost_and_not_woken(self) -> None:
        """If it cannot be woken then it is waited for, and told that it rings no more when it has not come."""
        tv = self.world.device(*TV)
        self.call()
        tv.leave()
        self.world.advance(1.5)
        self.waiting[0].callback(DeliveryResult.FAILED)
        self.world.settle()
        self.assertEqual([], self.ann.heard())
        self.world.advance(46)
        self.assertEqual("no_answer", self.ann.hears()["reason"])
        self.assertEqual([("tv", "no_answer", 0.0)], self.ended())

    def test_busy(self) -> None:
        """A device that rings already is not woken either, however often it is called."""
        self.call()
        self.world.device("13600000009", "phone").say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.assertEqual(1, len(self.woken))

    def test_extended_caller(self) -> None:
        """An extended caller hears that it rings when the device has come."""
        dob = self.world.extended("13600000009", "phone")
        dob.heard()
        dob.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.assertEqual([], dob.heard())
        self.world.device(*TV)
        self.assertEqual("call_ringing", dob.hears()["type"])

    def ended(self) -> list[tuple[str, str, float]]:
        """The reasons why the television was told that it rings no more, and the seconds that were left."""
        told = [(device, message) for device, message in self.woken if message.ended is not None]
        return [(device.device_id, str(message.ended), message.lasts) for device, message in told]

    def test_given_up(self) -> None:
        """If it has not come when the caller gives up, it is told that it rings no more."""
        self.call()
        self.waiting[0].callback(DeliveryResult.TAKEN)
        self.world.advance(5)
        self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id)
        self.assertEqual([("tv", "cancelled", 40.0)], self.ended())
        self.assertEqual(self.woken[0][1].room, self.woken[1][1].room)

    def test_timed_out(self) -> None:
        """The same when nobody has answered in time."""
        self.call()
        self.waiting[0].callback(DeliveryResult.TAKEN)
        self.world.advance(46)
        self.assertEqual([("tv", "no_answer", 0.0)], self.ended())

    def test_has_come(self) -> None:
        """If it has come its connection tells it, whatever becomes of the call."""
        self.call()
        tv = self.world.device(*TV)
        room = tv.hears()["room_id"]
        self.ann.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id)
        self.assertEqual("calling_be_hangup", tv.hears()["type"])
        self.call()
        tv.say("called_success", from_phone="", from_device_id="", room_id=tv.hears()["room_id"])
        tv.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.assertEqual([], self.ended())

    def test_not_woken_is_not_told(self) -> None:
        """One that could not be woken is told of no end."""
        self.call()
        self.waiting[0].callback(DeliveryResult.GONE)
        self.world.settle()
        self.assertEqual([], self.ended())

    def fork(self) -> Device:
        """Let Ann call all devices of a phone, of which a pad is there."""
        pad = self.world.device(TV.phone, "pad")
        self.ann.say("call", to_phone=TV.phone, to_device_id="*")
        self.waiting[0].callback(DeliveryResult.TAKEN)
        return pad

    def test_answered_elsewhere(self) -> None:
        """If another device answers it is told so, and once; by a room id of its own."""
        pad = self.fork()
        called = pad.hears()
        pad.say("called_success", from_phone="", from_device_id="", room_id=called["room_id"])
        pad.say("calling_hangup", notified_phone="", notified_device_id="", room_id=called["room_id"])
        self.assertEqual([("tv", "answered_elsewhere", 45.0)], self.ended())
        self.assertNotEqual(called["room_id"], self.woken[0][1].room)
        self.assertEqual(self.woken[0][1].room, self.woken[1][1].room)

    def test_refused_elsewhere(self) -> None:
        """The same if another one refuses."""
        pad = self.fork()
        pad.say("called_refuse", from_phone="", from_device_id="", room_id=pad.hears()["room_id"])
        self.assertEqual([("tv", "refused_elsewhere", 45.0)], self.ended())

    def refuse(self, room: str) -> bool:
        """Let the television refuse a call without its connection."""
        done = self.successResultOf(self.world.rooms.wake_requests.refuse(TV, room.__eq__))
        self.world.settle()
        return done

    def test_refused_by_ticket(self) -> None:
        """It refuses without its connection; the caller hears of it, and it is not told itself."""
        self.call()
        self.waiting[0].callback(DeliveryResult.TAKEN)
        self.assertFalse(self.refuse("f" * 32))
        self.assertEqual([], self.ann.heard())
        self.assertTrue(self.refuse(self.woken[0][1].room))
        self.assertEqual("refused", self.ann.hears()["reason"])
        self.assertEqual([], self.ended())
        self.assertEqual([], self.world.device(*TV).heard())

    def test_refused_by_ticket_while_it_rings(self) -> None:
        """If it has come and rings, its connection is told that the call was refused elsewhere."""
        self.call()
        tv = self.world.device(*TV)
        self.refuse(tv.hears()["room_id"])
        self.assertEqual("refused_elsewhere", tv.hears()["reason"])


class RegisteredTests(DaemonTestCase):
    """A device that says how it is woken without holding a socket."""

    def test_rings_without_a_restart(self) -> None:
        """It rings from then on, whether it never held a socket or has been gone for long."""
        daemon = self.compose(
            f'[push.gateway]\nurl = "http://127.0.0.1:8000/wake"\nsecret = "{"s" * 32}"\n[limits]\n'
            "calls_a_minute_of_a_device = 0\n"
        )
        self.begin(daemon)
        ann = self.device(8082, "ann")
        self.addCleanup(ann.leave)
        self.device(8082, "gone").leave()
        for _ in range(160):
            self.reactor.advance(1)
            self.carry(ann)
        for device_id in ("gone", "never"):
            token = self.post(8083, "/account/login", phone="13651884967", device_id=device_id)["token"]
            self.assertEqual(0, self.post(8083, "/devices/push", token=token, kind="webhook", target="x")["errorCode"])
            ann.frame(TEXT, b'{"type":"call","to_phone":"13651884967","to_device_id":"%s"}' % device_id.encode())
            self.carry(ann)
            self.reactor.advance(1)
            self.carry(ann)
            self.assertEqual([], [frame.payload for frame in ann.frames if frame.opcode == TEXT])
