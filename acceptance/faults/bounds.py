"""The times of a fault run, and how long things may take. Seconds."""

from __future__ import annotations

from typing import Final

RING_TIME: Final = 6.0
GRACE: Final = 5.0
REMEMBERED: Final = 60.0
"""For so long after the end of a call devices are told of it that may not have heard."""
OLD_END: Final = 1.0
"""The time after its connect in which a base device is told an old end."""
LEASE: Final = 3.0
"""A node that has not been heard of for so long is dead to the others."""
BEAT: Final = 1.0
"""The interval at which a node renews its lease."""
QUIET: Final = 5.0
"""For so long after a new run of Redis nobody sweeps."""
COMMAND: Final = 1.5
"""A command that was not answered within this does nothing any more, and its connection is dropped."""
ANNOUNCED: Final = 5.0
"""Within this after the return of Redis or of a link everything is announced again."""

STANDS_STILL: Final = LEASE + GRACE + 5.0
"""For so long at most the injector has a node stand still, or cuts its link."""

SLACK: Final = 1.0
"""The delay of the harness itself: it shares the machine with everything that it tries."""
TOLD: Final = 2.0 + SLACK
"""An event of a call is known to everyone in it within this: a message, or else the next sweep."""
UNAVAILABLE: Final = 2.0 + SLACK
"""A call that cannot be placed because Redis is away fails within this."""
LOST_WITH_NODE: Final = GRACE + 5.0
"""Within this after a node was killed the peers of its devices are told ``connection_lost``."""
STUCK: Final = RING_TIME + GRACE + SLACK
"""Nobody is ever stuck for longer than this after the last fault that concerns it."""
CLEARLY_AWAY: Final = 0.8 * GRACE
"""A device that was away for longer than this may have been found to be gone longer than the grace."""
