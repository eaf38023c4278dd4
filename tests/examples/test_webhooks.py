"""The receiver of examples/webhooks, which gets the events of a real daemon."""

from __future__ import annotations

import hashlib
import hmac
import json
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import treq
from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase
from twisted.web.http_headers import Headers

from tests.examples.programs import Script
from tests.support.daemon import Daemon
from tests.support.devices import log_in, member, service_of

PHONE, FRIEND = "13651884967", "13651884968"
SECRET: Final = "what-both-of-us-know-and-nobody-else"
MISSED: Final = {
    "event": "call_missed",
    "id": "93f0a6d2c8e14b7f9d5a3c1e7b0f8a64",
    "at": 1700000045.25,
    "call": "d81b4f6a2c9e4073b5e7a1d3f9c0862e",
    "caller": {"phone": PHONE, "device_id": "phone"},
    "called": {"phone": FRIEND, "device_id": "tv"},
    "started_at": 1700000000.25,
    "rang": True,
}
BODY: Final = json.dumps(MISSED).encode()

reactor: Any = installed


def signed(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """The signature of a request."""
    second = int(time.time() if at is None else at)
    return f"t={second},v1={hmac.digest(secret.encode(), f'{second}.'.encode() + body, hashlib.sha256).hex()}"


class ReceiverTests(TestCase):
    """The receiver."""

    timeout = 240

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        (self.folder / "webhook.secret").write_text(f"{SECRET}\n", encoding="utf-8")
        self.receiver = await self.start()

    async def start(self) -> Script:
        """Start one."""
        environ = {"WEBHOOK_SECRET_FILE": "webhook.secret", "WEBHOOK_DATABASE": "calls.db", "WEBHOOK_PORT": "0"}
        receiver = Script("webhooks/receiver.py", str(self.folder), environ)
        receiver.start()
        self.addCleanup(receiver.stop)
        self.url = (await receiver.says(r"ready for (http://\S+)\n"))[1].decode()
        return receiver

    async def post(self, body: bytes, signature: str) -> int:
        """Tell it something; the status of its answer."""
        headers = Headers({"Callnet-Signature": [signature], "Content-Type": ["application/json"]})
        response = await treq.post(self.url, body, headers=headers, reactor=reactor, persistent=False)
        await response.content()
        return int(response.code)

    def missed(self) -> list[tuple[str, str, int]]:
        """The calls that it has recorded."""
        with closing(sqlite3.connect(self.folder / "calls.db")) as database:
            return list(database.execute("SELECT phone, caller, rang FROM missed"))

    async def test_a_daemon(self) -> None:
        """A daemon sends it a missed call, and others; the missed one is recorded, once."""
        settings = f'webhooks = {{ url = "{self.url}", secret = "{SECRET}" }}'
        daemon = Daemon(self.mktemp(), settings)
        self.addCleanup(daemon.stop)
        await daemon.start()
        service = service_of(daemon)
        await log_in(service, FRIEND, "tv")
        call = (await member(self, service, PHONE, "phone")).calls(FRIEND, "tv")
        await call.until("over")
        self.assertEqual(call.reason, "offline")
        await self.receiver.says(r"missed: 136\*\*\*\*4968 by 136\*\*\*\*4967\n")
        self.assertEqual(self.missed(), [(FRIEND, PHONE, 0)])
        self.assertNotIn(PHONE.encode(), self.receiver.said)

    async def test_again(self) -> None:
        """A repeated event is accepted and counts once, also after a restart in between."""
        self.assertEqual([await self.post(BODY, signed(BODY)) for _ in range(2)], [204, 204])
        await self.receiver.stop()
        await self.start()
        self.assertEqual(await self.post(BODY, signed(BODY)), 204)
        self.assertEqual(self.missed(), [(FRIEND, PHONE, 1)])

    async def test_others(self) -> None:
        """An event without a recent signature of callnet is refused, whatever the signature looks like."""
        refused = [
            signed(BODY, secret="x" * 36),
            signed(BODY + b" "),
            signed(BODY, at=time.time() - 400),
            signed(BODY, at=time.time() + 400),
            *("", "t=,v1=", "t=x,v1=y", signed(BODY)[:-1], signed(BODY).replace("t=", "t=1"), "é"),
        ]
        self.assertEqual([await self.post(BODY, signature) for signature in refused], [401] * len(refused))
        self.assertEqual(await self.post(b"x" * 70000, "t=1,v1=0"), 413)
        self.assertEqual(self.missed(), [])

    async def test_nowhere_to_write(self) -> None:
        """An event that cannot be stored is refused; callnet sends it again, and then it is accepted."""
        with closing(sqlite3.connect(self.folder / "calls.db")) as database:
            database.execute("ALTER TABLE missed RENAME TO away")
            self.assertEqual(await self.post(BODY, signed(BODY)), 503)
            database.execute("ALTER TABLE away RENAME TO missed")
        self.assertEqual(await self.post(BODY, signed(BODY)), 204)
        self.assertEqual(self.missed(), [(FRIEND, PHONE, 1)])

    async def test_no_secret(self) -> None:
        """Without a secret that is one it does not start, and says why in a line."""
        (self.folder / "webhook.secret").write_text("short\n", encoding="utf-8")
        for path in ("webhook.secret", "none"):
            environ = {"WEBHOOK_SECRET_FILE": path, "WEBHOOK_DATABASE": "calls.db", "WEBHOOK_PORT": "0"}
            receiver = Script("webhooks/receiver.py", str(self.folder), environ)
            receiver.start()
            self.assertEqual(await receiver.has_ended, 1)
            self.assertEqual(len(receiver.said.splitlines()), 1, receiver.said)
