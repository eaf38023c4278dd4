"""``/devices/push``: a real site, the real service, a database in memory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock

from callnet.config.schema import LimitSettings
from callnet.model import PUSH_TARGET_MAX, DeviceAddress
from callnet.push.ssrf import Outside, is_global
from callnet.push.waking import WebPush
from callnet.push.webpush import PushHosts, Vapid
from callnet.storage.push import PushKind, PushRegistration
from tests.support.account_fixture import PHONE, TV, ServiceFixture
from tests.support.api_case import LOGOUT, MARK, ApiTestCase
from tests.support.push_browser import Browser
from tests.unit.test_api_fields import NO_UTF8, WRONG_TYPES, with_field
from tests.unit.test_push_outside import Names

PUSH = "/devices/push"
RENEW = "/devices/push/renew"
KEY = "/devices/push/key"
ENDPOINT = "https://push.test/send/x"
BOX: dict[str, Any] = {"kind": "webhook", "target": "box 7, 码"}


def web_push() -> WebPush:
    """Web Push with one service, which nothing is sent to."""
    reactor: Any = MemoryReactorClock()
    outside = Outside(reactor, cast(IHostnameResolver, Names()), optionsForClientTLS, is_global)
    vapid = Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:ops@example.org")
    return WebPush(outside, PushHosts(["push.test"]), vapid, Clock(), Clock().seconds)


class PushTests(ApiTestCase):
    """A device that is logged in, where there are both ways to wake it."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.web_push = web_push()
        self.fixture = ServiceFixture(web_push=self.web_push)
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)
        self.body: dict[str, Any] = {"token": self.login()}
        self.target = Browser().target(ENDPOINT)

    def register(self, **fields: object) -> None:
        """Register, and succeed."""
        self.assert_error(0, PUSH, self.body | fields)

    def refusal(self, **fields: object) -> tuple[int, str]:
        """The errorCode and the message of a refusal."""
        answer = self.post(PUSH, self.body | fields).json()
        return answer["errorCode"], answer["message"]

    def kept(self, device: DeviceAddress = TV) -> list[PushRegistration]:
        """The registrations of a device."""
        found: Sequence[PushRegistration] = self.successResultOf(self.fixture.registrations.of(device))
        return list(found)

    def test_webhook(self) -> None:
        """For the gateway a device gives any text; it is kept as it is, for the token's device."""
        self.register(**BOX, phone="13651884968", device_id="other")
        self.assertEqual([PushRegistration(TV, PushKind.WEBHOOK, BOX["target"], 0.0)], self.kept())
        self.register(kind="webhook", target="x" * PUSH_TARGET_MAX)
        self.assertEqual(["x" * PUSH_TARGET_MAX], [one.target for one in self.kept()])

    def test_webpush(self) -> None:
        """For Web Push it gives its browser's subscription; only the needed part is kept."""
        self.register(kind="webpush", target=self.target)
        (kept,) = self.kept()
        self.assertIs(PushKind.WEBPUSH, kept.kind)
        fields = json.loads(self.target)
        del fields["expirationTime"]
        self.assertEqual(fields, json.loads(kept.target))

    def test_renewed(self) -> None:
        """A browser registers its new subscription by the old one, of its own device and of Web Push alone, once."""
        self.register(kind="webpush", target=self.target)
        new = Browser().target(f"{ENDPOINT}/new")
        body = {"phone": TV.phone, "device_id": TV.device_id, "old": self.target, "target": new}
        for wrong in ({"device_id": "other"}, {"phone": "13651884968"}, {"old": new}, {"phone": "no phone"}):
            self.assert_error(4, RENEW, body | wrong)
        for field in ("old", "target"):
            for text in ("{}", "", Browser().target("https://elsewhere.test/x")):
                answer = self.post(RENEW, body | {field: text}).json()
                self.assertEqual(2, answer["errorCode"])
                self.assertTrue(answer["message"].startswith(field), answer)
        (before,) = self.kept()
        self.assert_error(0, RENEW, body)
        (after,) = self.kept()
        self.assertEqual(
            (f"{ENDPOINT}/new", before.created_at), (json.loads(after.target)["endpoint"], after.created_at)
        )
        self.assert_error(4, RENEW, body)
        self.register(**BOX | {"target": after.target})
        self.assert_error(4, RENEW, body | {"old": new})

    def test_renewed_too_often(self) -> None:
        """As many are tried from an address as logins."""
        body = {"phone": TV.phone, "device_id": TV.device_id, "old": self.target, "target": self.target}
        for _ in range(LimitSettings().logins_a_minute_from_an_address):
            self.assert_error(4, RENEW, body)
        self.assertEqual(429, self.post(RENEW, body).status)

    def test_none(self) -> None:
        """With ``none`` it is not woken any more; each device has one registration."""
        self.register(**BOX)
        self.register(kind="webpush", target=self.target)
        self.assertEqual([PushKind.WEBPUSH], [one.kind for one in self.kept()])
        for _ in range(2):
            self.register(kind="none")
            self.assertEqual([], self.kept())

    def test_header(self) -> None:
        """The token may be in the header."""
        token = self.body.pop("token")
        self.assertEqual(0, self.post(PUSH, BOX, f"Authorization: Bearer {token}").json()["errorCode"])
        self.assertEqual(1, len(self.kept()))

    def test_token(self) -> None:
        """Without a token it is errorCode 2, with an invalid one errorCode 4, and nothing is stored."""
        self.assert_error(2, PUSH, dict(BOX))
        self.assert_error(4, PUSH, BOX | {"token": "x"})
        self.assert_error(0, LOGOUT, self.body)
        for fields in (BOX, {"kind": "none"}):
            self.assert_error(4, PUSH, self.body | fields)
        self.assertEqual([], self.kept())

    def test_logout(self) -> None:
        """A device that logs out is not woken any more; other devices of its phone are."""
        self.register(**BOX)
        pad = DeviceAddress(PHONE, "pad")
        self.assert_error(0, PUSH, BOX | {"token": self.login(*pad)})
        self.assert_error(0, LOGOUT, self.body)
        self.assertEqual(([], 1), (self.kept(), len(self.kept(pad))))

    def test_logout_that_is_not_known_here_yet(self) -> None:
        """A token that was revoked on another node a moment ago registers nothing."""
        elsewhere = ServiceFixture(database=self.fixture.database)
        self.successResultOf(elsewhere.logins.logout(self.body["token"]))
        self.assertEqual((4, "the token was revoked"), self.refusal(**BOX))
        self.assertEqual([], self.kept())

    def test_wrong_kind(self) -> None:
        """Another kind is errorCode 2 and changes nothing."""
        self.register(**BOX)
        wrongs: tuple[object, ...] = (None, 7, "", MARK, "Webhook", "webhook\0", [], {})
        for kind in wrongs:
            self.assertEqual((2, 'kind must be "webhook", "webpush" or "none"'), self.refusal(kind=kind, target="x"))
        self.assertEqual((2, "kind is missing"), self.refusal())
        self.assertEqual([BOX["target"]], [one.target for one in self.kept()])

    def test_wrong_target(self) -> None:
        """A target that is none is errorCode 2 and changes nothing."""
        self.register(**BOX)
        no_texts: tuple[object, ...] = (None, 7, [], {})
        for kind in ("webhook", "webpush"):
            for wrong in no_texts:
                self.assertEqual((2, "target must be a string"), self.refusal(kind=kind, target=wrong))
            for text in ("", "x" * (PUSH_TARGET_MAX + 1), "a\0b", "a\nb", "\x7f", "\ud800"):
                self.assertEqual(2, self.refusal(kind=kind, target=text)[0], text)
            self.assertEqual(2, self.refusal(kind=kind)[0])
        for text in (MARK, "{}", Browser().target("https://127.0.0.1/x"), Browser().target("http://push.test/x")):
            code, message = self.refusal(kind="webpush", target=text)
            self.assertEqual(2, code)
            self.assertIn("target", message)
        self.assertEqual([BOX["target"]], [one.target for one in self.kept()])

    def test_any_value(self) -> None:
        """Whatever a field is, it is taken, or refused with an errorCode of the caller's."""
        for name in ("kind", "target", "token"):
            for value in (*NO_UTF8, *WRONG_TYPES):
                answer = self.post(PUSH, with_field(self.body | BOX, name, value)).json()
                self.assertIn(answer["errorCode"], (0, 2), (name, value))

    def test_key(self) -> None:
        """A subscriber is told the key of the sender."""
        answer = self.wire.request("GET", KEY)
        self.assert_envelope(answer)
        self.assertEqual(self.web_push.vapid.public_key, answer.json()["application_server_key"])
        self.assertEqual(405, self.wire.request("GET", PUSH).status)
        self.assertEqual(405, self.wire.request("POST", KEY).status)


class NoWebPushTests(ApiTestCase):
    """Where there is a gateway alone."""

    def test_no_web_push(self) -> None:
        """There is no key, and a browser's subscription is refused."""
        self.assertIsNone(self.wire.request("GET", KEY).json()["application_server_key"])
        body = {"token": self.login(), "kind": "webpush", "target": Browser().target(ENDPOINT)}
        self.assertEqual("Web Push is off on this server", self.post(PUSH, body).json()["message"])
        renewal = {"phone": PHONE, "device_id": "tv", "old": body["target"], "target": body["target"]}
        self.assertEqual("Web Push is off on this server", self.post(RENEW, renewal).json()["message"])
