"""Servers of others that the harness starts."""

from __future__ import annotations

import sys

from twisted.trial.unittest import SynchronousTestCase

from harness.own_servers import start

TALKATIVE = "import sys; sys.stderr.write('ready\\n'); sys.stderr.write('x' * 1_000_000)"
"""A server that writes more than a pipe holds, and ends."""


class StartTests(SynchronousTestCase):
    """``start``."""

    def test_much_is_logged(self) -> None:
        """A server goes on however much it logs once it is ready."""
        self.assertEqual(0, start([sys.executable, "-c", TALKATIVE], "ready").wait(60))

    def test_it_ends(self) -> None:
        """A server that ends before it is ready is an error, with its last words."""
        error = self.assertRaises(RuntimeError, start, [sys.executable, "-c", "raise SystemExit('no')"], "ready")
        self.assertIn("no", str(error))
