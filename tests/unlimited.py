"""For tests of something else: nobody does anything too often."""

from __future__ import annotations

from time import monotonic
from typing import Final

from callnet.config import LimitSettings
from callnet.operations.limits import Pace, SignalLimits

UNLIMITED: Final = LimitSettings(**dict.fromkeys(LimitSettings.__struct_fields__, 0))
ANY_NUMBER: Final = SignalLimits(UNLIMITED, monotonic)
ANY_PACE: Final = Pace(0)
