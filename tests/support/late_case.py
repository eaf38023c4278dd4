"""A room manager whose store takes its time."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from callnet.calls.ports import ICallStore
from callnet.errors import Unavailable
from callnet.model import Outcome, Reason, RoomId
from tests.support.late_store import LateCallStore
from tests.support.nodes import NodeBus
from tests.support.rooms_case import ANN, TV, RoomsCase

NEWEST = 10**15
"""Greater than any connection's generation."""


class LateCase(RoomsCase):
    """The first node's store is far away; the other node is faster."""

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        self.late = LateCallStore(store, NodeBus(self.cluster, store.node), self.on_next_turn)
        return self.late

    def ringing(self) -> tuple[list[Outcome], RoomId]:
        """Ann calls the television, which rings."""
        self.ann, self.tv = self.connect(ANN), self.connect(TV)
        outcomes = self.call(ANN, TV)
        return outcomes, self.room_of(self.tv)


class AwayCase(LateCase):
    """The first node's store can be away."""

    def assert_unavailable(self, asked: Deferred[Any]) -> None:
        """The store was away when this was asked for."""
        self.pass_turns()
        self.failureResultOf(asked, Unavailable)

    def assert_fails(self, called: Deferred[Any]) -> None:
        """The store was away when this call was placed."""
        self.pass_turns()
        self.assertIs(Reason.UNAVAILABLE, self.successResultOf(called).reason)

    def goes_away(self) -> None:
        """Let the store be away from now on."""
        self.late.is_away = True

    def is_back(self, seconds: float = 0.75) -> None:
        """Let it be back, and some time pass."""
        self.late.is_away = False
        self.wait(seconds)

    def lose_read(self) -> None:
        """Let the next read never come through."""
        self.late.lost_commands.append(True)

    def lose_command(self) -> None:
        """Let the next commit never come through."""
        self.late.lost_commands.extend([False, True])

    def lose_answer(self) -> None:
        """Let the next commit come through, and nobody hear of it."""
        self.late.lost_answers.extend([False, True])
