"""Devices that have no socket and can be woken (protocol §1, `/devices/push`)."""

from __future__ import annotations

from msgspec.structs import replace

from callnet.calls import events
from callnet.calls.preferences import ANYONE, Policy
from callnet.calls.records import CallRecord, Ringing
from callnet.calls.registration import NOWHERE
from callnet.calls.transaction import REMEMBERED
from callnet.calls.transitions import Rings
from callnet.errors import Unavailable
from callnet.model import Accepted, DeviceAddress, Failed, Reason
from tests.rules.frames import be_hangup, call_failed, call_refuse, call_success, called
from tests.rules.world import Device, RulesTestCase

TV_WAKES = Policy(wakes=frozenset(["tv"]))


class SleepingCase(RulesTestCase):
    """The television can be woken, and sleeps; the pad of its phone cannot, and is away."""

    def setUp(self) -> None:
        """Let both go."""
        super().setUp()
        self.prefers(TV_WAKES)
        self.tv.policy = TV_WAKES
        self.tv.loses_socket()
        self.pad.loses_socket()
        self.world.wait(200)

    def prefers(self, policy: Policy) -> None:
        """Let the owner of both want this."""
        self.world.happen(events.PolicyChanged(self.tv.everywhere(), policy))

    def places(self, target: DeviceAddress | None = None) -> object:
        """Let Ann call the television. Returns the reply of the rules."""
        target = target or self.tv.address
        return self.world.happen(
            events.Place(self.ann.address, target, self.world.new_room(), self.ann.generation, self.world.now)
        )

    def woken(self, reply: Rings) -> tuple[DeviceAddress, ...]:
        """The devices to wake for a call."""
        return self.world.calls[reply.room].woken

    def ringing_there(self) -> Rings:
        """Let her call it, so that it is to be woken."""
        reply = self.places()
        assert isinstance(reply, Rings)
        return reply


class FallingAsleepTests(SleepingCase):
    """When a device sleeps."""

    def test_asleep(self) -> None:
        """It has no socket, is nowhere, and nothing is due; one that cannot be woken is forgotten."""
        record = self.tv.record
        self.assertEqual((False, NOWHERE, None, None), (record.connected, record.node, record.due, record.lost_at))
        self.assertEqual({"tv"}, set(self.world.devices[self.tv.address.phone]))

    def test_apart(self) -> None:
        """A node on its own keeps a device that has gone, whether it can be woken or not, and looks again later."""
        self.world.alone = True
        for device in (self.tv, self.pad):
            device.connects()
            device.loses_socket()
            self.world.wait(200)
            self.assertNotEqual(NOWHERE, device.record.node)
            self.assertTrue(0 < (device.record.due or 0) - self.world.now <= REMEMBERED / 2, device.record)

    def test_in_its_grace(self) -> None:
        """It can be woken as soon as it has gone."""
        self.tv.connects()
        self.tv.loses_socket()
        self.assertEqual((self.tv.address,), self.woken(self.ringing_there()))

    def test_many_blocked(self) -> None:
        """The same holds however many phones its phone has blocked; the record names no other device."""
        policy = Policy(frozenset(f"139{number:08d}" for number in range(1000)), wakes=frozenset(["tv", "radio"]))
        self.prefers(policy)
        self.assertEqual(frozenset(["tv"]), self.tv.record.policy.wakes)
        self.assertEqual((self.tv.address,), self.woken(self.ringing_there()))

    def test_at_a_start(self) -> None:
        """A node that begins makes those known who sleep, and nobody who is there."""
        sleeper = Device(self.world, "13600000009", "a").address
        for device in (sleeper, self.ann.address):
            self.world.happen(events.Sleeps(device, Policy(wakes=frozenset(["a", "phone"]))))
        self.assertFalse(self.world.devices[sleeper.phone][sleeper.device_id].connected)
        self.assertTrue(self.ann.record.connected)
        self.assertEqual(ANYONE, self.ann.record.policy)
        self.assertIsInstance(self.places(sleeper), Rings)

    def test_no_longer(self) -> None:
        """A device that is not to be woken any more is forgotten."""
        self.prefers(ANYONE)
        self.assertEqual(Failed(self.tv.address, Reason.OFFLINE), self.places())
        self.world.wait(200)
        self.assertNotIn("tv", self.world.devices.get(self.tv.address.phone, {}))

    def test_no_longer_while_it_rings(self) -> None:
        """If it rings just then it is called when it comes, all the same."""
        room = self.ringing_there().room
        self.prefers(ANYONE)
        self.assertEqual([called(self.ann, room)], self.tv.connects())
        self.world.wait(300)


class WakingTests(SleepingCase):
    """It is called."""

    def test_woken(self) -> None:
        """The call rings, it is to be woken, and `called` is delivered the moment it connects."""
        reply = self.ringing_there()
        self.assertEqual((self.tv.address,), self.woken(reply))
        self.world.wait(5)
        self.assertEqual([called(self.ann, reply.room, expires_in=40)], self.tv.connects())
        self.tv.accepts(reply.room)
        self.assertEqual([call_success(self.tv, reply.room)], self.ann.hears())

    def test_incomplete(self) -> None:
        """Its place is known, even if other nodes know more."""
        self.world.complete = False
        self.assertEqual((self.tv.address,), self.woken(self.ringing_there()))

    def test_does_not_come(self) -> None:
        """If it does not come nobody answers."""
        self.ringing_there()
        self.world.wait(46)
        self.assertEqual([call_failed(self.tv, "no_answer")], self.ann.hears())

    def test_comes_late(self) -> None:
        """If it comes a moment too late it is told that the ringing is over, which its screen may show."""
        room = self.ringing_there().room
        self.world.wait(46)
        self.assertEqual([be_hangup(self.ann, room, "no_answer")], self.tv.connects())

    def test_cancelled(self) -> None:
        """The same holds when the caller has cancelled."""
        room = self.ringing_there().room
        self.ann.cancels(self.tv)
        self.assertEqual([be_hangup(self.ann, room, "cancelled")], self.tv.connects())

    def test_busy(self) -> None:
        """While it is called it is busy for others, though it sleeps."""
        self.ringing_there()
        self.assertIsNone(self.carol.calls(self.tv))
        self.assertEqual([call_failed(self.tv, "busy")], self.carol.hears())

    def test_refused_first(self) -> None:
        """A caller that may not call it is told `offline`, and it is not woken."""
        self.prefers(Policy(blocked=frozenset([self.ann.address.phone]), wakes=frozenset(["tv"])))
        self.assertEqual(Failed(self.tv.address, Reason.OFFLINE), self.places())

    def test_asleep_again(self) -> None:
        """When all is over it sleeps again."""
        room = self.ringing_there().room
        self.tv.connects()
        self.tv.accepts(room)
        self.tv.loses_socket()
        self.world.wait(300)
        self.assertEqual(NOWHERE, self.tv.record.node)
        self.assertIsInstance(self.places(), Rings)


class ForkTests(SleepingCase):
    """All devices of its phone are called."""

    def test_both(self) -> None:
        """Those that are there ring, and those that sleep are woken; who cannot be woken is not."""
        self.pad.connects()
        reply = self.places(self.tv.everywhere())
        assert isinstance(reply, Rings)
        self.assertEqual((self.tv.address,), self.woken(reply))
        self.assertEqual([called(self.ann, reply.room)], self.pad.hears())

    def test_asleep_alone(self) -> None:
        """If all sleep they are woken."""
        reply = self.places(self.tv.everywhere())
        assert isinstance(reply, Rings)
        self.assertEqual((self.tv.address,), self.woken(reply))


class RefusedByTicketTests(SleepingCase):
    """It refuses without its connection."""

    def refuses(self, device: Device, *meant: str) -> object:
        """Let a device refuse the call that it knows by one of these rooms. Returns the reply of the rules."""
        return self.world.happen(events.RefusedByTicket(device.address, meant.__contains__))

    def test_asleep(self) -> None:
        """The caller is told that it refused, and it hears nothing of the call when it comes."""
        room = self.ringing_there().room
        self.assertIs(True, self.refuses(self.tv, room))
        self.assertEqual([call_refuse(self.tv, room, "refused")], self.ann.hears())
        self.assertEqual([], self.tv.connects())

    def test_forks(self) -> None:
        """It knows the call by a room id of its own, and refuses for all devices of its phone."""
        self.pad.connects()
        reply = self.places(self.tv.everywhere())
        assert isinstance(reply, Rings)
        call = self.world.calls[reply.room]
        self.pad.hears()
        self.assertIs(False, self.refuses(self.tv, reply.room, call.room_for(self.pad.address)))
        self.assertIs(True, self.refuses(self.tv, call.room_for(self.tv.address)))
        self.assertEqual([be_hangup(self.ann, reply.room, "refused_elsewhere")], self.pad.hears())

    def test_another_call(self) -> None:
        """Another call than the one that is meant rings on."""
        room = self.ringing_there().room
        self.assertIs(False, self.refuses(self.tv, "f" * 32))
        self.assertIsInstance(self.world.calls[room].state, Ringing)

    def test_incomplete(self) -> None:
        """While other nodes may know of a call that rings it, it is to ask again."""
        self.world.complete = False
        self.assertRaises(Unavailable, self.refuses, self.tv, "f" * 32)

    def test_not_rung(self) -> None:
        """A device that calls, is in a call, or is unknown refuses nothing; nor does one a second time."""
        room = self.ringing_there().room
        self.assertIs(False, self.refuses(self.ann, room))
        self.assertIs(False, self.refuses(Device(self.world, "13600000009", "a"), room))
        self.tv.connects()
        self.tv.accepts(room)
        self.assertIs(False, self.refuses(self.tv, room))
        self.ann.hangs_up(room)
        self.assertIs(False, self.refuses(self.tv, room))


class LostWhileItRingsTests(SleepingCase):
    """It is there when it is called, and loses its socket before it has answered."""

    def lost(self) -> CallRecord:
        """Let it ring for a while, and go; the call."""
        self.tv.connects()
        self.room = self.ringing_there().room
        self.assertEqual((), self.world.calls[self.room].woken)
        self.world.wait(5)
        self.tv.loses_socket()
        return self.world.calls[self.room]

    def test_woken(self) -> None:
        """It is to be woken, and `called` is delivered again when it connects."""
        self.assertEqual((self.tv.address,), self.lost().woken)
        self.world.wait(5)
        self.assertEqual([called(self.ann, self.room, expires_in=35)], self.tv.connects())

    def test_again(self) -> None:
        """The same each time, also if it was asleep before; nothing is to be told twice when the ringing ends."""
        before = self.lost()
        self.tv.connects()
        self.tv.loses_socket()
        call = self.world.calls[self.room]
        self.assertEqual((self.tv.address,), call.woken)
        self.assertGreater(call.version, before.version)

    def test_cannot_be_woken(self) -> None:
        """One that cannot be woken is waited for, and nothing changes."""
        self.pad.connects()
        reply = self.places(self.pad.address)
        assert isinstance(reply, Rings)
        self.pad.loses_socket()
        self.assertEqual(((), 1), (self.woken(reply), self.world.calls[reply.room].version))

    def test_not_woken(self) -> None:
        """If it is not woken it is waited for, as before."""
        self.lost()
        self.world.happen(events.NotWoken(self.room, self.tv.address))
        self.assertEqual([], self.ann.hears())
        self.assertEqual([called(self.ann, self.room, expires_in=40)], self.tv.connects())

    def test_caller(self) -> None:
        """A caller is not woken for its own call."""
        self.tv.connects()
        place = events.Place(
            self.tv.address, self.ann.address, self.world.new_room(), self.tv.generation, self.world.now
        )
        reply = self.world.happen(place)
        self.tv.loses_socket()
        self.assertEqual((), self.woken(reply))

    def test_node_dies(self) -> None:
        """The same if its node has died, which another one notices."""
        self.tv.connects()
        room = self.ringing_there().room
        record = self.tv.record
        of_phone = self.world.devices[record.address.phone]
        of_phone["tv"] = replace(record, connected=False, lost_at=self.world.now, due=self.world.now)
        self.world.happen(events.DeviceDue(self.tv.address))
        self.assertEqual((self.tv.address,), self.world.calls[room].woken)


class NotWokenTests(SleepingCase):
    """It cannot be woken."""

    def fails(self, room: object) -> None:
        """Let it be known that it was not."""
        self.world.happen(events.NotWoken(room, self.tv.address))  # type: ignore[arg-type]

    def test_alone(self) -> None:
        """If nobody else rings the call fails: it is offline."""
        self.fails(self.ringing_there().room)
        self.assertEqual([call_failed(self.tv, "offline")], self.ann.hears())

    def test_others_ring(self) -> None:
        """If others ring they go on."""
        self.pad.connects()
        reply = self.places(self.tv.everywhere())
        assert isinstance(reply, Rings)
        self.fails(reply.room)
        self.assertEqual([], self.ann.hears())
        self.pad.accepts(reply.room)
        self.assertEqual([call_success(self.pad, reply.room)], self.ann.hears())

    def test_has_come(self) -> None:
        """If it has come by itself meanwhile nothing happens."""
        room = self.ringing_there().room
        self.tv.connects()
        self.fails(room)
        self.assertIsInstance(self.world.calls[room].state, Ringing)

    def test_late(self) -> None:
        """If it is over, or was answered, nothing happens."""
        room = self.ringing_there().room
        self.tv.connects()
        self.tv.accepts(room)
        version = self.world.calls[room].version
        self.fails(room)
        self.fails("f" * 32)
        self.assertEqual(version, self.world.calls[room].version)

    def test_glare(self) -> None:
        """A sleeping callee may call back as soon as it is awake: that is its acceptance."""
        room = self.ringing_there().room
        self.tv.connects()
        place = events.Place(
            self.tv.address, self.ann.address, self.world.new_room(), self.tv.generation, self.world.now
        )
        self.assertEqual(Accepted(room, self.ann.address), self.world.happen(place))
