"""The policy and settings that a connecting device is told, when these come late or have just changed."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from callnet.calls.preferences import ANYONE, NOBODY, PLAIN, UNREADABLE, Policy, Preferences, encode_names
from callnet.util.deferreds import Ready, Soon
from tests.support.people_case import ANN, TV
from tests.support.plain_preferences import PlainPreferences
from tests.support.quiet import QuietTestCase
from tests.support.wires import World

NAMED = Preferences(names=encode_names({ANN.phone: "Ann"}))
BLOCKED = Preferences(Policy(frozenset([ANN.phone])))


class LatePreferences(PlainPreferences):
    """They are known when the test says so, but for who may call."""

    def __init__(self) -> None:
        self.policy = ANYONE
        self.target: list[Deferred[Preferences]] = []

    def policy_of(self, phone: str) -> Soon[Policy]:
        """See :meth:`IPreferences.policy_of`."""
        return Ready(self.policy if phone == TV.phone else ANYONE)

    def of(self, phone: str) -> Soon[Preferences]:
        """See :meth:`IPreferences.of`."""
        if phone != TV.phone:
            return Ready(PLAIN)
        self.target.append(Deferred())
        return self.target[-1]


class IntroductionTests(QuietTestCase):
    """The television connects."""

    def make_world(self) -> World:
        """A server that has not read any names yet."""
        self.late = LatePreferences()
        return World(preferences=self.late)

    def setUp(self) -> None:
        """Ann is there."""
        super().setUp()
        self.ann = self.world.device(*ANN)

    def calls(self) -> None:
        """Let Ann call the television."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)

    def policy(self) -> Policy:
        """The policy of the television in its record."""
        found = self.world.store.known().device(TV)
        assert found is not None
        return found.policy

    def test_late_names(self) -> None:
        """Nobody waits for names to be called: who calls before they are known is announced without one."""
        tv = self.world.device(*TV)
        self.calls()
        self.assertNotIn("from_name", tv.hears())
        tv.say("called_refuse", from_phone=ANN.phone, from_device_id=ANN.device_id, room_id=self.room())
        self.late.target.pop().callback(NAMED)
        self.calls()
        self.assertEqual("Ann", tv.hears()["from_name"])

    def room(self) -> str:
        """The room of the only call."""
        (room,) = self.world.store.known().calls
        return str(room)

    def test_policy_that_has_changed(self) -> None:
        """A caller that the owner blocked while the device connected may not call it."""
        self.world.device(*TV)
        self.late.target.pop().callback(BLOCKED)
        self.assertEqual(BLOCKED.policy, self.policy())
        self.calls()
        self.assertEqual("offline", self.ann.hears()["reason"])

    def test_unreadable(self) -> None:
        """If the rest cannot be read now the known part does not change."""
        tv = self.world.device(*TV)
        self.late.target.pop().callback(UNREADABLE)
        self.assertEqual(ANYONE, self.policy())
        self.calls()
        self.assertEqual("called", tv.hears()["type"])

    def test_read_late(self) -> None:
        """Nobody may call while it could not be read who may, and then it is as the owner wants it."""
        self.late.policy = NOBODY
        tv = self.world.device(*TV)
        self.late.target.pop().callback(UNREADABLE)
        self.calls()
        self.assertEqual("offline", self.ann.hears()["reason"])
        self.world.rooms.change_policy(TV.phone, NAMED)
        self.calls()
        self.assertEqual("Ann", tv.hears()["from_name"])

    def test_gone(self) -> None:
        """A policy that comes when the device is gone, or its store forgets it, does no harm."""
        tv = self.world.device(*TV)
        tv.leave()
        self.late.target.pop().callback(BLOCKED)
        self.world.advance(120)
        self.world.rooms.change_policy(TV.phone, NAMED)
        self.calls()
        self.assertEqual("offline", self.ann.hears()["reason"])
