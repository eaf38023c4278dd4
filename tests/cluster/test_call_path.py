"""The number of functions on the way of a call by way of Redis, without the sockets of the devices."""

from __future__ import annotations

from typing import Final

from tests.cluster.case import ANN, TV
from tests.cluster.simulated import SimulatedCase
from tests.support.call_path import CallPath

FUNCTIONS: Final = 185
"""Functions of ours that a whole call may take on one node: three frames in, three out."""
FUNCTIONS_APART: Final = 276
"""The same if its devices are on two nodes."""
DEPTH: Final = 12
"""The most of them that may be on the stack at once."""


class CallPathTests(SimulatedCase):
    """Calls between two base devices."""

    def path(self, nodes: int) -> CallPath:
        """The path of a call on this number of nodes."""
        here, *_, there = [*self.world.start(nodes)] * 2  # one node is both
        [ann], [tv] = self.world.phones(here, [ANN]), self.world.phones(there, [TV])

        def call() -> None:
            ann.calls(TV)
            self.world.settle()
            tv.accepts()
            self.world.settle()
            ann.hangs_up(ann.last("call_success")["room_id"])
            self.world.settle()
            self.assertEqual("calling_be_hangup:hangup", tv.told[-1])

        return CallPath(call)

    def test_one_node(self) -> None:
        """On one node it takes no more function calls than before, and none is nested deeper."""
        path = self.path(1)
        self.assertLessEqual(path.functions, FUNCTIONS, path.most)
        self.assertLessEqual(path.deepest, DEPTH)

    def test_two_nodes(self) -> None:
        """The same on two."""
        path = self.path(2)
        self.assertLessEqual(path.functions, FUNCTIONS_APART, path.most)
        self.assertLessEqual(path.deepest, DEPTH)
