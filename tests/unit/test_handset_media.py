"""A handset with ``--media``, beside the table of :mod:`callnet.cli.handset`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from callnet.cli.handset import Answering
from callnet_client import EXTENDED, DeviceAddress
from tests.support.handset_case import FRIEND, OTHER, ROOM, ROOM_2, HandsetCase


class Rooms:
    """Media that remembers in which rooms it was."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.is_held: Callable[[], bool]

    def enter(self, room_id: str, is_held: Callable[[], bool], note: Callable[[str], None]) -> None:
        """Remember it, and say so."""
        self.events.append(room_id)
        self.is_held = is_held
        note("entered")

    def leave(self) -> None:
        """Remember it."""
        self.events.append("left")


class MediaTests(HandsetCase):
    """At a server that knows the base protocol only."""

    def setUp(self) -> None:
        """Bring media."""
        super().setUp()
        self.rooms = Rooms()

    def test_called(self) -> None:
        """It is in the room from when it accepts until the call is over, and shows what happens there."""
        self.start("accept", media=self.rooms)
        self.ring()
        self.assertEqual([ROOM], self.rooms.events)
        self.assert_shown("entered")
        self.be_hung_up()
        self.assertEqual([ROOM, "left"], self.rooms.events)

    def test_calling(self) -> None:
        """So is a caller, from when it is answered."""
        self.start(callee=FRIEND, media=self.rooms)
        self.assert_said("call")
        self.assertEqual([], self.rooms.events)
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.handset.interrupted()
        self.assertEqual([ROOM, "left"], self.rooms.events)

    def test_called_by_another(self) -> None:
        """A new call ends the one before, in its room too."""
        self.start("accept", media=self.rooms)
        self.ring()
        self.ring(OTHER, ROOM_2)
        self.assertEqual([ROOM, "left", ROOM_2], self.rooms.events)


class WelcomeTests(HandsetCase):
    """At a server that knows the extended protocol."""

    def setUp(self) -> None:
        """Let it choose that."""
        super().setUp()
        self.server.subprotocol = EXTENDED
        self.rooms = Rooms()

    def welcome(self, peer: DeviceAddress | None = None, state: str = "active", **fields: Any) -> None:
        """Welcome it, with the call that it is in."""
        call: dict[str, Any] = {"room_id": ROOM, "state": state, "direction": "incoming"}
        if peer is not None:
            call |= {"peer_phone": peer.phone, "peer_device_id": peer.device_id}
        self.say("welcome", **({} if peer is None and not fields else {"call": call | fields}))

    def test_idle(self) -> None:
        """A handset without a call waits for one, as soon as it is welcome."""
        self.start(media=self.rooms)
        self.assertEqual([], [line for line in self.lines if "waiting" in line])
        self.welcome()
        self.assert_shown("waiting for calls")

    def test_calling(self) -> None:
        """It calls as soon as it is welcome."""
        self.start(callee=FRIEND, media=self.rooms)
        self.assert_said()
        self.welcome()
        self.assert_said("call")

    def test_started_anew_in_a_call(self) -> None:
        """A handset restarted in a call continues it, as caller or callee."""
        for callee in (None, FRIEND, DeviceAddress(FRIEND.phone, "*")):
            self.rooms = Rooms()
            self.start(callee=callee, media=self.rooms)
            self.welcome(FRIEND)
            self.assertEqual([ROOM], self.rooms.events)
            self.assert_said()
            self.be_hung_up()
            self.assertEqual([ROOM, "left"], self.rooms.events)
            if callee is not None:
                self.assert_done(0)

    def test_on_hold(self) -> None:
        """It sends nothing while the other side holds the call, also if it was restarted meanwhile."""
        self.start(media=self.rooms)
        self.welcome(FRIEND, on_hold=True)
        self.assertTrue(self.rooms.is_held())
        for state in ("resumed", "held"):
            self.say("peer_state", room_id=ROOM, state=state)
            self.assertEqual(state == "held", self.rooms.is_held())

    def test_started_anew_to_call_another(self) -> None:
        """Unless it is to call someone else."""
        self.start(callee=OTHER, media=self.rooms)
        self.welcome(FRIEND)
        self.assert_said("calling_hangup", "call")
        self.assertEqual([], self.rooms.events)

    def test_started_anew_while_it_rings(self) -> None:
        """A ringing call is announced again by ``called``."""
        self.start("accept", media=self.rooms)
        self.welcome(FRIEND, state="ringing")
        self.assert_said()
        self.ring()
        self.assert_said("called_success")

    def test_odd_welcome(self) -> None:
        """A welcome that makes no sense is one without a call."""
        self.start(media=self.rooms)
        self.welcome(FRIEND, room_id=7)
        self.welcome(None, later=True)
        self.assertEqual([], self.rooms.events)

    def talk(self, answering: Answering) -> None:
        """Turn it on, and be in a call with the friend, while another one rings."""
        self.rooms = Rooms()
        self.start(answering, media=self.rooms)
        self.welcome(FRIEND)
        self.ring(OTHER, ROOM_2, auto_answer=True)

    def test_second_call(self) -> None:
        """The person is asked about a second call, also of a listed caller; to accept it ends the first."""
        both: tuple[Answering, ...] = ("ask", "listed")
        for answering in both:
            self.talk(answering)
            self.assert_shown("13651884969 pad is calling: end this call and accept? [y/n]")
            self.assertEqual([ROOM], self.rooms.events)
            self.handset.typed("y")
            self.assert_said("called_success")
            self.assertEqual([ROOM, "left", ROOM_2], self.rooms.events)

    def test_second_call_refused(self) -> None:
        """The first goes on."""
        self.talk("ask")
        self.handset.typed("n")
        self.assert_said("called_refuse")
        self.assertEqual([ROOM], self.rooms.events)

    def test_second_call_after_the_first(self) -> None:
        """Ctrl-C hangs up the first, and the second may still be accepted."""
        self.talk("ask")
        self.handset.interrupted()
        self.handset.typed("y")
        self.assert_said("calling_hangup", "called_success")
        self.assertEqual([ROOM, "left", ROOM_2], self.rooms.events)

    def test_no_second_call(self) -> None:
        """A handset that asks nobody, or is to call someone, does not show a second call."""
        others: tuple[tuple[Answering, DeviceAddress | None], ...]
        others = (("accept", None), ("refuse", None), ("ask", FRIEND))
        for answering, callee in others:
            self.start(answering, callee, media=self.rooms)
            self.assertNotIn("call_waiting", self.server.requests[-1].params)
