"""Signed HTTP requests to the operator's programs (docs/webhooks.md).

Each is signed, so that whoever takes it knows that it is callnet's and not an old one: the header
``Callnet-Signature`` is ``t=SECONDS,v1=HEX``, where HEX is the HMAC-SHA-256 of ``SECONDS.BODY`` by the secret that
both know. ``Callnet-Event`` is the id of the event, which is the same whenever it is sent again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import treq
from treq.client import HTTPClient
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent

from callnet.client.body import Body
from callnet.ops.posted import ANSWER_TIME, Posted, outcome_of


class SignedPosts:
    """One address that events go to.

    :param url: may hold a password: never log it.
    :param now: the time, in seconds since 1970.
    """

    def __init__(self, url: str, secret: str, agent: IAgent, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._url = url
        self._secret = secret.encode()
        self._http = HTTPClient(agent, data_to_body_producer=Body)
        self._clock = clock
        self._now = now

    async def post(self, event_id: str, body: bytes, patience: float = ANSWER_TIME) -> Posted:
        """Send an event once. It does not fail, not even when it is cancelled.

        :param patience: seconds that the answer may take.
        """
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
        return await outcome_of(asked.addCallback(_status_of), self._clock, patience)


def _status_of(response: Any) -> Deferred[int]:
    """The status, when the whole answer has come, which nobody reads."""
    status: int = response.code
    read: Deferred[None] = treq.collect(response, lambda _: None)
    return read.addCallback(lambda _: status)
