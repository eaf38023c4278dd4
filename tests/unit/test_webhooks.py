"""The requests to the operator's programs, over real HTTP and a wire in memory."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import b64encode
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent
from twisted.web.iweb import IAgent
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from callnet.calls.ports import DeliveryResult
from callnet.ops.webhooks import SignedPosts, Webhook

SECRET = "s3cret-" * 6
URL = "https://user:passw0rd@hooks.test/callnet?x=1"


class Receiver(Resource):
    """Takes events, and answers them as a test says."""

    isLeaf = True  # noqa: N815

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answers: list[int | None] = []
        """The next statuses; ``None``: no answer."""
        self.taken: list[tuple[Request, bytes]] = []

    def render_POST(self, request: Request) -> bytes | int:
        """Take an event."""
        content: Any = request.content
        self.taken.append((request, content.read()))
        status = self.answers.pop(0) if self.answers else 200
        if status is None:
            return NOT_DONE_YET
        request.setResponseCode(status)
        if status == 302:
            request.setHeader("location", "https://elsewhere.test/")
        return b"x" * 100_000


class WebhookTests(SynchronousTestCase):
    """A receiver, and the sender."""

    def setUp(self) -> None:
        """Both, on a clock."""
        self.clock, self.receiver = Clock(), Receiver()
        self.clock.advance(1_600_000_000.5)
        self.agent: Any = RequestTraversalAgent(self.receiver)  # type: ignore[no-untyped-call]
        self.webhook = self.make(self.agent)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def make(self, agent: IAgent) -> Webhook:
        """One that tries three times."""
        posts = SignedPosts(URL, SECRET, agent, self.clock, self.clock.seconds)
        return Webhook(posts, self.clock, (1.0, 3.0))

    def send(self, *answers: int | None, **fields: object) -> Deferred[DeliveryResult]:
        """Send an event, which is answered like this."""
        self.receiver.answers[:] = answers
        sending = self.webhook.send("code", fields)
        for _ in range(10):
            self.agent.flush()
        return sending

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.advance(seconds)
        for _ in range(10):
            self.agent.flush()

    def test_taken(self) -> None:
        """An event is a POST of JSON, its id in the signed body too, and any status of success takes it."""
        for status in (200, 202, 204):
            self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.send(status, phone="+86", text="码")))
            request, body = self.receiver.taken.pop()
            event_id = request.getHeader("callnet-event") or ""
            self.assertEqual({"event": "code", "id": event_id, "phone": "+86", "text": "码"}, json.loads(body))
            self.assertRegex(event_id, "^[0-9a-f]{32}$")
            self.assertEqual(b"/callnet?x=1", request.uri)
            self.assertEqual("application/json", request.getHeader("content-type"))

    def test_signature(self) -> None:
        """A receiver with the secret can check that the request is callnet's, and when it was sent."""
        self.successResultOf(self.send(200, code="123456"))
        request, body = self.receiver.taken.pop()
        signature = hmac.digest(SECRET.encode(), b"1600000000." + body, hashlib.sha256).hex()
        self.assertEqual(f"t=1600000000,v1={signature}", request.getHeader("callnet-signature"))

    def test_again(self) -> None:
        """An event that was not accepted is sent again later, with the same id and body and a new signature."""
        for again in (500, 503, 599, 429):
            sending = self.send(again, again, 200)
            self.assertNoResult(sending)
            self.wait(0.9)
            self.assertEqual(1, len(self.receiver.taken))
            self.wait(0.1)
            self.assertEqual(2, len(self.receiver.taken))
            self.wait(3)
            self.assertIs(DeliveryResult.TAKEN, self.successResultOf(sending))
            requests = [(request.getHeader("callnet-event"), body) for request, body in self.receiver.taken]
            self.assertEqual(1, len(set(requests)))
            signed = {request.getHeader("callnet-signature") for request, _ in self.receiver.taken}
            self.assertEqual(3, len(signed))
            self.receiver.taken.clear()

    def test_given_up(self) -> None:
        """After the last try it is given up; the log has the reason, and neither content nor address."""
        with capturedLogs() as events:
            sending = self.send(500, 500, 503, code="123456", phone="13651884967")
            self.wait(1)
            self.wait(3)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(sending))
        (line,) = map(formatEvent, events)
        self.assertIn("status 503", line)
        for secret in ("123456", "1365188", "passw0rd", "hooks.test", SECRET):
            self.assertNotIn(secret, line)

    def test_refused(self) -> None:
        """A request that is refused for good is not sent again; a redirect is not followed."""
        for status in (400, 401, 404, 410, 302):
            became = DeliveryResult.GONE if status in (404, 410) else DeliveryResult.FAILED
            self.assertIs(became, self.successResultOf(self.send(status)))
            self.assertEqual(1, len(self.receiver.taken), status)
            self.receiver.taken.clear()

    def test_no_answer(self) -> None:
        """An answer that does not come is waited for ten seconds."""
        sending = self.send(None, 200)
        self.wait(9.9)
        self.wait(0.1)
        self.wait(1)
        self.assertEqual(2, len(self.receiver.taken))
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(sending))

    def test_unreachable(self) -> None:
        """A receiver that cannot be reached may be there later."""
        self.webhook = self.make(_Nowhere())
        with capturedLogs() as events:
            sending = self.webhook.send("code", {})
            self.clock.advance(1)
            self.clock.advance(3)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(sending))
        self.assertIn("ConnectionRefusedError", formatEvent(events[-1]))

    def test_where_to(self) -> None:
        """A request goes to host and port of the URL; a user and a password in it are its credentials (RFC 7617)."""
        for url, port, host, credentials in (
            ("http://hooks.test/x", 80, b"hooks.test", b""),
            ("http://hooks.test.:8000/x", 8000, b"hooks.test.:8000", b""),
            ("http://[::1]:8000/x", 8000, b"[::1]:8000", b""),
            ("http://user:passw0rd@hooks.test/x", 80, b"hooks.test", b"user:passw0rd"),
            ("http://user:p%40ss:%2F@127.0.0.1:8000/x", 8000, b"127.0.0.1:8000", b"user:p@ss:/"),
            ("http://user:p@ss@[::1]/x", 80, b"[::1]", b"user:p@ss"),
            ("http://user@hooks.test/x", 80, b"hooks.test", b"user:"),
            ("http://hooks.test/x?a=1|2%25&b[]={id}", 80, b"hooks.test", b""),
        ):
            reactor: Any = MemoryReactorClock()
            posts = SignedPosts(url, SECRET, Agent(reactor), reactor, reactor.seconds)
            sending = Deferred.fromCoroutine(posts.post("1", b"{}"))
            ((_, connected_to, factory, *_),) = reactor.tcpClients
            self.assertEqual(port, connected_to)
            wire = StringTransport()
            factory.buildProtocol(None).makeConnection(wire)
            head = wire.value().partition(b"\r\n\r\n")[0].split(b"\r\n")
            self.assertRegex(head[0], rb"\APOST /x(\?a=1%7C2%25&b\[\]=%7Bid%7D)? HTTP/1.1\Z")
            self.assertEqual(b"?" in head[0], "?" in url)
            self.assertIn(b"Host: " + host, head)
            expected = [b"Authorization: Basic " + b64encode(credentials)] if credentials else []
            self.assertEqual(expected, [line for line in head if line.startswith(b"Authorization:")])
            sending.cancel()
            self.successResultOf(sending)

    def test_broken(self) -> None:
        """A request that cannot even begin counts as one that nobody accepted, and the log has nothing of the URL."""
        agent = Agent(MemoryReactorClock())
        posts = SignedPosts("https://user:passw0rd@xn--a/", SECRET, agent, self.clock, self.clock.seconds)
        with capturedLogs() as events:
            posted = self.successResultOf(Deferred.fromCoroutine(posts.post("1", b"{}")))
        self.assertTrue(posted.failure and posted.may_be_taken_later)
        self.assertNotIn("xn--a", posted.failure)
        self.assertEqual([], list(events))

    def test_too_late(self) -> None:
        """A request that is of no use any more is neither sent again nor waited for."""
        self.receiver.answers[:] = [500, None]
        sending = self.webhook.send("code", {}, lasts=3.5)
        self.wait(0)
        self.wait(1)
        self.assertEqual(2, len(self.receiver.taken))
        self.wait(2.4)
        self.assertNoResult(sending)
        self.wait(0.1)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(sending))
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(self.webhook.send("code", {}, lasts=0.0)))
        self.assertEqual(2, len(self.receiver.taken))

    def test_stop(self) -> None:
        """When the daemon stops nothing is waited for any more, in whatever state it is."""
        pausing, waiting = self.send(500), self.send(None)
        self.webhook.stop()
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(pausing))
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting))


@implementer(IAgent)
class _Nowhere:
    """The way to a host where nobody listens."""

    def request(self, *_: object, **__: object) -> Deferred[Any]:
        return fail(Refused())
