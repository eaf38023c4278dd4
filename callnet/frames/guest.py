"""The frames of guests, who call by a link (protocol §2.7). They name no phones and devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from callnet.frames import base, v2
from callnet.frames.base import ErrorFrame, Frame
from callnet.frames.decode import Fields, Grammar
from callnet.model import Reason, RoomId
from callnet.util.schema_hints import NOT_NEGATIVE, PAGE, ROOM, one_of

FAILURES: Final = (
    Reason.BUSY,
    Reason.NO_ANSWER,
    Reason.RATE_LIMITED,
    Reason.SHUTTING_DOWN,
    Reason.UNAVAILABLE,
    Reason.INTERNAL,
)
"""The reasons of a ``call_failed``."""

# Requests of guests


class Ring(Frame, frozen=True, tag="ring"):
    """A guest calls. There is one call at a time: while it rings, this changes nothing."""


class Hangup(Frame, frozen=True, tag="calling_hangup"):
    """A guest ends its call."""


GuestRequest: TypeAlias = Ring | Hangup | v2.Ping
"""The requests of a guest."""

# Messages to guests


class Welcome(Frame, frozen=True, tag="welcome"):
    """The first frame on a connection."""

    ping_every: Annotated[int, NOT_NEGATIVE]
    """Seconds."""
    state: Literal["idle", "ringing", "active"]
    """The state of the guest's call; ``idle``: there is none."""


class CallSuccess(Frame, frozen=True, tag="call_success"):
    """The call was accepted."""

    room_id: Annotated[RoomId, ROOM]
    page: Annotated[str, PAGE]


class CallRefuse(Frame, frozen=True, tag="call_refuse"):
    """The call was refused."""

    reason: Annotated[Reason, one_of(base.REFUSALS)]


class CallFailed(Frame, frozen=True, tag="call_failed"):
    """The call failed. ``no_answer`` says nothing of the link, nor of whether anybody is there."""

    reason: Annotated[Reason, one_of(FAILURES)]


class CallingBeHangup(Frame, frozen=True, tag="calling_be_hangup"):
    """Ends the call."""

    room_id: Annotated[RoomId, ROOM]
    reason: Annotated[Reason, one_of(base.ENDINGS)]


GuestMessage: TypeAlias = Welcome | CallSuccess | CallRefuse | CallFailed | CallingBeHangup | v2.Pong | ErrorFrame
"""The messages to a guest."""


def encode(message: Frame) -> bytes:
    """Encode a message; one to a device without the addresses of others."""
    match message:
        case base.CallSuccess():
            message = CallSuccess(message.room_id, message.page)
        case base.CallRefuse():
            message = CallRefuse(message.reason)
        case base.CallFailed():
            message = CallFailed(message.reason)
        case base.CallingBeHangup():
            message = CallingBeHangup(message.room_id, message.reason)
    return base.encode(message)


_FIELDS: Final[Mapping[str, Fields]] = {"ring": {}, "calling_hangup": {}, "ping": v2.PING_FIELDS}
GUEST: Final[Grammar[GuestRequest]] = Grammar(GuestRequest, _FIELDS)
