"""The ports that tests and proofs give their servers."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from harness.ports import free_ports

COUNT: Final = 60
_ASK: Final = f"import json; from harness.ports import free_ports; print(json.dumps(free_ports({COUNT})))"


class PortTests(SynchronousTestCase):
    """Processes that look for ports side by side."""

    def test_other_process(self) -> None:
        """No other process is given a port of this one, though nothing listens there yet, or just now."""
        given = set(free_ports(COUNT))
        other = subprocess.run([sys.executable, "-c", _ASK], cwd=ROOT, capture_output=True, check=True)
        self.assertEqual((len(given), given & set(json.loads(other.stdout))), (COUNT, set()))

    def test_again(self) -> None:
        """A port is not given a second time soon, as its server may come back."""
        self.assertEqual(len({*free_ports(COUNT // 2), *free_ports(COUNT // 2)}), COUNT)
