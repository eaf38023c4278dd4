"""The number of functions on the way of a call, which is counted without noise."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

import callnet
from tests.support.wires import World

FUNCTIONS: Final = 134
"""Functions of ours that a whole call may take: three frames in, three out."""
DEPTH: Final = 13
"""Of them, so many may be on the stack at once."""
_CALLS: Final = 10
_OURS: Final = str(Path(callnet.__file__).parent)
_SCHEMAS: Final = str(Path(callnet.__file__).parent / "schemas")
"""The test client looks at them."""


class CallPathTests(SynchronousTestCase):
    """Calls between two base devices on one node."""

    def setUp(self) -> None:
        """Connect both, and have them call once: what is made at the first call counts no more."""
        self.world = World()
        self.addCleanup(self.world.stop)
        self.ann, self.tv = self.world.device("13651884968", "phone"), self.world.device("13651884967", "tv")
        self.counts: Counter[str] = Counter()
        self.depth = self.deepest = 0
        self.call()

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

    def note(self, frame: FrameType, event: str, _: object) -> None:
        """Count a function of ours that begins or ends."""
        code = frame.f_code
        if not code.co_filename.startswith(_OURS) or code.co_filename.startswith(_SCHEMAS):
            return
        if event == "call":
            self.counts[f"{Path(code.co_filename).name} {code.co_qualname}"] += 1
            self.depth += 1
            self.deepest = max(self.deepest, self.depth)
        elif event == "return":
            self.depth -= 1

    def test_functions(self) -> None:
        """A call takes no more functions than it did, and none is nested deeper."""
        sys.setprofile(self.note)
        try:
            for _ in range(_CALLS):
                self.call()
        finally:
            sys.setprofile(None)
        most = [f"{count / _CALLS:.1f} {name}" for name, count in self.counts.most_common(12)]
        taken = sum(self.counts.values()) / _CALLS
        self.assertLessEqual(taken, FUNCTIONS, most)
        self.assertLessEqual(self.deepest, DEPTH)
