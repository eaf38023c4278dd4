"""For tests of something else: nobody does anything too often."""

from __future__ import annotations

from time import monotonic
from typing import Final

from callnet.config import LimitSettings
from callnet.operations.limits import LimitsAlone, Pace, SignalLimits

UNLIMITED: Final = LimitSettings(**dict.fromkeys(LimitSettings.__struct_fields__, 0))
ALONE: Final = LimitsAlone(monotonic)
ANY_NUMBER: Final = SignalLimits(UNLIMITED, ALONE)
ANY_PACE: Final = Pace(0)
