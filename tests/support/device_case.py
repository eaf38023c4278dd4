"""A device of the client's and a scripted server, over wires in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from callnet_client import EXTENDED, Account, Credentials, Device, Event, StateEvent
from tests.support.client_case import NEVER, ClientCase, ScriptedServer

ME = ("13651884967", "tv")


class Logins(Resource):
    """The account service: it answers as a test says."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.code = 0
        self.status = 200
        self.retry_after: str | None = None
        self.is_silent = False
        self.asked: list[str] = []

    def render_POST(self, request: Request) -> bytes | int:
        """Answer."""
        self.asked.append(request.path.decode())
        if self.is_silent:
            return NOT_DONE_YET
        request.setResponseCode(self.status)
        if self.retry_after is not None:
            request.setHeader("retry-after", self.retry_after)
        return json.dumps({"errorCode": self.code, "token": f"token-{len(self.asked)}", "expires_in": NEVER}).encode()


class DeviceCase(ClientCase):
    """A device that is logged in, and told to do nothing yet."""

    subprotocol: str | None = EXTENDED

    def setUp(self) -> None:
        """Listen."""
        super().setUp()
        self.server = ScriptedServer()
        self.server.subprotocol = self.subprotocol
        self.listen(self.server)
        self.logins = Logins()
        agent: Any = RequestTraversalAgent(self.logins)  # type: ignore[no-untyped-call]
        self.account = Account(self.server_of(agent=agent), *ME, kept=Credentials("a.b.c", NEVER))
        self.device = Device(self.account)
        self.events: list[Event] = []
        self.device.listen(self.events.append)
        self.addCleanup(self.settle)
        self.addCleanup(self.device.close)

    def connect_device(self) -> None:
        """Let it connect, and be welcomed."""
        self.device.connect()
        self.come()

    def come(self) -> None:
        """Let it reach the server, and be welcomed there."""
        self.arrive()
        if self.subprotocol is not None:
            self.say("welcome", ping_every=20)

    def say(self, kind: str, **fields: Any) -> None:
        """Let the server say something."""
        self.server.say(kind, **fields)
        self.settle()

    def close(self, code: int, reason: str = "") -> None:
        """Let the server close the socket."""
        self.server.socket.sendCloseFrame(code, reason.encode())
        self.settle()

    def heard(self) -> list[str]:
        """The types of the frames that the server has received since the last call."""
        self.settle()
        heard, self.server.heard = self.server.heard, []
        return [json.loads(payload)["type"] for payload in heard]

    def states(self) -> list[str]:
        """The states that it has told of."""
        return [event.state for event in self.events if isinstance(event, StateEvent)]

    def is_trying(self) -> bool:
        """True if it wants to reach the server now."""
        return len(self.reactor.tcpClients) > 0

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(round(seconds * 4)):
            self.reactor.advance(0.25)
            self.settle()

    def tokens(self) -> Sequence[str]:
        """The tokens with which it came."""
        return [request.params["token"][0] for request in self.server.requests]
