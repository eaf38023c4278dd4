"""The room of a call is its two parties' alone: not of who rang as well, refused, or was moved away (protocol §2.2)."""

from __future__ import annotations

from callnet.model import DeviceAddress
from tests.support.extended_case import ANN, DOB, PAD, TV, ExtendedCase
from tests.support.wires import Device

EVERYWHERE = DeviceAddress(TV.phone, "*")
RADIO = DeviceAddress(TV.phone, "radio")


class RoomCase(ExtendedCase):
    """Pages that come to rooms."""

    def page(self, room: str, key: str) -> Device:
        """Open a page of a room."""
        page = self.world.page()
        page.say("join", room_id=room, key=key * 32, session=key * 32)
        return page

    def state(self, page: Device) -> str:
        """The last state of the room that the page was told, or that it has no seat."""
        last = page.heard()[-1]
        return str(last.get("state", last["type"]))

    def hangs_up(self, device: Device, room: str) -> None:
        """Let a device say that it ends a call."""
        device.say("calling_hangup", notified_phone=ANN.phone, notified_device_id=ANN.device_id, room_id=room)


class ForkTests(RoomCase):
    """Ann calls Bob's television, pad and radio, all base clients."""

    def setUp(self) -> None:
        """Let them ring."""
        super().setUp()
        self.ann, self.tv = self.world.device(*ANN), self.world.device(*TV)
        self.pad, self.radio = self.world.device(*PAD), self.world.device(*RADIO)
        self.ann.say("call", to_phone=TV.phone, to_device_id="*")
        self.ids = [device.hears()["room_id"] for device in (self.tv, self.pad, self.radio)]

    def answered(self) -> str:
        """The room after the television has accepted."""
        self.accepts(self.tv, self.ids[0])
        success = self.ann.hears()
        self.assertEqual(("call_success", TV.device_id), (success["type"], success["to_device_id"]))
        return str(success["room_id"])

    def test_ids(self) -> None:
        """Every rung device is told a room id of its own; that of the winner is the caller's, too."""
        self.assertEqual(3, len(set(self.ids)))
        self.assertEqual(self.ids[0], self.answered())
        for device, room in ((self.pad, self.ids[1]), (self.radio, self.ids[2])):
            told = device.hears()
            self.assertEqual(("answered_elsewhere", room), (told["reason"], told["room_id"]))

    def test_losers_page(self) -> None:
        """The page of a device that lost gets no seat, and the two parties meet."""
        room = self.answered()
        losers = [self.page(self.ids[1], "c"), self.page(self.ids[2], "d")]
        pages = [self.page(room, "a"), self.page(room, "b")]
        self.assertEqual(["ended", "ended"], [self.state(page) for page in losers])
        self.assertEqual(["meeting", "meeting"], [self.state(page) for page in pages])
        for page in losers:
            page.say("hangup")
            page.say("relay", to="a" * 32, data="hello")
        self.assertEqual([[], [], []], [party.heard() for party in (self.ann, self.tv, *pages[:1])])

    def test_pages_before_the_accept(self) -> None:
        """While several devices ring their pages wait; then the winner's gets its seat, and the others none."""
        tv, pad, radio = (self.page(room, key) for room, key in zip(self.ids, "bcd", strict=True))
        self.assertEqual(["waiting"] * 3, [self.state(page) for page in (tv, pad, radio)])
        pad.say("hangup")
        ann = self.page(self.answered(), "a")
        self.world.advance(1)
        self.assertEqual(["ended", "ended"], [self.state(page) for page in (pad, radio)])
        self.assertEqual(["meeting", "meeting"], [self.state(page) for page in (ann, tv)])

    def test_page_that_went(self) -> None:
        """A page that waited and went takes no seat later."""
        for key in "cd":
            self.page(self.ids[0], key).leave()
        room = self.answered()
        self.world.advance(1)
        pages = [self.page(room, "a"), self.page(room, "b")]
        self.assertEqual(["meeting", "meeting"], [self.state(page) for page in pages])

    def test_losers_frames(self) -> None:
        """A frame of a losing device about its own id is late, and has no effect."""
        self.answered()
        self.ann.heard(), self.tv.heard(), self.pad.heard()
        self.hangs_up(self.pad, self.ids[1])
        self.assertEqual([], self.pad.heard())
        self.accepts(self.pad, self.ids[1])
        late = self.pad.hears()
        self.assertEqual(
            ("calling_be_hangup", "answered_elsewhere", self.ids[1]), (late["type"], late["reason"], late["room_id"])
        )
        self.assertEqual([[], []], [self.ann.heard(), self.tv.heard()])

    def test_refused(self) -> None:
        """When one has refused, nobody's id opens a room, and the call is remembered by each."""
        self.pad.say("called_refuse", from_phone="", from_device_id="", room_id=self.ids[1])
        self.assertEqual("call_refuse", self.ann.hears()["type"])
        told = self.tv.hears()
        self.assertEqual(("refused_elsewhere", self.ids[0]), (told["reason"], told["room_id"]))
        pages = [self.page(room, key) for room, key in zip(self.ids, "bcd", strict=True)]
        self.assertEqual(["ended"] * 3, [self.state(page) for page in pages])

    def test_parties_hang_up(self) -> None:
        """Both parties end the call by the room that they have in common."""
        self.hangs_up(self.ann, self.answered())
        told = self.tv.hears()
        self.assertEqual(("calling_be_hangup", "hangup", self.ids[0]), (told["type"], told["reason"], told["room_id"]))

    def test_back(self) -> None:
        """A device that comes back while it is rung is told the same id again."""
        self.pad.leave()
        self.assertEqual(self.ids[1], self.world.device(*PAD).hears()["room_id"])

    def test_back_after_the_end(self) -> None:
        """One that lost and comes back is told so again by its own id, unless it has named that since."""
        self.answered()
        for _ in range(2):
            self.pad.leave()
            self.pad = self.world.device(*PAD)
            self.world.advance(1.5)
            told = self.pad.hears()
            self.assertEqual((self.ids[1], "answered_elsewhere"), (told["room_id"], told["reason"]))
        self.accepts(self.pad, self.ids[1])
        self.assertEqual(self.ids[1], self.pad.hears()["room_id"])
        self.hangs_up(self.pad, self.ids[1])
        self.pad.leave()
        self.pad = self.world.device(*PAD)
        self.world.advance(1.5)
        self.assertEqual([], self.pad.heard())

    def test_glare(self) -> None:
        """A rung device that calls its caller accepts: both have its id in common."""
        self.pad.say("call", to_phone=ANN.phone, to_device_id=ANN.device_id)
        self.assertEqual(self.ids[1], self.pad.hears()["room_id"])
        self.assertEqual(self.ids[1], self.ann.hears()["room_id"])

    def test_forgotten(self) -> None:
        """After 2 minutes nothing is left of any id."""
        self.hangs_up(self.ann, self.answered())
        self.world.advance(130)
        self.assertEqual({}, dict(self.world.rooms.known.aliases))


class ExtendedCallerTests(RoomCase):
    """The caller is extended: it is told that several devices ring."""

    def test_ringing(self) -> None:
        """It may cancel by the id that it is told, which is no device's, and which opens nothing."""
        ann, tv, pad = self.extended(ANN), self.world.device(*TV), self.world.device(*PAD)
        ids = [self.rings(ann, tv, EVERYWHERE), pad.hears()["room_id"]]
        own = ann.hears()["room_id"]
        self.assertNotIn(own, ids)
        self.accepts(tv, ids[0])
        self.assertEqual(ids[0], ann.hears()["room_id"])
        self.assertEqual("ended", self.state(self.page(own, "e")))
        self.hangs_up(ann, own)
        self.assertEqual("hangup", tv.hears()["reason"])


class PageHangupTests(RoomCase):
    """The button of a page."""

    def setUp(self) -> None:
        """Ann and the television talk."""
        super().setUp()
        self.ann, self.tv = self.world.device(*ANN), self.world.device(*TV)
        self.room = self.talk(self.ann, self.tv)

    def test_alone(self) -> None:
        """It does nothing while the page meets nobody."""
        self.page(self.room, "a").say("hangup")
        self.assertEqual([[], []], [self.ann.heard(), self.tv.heard()])

    def test_meeting(self) -> None:
        """It ends the call of the two that meet."""
        page, _ = self.page(self.room, "a"), self.page(self.room, "b")
        page.say("hangup")
        self.assertEqual(["hangup"] * 2, [device.hears()["reason"] for device in (self.ann, self.tv)])


class MovedTests(RoomCase):
    """Ann talks to the television, and the pad takes the call over."""

    def setUp(self) -> None:
        """Let it move when both pages have met."""
        super().setUp()
        self.ann, self.tv = self.world.device(*ANN), self.world.device(*TV)
        self.pad = self.extended(PAD, claimed=True)
        self.old = self.talk(self.ann, self.tv)

    def pull(self) -> str:
        """Let the pad take it over; the id by which it knows the call."""
        self.pad.say("pull", room_id=self.old)
        return str(self.pad.hears()["room_id"])

    def test_own_id(self) -> None:
        """The pad has an id of its own, and ends the call by it; the television does not by the old one."""
        new = self.pull()
        self.assertNotEqual(self.old, new)
        self.tv.heard()
        self.hangs_up(self.tv, self.old)
        self.assertEqual([[], []], [self.ann.heard(), self.pad.heard()])
        self.hangs_up(self.pad, new)
        told = self.ann.hears()
        self.assertEqual((self.old, TV.device_id), (told["room_id"], told["fire_device_id"]))

    def test_new_page_by_the_old_id(self) -> None:
        """No other page gets a seat by the old id while one sits by it, or afterwards."""
        ann, tv = self.page(self.old, "a"), self.page(self.old, "b")
        new = self.pull()
        tv.leave()
        pad = self.page(new, "c")
        self.assertEqual(["meeting", "meeting"], [self.state(page) for page in (ann, pad)])
        ann.leave()
        for seconds in (0, 20):
            self.world.advance(seconds)
            stranger = self.page(self.old, "b")
            self.world.advance(11)
            self.assertEqual("refused", self.state(stranger))
        self.assertEqual("meeting", self.state(self.page(self.old, "a")))

    def test_old_pages_do_not_meet(self) -> None:
        """From then on two pages that came by the old id do not meet, and neither ends the call."""
        ann, tv = self.page(self.old, "a"), self.page(self.old, "b")
        self.pull()
        self.assertEqual(["waiting", "waiting"], [self.state(page) for page in (ann, tv)])
        tv.say("relay", to="a" * 32, data="hello")
        tv.say("hangup")
        self.assertEqual([[], []], [ann.heard(), self.ann.heard()])

    def test_other_page_comes_later(self) -> None:
        """The other party's page may come first after the move."""
        new = self.pull()
        pages = [self.page(new, "c"), self.page(self.old, "a")]
        self.assertEqual(["meeting", "meeting"], [self.state(page) for page in pages])
        self.assertEqual("waiting", self.state(third := self.page(self.old, "b")))
        self.world.advance(11)
        self.assertEqual("refused", self.state(third))

    def test_signals(self) -> None:
        """If their media goes by signals, no page comes by the old id."""
        self.hangs_up(self.ann, self.old)
        dob, tv = self.extended(DOB), self.extended(TV)
        self.old = self.talk(dob, tv)
        dob.say("signal", room_id=self.old, data="x")
        self.pad.heard()
        self.pull()
        page = self.page(self.old, "b")
        self.world.advance(11)
        self.assertEqual("refused", self.state(page))

    def test_moved_twice(self) -> None:
        """The pad's room opens nothing when the radio has taken the call from it, though its page stays."""
        ann, tv = self.page(self.old, "a"), self.page(self.old, "b")
        tv.leave()
        second = self.pull()
        pad = self.page(second, "c")
        self.assertEqual("meeting", self.state(pad))
        radio = self.extended(RADIO, claimed=True)
        radio.say("pull", room_id=self.welcome["calls_of_phone"][0]["room_id"])
        third = radio.hears()["room_id"]
        self.assertEqual(3, len({self.old, second, third}))
        page = self.page(third, "d")
        self.assertEqual(["meeting", "ended", "meeting"], [self.state(one) for one in (ann, pad, page)])
        self.assertEqual("ended", self.state(self.page(second, "e")))
        pad.say("hangup")
        self.hangs_up(self.pad, second)
        self.assertEqual([], self.ann.heard())

    def test_back_again(self) -> None:
        """The television takes the call back by another id than the one that it had."""
        new = self.pull()
        tv = self.extended(TV, claimed=True)
        tv.say("pull", room_id=self.welcome["calls_of_phone"][0]["room_id"])
        ids = {self.old, new, tv.hears()["room_id"]}
        self.assertEqual(3, len(ids))
        self.assertEqual(new, self.pad.hears()["room_id"])

    def test_both_have_moved(self) -> None:
        """When both parties have moved the old id is nobody's."""
        ann, _ = self.page(self.old, "a"), self.page(self.old, "b")
        self.pull()
        second = self.extended(DeviceAddress(ANN.phone, "second"), claimed=True)
        second.say("pull", room_id=self.old)
        self.assertEqual("call_success", second.hears()["type"])
        self.assertEqual("ended", self.state(ann))
        self.assertEqual("ended", self.state(self.page(self.old, "c")))


class ToldOfMovesTests(RoomCase):
    """The messages to parties about a call that has moved."""

    def test_hung_up_and_pulled(self) -> None:
        """A device that lost the fork, hung up and then took the call over is told its end."""
        ann, tv, pad = self.world.device(*ANN), self.world.device(*TV), self.extended(PAD, claimed=True)
        room = self.rings(ann, tv, EVERYWHERE)
        own = pad.hears()["room_id"]
        self.accepts(tv, room)
        pad.heard()
        self.hangs_up(pad, own)
        pad.say("pull", room_id=own)
        self.assertEqual("call_success", pad.hears()["type"])
        self.hangs_up(ann, room)
        self.assertEqual(["calling_be_hangup"], [message["type"] for message in pad.heard()])

    def test_moved_away_and_back(self) -> None:
        """So is a device that was moved away, hung up, and took the call back."""
        ann, tv, pad = self.world.device(*ANN), self.extended(TV, claimed=True), self.extended(PAD, claimed=True)
        room = self.talk(ann, tv)
        pad.say("pull", room_id=room)
        tv.heard()
        self.hangs_up(tv, room)
        tv.say("pull", room_id=room)
        self.assertEqual("call_success", tv.hears()["type"])
        self.hangs_up(ann, room)
        self.assertEqual(["calling_be_hangup"], [message["type"] for message in tv.heard()])

    def test_caller_moves(self) -> None:
        """An extended callee hears that its caller has moved, once."""
        tv, dob = self.extended(TV, claimed=True), self.extended(DOB)
        room = self.talk(tv, dob, DOB)
        pad = self.extended(PAD, claimed=True)
        pad.say("pull", room_id=room)
        moved = {"type": "peer_state", "room_id": room, "state": "moved", "device_id": PAD.device_id}
        self.assertEqual([moved], dob.heard())
        dob.leave()
        self.assertEqual("reconnecting", pad.heard()[-1]["state"])
        self.assertNotIn("peer_state", [message["type"] for message in self.extended(DOB).heard()])
