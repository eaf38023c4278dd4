"""A callnet server and its requests: the layer below :class:`~callnet_client.Account`."""

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

from callnet_client.body import Body
from callnet_client.connection import Connection, Watch, open_connection
from callnet_client.errors import AccountError, ClientError, in_time, retry_after, unreachable
from callnet_client.socket import Way
from callnet_client.trust import public_trust

TIMEOUT: Final = 30
"""The timeout of a request, in seconds."""

EXTENDED: Final = "callnet.v2"
"""The subprotocol of the extended protocol (docs/extended-protocol.md)."""

PAGE: Final = "/static/demo/direct_chat.html?room_id="


class Server:
    """A callnet server, at the origin of its site, such as ``https://calls.example.org:8080``.

    :param account_url: the account service, if it is not the site's.
    :param signaling_url: the signaling service likewise, ``ws://`` or ``wss://``; without a path it is ``/socket.io``.
    :param trust: the trusted certificates; by default the authorities of this machine.
    :param agent: sends the requests to the account service; by default a new one.
    :param endpoint: a way to the signaling service instead of the one that its URL names.
    :raises ClientError: a URL is invalid.
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

        :param page: the path from the server (:attr:`Call.page`); by default the seed's.
        """
        return self.site + (page or f"{PAGE}{room_id}")

    def post(self, path: str, fields: Mapping[str, Any]) -> Deferred[Mapping[str, Any]]:
        """Send any request of the account service (docs/openapi.json).

        :return: a Deferred with the whole answer, whose ``errorCode`` is 0.
        :raises AccountError: (the Deferred) it is not 0, or the answer is not JSON.
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
        call_waiting: bool = False,
        guest: bool = False,
        watch: Watch | None = None,
    ) -> Deferred[Connection]:
        """Open the WebSocket of a token's device.

        :param received: called with every received message.
        :param extended: offer ``callnet.v2``; :attr:`Connection.subprotocol` shows whether the server accepted it.
        :param call_waiting: with ``extended``: the device can be rung while it is in a call.
        :param guest: the token is that of a guest.
        :param watch: called with every message, in either direction.
        :raises UpgradeRefused: (the Deferred) the server did not open the WebSocket.
        :raises Unreachable: (the Deferred) the server is unreachable.
        """
        wish = "&call_waiting=1" if extended and call_waiting else ""
        url = f"{self._signaling_url.rstrip('/')}/guest" if guest else self._signaling_url
        way = Way(
            f"{url}?token={quote(token, safe='')}{wish}",
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
    """Complete the URL of a signaling service.

    :raises ClientError: it is invalid.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise ClientError(f"{url!r} is not a ws:// or wss:// URL")
    path = parts.path if parts.path.strip("/") else "/socket.io"
    return urlunsplit((parts.scheme.replace("http", "ws"), parts.netloc, path, "", ""))
