"""One HTTP connection to a real site, without a socket."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct
from twisted.internet.address import IPv4Address
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.web.server import Site

from tests.support.answer_schemas import check_answer

PEER = IPv4Address("TCP", "192.0.2.7", 4711)


class Answer(Struct, frozen=True):
    """An HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, which must be said to be JSON."""
        assert self.headers["content-type"] == "application/json", self.headers
        return json.loads(self.body)


class HttpWire:
    """The client's end of a connection."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open()

    def _open(self) -> None:
        self._protocol = self._site.buildProtocol(PEER)
        self._transport = StringTransportWithDisconnection(peerAddress=PEER)
        self._transport.protocol = self._protocol
        self._protocol.makeConnection(self._transport)

    @property
    def closed(self) -> bool:
        """True if the server has closed the connection."""
        return not self._transport.connected

    def send(self, data: bytes) -> None:
        """Send some bytes, unless the server has closed the connection."""
        if not self.closed:
            self._protocol.dataReceived(data)

    def leave(self) -> None:
        """Close the connection from the client's side."""
        self._transport.loseConnection()

    def received(self) -> bytes:
        """All that the server has sent so far."""
        sent: bytes = self._transport.value()
        return sent

    def answers(self) -> list[Answer]:
        """All responses so far."""
        found, rest = [], self.received()
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            status, *lines = head.decode("ascii").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            length = int(headers.get("content-length", "0"))
            found.append(Answer(int(status.split()[1]), headers, rest[:length]))
            rest = rest[length:]
        return found

    def request(self, method: str, path: str, body: bytes = b"", *headers: str) -> Answer:
        """Send a whole request and take its answer, which has to be as the OpenAPI document says.

        If the answer before it said that no other follows, this is on another connection.
        """
        earlier = self.answers()
        if earlier and earlier[-1].headers.get("connection") == "close":
            self.leave()
            self._open()
        before = len(self.answers())
        lines = [f"{method} {path} HTTP/1.1", "Host: callnet.test", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
        (answer,) = self.answers()[before:]
        check_answer(method, path, answer.status, answer.headers, answer.body)
        return answer
