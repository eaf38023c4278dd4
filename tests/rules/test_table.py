"""The table of calls is whole: every state and event have a transition, or a reason to have none."""

from __future__ import annotations

import inspect
from itertools import product
from types import NoneType
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import switchboard
from callnet.calls.events import Event, RoomEvent
from callnet.calls.machine import IGNORED, TABLE
from callnet.calls.records import CallState

STATES = (NoneType, *get_args(CallState))
OF_CALLS = {event for _, event in (*TABLE, *IGNORED)}


def kinds(event: type[Event]) -> set[type[Event]]:
    """All kinds of an event, but those that only others are made of."""
    further = event.__subclasses__()
    own = {event} if not further or event in switchboard._MACHINES else set()
    return own.union(*map(kinds, further))


class TableTests(SynchronousTestCase):
    """Four states, no call among them, and every event of a call."""

    def test_total(self) -> None:
        """Each pair is in the table, or is ignored for a reason, and not both."""
        self.assertEqual(set(product(STATES, OF_CALLS)), TABLE.keys() | IGNORED.keys())
        self.assertEqual(set(), TABLE.keys() & IGNORED.keys())
        for why in IGNORED.values():
            self.assertTrue(why.endswith("."), why)

    def test_told_apart(self) -> None:
        """A transition is for one state, and is called with the tx, the call and the event."""
        for (state, event), transition in TABLE.items():
            self.assertTrue(inspect.getdoc(transition), transition)
            tx, call, happened = inspect.signature(transition).parameters.values()
            self.assertEqual(("tx", "Transaction"), (tx.name, tx.annotation))
            self.assertIn("None" if state is NoneType else state.__name__, call.annotation)
            self.assertIn(event.__name__, happened.annotation)

    def test_events(self) -> None:
        """Every event leads to a machine, or follows from another event in a call."""
        self.assertEqual(kinds(Event), switchboard._MACHINES.keys() | OF_CALLS)
        for event in kinds(RoomEvent) - switchboard._MACHINES.keys():
            self.assertIn(event, OF_CALLS)
