"""The outcome of a request to another machine."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

ANSWER_TIME: Final = 10.0
"""Seconds that an answer may take."""
_GONE: Final = (404, 410)
_TOO_MANY: Final = 429
_OURS: Final = 500
"""From this status on it is worth trying again."""


class Posted(Struct, frozen=True):
    """The outcome."""

    failure: str = ""
    """Why it was not taken, in a few words that tell neither what was sent nor where to."""
    may_be_taken_later: bool = False
    is_gone: bool = False
    """The receiver does not know the recipient (any more)."""


async def outcome_of(asked: Deferred[int], clock: IReactorTime, patience: float) -> Posted:
    """Wait for the answer to a request. It does not fail, not even when it is cancelled.

    :param asked: fires with the status, or fails. It is cancelled if that takes too long.
    :param patience: seconds.
    """
    try:
        status = await asked.addTimeout(patience, clock)
    except defer.TimeoutError:
        return Posted(f"no answer in {patience:g} s", may_be_taken_later=True)
    except Exception as error:  # noqa: BLE001  whatever the network's many layers raise: it may work later
        return Posted(type(error).__name__, may_be_taken_later=True)
    if status // 100 == 2:
        return Posted()
    return Posted(f"status {status}", status >= _OURS or status == _TOO_MANY, status in _GONE)
