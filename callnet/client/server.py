"""The addresses of a callnet server and requests to it: the layer below :class:`~callnet.client.Account`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IPolicyForHTTPS

from callnet.client.body import Body
from callnet.client.connection import Connection, Watch, open_connection
from callnet.client.errors import AccountError, ClientError, in_time, retry_after, unreachable
from callnet.client.socket import Way
from callnet.client.trust import public_trust

TIMEOUT: Final = 30
"""Seconds for a whole request."""

EXTENDED: Final = "callnet.v2"
"""The subprotocol of the extended protocol (docs/extended-protocol.md)."""

PAGE: Final = "/static/demo/direct_chat.html?room_id="


class Server:
    """A callnet, at the origin of its site, such as ``https://calls.example.org:8080``.

    :param account_url: the account service, where it is to be another than the site's.
    :param signaling_url: the signaling service likewise, ``ws://`` or ``wss://``; without a path it is ``/socket.io``.
    :param trust: whose certificates to believe; without it, the authorities of this machine.
    :param agent: sends the requests to the account service, instead of one that this makes.
    :param endpoint: the way to the signaling service instead of the one that its URL names.
    :raises ClientError: a URL is none of these.
    """

    def __init__(
        self,
        site: str,
        reactor: IReactorTime,
        *,
        account_url: str | None = None,
        signaling_url: str | None = None,
        trust: IPolicyForHTTPS | None = None,
        agent: IAgent | None = None,
        endpoint: IStreamClientEndpoint | None = None,
    ) -> None:
        self.site: Final = site.rstrip("/")
        self.reactor: Final = reactor
        self.trust: Final = trust or public_trust()
        self._account_url = (account_url or site).rstrip("/")
        self._signaling_url = socket_url(signaling_url or site)
        self._agent = agent or Agent(reactor, self.trust, connectTimeout=TIMEOUT)
        self._endpoint = endpoint

    def page_of(self, room_id: str, page: str = "") -> str:
        """The URL of a call's page.

        :param page: where the server said that it is (:attr:`Call.page`); if it did not, it is where it always was.
        """
        return self.site + (page or f"{PAGE}{room_id}")

    def post(self, path: str, fields: Mapping[str, Any]) -> Deferred[Mapping[str, Any]]:
        """Send any request of the account service (docs/openapi.json).

        :return: a Deferred with the whole answer, whose ``errorCode`` is 0.
        :raises AccountError: (the Deferred) it is not, or the answer is not JSON.
        :raises Unreachable: (the Deferred) there was no answer.
        """
        answer = Deferred.fromCoroutine(self._post(path, fields)).addErrback(unreachable)
        return in_time(answer, TIMEOUT, self.reactor)

    def connect(
        self,
        token: str,
        received: Callable[[bytes], object],
        *,
        extended: bool = False,
        watch: Watch | None = None,
    ) -> Deferred[Connection]:
        """Open the WebSocket of the device that ``token`` was issued for.

        :param received: is called with every message that comes.
        :param extended: offer ``callnet.v2``; :attr:`Connection.subprotocol` tells whether the server speaks it.
        :param watch: is told of every message, in either direction.
        :raises UpgradeRefused: (the Deferred) the server did not open the WebSocket.
        :raises Unreachable: (the Deferred) there is no way to the server.
        """
        way = Way(
            f"{self._signaling_url}?token={quote(token, safe='')}",
            self.trust,
            self._endpoint,
            (EXTENDED,) if extended else (),
        )
        return open_connection(way, self.reactor, received, watch)

    async def _post(self, path: str, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        response = await self._agent.request(
            b"POST",
            f"{self._account_url}{path}".encode("ascii"),
            Headers({b"Content-Type": [b"application/json"]}),
            Body(msgspec.json.encode(fields)),
        )
        after = retry_after(response.headers.getRawHeaders("retry-after", [None])[0])
        return _read_answer(response.code, response.phrase, await readBody(response), after)


def _read_answer(status: int, phrase: bytes, body: bytes, after: float | None) -> Mapping[str, Any]:
    try:
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise AccountError(status, None, "", phrase.decode("latin-1"), after) from None
    if answer.get("errorCode") == 0:
        return answer
    code, name, message = (answer.get(key) for key in ("errorCode", "errorCodeName", "message"))
    raise AccountError(status, code if isinstance(code, int) else None, str(name or ""), str(message), after)


def socket_url(url: str) -> str:
    """The URL of the signaling service that somebody means.

    :raises ClientError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ClientError(f"{url!r} is not a ws:// or wss:// URL")
    path = parts.path if parts.path.strip("/") else "/socket.io"
    return urlunsplit((parts.scheme.replace("http", "ws"), parts.netloc, path, "", ""))
