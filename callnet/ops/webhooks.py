"""Urgent events to the operator's programs, which are useless if late."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from math import inf
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from callnet.calls.ports import Fate
from callnet.ops.signed_posts import SignedPosts
from callnet.ops.urgent import Urgent


class Webhook:
    """Sends events.

    :param pauses: seconds to wait before each further try.
    """

    def __init__(self, posts: SignedPosts, clock: IReactorTime, pauses: tuple[float, ...]) -> None:
        self._posts = posts
        self._urgent = Urgent(clock, pauses)

    def send(self, event: str, fields: Mapping[str, Any], lasts: float = inf) -> Deferred[Fate]:
        """Send an event, again if need be. Fires with what became of it; it does not fail.

        :param lasts: seconds after which it is of no use any more.
        """
        event_id = secrets.token_hex(16)
        body = msgspec.json.encode({"event": event, "id": event_id, **fields})
        return self._urgent.hand_over(
            f"event {event}", lambda patience: self._posts.post(event_id, body, patience), lasts
        )

    def stop(self) -> None:
        """Send nothing more, nor wait for what is under way."""
        self._urgent.stop()
