"""The table of calls is whole: every state and event have a transition, or a reason to have none."""

from __future__ import annotations

import inspect
from itertools import product
from types import NoneType
from typing import get_args

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import rules
from callnet.calls.call import IGNORED, TABLE
from callnet.calls.events import CallEvent, Event
from callnet.records import CallState

STATES = (NoneType, *get_args(CallState))


class TableTests(SynchronousTestCase):
    """Four states, no call among them, and every event of a call."""

    def test_total(self) -> None:
        """Each pair is in the table, or is ignored for a reason, and not both."""
        pairs = set(product(STATES, get_args(CallEvent)))
        self.assertEqual(pairs, TABLE.keys() | IGNORED.keys())
        self.assertEqual(set(), TABLE.keys() & IGNORED.keys())
        for why in IGNORED.values():
            self.assertTrue(why.endswith("."), why)

    def test_told_apart(self) -> None:
        """A transition says of one state what happens then, and is called with the draft, the call and the event."""
        for (state, event), transition in TABLE.items():
            self.assertTrue(inspect.getdoc(transition), transition)
            draft, call, happened = inspect.signature(transition).parameters.values()
            self.assertEqual(("draft", "Draft"), (draft.name, draft.annotation))
            self.assertIn("None" if state is NoneType else state.__name__, call.annotation)
            self.assertIn(event.__name__, happened.annotation)

    def test_events(self) -> None:
        """Every event that is brought to the rules leads to a machine."""
        self.assertEqual(set(get_args(Event)), rules._MACHINES.keys())
