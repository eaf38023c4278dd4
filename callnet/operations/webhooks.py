"""Hands events to a program of the operator's that are of no use if they come late. What is not taken soon is lost."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from callnet.operations.signed_posts import SignedPosts

log = Logger()


class Webhook:
    """Sends events.

    :param pauses: seconds to wait before each further try.
    """

    def __init__(self, posts: SignedPosts, clock: IReactorTime, pauses: tuple[float, ...]) -> None:
        self._posts = posts
        self._clock = clock
        self._pauses = pauses
        self._under_way: set[Deferred[bool]] = set()
        self._stopped = False

    def send(self, event: str, fields: Mapping[str, Any]) -> Deferred[bool]:
        """Send an event, again if need be. Fires with whether it was taken; it does not fail."""
        body = msgspec.json.encode({"event": event, **fields})
        sending = Deferred.fromCoroutine(self._send(event, secrets.token_hex(16), body))
        self._under_way.add(sending)
        return sending.addErrback(_failed).addCallback(self._done, sending)

    def stop(self) -> None:
        """Send nothing more, nor wait for what is under way."""
        self._stopped = True
        for sending in list(self._under_way):
            sending.cancel()

    def _done(self, taken: bool, sending: Deferred[bool]) -> bool:
        self._under_way.discard(sending)
        return taken

    async def _send(self, event: str, event_id: str, body: bytes) -> bool:
        failure = ""
        for pause in (0.0, *self._pauses):
            if pause:
                await _pause(self._clock, pause)
            posted = await self._posts.post(event_id, body)
            if self._stopped:
                return False  # the request was cancelled, which the agent reports as it likes
            failure = posted.failure
            if not posted.may_be_taken_later:
                break
        if not failure:
            return True
        log.warn("the webhook did not take {event}: {failure}", event=event, failure=failure)
        return False


def _pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    paused: Deferred[None] = Deferred(lambda _: delay.cancel())
    delay = clock.callLater(seconds, paused.callback, None)
    return paused


def _failed(failure: Failure) -> bool:
    if not failure.check(defer.CancelledError):
        log.failure("sending an event", failure)
    return False
