"""Properties of calls under any fault: the store is away at any moment, commands are lost, a node is cut off."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.ports import ICallStore
from tests.support.late_store import LateCallStore
from tests.support.nodes import NodeBus
from tests.support.phones import Connection
from tests.unit.test_call_properties import LateCalls, TalkingCalls, check_total


class LossyCalls(LateCalls):
    """Commands of the first node are lost, or their answers, or its store is away for some time."""

    def make_store(self, store: ICallStore) -> ICallStore:
        """Make the store of the first node."""
        self.late = LateCallStore(store, NodeBus(self.cluster, store.node), self.on_next_turn)
        return self.late

    @rule(lost=st.lists(st.booleans(), min_size=1, max_size=4))
    def commands_are_lost(self, lost: list[bool]) -> None:
        """They never come through."""
        self.late.lost_commands.extend(lost)

    @rule(lost=st.lists(st.booleans(), min_size=1, max_size=4))
    def answers_are_lost(self, lost: list[bool]) -> None:
        """The commands come through, and nobody hears of it."""
        self.late.lost_answers.extend(lost)

    @rule(away=st.booleans())
    def comes_and_goes(self, away: bool) -> None:
        """The store is away, or back."""
        self.late.is_away = away

    def teardown(self) -> None:
        """In the end the store is there."""
        self.late.is_away = False
        self.late.lost_commands.clear()
        self.late.lost_answers.clear()
        super().teardown()


class CutOffCalls(TalkingCalls):
    """The first node is cut off now and then: nobody hears of it, and it has only records of its own."""

    @rule(cut_off=st.booleans())
    def link(self, cut_off: bool) -> None:
        """The link breaks, or heals."""
        if cut_off:
            self.first.is_cut_off()
        else:
            self.first.is_back()

    def check_rooms(self, connection: Connection) -> None:
        """Assert that no device still rings or talks: it heard of the end, or was told when it asked."""
        live = {call.room for call in self.tables.calls.values() if call.end is None}
        assert not live.intersection(self.rooms_left_open(connection))
        if connection.address not in self.callers:
            super().check_rooms(connection)

    def check_outcomes(self, outcomes: list[tuple[int, bool]]) -> None:
        """Assert that the device that was cut off hears of an outcome when it is back."""
        check_total(outcomes)

    def teardown(self) -> None:
        """In the end the link is whole."""
        self.first.is_back()
        super().teardown()


class CallFaultTests(SynchronousTestCase):
    """At random, many times over."""

    settings = settings(max_examples=60, stateful_step_count=40)

    def test_lossy_store(self) -> None:
        """One of two nodes has a store that is late, loses things and is away."""
        run_state_machine_as_test(LossyCalls, settings=self.settings)

    def test_node_that_is_cut_off(self) -> None:
        """One of two nodes is cut off and comes back."""
        run_state_machine_as_test(CutOffCalls, settings=self.settings)
