"""When Python looks for garbage that refers to itself.

A daemon full of devices has very many objects that live for days and next to no such garbage, and by default
Python looks at the young ones after every 700. That was a tenth of a connection's cost, and a fifth with Redis.
"""

from __future__ import annotations

import gc
from typing import Final

_YOUNG: Final = 20_000
"""Objects more than were freed, after which the young ones are looked at."""
_MIDDLE: Final = 20
"""So many times that, the middle-aged ones too."""
_OLD: Final = 50
"""And so many times that, all; Python itself sees to it that this is not done for a few."""


def look_for_it_less_often() -> None:
    """Set the limits for the whole process."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)
