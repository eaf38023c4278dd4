"""The words for why a call came to nothing, and why it ended: which message may say which."""

from __future__ import annotations

from typing import Final

from callnet.model import Reason

FAILURES: Final = {
    Reason.INVALID: "the call was not understood",
    Reason.SELF: "a device cannot call itself",
    Reason.OFFLINE: "the device is not online",
    Reason.BUSY: "the device is in another call",
    Reason.NO_ANSWER: "nobody answered",
    Reason.RATE_LIMITED: "too many calls; try again in a minute",
    Reason.SHUTTING_DOWN: "the server is stopping",
    Reason.UNAVAILABLE: "the device cannot be reached just now",
    Reason.INTERNAL: "internal error",
}
"""``message`` of a ``call_failed``, by its reason."""

REFUSALS: Final = (Reason.REFUSED, Reason.BUSY)
"""The reasons of a ``call_refuse``."""

ENDINGS: Final = (
    Reason.HANGUP,
    Reason.CANCELLED,
    Reason.NO_ANSWER,
    Reason.CONNECTION_LOST,
    Reason.ANSWERED_ELSEWHERE,
    Reason.REFUSED_ELSEWHERE,
    Reason.BUSY,
    Reason.MOVED,
    Reason.REPLACED,
    Reason.ABANDONED,
    Reason.TOO_LONG,
    Reason.REVOKED,
    Reason.SHUTTING_DOWN,
    Reason.EXPIRED,
)
"""The reasons of a ``calling_be_hangup`` (§2.3)."""
