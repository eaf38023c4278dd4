"""The number of functions on the way of a call, which is counted without noise."""

from __future__ import annotations

from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.support.call_path import CallPath
from tests.support.wires import World

FUNCTIONS: Final = 113
"""Functions of ours that a whole call may take: three frames in, three out."""
DEPTH: Final = 13
"""The most of them that may be on the stack at once."""


class CallPathTests(SynchronousTestCase):
    """Calls between two base devices on one node."""

    def setUp(self) -> None:
        """Connect both."""
        self.world = World()
        self.addCleanup(self.world.stop)
        self.ann, self.tv = self.world.device("13651884968", "phone"), self.world.device("13651884967", "tv")

    def call(self) -> None:
        """Call, accept, hang up."""
        self.ann.say("call", to_phone="13651884967", to_device_id="tv")
        called = self.tv.hears()
        self.assertEqual("called", called["type"])
        answer = {"from_phone": "13651884968", "from_device_id": "phone", "room_id": called["room_id"]}
        self.tv.say("called_success", **answer)
        self.assertEqual("call_success", self.ann.hears()["type"])
        names = {"notified_phone": "13651884967", "notified_device_id": "tv", "room_id": called["room_id"]}
        self.ann.say("calling_hangup", **names)
        self.assertEqual("calling_be_hangup", self.tv.hears()["type"])

    def test_functions(self) -> None:
        """A call takes no more function calls than before, and none is nested deeper."""
        path = CallPath(self.call)
        self.assertLessEqual(path.functions, FUNCTIONS, path.most)
        self.assertLessEqual(path.deepest, DEPTH)
