"""The account service, as its clients call it (protocol §1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS

from callnet.client.body import Body
from callnet.client.errors import AccountError, in_time, unreachable
from callnet.client.trust import public_trust

TIMEOUT: Final = 30
"""Seconds for a whole request."""


class ContactRow(Struct, frozen=True):
    """One device of a contact. ``name`` and ``online`` are callnet's own and may be missing."""

    phone: str
    device_id: str
    name: str = ""
    online: bool | None = None


class Account:
    """The account service at ``base_url``, such as ``http://127.0.0.1:8083``.

    ``agent`` is for tests and for those who need a proxy; without it requests go out through ``reactor``
    and certificates are judged by ``trust``.
    """

    def __init__(
        self, base_url: str, reactor: IReactorTime, *, trust: IPolicyForHTTPS | None = None, agent: IAgent | None = None
    ) -> None:
        self._base = base_url.rstrip("/")
        self._reactor = reactor
        self._agent = agent or Agent(reactor, trust or public_trust(), connectTimeout=TIMEOUT)

    def login(self, phone: str, device_id: str) -> Deferred[str]:
        """Log a device in.

        :return: a Deferred with the token.
        :raises AccountError: (the Deferred) the server refused.
        """
        answer = self.post("/account/login", {"phone": phone, "device_id": device_id})
        return answer.addCallback(_field, "token", str)

    def contacts(self, phone: str, token: str) -> Deferred[Sequence[ContactRow]]:
        """Fetch the contacts of ``phone``, for which ``token`` must have been issued.

        :raises AccountError: (the Deferred) the server refused.
        """
        answer = self.post("/getContactPersons", {"phone": phone, "token": token})
        return answer.addCallback(_field, "contacts", list[ContactRow])

    def post(self, path: str, fields: Mapping[str, Any]) -> Deferred[Mapping[str, Any]]:
        """Send any request of the account service.

        :return: a Deferred with the whole answer, whose ``errorCode`` is 0.
        :raises AccountError: (the Deferred) it is not, or the answer is not JSON.
        :raises Unreachable: (the Deferred) there was no answer.
        """
        answer = Deferred.fromCoroutine(self._post(path, fields)).addErrback(unreachable)
        return in_time(answer, TIMEOUT, self._reactor)

    async def _post(self, path: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        response = await self._agent.request(
            b"POST",
            f"{self._base}{path}".encode("ascii"),
            Headers({b"Content-Type": [b"application/json"]}),
            Body(msgspec.json.encode(fields)),
        )
        return _read_answer(response.code, response.phrase, await readBody(response))


def _read_answer(status: int, phrase: bytes, body: bytes) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise AccountError(status, None, "", phrase.decode("latin-1")) from None
    if answer.get("errorCode") != 0:
        code, name = answer.get("errorCode"), answer.get("errorCodeName")
        raise AccountError(status, code if isinstance(code, int) else None, str(name or ""), str(answer.get("message")))
    return answer


def _field(answer: Mapping[str, Any], name: str, kind: Any) -> Any:
    try:
        return msgspec.convert(answer.get(name), kind)
    except msgspec.ValidationError:
        raise AccountError(200, None, "", f"the answer has no good {name!r}") from None
