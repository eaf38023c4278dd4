"""The one switch of all short paths.

Where most of the time went, callnet has a way of its own beside the general one of its libraries: it reads
and writes short frames, reads plain handshakes, and hands what is written to the system at once. With
``CALLNET_SHORT_PATH=off`` in the environment everything goes the general way. Nothing else changes, which is
what the tests that compare both are for.
"""

from __future__ import annotations

import os
from typing import Final

ON: Final = os.environ.get("CALLNET_SHORT_PATH", "on") != "off"
