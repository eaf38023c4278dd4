"""Devices that sleep and can be woken, on two nodes."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed

from callnet.calls.ports import DeliveryResult
from callnet.calls.preferences import PLAIN, Policy, Preferences
from callnet.calls.transaction import REMEMBERED
from callnet.calls.waking import WakeMessage
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.push.waking import AGAIN, Sleepers
from callnet.storage.preferences import SqlPreferences
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from tests.cluster.case import ANN, GRACE, PAD, TV, Phone
from tests.cluster.simulated import SimulatedCase, SimulatedNode, World
from tests.cluster.test_guests import Guest, Link
from tests.support import migrated
from tests.support.immediate import run_at_once

WAKES = Policy(wakes=frozenset([TV.device_id]))


class SleepingCase(SimulatedCase):
    """The television was at one node, and is called from the other."""

    def make_world(self) -> World:
        """Make one whose nodes can wake devices."""
        self.ended: list[Reason] = []
        self.rooms: list[RoomId] = []
        return World(self.server, self.prefix, self.settings, wake=self.wake)

    def wake(self, device: DeviceAddress, message: WakeMessage) -> Deferred[DeliveryResult]:
        """Record the devices to wake, and the ends of their ringing."""
        if message.ended is None:
            self.woken.append(device)
            self.rooms.append(message.room)
        else:
            self.ended.append(message.ended)
        return succeed(self.fate)

    async def asleep(self) -> tuple[SimulatedNode, SimulatedNode]:
        """Let the television fall asleep."""
        self.woken: list[DeviceAddress] = []
        self.fate = DeliveryResult.TAKEN
        here, there = await self.start(), await self.start()
        tv = await self.phone(TV, there)
        there.rooms.change_policy(TV.phone, Preferences(WAKES))
        await self.pass_time(0.5)
        tv.goes()
        await self.pass_time(GRACE + 0.5)
        return here, there

    async def ringing(self) -> tuple[SimulatedNode, SimulatedNode, Phone, Phone]:
        """Let it be back, and ring."""
        here, there = await self.asleep()
        ann, tv = await self.phone(ANN, here), await self.phone(TV, there)
        there.rooms.change_policy(TV.phone, Preferences(WAKES))
        await self.pass_time(0.5)
        ann.calls(TV)
        await self.hears(tv, "called")
        self.assertEqual([], self.woken)
        return here, there, ann, tv

    async def made_known(self, node: SimulatedNode) -> None:
        """Make it known that the television sleeps."""
        await self.result_of(node.rooms.wake_requests.sleeps(TV, WAKES))


class SleepingTests(SleepingCase):
    """Calls to it while all nodes live."""

    async def test_in_its_grace_and_after(self) -> None:
        """It is woken, whether it left just now or long ago, and rings when it connects, wherever that is."""
        here, there = await self.asleep()
        ann = await self.phone(ANN, here)
        for node in (there, here):
            ann.calls(TV)
            await self.until(lambda: self.woken)
            tv = await self.phone(TV, node)
            node.rooms.change_policy(TV.phone, Preferences(WAKES))
            await self.hears(tv, "called")
            tv.accepts()
            frame = await self.hears(ann, "call_success")
            ann.hangs_up(frame["room_id"])
            await self.hears(tv, "calling_be_hangup:hangup")
            ann.frames.clear()
            self.woken.clear()
            tv.goes()
            await self.pass_time(GRACE + 0.5)

    async def test_blocked_meanwhile(self) -> None:
        """A caller blocked while the device sleeps, held by no node, does not wake it, and is told `offline`."""
        self.woken, self.fate = [], DeliveryResult.TAKEN
        here = await self.start()
        await self.made_known(here)
        here.rooms.change_policy(TV.phone, Preferences(Policy(frozenset([ANN.phone]), wakes=WAKES.wakes)))
        await self.pass_time(0.5)
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.hears(ann, "call_failed:offline")
        self.assertEqual([], self.woken)

    async def test_no_longer(self) -> None:
        """A device that is not to be woken any more is going to be forgotten, though no node holds it."""
        self.woken, self.fate = [], DeliveryResult.TAKEN
        here = await self.start()
        await self.made_known(here)
        self.assertEqual("0", self.server.cli("ZCARD", f"{self.prefix}due").strip())
        here.rooms.change_policy(TV.phone, PLAIN)
        await self.until(lambda: self.server.cli("ZCARD", f"{self.prefix}due").strip() == "1")

    async def test_gone(self) -> None:
        """If it cannot be woken it is offline."""
        here, _ = await self.asleep()
        self.fate = DeliveryResult.GONE
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.hears(ann, "call_failed:offline")

    async def test_withdrawn(self) -> None:
        """It is told by the node of the device that ends the call, whichever that is, if it has not come; and once."""
        here, there = await self.asleep()
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.until(lambda: self.woken)
        ann.hangs_up(self.rooms[-1])
        await self.until(lambda: self.ended == [Reason.CANCELLED])
        pad = await self.phone(PAD, there)
        ann.calls(DeviceAddress(TV.phone, "*"))
        await self.hears(pad, "called")
        pad.accepts()
        await self.until(lambda: self.ended == [Reason.CANCELLED, Reason.ANSWERED_ELSEWHERE])
        frame = await self.hears(ann, "call_success")
        ann.hangs_up(frame["room_id"])
        await self.hears(pad, "calling_be_hangup:hangup")
        self.assertEqual(2, len(self.ended))

    async def test_guest_makes_way(self) -> None:
        """Woken for a guest, it is told that this rings no more when somebody else calls; and of that call. Once."""
        here, there = await self.asleep()
        guest = Guest(Link(TV.phone), here)
        await self.until(lambda: guest.session.generation)
        guest.says(type="ring")
        await self.until(lambda: self.woken == [TV])
        ann = await self.phone(ANN, there)
        ann.calls(TV)
        await self.until(lambda: self.woken == [TV, TV])
        self.assertEqual([Reason.REPLACED], self.ended)
        ann.says(type="calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id)
        await self.until(lambda: len(self.ended) == 2)
        ann.calls(TV)
        await self.until(lambda: len(self.woken) == 3)
        guest.says(type="calling_hangup")
        await self.pass_time(1)
        self.assertEqual([Reason.REPLACED, Reason.CANCELLED], self.ended)

    async def test_lost_while_it_rings(self) -> None:
        """If its socket closes while it rings it is woken, and rings wherever it connects."""
        here, _, ann, tv = await self.ringing()
        tv.goes()
        await self.until(lambda: self.woken == [TV])
        self.assertEqual(tv.last("called")["room_id"], self.rooms[-1])
        again = await self.phone(TV, here)
        await self.hears(again, "called")
        again.accepts()
        await self.hears(ann, "call_success")
        self.assertEqual([], self.ended)

    async def test_refused_by_ticket(self) -> None:
        """It refuses at any node without its connection, by the room id that it was told."""
        here, there = await self.asleep()
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.until(lambda: self.woken)
        for room, refused in (("f" * 32, False), (self.rooms[-1], True), (self.rooms[-1], False)):
            asked = there.rooms.wake_requests.refuse(TV, room.__eq__)
            self.assertIs(refused, await self.result_of(asked))
        await self.hears(ann, "call_refuse:refused")
        self.assertEqual([], self.ended)

    async def test_redis_forgets(self) -> None:
        """When Redis has lost its memory it is read from the database that the television sleeps, by any node."""
        here, there = await self.asleep()
        self.sleepers_of(here)
        ann = await self.phone(ANN, there)
        for _ in range(2):
            self.server.cli("FLUSHALL")
            await self.pass_time(3 * AGAIN)
            ann.calls(TV)
            await self.until(lambda: self.woken == [TV])
            ann.hangs_up(self.rooms[-1])
            await self.pass_time(1)
            self.woken.clear()

    def sleepers_of(self, node: SimulatedNode) -> None:
        """Register the television in a database, and let a node read from it who sleeps."""
        database = migrated.in_memory()
        self.addCleanup(database.close)
        registration = PushRegistration(TV, PushKind.WEBHOOK, "tv", 0.0)
        registrations = SqlPushRegistrations(database, run_at_once)
        self.successResultOf(registrations.put(registration, lambda _: False))
        records = SqlPreferences(database, run_at_once, False, [PushKind.WEBHOOK])
        sleepers = Sleepers(records, node.clock, node.rooms.wake_requests.sleeps)
        node.member.on_loss(sleepers.again)
        sleepers.start()
        self.addCleanup(sleepers.stop)

    async def test_both_nodes_start_anew(self) -> None:
        """A node that begins makes it known."""
        self.woken, self.fate = [], DeliveryResult.TAKEN
        here = await self.start()
        await self.made_known(here)
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.until(lambda: self.woken)


class NodeDiesTests(SleepingCase):
    """The node that holds its socket dies; it is missed before its grace is over."""

    settings = CallSettings(ring_time=40.0, grace=20.0)

    async def test_while_it_rings(self) -> None:
        """It is woken once another node has noticed that."""
        _, there, _, _ = await self.ringing()
        there.die()
        await self.until(lambda: self.woken == [TV])

    async def test_without_a_call(self) -> None:
        """It falls asleep, also if a node that has just started finds it registered: a call wakes it."""
        self.woken, self.fate = [], DeliveryResult.TAKEN
        here, there = await self.start(), await self.start()
        await self.phone(TV, there)
        there.rooms.change_policy(TV.phone, Preferences(WAKES))
        await self.pass_time(0.5)
        there.die()
        await self.pass_time(1)
        await self.made_known(await self.start())
        await self.pass_time(REMEMBERED)
        self.assertEqual("0", self.server.cli("ZCARD", f"{self.prefix}due").strip())
        ann = await self.phone(ANN, here)
        ann.calls(TV)
        await self.until(lambda: self.woken == [TV])
