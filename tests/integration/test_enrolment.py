"""Admission to login, on a real daemon: by the command line, and by codes that go to a program of the operator."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.defer import DeferredQueue
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from callnet_client import AccountError, Server
from tests.support.commands import callnet
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of

PHONE, FRIEND = "13651884967", "13651884968"
SECRET = "what-both-of-us-know-and-nobody-else"

reactor: Any = installed


class EnrolmentTestCase(TestCase):
    """A daemon of some kind."""

    async def start(self, settings: str) -> Server:
        """Start one with these settings."""
        self.daemon = Daemon(self.mktemp(), settings)
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()
        return service_of(self.daemon)

    async def run_command(self, *arguments: str) -> str:
        """Run ``callnet`` beside it."""
        out, error, status = await callnet(self.daemon, *arguments)
        self.assertEqual(("", 0), (error, status))
        return out.strip()

    async def assert_refused(self, expected: int, service: Server, **fields: str) -> None:
        """A login like this is answered with this errorCode."""
        error: Any = await self.assertFailure(service.post("/account/login", fields), AccountError)
        self.assertEqual(expected, error.code)


class KnownTests(EnrolmentTestCase):
    """Enrolment ``known``."""

    async def test_by_the_command_line(self) -> None:
        """A device that the operator adds is admitted, with the operator's secret for it, if any."""
        service = await self.start('accounts.enrolment = "known"')
        await self.assert_refused(3, service, phone=PHONE, device_id="tv")
        await self.run_command("account", "add", PHONE, "tv", "--no-secret")
        await log_in(service, PHONE, "tv")
        await self.assert_refused(5, service, phone=PHONE, device_id="pad")
        device_id, secret = (await self.run_command("account", "add", PHONE, "pad")).split()
        await service.post("/account/login", {"phone": PHONE, "device_id": device_id, "secret": secret})
        await self.run_command("account", "add", PHONE, "hall", "--no-secret")
        secret = await self.run_command("account", "secret", PHONE, "hall")
        await self.assert_refused(5, service, phone=PHONE, device_id="hall")
        await service.post("/account/login", {"phone": PHONE, "device_id": "hall", "secret": secret})


class Sender(Resource):
    """Takes messages that are to be sent to phones."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.codes: DeferredQueue[dict[str, Any]] = DeferredQueue()

    def render_POST(self, request: Request) -> bytes:
        """Take a code, if it is callnet's."""
        content: Any = request.content
        body = content.read()
        sent_at, _, signed = (request.getHeader("callnet-signature") or "").removeprefix("t=").partition(",v1=")
        expected = hmac.digest(SECRET.encode(), f"{sent_at}.".encode() + body, hashlib.sha256).hex()
        assert hmac.compare_digest(signed, expected)
        self.codes.put(json.loads(body))
        return b""


class CodesTests(EnrolmentTestCase):
    """Enrolment ``otp``."""

    async def test_by_code(self) -> None:
        """A new device is admitted with the code that was sent to its phone, and that is not logged."""
        sender = Sender()
        port = reactor.listenTCP(0, Site(sender), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        service = await self.start(
            'accounts.enrolment = "otp"\n'
            f'accounts.otp.url = "http://127.0.0.1:{port.getHost().port}/codes?for=callnet"\n'
            f'accounts.otp.secret = "{SECRET}"\n'
            'accounts.otp.text = "{code} 是您的验证码"'
        )
        await self.assert_refused(7, service, phone=PHONE, device_id="tv")
        await service.post("/account/code", {"phone": PHONE})
        sent = await sender.codes.get()
        code = sent["code"]
        self.assertRegex(sent.pop("id"), "^[0-9a-f]{32}$")
        self.assertEqual(
            {"event": "code", "phone": PHONE, "code": code, "text": f"{code} 是您的验证码", "valid_for": 300}, sent
        )
        answer = await service.post("/account/login", {"phone": PHONE, "device_id": "tv", "code": code})
        await self.assert_refused(7, service, phone=PHONE, device_id="pad", code=code)
        await service.post("/account/login", {"phone": PHONE, "device_id": "tv", "secret": answer["device_secret"]})
        await self.assert_refused(5, service, phone=PHONE, device_id="tv")
        for secret in (code, PHONE, SECRET, answer["device_secret"], "for=callnet"):
            self.assertNotIn(secret, self.daemon.log)
