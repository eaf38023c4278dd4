"""Hands events to a program of the operator's, over HTTP (docs/webhooks.md).

Each request is signed, so that whoever takes it knows that it is callnet's and not an old one: the header
``Callnet-Signature`` is ``t=SECONDS,v1=HEX``, where HEX is the HMAC-SHA-256 of ``SECONDS.BODY`` by the secret that
both know. ``Callnet-Event`` is the id of the event, which is the same whenever it is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
import treq
from treq.client import HTTPClient
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from callnet.client.body import Body

ANSWER_TIME: Final = 10.0
"""Seconds that an answer may take."""
_TOO_MANY: Final = 429
_OURS: Final = 500
"""From this status on it is worth trying again."""

log = Logger()


class Webhook:
    """One address that events go to.

    :param url: may hold a password: never log it.
    :param now: the time, in seconds since 1970.
    :param pauses: seconds to wait before each further try.
    """

    def __init__(
        self,
        url: str,
        secret: str,
        agent: IAgent,
        clock: IReactorTime,
        now: Callable[[], float],
        pauses: tuple[float, ...],
    ) -> None:
        self._url = url
        self._secret = secret.encode()
        self._http = HTTPClient(agent, data_to_body_producer=Body)
        self._clock = clock
        self._now = now
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
        why = ""
        for pause in (0.0, *self._pauses):
            if pause:
                await _pause(self._clock, pause)
            status, why = await self._try(event_id, body)
            if self._stopped:
                return False  # the request was cancelled, which the agent reports as it likes
            if status is not None and status < _OURS and status != _TOO_MANY:
                break
        if not why:
            return True
        log.warn("the webhook did not take {event}: {why}", event=event, why=why)
        return False

    async def _try(self, event_id: str, body: bytes) -> tuple[int | None, str]:
        """The status of the answer, and what is wrong, if anything is."""
        sent_at = str(int(self._now()))
        signature = hmac.digest(self._secret, b"%s.%s" % (sent_at.encode(), body), hashlib.sha256).hex()
        headers = Headers(
            {
                "Content-Type": ["application/json"],
                "Callnet-Event": [event_id],
                "Callnet-Signature": [f"t={sent_at},v1={signature}"],
            }
        )
        asked: Deferred[Any] = self._http.post(self._url, data=body, headers=headers, allow_redirects=False)
        try:
            status = await asked.addCallback(_status_of).addTimeout(ANSWER_TIME, self._clock)
        except defer.TimeoutError:
            return None, f"no answer in {ANSWER_TIME:g} s"
        except Exception as error:  # noqa: BLE001  whatever the network's many layers raise: it may work later
            return None, type(error).__name__
        return status, "" if status // 100 == 2 else f"status {status}"


def _status_of(response: Any) -> Deferred[int]:
    """The status, when the whole answer has come, which nobody reads."""
    status: int = response.code
    read: Deferred[None] = treq.collect(response, lambda _: None)
    return read.addCallback(lambda _: status)


def _pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    paused: Deferred[None] = Deferred(lambda _: delay.cancel())
    delay = clock.callLater(seconds, paused.callback, None)
    return paused


def _failed(failure: Failure) -> bool:
    if not failure.check(defer.CancelledError):
        log.failure("sending an event", failure)
    return False
