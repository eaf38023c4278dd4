"""The client of callnet, every frame of which is checked against the schemas, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from callnet import client
from callnet.client import Device, Frame
from callnet.schemas.frames import FROM_DEVICE, FROM_EXTENDED, TO_DEVICE, TO_EXTENDED, Direction
from tests.frame_schemas import check

log: Final = Logger()


def connect(
    url: str,
    token: str,
    reactor: Any,
    *,
    extended: bool = False,
    on_frame: Callable[[Frame], object] | None = None,
    **options: Any,
) -> Deferred[Device]:
    """Do what :func:`callnet.client.connect` does. A frame that is not as the schemas say fails the test."""
    to_device, from_device = (TO_EXTENDED, FROM_EXTENDED) if extended else (TO_DEVICE, FROM_DEVICE)

    def received(frame: Frame) -> None:
        look(to_device, frame.raw)
        if on_frame is not None:
            on_frame(frame)

    def sent(payload: bytes) -> None:
        look(from_device, payload)

    return client.connect(url, token, reactor, extended=extended, on_frame=received, on_sent=sent, **options)


def look(direction: Direction, payload: bytes) -> None:
    """Check a frame. What is raised here would get lost in a socket; what is logged fails a test of trial."""
    try:
        check(direction, payload)
    except AssertionError:
        log.failure("a frame that is not as the schemas say")
