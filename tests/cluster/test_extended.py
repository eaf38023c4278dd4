"""Extended clients on two nodes (protocol §2.5)."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import Raw

from callnet.calls.extensions import EVERYBODY_EVERY
from callnet.calls.session_v2 import ExtendedSession
from callnet.calls.transaction import REMEMBERED
from callnet.config.schema import CallSettings
from callnet.frames import v2
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.redis.connection import REPLY_TIME
from tests.cluster.case import ANN, CAROL, PAD, RING_TIME, TV, Phone
from tests.cluster.simulated import SimulatedCase, World
from tests.support.extended_case import Lists


class ExtendedCase(SimulatedCase):
    """Ann and the television are extended, and on two nodes."""

    async def two(self) -> tuple[Phone, Phone]:
        """Connect both."""
        self.here, self.there = await self.start(), await self.start()
        return await self.phone(ANN, self.here, extended=True), await self.phone(TV, self.there, extended=True)

    async def peer_state(self, phone: Phone, state: str) -> dict[str, Any]:
        """Wait until a device was told the state of the other party; returns the frame."""
        found: list[dict[str, Any]] = []

        def told() -> bool:
            found[:] = [frame for frame in phone.frames if frame.get("state") == state]
            return bool(found)

        await self.until(told)
        return found[-1]


class ExtendedTests(ExtendedCase):
    """They call each other."""

    async def test_ringing(self) -> None:
        """The caller hears that it rings on another node."""
        ann, tv = await self.two()
        ann.calls(TV)
        called = await self.hears(tv, "called")
        self.assertEqual(called["room_id"], (await self.hears(ann, "call_ringing"))["room_id"])

    async def test_signals(self) -> None:
        """Signals go from node to node in order, and to where the device is when it has come back elsewhere."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        for number in range(20):
            ann.says(type="signal", room_id=room, data={"n": number})
        await self.until(lambda: tv.told.count("signal") == 20)
        signals = [frame["data"]["n"] for frame in tv.frames if frame["type"] == "signal"]
        self.assertEqual(list(range(20)), signals)
        again = await self.phone(TV, self.here, extended=True)
        ann.says(type="signal", room_id=room, data="there?")
        self.assertEqual("there?", (await self.hears(again, "signal"))["data"])
        again.says(type="signal", room_id=room, data="here")
        self.assertEqual("here", (await self.hears(ann, "signal"))["data"])

    async def test_early_signals(self) -> None:
        """A signal of the caller's page while it rings reaches the node of the device that accepts."""
        ann, tv = await self.two()
        ann.calls(TV)
        room = (await self.hears(tv, "called"))["room_id"]
        ann.says(type="signal", room_id=room, data="early", of_page=True)
        tv.says(type="called_success", from_phone="", from_device_id="", room_id=room)
        self.assertEqual("early", (await self.hears(tv, "signal"))["data"])

    async def test_peer_state(self) -> None:
        """A party hears that the other's socket is gone, and that it is back on another node."""
        ann, tv = await self.two()
        await self.talk(ann, tv)
        tv.goes()
        await self.peer_state(ann, "reconnecting")
        await self.phone(TV, self.here, extended=True)
        await self.peer_state(ann, "back")

    async def test_pull(self) -> None:
        """A device takes the call over from another one, on whichever nodes the three are."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        pad = await self.phone(PAD, self.here, extended=True)
        self.assertEqual(room, pad.frames[0]["calls_of_phone"][0]["room_id"])
        pad.says(type="pull", room_id=room)
        self.assertEqual(ANN.phone, (await self.hears(pad, "call_success"))["to_phone"])
        await self.hears(tv, "calling_be_hangup:moved")
        self.assertEqual(PAD.device_id, (await self.peer_state(ann, "moved"))["device_id"])
        tv.says(type="pull", room_id=room)
        await self.hears(pad, "calling_be_hangup:moved")
        ann.hangs_up(room)
        await self.hears(tv, "calling_be_hangup:hangup")

    async def test_ended_before_the_answer(self) -> None:
        """If the call that it takes over ends before its node has heard that it has it, it is told of the end last."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        apart = await self.start()
        pad = await self.phone(PAD, apart, extended=True)
        apart.wire.answers_after = 0.5
        pad.says(type="pull", room_id=room, id="p")
        await self.hears(tv, "calling_be_hangup:moved")
        ann.hangs_up(room)
        await self.hears(pad, "call_success")
        self.assertEqual(["call_success", "calling_be_hangup:hangup"], pad.told[-2:])

    async def test_welcome(self) -> None:
        """A device that reconnects to another node is shown the call that it is in."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        again = await self.phone(ANN, self.there, extended=True)
        self.assertEqual(room, again.frames[0]["call"]["room_id"])


class OutageTests(ExtendedCase):
    """The node of a device in a call is apart for some time."""

    settings = CallSettings(ring_time=30.0, grace=20.0)

    async def test_back(self) -> None:
        """The other party hears that a device taken for lost is back, on its old socket or on a new one there."""
        for is_replaced in (False, True):
            ann, tv = await self.two()
            await self.talk(ann, tv)
            await self.cut_off(self.there)
            await self.peer_state(ann, "reconnecting")
            if is_replaced:
                await self.phone(TV, self.there, extended=True)
            await self.let_back(self.there)
            await self.peer_state(ann, "back")
            await self.pass_time(5.0)
            self.assertEqual("back", ann.last("peer_state")["state"])

    async def test_leaves_its_call(self) -> None:
        """The other party of its first call is told that it has left, though a device that accepts a second call is
        told that this cannot be done.
        """
        self.here, self.there = await self.start(), await self.start()
        ann, carol = [await self.phone(address, self.here, extended=True) for address in (ANN, CAROL)]
        tv = await self.phone(TV, self.there, extended=True, call_waiting=True)
        first = await self.talk(ann, tv)
        carol.calls(TV)
        await self.until(lambda: tv.told.count("called") == 2)
        self.there.wire.silence()
        tv.accepts()
        await self.hears(tv, "calling_be_hangup:connection_lost")
        self.there.wire.heal()
        self.assertEqual(first, (await self.hears(ann, "calling_be_hangup:replaced"))["room_id"])

    async def test_signal_with_the_accept(self) -> None:
        """An accept is retried though the device sends a signal with it, which arrives when it has the call."""
        ann, tv = await self.two()
        ann.calls(TV)
        room = (await self.hears(tv, "called"))["room_id"]
        self.there.wire.silence()
        tv.accepts()
        tv.says(type="signal", room_id=room, data="here")
        await self.pass_time(REPLY_TIME + 1.0)
        self.there.wire.cut()
        self.there.wire.heal()
        await self.hears(ann, "call_success")
        self.assertEqual("here", (await self.hears(ann, "signal"))["data"])
        self.assertEqual(["welcome", "called"], tv.told)


class PullOutageTests(ExtendedCase):
    """The pad takes over the television's call; the connection of its node to Redis breaks before the answer comes."""

    settings = CallSettings(ring_time=30.0, grace=20.0)

    async def pulls(self) -> tuple[Phone, Phone, Phone, str]:
        """Ann, the television, the pad, and the room: the call has moved, and nobody at the pad's node knows of it."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        self.apart = await self.start()
        pad = await self.phone(PAD, self.apart, extended=True)
        self.apart.wire.answers_after = 0.5
        pad.says(type="pull", room_id=room, id="p")
        await self.hears(tv, "calling_be_hangup:moved")
        self.apart.wire.answers_after = 0.0
        self.apart.wire.cut()
        return ann, tv, pad, room

    async def test_short(self) -> None:
        """The pad is told that it has the call when the node is back."""
        ann, _, pad, _ = await self.pulls()
        self.apart.wire.heal()
        self.assertEqual("p", (await self.hears(pad, "call_success"))["id"])
        pad.says(type="signal", room_id=pad.last("call_success")["room_id"], data="here")
        self.assertEqual("here", (await self.hears(ann, "signal"))["data"])
        self.assertNotIn("error", pad.told)

    async def test_long(self) -> None:
        """After 5 s the pad is told that this cannot be done, and the call is over for both."""
        ann, tv, pad, _ = await self.pulls()
        await self.hears(pad, "error")
        self.apart.wire.heal()
        await self.hears(ann, "calling_be_hangup:connection_lost")
        self.assertNotIn("calling_be_hangup:connection_lost", tv.told)

    async def test_again(self) -> None:
        """A pad that is told so, and tries again before the node is back, has the call."""
        ann, _, pad, room = await self.pulls()
        await self.hears(pad, "error")
        self.apart.wire.heal()
        pad.says(type="pull", room_id=room, id="q")
        self.assertEqual("q", (await self.hears(pad, "call_success"))["id"])
        await self.pass_time(5.0)
        self.assertNotIn("calling_be_hangup:connection_lost", ann.told)


class UnknownCallTests(ExtendedCase):
    """The nodes of a call are apart when a device that has heard of it elsewhere asks for it."""

    async def asks(self) -> tuple[Phone, Phone, str]:
        """Ann, the pad, which was told that there is no such call and has given up, and the room."""
        ann, _ = await self.two()
        await self.cut_off(self.there)
        ann, tv = [await self.phone(device, self.there, extended=True) for device in (ANN, TV)]
        room = await self.talk(ann, tv)
        pad = await self.phone(PAD, self.here, extended=True)
        pad.says(type="pull", room_id=room, id="p")
        await self.hears(pad, "calling_be_hangup:expired")
        pad.hangs_up(room)
        await self.let_back(self.there)
        return ann, pad, room

    async def test_taken_over(self) -> None:
        """A device that takes the call over after all stays in it."""
        ann, pad, room = await self.asks()
        pad.says(type="pull", room_id=room, id="q")
        await self.hears(pad, "call_success")
        await self.pass_time(20.0)
        for phone in (ann, pad):
            self.assertNotIn("calling_be_hangup:hangup", phone.told)


class WelcomeTests(ExtendedCase):
    """A device connects to a node that is apart, and does not know its calls."""

    settings = CallSettings(ring_time=30.0, grace=20.0)

    def is_welcomed_again(self, phone: Phone) -> bool:
        """Return whether it is."""
        return phone.told.count("welcome") == 2

    async def test_in_a_call(self) -> None:
        """When the node is back, the device is welcomed again, and told its call as it is by now."""
        ann, tv = await self.two()
        carol = await self.phone(CAROL, self.there, extended=True)
        room = await self.talk(ann, tv)
        apart = await self.start()
        await self.cut_off(apart)
        ann = await self.phone(ANN, apart, extended=True)
        self.assertNotIn("call", ann.frames[0])
        tv = await self.phone(TV, self.there, extended=True, call_waiting=True)
        carol.calls(TV)
        called = await self.hears(tv, "called")
        tv.says(type="called_success", from_phone="", from_device_id="", room_id=called["room_id"], hold=True)
        await self.hears(carol, "call_success")
        await self.let_back(apart)
        await self.until(lambda: ann.told.count("welcome") == 2)
        call = ann.last("welcome")["call"]
        self.assertEqual((room, "active", True), (call["room_id"], call["state"], call["on_hold"]))
        tv.says(type="resume", room_id=room)
        await self.peer_state(ann, "resumed")
        await self.pass_time(5.0)
        self.assertEqual(["welcome", "welcome", "peer_state"], ann.told)

    async def test_in_a_long_call(self) -> None:
        """The device is welcomed again to a call that began longer ago than ends are remembered."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        await self.pass_time(REMEMBERED + 1.0)
        apart = await self.start()
        await self.cut_off(apart)
        ann = await self.phone(ANN, apart, extended=True)
        await self.let_back(apart)
        await self.until(partial(self.is_welcomed_again, ann))
        self.assertEqual(room, ann.last("welcome")["call"]["room_id"])

    async def test_signals(self) -> None:
        """A signal in a call that this node does not know is not answered by its end: it may go on elsewhere."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        apart = await self.start()
        await self.cut_off(apart)
        for device in (ANN, TV):
            phone = await self.phone(device, apart, extended=True)
            phone.says(type="signal", room_id=room, data="restart")
            phone.says(type="pull", room_id=room, id="p")
            await self.hears(phone, "error")
            self.assertEqual(["welcome", "error"], phone.told)

    async def test_not_said(self) -> None:
        """A call that no welcome has named yet is nothing that the device knows, not even if it says goodbye then."""
        ann, tv = await self.two()
        room = RoomId(await self.talk(ann, tv))
        apart = await self.start()
        await self.cut_off(apart)
        tv = await self.phone(TV, apart, extended=True)
        tv.session.deliver(self.here.rooms.known.calls[room])
        await self.until(partial(self.is_welcomed_again, tv))
        self.assertNotIn("call", tv.frames[-1])
        tv.session.closed(said_goodbye=True)
        self.assertEqual((), tv.session.known())

    async def test_told_the_end(self) -> None:
        """A device that was told the end of its call there is welcomed to it: it goes on, or says the end itself."""
        ann, tv = await self.two()
        room = RoomId(await self.talk(ann, tv))
        apart = await self.start()
        await self.cut_off(apart)
        phones = [await self.phone(device, apart, extended=True) for device in (ANN, TV)]
        for phone in phones:
            phone.session._tell_over(v2.Signal(room, Raw(b"1")), Reason.EXPIRED)
        await self.let_back(apart)
        for phone in phones:
            await self.until(partial(self.is_welcomed_again, phone))
            self.assertEqual(room, phone.last("welcome")["call"]["room_id"])

    async def test_in_two_calls(self) -> None:
        """... or both of its calls, and once."""
        ann, tv = await self.two()
        carol = await self.phone(CAROL, self.there, extended=True)
        first = await self.talk(ann, tv)
        apart = await self.start()
        tv = await self.phone(TV, self.there, extended=True, call_waiting=True)
        carol.calls(TV)
        second = (await self.hears(tv, "called"))["room_id"]
        tv.says(type="called_success", from_phone="", from_device_id="", room_id=second, hold=True)
        await self.hears(carol, "call_success")
        await self.cut_off(apart)
        tv = await self.phone(TV, apart, extended=True)
        await self.let_back(apart)
        await self.until(partial(self.is_welcomed_again, tv))
        welcome = tv.last("welcome")
        self.assertEqual((second, first), (welcome["call"]["room_id"], welcome["held_call"]["room_id"]))
        await self.pass_time(5.0)
        self.assertTrue(self.is_welcomed_again(tv))

    async def test_away_again(self) -> None:
        """If Redis does not answer then, it is welcomed when Redis does, or when the node knows that it is apart."""
        ann, tv = await self.two()
        room = await self.talk(ann, tv)
        assert isinstance(ann.session, ExtendedSession)
        self.here.wire.silence()
        await self.result_of(self.here.rooms.welcome_again(ann.session))
        self.assertEqual(1, ann.told.count("welcome"))
        await self.until(partial(self.is_welcomed_again, ann))
        self.assertEqual(room, ann.last("welcome")["call"]["room_id"])


class OwnEndTests(ExtendedCase):
    """A device ends its call at a node that Redis does not answer, and connects again. It is welcomed to the call, and
    may not remember that it has ended it: it is told, on whichever node it is by then.
    """

    settings = CallSettings(ring_time=30.0, grace=25.0)

    async def again(self, phone: Phone, elsewhere: bool) -> Phone:
        """Connect it again, and let its node be back; it is welcomed to its call."""
        here = self.here if phone.address == ANN else self.there
        there = self.there if phone.address == ANN else self.here
        await self.pass_time(0.25)
        here.wire.cut()
        if not elsewhere:
            here.wire.heal()
        phone = await self.phone(phone.address, there if elsewhere else here, extended=True)
        self.assertIn("call", phone.frames[0])
        here.wire.heal()
        return phone

    async def test_caller_of_ringing_call(self) -> None:
        """It has cancelled the call."""
        for elsewhere in (False, True):
            ann, tv = await self.two()
            ann.calls(TV)
            room = (await self.hears(ann, "call_ringing"))["room_id"]
            self.here.wire.silence()
            ann.hangs_up(room)
            ann = await self.again(ann, elsewhere)
            await self.hears(tv, "calling_be_hangup:cancelled")
            await self.hears(ann, "call_failed:unavailable")

    async def test_failed_call(self) -> None:
        """It was told that the call has failed, though it rings."""
        ann, tv = await self.two()
        self.here.wire.answers_after = 0.5
        ann.calls(TV)
        await self.hears(tv, "called")
        self.here.wire.answers_after = 0.0
        ann = await self.again(ann, elsewhere=True)
        await self.hears(ann, "call_failed:unavailable")
        await self.hears(tv, "calling_be_hangup:cancelled")

    async def test_parties(self) -> None:
        """Either party has hung up."""
        for elsewhere in (False, True):
            for number in (0, 1):
                phones = await self.two()
                room = await self.talk(*phones)
                phone, node = phones[number], (self.here, self.there)[number]
                node.wire.silence()
                phone.hangs_up(room)
                phone = await self.again(phone, elsewhere)
                await self.hears(phones[1 - number], "calling_be_hangup:hangup")
                await self.hears(phone, "calling_be_hangup:hangup")

    async def test_ends_it_again(self) -> None:
        """A device that ends it on the new connection is told nothing."""
        ann, tv = await self.two()
        ann.calls(TV)
        room = (await self.hears(ann, "call_ringing"))["room_id"]
        again = await self.phone(ANN, self.there, extended=True)
        again.says(type="calling_hangup", notified_phone=TV.phone, notified_device_id="", room_id="")
        await self.hears(tv, "calling_be_hangup:cancelled")
        self.assertNotIn("call_failed:unavailable", again.told)
        self.assertEqual(room, again.frames[0]["call"]["room_id"])


class CallWaitingTests(ExtendedCase):
    """Ann talks to the television, on another node, which can show a second call; the pad of another phone calls."""

    async def three(self) -> tuple[Phone, Phone, Phone, str]:
        """Ann, the television, the second caller, and the room of its call."""
        self.here, self.there = await self.start(), await self.start()
        ann = await self.phone(ANN, self.here, extended=True)
        tv = await self.phone(TV, self.there, extended=True, call_waiting=True)
        carol = await self.phone(DeviceAddress("13600000003", "pad"), self.here, extended=True)
        await self.talk(ann, tv)
        carol.calls(TV)
        await self.until(lambda: tv.told.count("called") == 2)
        return ann, tv, carol, str(tv.last("called")["room_id"])

    async def test_taken(self) -> None:
        """The television takes the second call: the first one is replaced, and nobody else can call it."""
        ann, tv, carol, room = await self.three()
        tv.accepts()
        await self.hears(ann, "calling_be_hangup:replaced")
        self.assertEqual(room, (await self.hears(carol, "call_success"))["room_id"])
        base = await self.phone(PAD, self.here)
        base.calls(TV)
        await self.hears(base, "call_failed:busy")
        carol.hangs_up(room)
        await self.hears(tv, "calling_be_hangup:hangup")

    async def test_first_ends(self) -> None:
        """The first call is hung up: the second rings on, and again where the television comes back."""
        ann, tv, carol, room = await self.three()
        ann.hangs_up(str(ann.last("call_success")["room_id"]))
        await self.hears(tv, "calling_be_hangup:hangup")
        again = await self.phone(TV, self.here, extended=True, call_waiting=True)
        await self.hears(again, "called")
        again.accepts()
        self.assertEqual(room, (await self.hears(carol, "call_success"))["room_id"])

    async def test_moves(self) -> None:
        """The television comes back on another node: it is in its first call, and the second caller is told `busy`."""
        _, _, carol, room = await self.three()
        again = await self.phone(TV, self.here, extended=True, call_waiting=True)
        await self.hears(carol, "call_refuse:busy")
        self.assertEqual("active", again.frames[0]["call"]["state"])
        self.assertNotEqual(room, again.frames[0]["call"]["room_id"])

    async def test_cut_off(self) -> None:
        """The node of the television is cut off while the second call rings, which is taken: both sides agree soon."""
        ann, tv, carol, room = await self.three()
        await self.cut_off(self.there)
        tv.accepts()
        await self.let_back(self.there)
        await self.hears(ann, "calling_be_hangup:replaced")
        self.assertEqual(room, (await self.hears(carol, "call_success"))["room_id"])
        carol.hangs_up(room)
        await self.hears(tv, "calling_be_hangup:hangup")


class PresenceTests(ExtendedCase):
    """Ann lists the phone of the television."""

    def make_world(self) -> World:
        """Make one whose nodes know it."""
        lists = Lists()
        lists.lists[ANN.phone] = frozenset([TV.phone])
        return World(self.server, self.prefix, self.settings, roster=lists)

    async def shown(self, phone: Phone, *expected: bool) -> None:
        """Wait until a device was told that the television came and went like this."""
        await self.until(lambda: [f["online"] for f in phone.frames if f["type"] == "presence"] == list(expected))

    async def test_elsewhere(self) -> None:
        """A device that comes and goes on another node is reported."""
        ann, tv = await self.two()
        await self.shown(ann, True)
        tv.goes()
        await self.shown(ann, True, False)
        await self.phone(TV, self.there)
        await self.shown(ann, True, False, True)

    async def test_killed_node(self) -> None:
        """So is a device whose node has died."""
        ann, _ = await self.two()
        await self.shown(ann, True)
        self.there.die()
        await self.pass_time(EVERYBODY_EVERY)
        await self.shown(ann, True, False)


class KilledNodeTests(ExtendedCase):
    """A node dies, and the grace is long."""

    settings = CallSettings(ring_time=RING_TIME, grace=30.0)

    async def test_told(self) -> None:
        """The other party is told that its peer has lost its socket, and that it is back."""
        ann, tv = await self.two()
        await self.talk(ann, tv)
        self.there.die()
        await self.peer_state(ann, "reconnecting")
        await self.phone(TV, self.here, extended=True)
        await self.peer_state(ann, "back")
