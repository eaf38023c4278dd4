"""Every frame of a client of callnet is checked against the schemas, in both directions."""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from callnet.schemas import (
    FROM_DEVICE,
    FROM_EXTENDED,
    FROM_GUEST,
    TO_DEVICE,
    TO_EXTENDED,
    TO_GUEST,
    Direction,
)
from callnet_client import Watch
from tests.support.frame_schemas import check

log = Logger()


def checked(extended: bool = False) -> Watch:
    """A watch for a client. A frame that is not as the schemas say fails the test."""
    received, sent = (TO_EXTENDED, FROM_EXTENDED) if extended else (TO_DEVICE, FROM_DEVICE)
    return lambda payload, is_sent: look(sent if is_sent else received, payload)


def _look_at_guest(payload: bytes, is_sent: bool) -> None:
    look(FROM_GUEST if is_sent else TO_GUEST, payload)


CHECKED_GUEST: Final[Watch] = _look_at_guest
"""The same for a guest."""


def look(direction: Direction, payload: bytes) -> None:
    """Check a frame. An exception here would get lost in a socket; a logged one fails a test of trial."""
    try:
        check(direction, payload)
    except AssertionError:
        log.failure("a frame that is not as the schemas say")
