"""Web Push over real sockets and real TLS: a push service that reads its requests, and others that mean harm."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from ipaddress import ip_address
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.ssl import Certificate, CertificateOptions, optionsForClientTLS
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.calls.ports import DeliveryResult
from callnet.calls.waking import WakeMessage
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.ops.certificates import sign
from callnet.ops.webhooks import ANSWER_TIME
from callnet.push.ssrf import IPAddress, Outside, is_global
from callnet.push.waking import Tickets, Waker, WebPush
from callnet.push.webpush import PushHosts, Vapid
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from tests.support import migrated
from tests.support.immediate import run_at_once
from tests.support.push_browser import Browser, base64url, claims_of
from tests.support.push_service import Door, Endless, PushService, served_by
from tests.unit.test_push_outside import Names

reactor: Any = installed

TV: Final = DeviceAddress("13651884967", "tv")
ANN: Final = "13651884968"
ROOM: Final = RoomId("ab" * 16)
TOPIC: Final = base64url(sha256(ROOM.encode()).digest())[:32]
SUBJECT: Final = "mailto:ops@example.org"
HOST, OTHER_HOST = HOSTS = ("push.test", "other.test")
OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
"""Two addresses of this machine; a test takes one for a global one."""
PAIR: Final = sign([HOST], [], datetime.now(UTC))
SERVER_TLS: Final = CertificateOptions(
    privateKey=crypto.PKey.from_cryptography_key(PAIR.key), certificate=crypto.X509.from_cryptography(PAIR.chain[0])
)
AUTHORITY: Final = Certificate.loadPEM(PAIR.chain[0].public_bytes(Encoding.PEM))


def is_outside(address: IPAddress) -> bool:
    """Take one address for the world."""
    return address == ip_address(OUTSIDE)


class WebPushTests(TestCase):
    """A television with a browser, whose push service is on this machine."""

    def setUp(self) -> None:
        """It has said how it is woken, once somebody listens."""
        self.database = migrated.in_memory()
        self.addCleanup(self.database.close)
        self.registrations = SqlPushRegistrations(self.database, run_at_once)
        self.browser, self.names = Browser(), Names()
        self.vapid = Vapid(ec.generate_private_key(ec.SECP256R1()), SUBJECT)
        self.service = PushService()
        self.logged: list[str] = []
        observer: Any = self.log
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.addCleanup(self.check_log)

    def log(self, event: LogEvent) -> None:
        """Keep the logged events."""
        self.logged.append(f"{formatEvent(event)} {event.get('log_failure', '')}")

    def check_log(self) -> None:
        """The log does not say which device is woken, by which caller, or where."""
        for line in self.logged:
            for secret in (*HOSTS, "/send/", TV.phone, ANN):
                self.assertNotIn(secret, line)

    def listen(self, factory: IProtocolFactory, address: str = OUTSIDE, port: int = 0) -> Door:
        """Listen with TLS."""
        door = Door(factory)
        listening = reactor.listenSSL(port, door, SERVER_TLS, interface=address)
        self.port: int = listening.getHost().port
        self.addCleanup(listening.stopListening)
        self.addCleanup(door.left)
        return door

    def site(self) -> Site:
        """The push service, which logs nothing that it is asked."""
        return Site(self.service, logFormatter=lambda *_: "served")

    def serve(self) -> Door:
        """Let the push service listen."""
        return self.listen(self.site())

    def serve_outside(self) -> Door:
        """Let the push service listen, and on the same port inside a door where nobody must come."""
        door = self.serve()
        try:
            inside = self.listen(self.site(), INSIDE, self.port)
        except CannotListenError:  # somebody else has this port there
            return self.serve_outside()
        self.addCleanup(lambda: self.assertEqual(0, inside.came))
        return door

    def register(self, host: str = HOST) -> None:
        """Let the television say how it is woken."""
        target = self.browser.target(f"https://{host}:{self.port}/send/x?y=%2b")
        registration = PushRegistration(TV, PushKind.WEBPUSH, target, 1.0)
        self.successResultOf(self.registrations.put(registration, lambda _: False))

    def waker(
        self,
        is_allowed: Callable[[IPAddress], bool] = is_outside,
        clock: IReactorTime | None = None,
        authority: Certificate | None = AUTHORITY,
    ) -> Waker:
        """The waker of the device; its time stands still, unless a test says otherwise."""
        tls = optionsForClientTLS if authority is None else partial(optionsForClientTLS, trustRoot=authority)
        outside = Outside(reactor, self.names, tls, is_allowed)
        hosts = PushHosts([f"{host}:{self.port}" for host in HOSTS])
        clock, now = clock or Clock(), lambda: 1_600_000_000.0
        way = WebPush(outside, hosts, self.vapid, clock, now)
        self.tickets = Tickets(Tokens(KeyRing.of(Key.of(b"k" * 32)), 3600, now))
        return Waker(self.registrations, {PushKind.WEBPUSH: way}, self.tickets, clock, now)

    def wake(
        self, *answers: Sequence[str], lasts: float = 0.9, ended: Reason | None = None, **options: Any
    ) -> Deferred[DeliveryResult]:
        """Wake it for so short a time that it is tried once; each look-up of the name finds these addresses."""
        self.names.answers = list(answers) or [[OUTSIDE]]
        return self.waker(**options).tell(TV, WakeMessage(ROOM, ANN, "安", lasts, ended))

    def kept(self) -> int:
        """The number of registrations."""
        return len(self.successResultOf(self.registrations.of(TV)))

    async def check_woken(self) -> None:
        """See :meth:`test_woken`."""
        self.serve()
        self.register()
        self.assertIs(DeliveryResult.TAKEN, await self.wake(lasts=45.9))
        ((request, body),) = self.service.taken
        said = json.loads(self.browser.read(body))
        call = {"phone": TV.phone, "device_id": TV.device_id, "call": TOPIC, "from_phone": ANN, "from_name": "安"}
        ticket = self.tickets.of(TV, ROOM)
        self.assertEqual({"event": "wake", **call, "expires_at": 1_600_000_045, "ticket": ticket}, said)
        self.assertEqual((b"POST", b"/send/x?y=%2b"), (request.method, request.uri))
        names = ("ttl", "urgency", "topic", "content-encoding", "host", "cookie")
        headers = {name: request.getHeader(name) for name in names}
        self.assertEqual(
            {
                "ttl": "45",
                "urgency": "high",
                "topic": TOPIC,
                "content-encoding": "aes128gcm",
                "host": f"{HOST}:{self.port}",
                "cookie": None,
            },
            headers,
        )
        claims, key = claims_of(request.getHeader("authorization") or "")
        self.assertEqual((f"https://{HOST}:{self.port}", SUBJECT), (claims["aud"], claims["sub"]))
        self.assertTrue(1_600_000_000 < claims["exp"] <= 1_600_086_400)
        self.assertEqual(self.vapid.public_key, key)
        self.assertEqual([HOST], self.names.asked)

    def test_woken(self) -> Deferred[None]:
        """The push service is told the urgency, the lifetime and the sender; only the browser can read the content."""
        return Deferred.fromCoroutine(self.check_woken())

    async def check_ring_ended(self) -> None:
        """See :meth:`test_ring_ended`."""
        self.serve()
        self.register()
        for ended, kept in ((Reason.CANCELLED, 28 * 86400), (Reason.ANSWERED_ELSEWHERE, 30)):
            self.assertIs(DeliveryResult.TAKEN, await self.wake(lasts=30.5, ended=ended))
            request, body = self.service.taken[-1]
            said = json.loads(self.browser.read(body))
            self.assertEqual(("ring_ended", TOPIC, ended.value), (said["event"], said["call"], said["reason"]))
            self.assertEqual((TOPIC, str(kept)), (request.getHeader("topic"), request.getHeader("ttl")))
            self.assertNotIn("ticket", said)
        self.assertEqual(1, len({len(body) for _, body in self.service.taken}))

    def test_ring_ended(self) -> Deferred[None]:
        """The end of the ringing replaces the wake at the push service. A missed call is kept there for four weeks."""
        return Deferred.fromCoroutine(self.check_ring_ended())

    async def check_gone(self) -> None:
        """See :meth:`test_gone`."""
        self.serve()
        for status, became, kept in (
            (500, DeliveryResult.FAILED, 1),
            (403, DeliveryResult.FAILED, 1),
            (410, DeliveryResult.GONE, 0),
        ):
            self.register()
            self.service.status = status
            self.assertIs(became, await self.wake())
            self.assertEqual(kept, self.kept(), status)

    def test_gone(self) -> Deferred[None]:
        """A subscription that the push service does not know any more is dropped, for no other answer."""
        return Deferred.fromCoroutine(self.check_gone())

    async def check_redirect(self) -> None:
        """See :meth:`test_redirect`."""
        self.serve_outside()
        self.register()
        for status in (301, 302, 303, 307, 308):
            self.service.status = status
            for host in (f"https://{INSIDE}", "https://inside.test", "http://127.0.0.1"):
                self.service.location = f"{host}:{self.port}/x"
                self.assertIs(DeliveryResult.FAILED, await self.wake([OUTSIDE], [INSIDE]))
        self.assertEqual({HOST}, set(self.names.asked))

    def test_redirect(self) -> Deferred[None]:
        """A redirect is not followed."""
        return Deferred.fromCoroutine(self.check_redirect())

    async def check_inside(self) -> None:
        """See :meth:`test_inside`."""
        door = self.serve()
        self.register()
        for found in ([OUTSIDE], [INSIDE], ["8.8.8.8", OUTSIDE], ["::1"], ["::ffff:127.0.0.2"], ["10.0.0.1"]):
            self.assertIs(DeliveryResult.FAILED, await self.wake(found, is_allowed=is_global))
        self.assertEqual(0, door.came)
        self.assertEqual(1, self.kept())

    def test_inside(self) -> Deferred[None]:
        """The real rule allows no connection to an address of this machine, nor to a private one."""
        return Deferred.fromCoroutine(self.check_inside())

    async def check_rebinding(self) -> None:
        """See :meth:`test_rebinding`."""
        door = self.serve_outside()
        self.register()
        self.names.answers = [[OUTSIDE], [INSIDE], [INSIDE]]
        waker = self.waker()
        self.assertIs(DeliveryResult.TAKEN, await waker.tell(TV, WakeMessage(ROOM, ANN, "", 0.9)))
        self.assertEqual((1, [HOST]), (door.came, self.names.asked))
        self.assertIs(DeliveryResult.FAILED, await self.waker().tell(TV, WakeMessage(ROOM, ANN, "", 0.9)))
        self.assertEqual((1, [HOST] * 2), (door.came, self.names.asked))

    def test_rebinding(self) -> Deferred[None]:
        """A name is looked up once for a connection; when it leads inside the next time, none is made."""
        return Deferred.fromCoroutine(self.check_rebinding())

    async def check_endless(self) -> None:
        """See :meth:`test_endless`."""
        head = b"HTTP/1.1 201 Created\r\n"
        for begin, more, became in (
            (head + b"\r\n", b"x" * 1000, DeliveryResult.TAKEN),
            (head + b"Transfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1000 + b"\r\n", DeliveryResult.TAKEN),
            (head, b"X: " + b"x" * 100 + b"\r\n", DeliveryResult.FAILED),
            (b"HTTP/1.1 201 ", b"x" * 100, DeliveryResult.FAILED),
            (b"", b"HTTP/1.1 102 Processing\r\n\r\n", DeliveryResult.FAILED),
        ):
            door = self.listen(served_by(partial(Endless, begin, more)))
            self.register()
            self.assertIs(became, await self.wake())
            await door.left()

    def test_endless(self) -> Deferred[None]:
        """Only 4 KiB of an endless answer are read, in the body or the headers; then the connection is closed."""
        return Deferred.fromCoroutine(self.check_endless())

    async def check_silent(self) -> None:
        """See :meth:`test_silent`."""
        door, clock = self.serve(), Clock()
        self.service.status = 0
        self.register()
        waking = self.wake(lasts=ANSWER_TIME + 0.5, clock=clock)
        await self.service.asked
        clock.advance(ANSWER_TIME - 0.1)
        self.assertNoResult(waking)
        clock.advance(0.1)
        self.assertIs(DeliveryResult.FAILED, await waking)
        await door.left()
        self.assertEqual([], clock.getDelayedCalls())

    def test_silent(self) -> Deferred[None]:
        """An answer that does not come is waited for ten seconds, and the connection is closed."""
        return Deferred.fromCoroutine(self.check_silent())

    async def check_certificates(self) -> None:
        """See :meth:`test_certificates`."""
        self.serve()
        self.register()
        self.assertIs(DeliveryResult.FAILED, await self.wake(authority=None))
        self.register(OTHER_HOST)
        self.assertIs(DeliveryResult.FAILED, await self.wake())
        self.assertEqual([], self.service.taken)

    def test_certificates(self) -> Deferred[None]:
        """A certificate that the system does not trust, or one of another name, ends it before anything is said."""
        return Deferred.fromCoroutine(self.check_certificates())

    async def check_allowed_no_more(self) -> None:
        """See :meth:`test_allowed_no_more`."""
        door = self.serve()
        self.register("elsewhere.test")
        self.assertIs(DeliveryResult.FAILED, await self.wake())
        self.assertEqual((0, []), (door.came, self.names.asked))

    def test_allowed_no_more(self) -> Deferred[None]:
        """A service that the operator does not allow any more is not looked for."""
        return Deferred.fromCoroutine(self.check_allowed_no_more())
