"""For tests of something else: nobody does anything too often, and there is no TURN server."""

from __future__ import annotations

from time import monotonic
from typing import Final

from callnet.config.schema import LimitSettings, TurnSettings
from callnet.ops.ice import IceServers, TurnSecret
from callnet.ops.limits import LimitsAlone, SignalLimits

UNLIMITED: Final = LimitSettings(**dict.fromkeys(LimitSettings.__struct_fields__, 0))
ALONE: Final = LimitsAlone(monotonic)
ANY_NUMBER: Final = SignalLimits(UNLIMITED, ALONE)
NO_TURN: Final = TurnSettings()
NO_SERVERS: Final = IceServers(NO_TURN, TurnSecret(""), UNLIMITED, ALONE, monotonic)
