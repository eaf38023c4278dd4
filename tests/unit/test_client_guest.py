"""A call by a link that rings, of the client's."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent
from zope.interface import implementer

from callnet_client import EXTENDED, DeviceAddress, GuestCall, is_guest
from tests.support.calls_case import ROOM
from tests.support.client_case import ClientCase, ScriptedServer

ENTERED = {"errorCode": 0, "guest_token": "t k", "expires_in": 86_400}
RING, HANGUP = {"type": "ring"}, {"type": "calling_hangup"}


class Answer:
    """An HTTP response with a body."""

    phrase = b"OK"

    def __init__(self, code: int, fields: dict[str, Any], headers: dict[str, list[str]]) -> None:
        self.code = code
        self.headers = Headers(headers)
        self._body = json.dumps(fields).encode()

    def deliverBody(self, protocol: Any) -> None:
        """Deliver it at once."""
        protocol.dataReceived(self._body)
        protocol.connectionLost(Failure(ResponseDone()))


@implementer(IAgent)
class Service:
    """An account service with one answer."""

    def __init__(self) -> None:
        self.answer: Deferred[Any] = self.answering(ENTERED)

    def answering(self, fields: dict[str, Any], code: int = 200, **headers: str) -> Deferred[Any]:
        """An answer."""
        return succeed(Answer(code, fields, {name.replace("_", "-"): [value] for name, value in headers.items()}))

    def request(self, *_: Any) -> Deferred[Any]:
        """See :class:`IAgent`."""
        return self.answer


class GuestCallTests(ClientCase):
    """One call."""

    def setUp(self) -> None:
        """A guest that has done nothing."""
        super().setUp()
        self.service, self.signaling = Service(), ScriptedServer()
        self.signaling.subprotocol = EXTENDED
        self.listen(self.signaling)
        self.call = GuestCall(self.server_of(agent=self.service), "s", "Eve")
        self.told: list[str] = []
        self.addCleanup(self.call.listen(self.told.append))
        self.addCleanup(self.settle)
        self.addCleanup(self.call.close)

    def rings(self) -> None:
        """Have it ring."""
        self.call.ring()
        self.arrive()
        self.say("welcome", state="idle", ping_every=20)

    def say(self, kind: str, **fields: Any) -> None:
        """Have the server say something."""
        self.signaling.say(kind, **fields)
        self.settle()

    def answered(self) -> None:
        """Have it answered."""
        self.say("call_success", room_id=ROOM, page="/page")

    def said(self) -> list[Any]:
        """The frames of the client, without pings."""
        self.settle()
        frames = [json.loads(frame) for frame in self.signaling.heard]
        return [frame for frame in frames if frame["type"] != "ping"]

    def comes_back(self) -> None:
        """Lose the connection, and connect again; the server knows of no call."""
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.reactor.advance(1)
        self.arrive()
        self.say("welcome", state="idle", ping_every=20)
        self.reactor.advance(2)
        self.settle()

    def test_closed_when_it_is_over(self) -> None:
        """A close of a call that is over waits until the connection is closed."""
        self.call.ring()
        self.arrive()
        self.call.hang_up()
        closed = self.call.close()
        self.assertNoResult(closed)
        self.settle()
        self.assertIsNone(self.successResultOf(closed))

    def test_call(self) -> None:
        """It enters, rings once it is welcomed, has a room, and is over when the server says so."""
        active = self.call.until("active")
        self.rings()
        self.assertEqual([RING], self.said())
        request = self.signaling.requests[0]
        self.assertEqual(("/socket.io/guest", ["t k"]), (request.path, request.params["token"]))
        self.answered()
        self.assertEqual("active", self.successResultOf(active))
        self.assertEqual((ROOM, "/page"), (self.call.room_id, self.call.page))
        self.say("calling_be_hangup", room_id=ROOM, reason="hangup")
        self.assertEqual(("hangup", False), (self.call.reason, self.call.is_own_end))
        self.assertEqual(["ringing", "active", "over"], self.told)

    def test_not_entered(self) -> None:
        """The reason why it does not ring is told."""
        for status, code, reason in (
            (429, 6, "rate_limited"),
            (200, 2, "invalid"),
            (404, 2, "unreachable"),
            (200, 1, "unreachable"),
        ):
            call = GuestCall(self.server_of(agent=self.service), "s", "Eve")
            self.service.answer = self.service.answering({"errorCode": code, "message": ""}, status, Retry_After="7")
            call.ring()
            self.assertEqual(("over", reason, 7.0), (call.state, call.reason, call.retry_after))
        self.service.answer = fail(ConnectionLost())
        self.call.ring()
        self.assertEqual(("unreachable", None), (self.call.reason, self.call.retry_after))

    def test_outcomes(self) -> None:
        """A refusal and a failure end it."""
        self.rings()
        self.say("call_failed", reason="no_answer")
        self.assertEqual("no_answer", self.call.reason)
        self.call.ring()
        self.call.hang_up()
        self.assertEqual(["ringing", "over"], self.told)

    def test_hangs_up(self) -> None:
        """It ends it while it rings."""
        self.rings()
        self.call.hang_up()
        self.assertEqual([RING, HANGUP], self.said())
        self.assertEqual(("cancelled", True), (self.call.reason, self.call.is_own_end))
        self.say("pong")
        self.assertNotEqual([], self.reactor.getDelayedCalls())
        self.say("pong", id="hangup")
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_hangs_up_active(self) -> None:
        """It ends it when it was answered."""
        self.rings()
        self.answered()
        self.call.hang_up()
        self.assertEqual([RING, HANGUP], self.said())
        self.assertEqual("hangup", self.call.reason)

    def test_hangs_up_early(self) -> None:
        """It ends it before it has entered."""
        self.service.answer = Deferred()
        self.call.ring()
        self.call.hang_up()
        self.assertEqual(["ringing", "over"], self.told)

    def test_hangs_up_away(self) -> None:
        """A hang-up without a connection is said with the next one."""
        self.rings()
        self.answered()
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.call.hang_up()
        self.assertEqual(["ringing", "active", "active", "over"], self.told)
        self.reactor.advance(1)
        self.arrive()
        self.say("welcome", state="active", ping_every=20)
        self.say("pong", id="hangup")
        self.assertEqual([RING, HANGUP], self.said())
        self.assertEqual(["ringing", "active", "active", "over"], self.told)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_hangs_up_silence(self) -> None:
        """A hang-up that a dead path has swallowed is said again."""
        self.rings()
        self.answered()
        self.call.hang_up()
        self.reactor.pump([2.0] * 4 + [1.0])
        self.arrive()
        self.say("welcome", state="active", ping_every=20)
        self.assertEqual([RING, HANGUP, HANGUP], self.said())

    def test_hangs_up_for_good(self) -> None:
        """... or within half a minute."""
        self.rings()
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.call.hang_up()
        self.reactor.advance(30)
        self.assertEqual([], self.reactor.getDelayedCalls())
        self.assertEqual("cancelled", self.call.reason)

    def test_elsewhere(self) -> None:
        """A guest that is in the call in another place leaves it to that one."""
        self.rings()
        self.answered()
        self.signaling.socket.sendClose(4409, "displaced")
        self.settle()
        self.assertEqual(("over", "elsewhere"), (self.call.state, self.call.reason))

    def test_page_has_ended(self) -> None:
        """The end that its page has seen is said to the server."""
        self.rings()
        self.call.note_end()
        self.answered()
        self.call.note_end()
        self.assertEqual([RING, HANGUP], self.said())
        self.assertEqual(("over", False), (self.call.reason, self.call.is_own_end))

    def test_forgotten(self) -> None:
        """A call that the server does not know any more is over if it rang."""
        self.rings()
        self.comes_back()
        self.assertEqual(("over", "forgotten"), (self.call.state, self.call.reason))
        self.assertEqual([RING], self.said())

    def test_forgotten_active(self) -> None:
        """... and goes on if it was answered: its page may."""
        self.rings()
        self.answered()
        self.comes_back()
        self.assertEqual((True, ["ringing", *["active"] * 4]), (self.call.is_forgotten, self.told))
        self.say("welcome", state="active", ping_every=20)
        self.assertFalse(self.call.is_forgotten)

    def test_unreachable(self) -> None:
        """A call that is not welcomed within half a minute is over, before it rings and after a loss."""
        self.call.ring()
        self.reactor.advance(29)
        self.assertEqual("ringing", self.call.state)
        self.reactor.advance(1)
        self.assertEqual(("over", "unreachable"), (self.call.state, self.call.reason))

    def test_lost(self) -> None:
        """... and it is told meanwhile."""
        self.rings()
        self.reactor.advance(20)
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.assertEqual((True, ["ringing", "ringing"]), (self.call.is_lost, self.told))
        self.reactor.advance(29)
        self.assertEqual("ringing", self.call.state)
        self.reactor.advance(1)
        self.assertEqual("unreachable", self.call.reason)

    def test_comes_back(self) -> None:
        """A call that is welcomed again goes on, and so does one that was answered."""
        self.rings()
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.reactor.advance(1)
        self.arrive()
        self.say("welcome", state="ringing", ping_every=20)
        self.assertFalse(self.call.is_lost)
        self.answered()
        self.signaling.socket.dropConnection(abort=True)
        self.settle()
        self.reactor.advance(40)
        self.assertEqual((True, "active"), (self.call.is_lost, self.call.state))

    def test_token_refused(self) -> None:
        """A token that is refused ends it."""
        self.call.ring()
        self.arrive()
        self.signaling.socket.sendClose(4401, "no")
        self.settle()
        self.assertEqual(("over", "failed"), (self.call.state, self.call.reason))

    def test_closed(self) -> None:
        """Waiting callers are told when it is closed."""
        self.rings()
        over = self.call.until("over")
        self.call.close()
        self.assertEqual("ringing", self.successResultOf(over))

    def test_is_guest(self) -> None:
        """A guest is known by its phone."""
        self.assertEqual([True, False], [is_guest(DeviceAddress(phone, "x").phone) for phone in ("guest:0", "1")])
