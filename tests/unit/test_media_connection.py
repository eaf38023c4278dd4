"""The offering side and the repair of a connection: the table of its module, without aiortc."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from callnet.schemas import RELAYED
from callnet_client.media.connection import (
    ASK_EVERY,
    FAREWELL,
    FIRST_PATIENCE,
    FRESH_FOR,
    LONGEST_PATIENCE,
    LOOK_EVERY,
)
from callnet_client.relayed import Answer, Candidate, IceCandidate, Negotiate, Offer, Restart, parse_relayed
from tests.support.media_wire import ConnectionCase
from tests.unit.test_schema_frames import good_frames, written

THEIRS, OTHERS = "a" * 32, "b" * 32
ADDRESS = IceCandidate("candidate:1 1 udp 1 192.0.2.1 9 typ host", "0", 0)


class OfferingTests(ConnectionCase):
    """This side offers."""

    def asked(self) -> str:
        """Let the other side ask; the name of the connection that it is offered."""
        self.connection.hear(Negotiate())
        (offer,) = self.take_said()
        assert isinstance(offer, Offer)
        self.assertEqual((1, "offer sdp"), (offer.round, offer.sdp))
        return offer.connection

    def test_asked(self) -> None:
        """It waits until it is asked, and offers a connection with a name that nobody has had before."""
        self.wait(60)
        self.assertEqual([], self.take_said())
        first = self.asked()
        self.assertRegex(first, "^[0-9a-f]{32}$")
        self.wait(FRESH_FOR)
        self.assertNotEqual(first, self.asked())
        self.assertTrue(self.wires[0].is_closed)

    def test_asked_again_at_once(self) -> None:
        """An attempt just begun serves the other side's request, which may have been sent before it arrived."""
        name = self.asked()
        for message in (Negotiate(), Restart(name)):
            self.connection.hear(message)
            self.assertEqual([Offer(name, 1, "offer sdp")], self.take_said())
        self.connection.hear(Answer(name, 1, "sdp"))
        self.connection.hear(Negotiate())
        self.assertEqual([], self.take_said())

    def test_asked_to_restart(self) -> None:
        """Since it cannot restart ICE it begins a new connection; an older one is nobody's business."""
        name = self.asked()
        self.wait(FRESH_FOR)
        self.connection.hear(Restart(OTHERS))
        self.assertEqual([], self.take_said())
        self.connection.hear(Restart(name))
        (offer,) = self.take_said()
        assert isinstance(offer, Offer)
        self.assertNotEqual(name, offer.connection)

    def test_answered(self) -> None:
        """It goes by the answer to its latest offer, and by no other."""
        name = self.asked()
        for connection, number, sdp in (
            (name, 2, "late"),
            (OTHERS, 1, "another's"),
            (name, 1, "sdp"),
            (name, 1, "sdp"),
        ):
            self.connection.hear(Answer(connection, number, sdp))
        self.assertEqual(["offer", ("take", "sdp")], self.log)

    def test_offered(self) -> None:
        """It takes no offers: no two may cross."""
        name = self.asked()
        for connection in (name, OTHERS):
            self.connection.hear(Offer(connection, 1, "sdp"))
        self.assertEqual((["offer"], []), (self.log, self.take_said()))

    def test_candidates(self) -> None:
        """Candidates of the present connection are tried, after its pending steps."""
        name = self.asked()
        self.wire.is_slow = True
        self.connection.hear(Answer(name, 1, "sdp"))
        self.connection.hear(Candidate(name, ADDRESS))
        self.connection.hear(Candidate(OTHERS, ADDRESS))
        self.assertEqual(["offer", ("take", "sdp")], self.log)
        self.wire.waiting[0].callback(None)
        self.assertEqual(["offer", ("take", "sdp"), ("add", ADDRESS)], self.log)

    def test_lost(self) -> None:
        """A lost connection is restarted, as soon as the room reaches the other side."""
        self.asked()
        self.wire.become(True)
        self.connection.reach(False)
        self.wire.become(False)
        self.wait(60)
        self.assertEqual([], self.take_said())
        self.connection.reach(True)
        self.assertEqual(1, len(self.take_said()))
        self.assertEqual([True, False], self.flows)

    def test_missed(self) -> None:
        """Its owner is told once when nothing comes any more, and again the next time."""
        self.connection.hear(Negotiate())
        self.wire.become(True)
        for times in (1, 2):
            self.wire.is_missed = True
            self.wait(2)
            self.assertEqual(times, self.misses)
            self.wire.is_missed = False
            self.wait(1)

    def test_nothing_comes_of_it(self) -> None:
        """An attempt is given up, with ever more patience, and repeated."""
        self.asked()
        patience = FIRST_PATIENCE
        for _ in range(5):
            began = self.clock.seconds()
            while not self.said:
                self.clock.advance(LOOK_EVERY)
            self.assertEqual(1, len(self.take_said()))
            self.assertLess(abs(patience - (self.clock.seconds() - began)), LOOK_EVERY)
            patience = min(LONGEST_PATIENCE, patience * 1.5)

    def test_what_is_bad(self) -> None:
        """Unusable input is reported by its kind, never by its words, and later steps are done all the same."""
        name = self.asked()
        self.wire.is_bad = True
        self.connection.hear(Answer(name, 1, "sdp"))
        self.wire.is_bad = False
        self.connection.hear(Candidate(name, ADDRESS))
        self.assertEqual(["unusable message from the other side (ValueError)"], self.reports)
        self.assertEqual(("add", ADDRESS), self.log[-1])

    def test_step_of_what_is_closed(self) -> None:
        """A step that never comes to an end holds up nothing of the next connection, and says nothing for it."""
        self.connection.hear(Negotiate())
        self.wait(FRESH_FOR)
        self.take_said()
        self.wire.is_slow = True
        slow = self.wire
        self.connection.hear(Answer(slow.connection._id, 1, "sdp"))
        self.connection.hear(Negotiate())
        self.assertEqual(1, len(self.take_said()))
        slow.waiting[0].callback(None)
        self.assertEqual([], self.take_said())

    def test_old_wire(self) -> None:
        """Events of an older connection are ignored."""
        self.asked()
        old = self.wire
        self.wait(FRESH_FOR)
        self.connection.hear(Negotiate())
        old.become(True)
        self.connection.opened(old)
        self.connection.heard(old, "x")
        self.assertEqual(([], 0, []), (self.flows, self.openings, self.notes))

    def test_notes(self) -> None:
        """Notes go to the present connection and come from it; without one they are lost."""
        self.connection.send(b"lost")
        self.asked()
        self.connection.send(b"x")
        self.connection.opened(self.wire)
        self.connection.heard(self.wire, "y")
        self.assertEqual((["offer", ("send", b"x")], 1, ["y"]), (self.log, self.openings, self.notes))

    def test_farewell(self) -> None:
        """The last note has a moment to reach the other side; then everything is closed."""
        self.asked()
        self.wire.become(True)
        closed = self.connection.close(b"bye")
        self.assertEqual(("send", b"bye"), self.log[-1])
        self.assertNoResult(closed)
        self.clock.advance(FAREWELL)
        self.successResultOf(closed)
        self.assertTrue(self.wire.is_closed)

    def test_no_farewell(self) -> None:
        """Where no media flows nobody would hear it."""
        self.asked()
        self.successResultOf(self.connection.close(b"bye"))
        self.assertEqual(["offer", "close"], self.log)

    @settings(max_examples=50)
    @given(st.lists(good_frames(RELAYED), max_size=20))
    def test_anything(self, messages: list[dict[str, Any]]) -> None:
        """Whatever is said, in whatever order, raises nothing."""
        for message in messages:
            read = parse_relayed(written(message))
            assert read is not None
            self.connection.hear(read)
            self.wait(1)


class AnsweringTests(ConnectionCase):
    """This side answers."""

    offers = False

    def offered(self, sdp: str = "sdp", connection: str = THEIRS, number: int = 1) -> None:
        """Let the other side offer."""
        self.take_said()
        self.connection.hear(Offer(connection, number, sdp))

    def test_asks(self) -> None:
        """It asks at once, and every two seconds again, until it is offered something."""
        self.assertEqual([Negotiate()], self.take_said())
        self.wait(ASK_EVERY)
        self.assertEqual([Negotiate()], self.take_said())
        self.offered()
        self.assertEqual([Answer(THEIRS, 1, "answer sdp")], self.take_said())
        self.wait(ASK_EVERY)
        self.assertEqual([], self.take_said())

    def test_asked(self) -> None:
        """It offers nothing, whichever side asks."""
        self.offered()
        self.take_said()
        self.connection.hear(Negotiate())
        self.connection.hear(Restart(THEIRS))
        self.assertEqual([], self.take_said())

    def test_offered_another(self) -> None:
        """An offer of another connection ends the one before."""
        self.offered()
        self.offered(connection=OTHERS)
        self.assertEqual([Answer(OTHERS, 1, "answer sdp")], self.take_said())
        self.assertTrue(self.wires[0].is_closed)

    def test_offered_a_change(self) -> None:
        """An offer on the present connection is answered on it, with its round."""
        self.offered()
        self.offered("another sdp", number=2)
        self.assertEqual([Answer(THEIRS, 2, "answer sdp")], self.take_said())
        self.assertEqual(1, len(self.wires))

    def test_offered_twice(self) -> None:
        """The same offer again has the same answer again, which may have been lost."""
        self.offered()
        self.offered()
        self.assertEqual([Answer(THEIRS, 1, "answer sdp")], self.take_said())
        self.assertEqual([("answer", "sdp"), "described"], self.log)

    def test_offered_a_restart(self) -> None:
        """Since it cannot restart ICE it asks for a new connection, though media flows, until it is offered one."""
        self.offered()
        self.wire.become(True)
        self.offered("restart", number=2)
        self.assertEqual([Negotiate()], self.take_said())
        self.offered("restart", number=2)
        self.assertEqual([], self.take_said())
        self.wait(ASK_EVERY)
        self.assertEqual([Negotiate()], self.take_said())
        self.offered(connection=OTHERS)
        self.take_said()
        self.wire.become(True)
        self.wait(60)
        self.assertEqual([], self.take_said())

    def test_lost(self) -> None:
        """When the connection is lost it asks for another."""
        self.offered()
        self.take_said()
        self.wire.become(True)
        self.wire.become(False)
        self.wait(LOOK_EVERY)
        self.assertEqual([Negotiate()], self.take_said())

    def test_reached_again(self) -> None:
        """When the room reaches the other side again and nothing flows it asks at once."""
        self.connection.reach(False)
        self.take_said()
        self.connection.reach(True)
        self.assertEqual([Negotiate()], self.take_said())

    def test_answers(self) -> None:
        """It takes no answers."""
        self.offered()
        self.connection.hear(Answer(THEIRS, 1, "sdp"))
        self.assertEqual([("answer", "sdp"), "described"], self.log)

    @settings(max_examples=50)
    @given(st.lists(good_frames(RELAYED), max_size=20))
    def test_anything(self, messages: list[dict[str, Any]]) -> None:
        """Whatever is said, in whatever order, raises nothing."""
        for message in messages:
            read = parse_relayed(written(message))
            assert read is not None
            self.connection.hear(read)
            self.wait(1)
