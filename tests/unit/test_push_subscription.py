"""Valid subscriptions of a client to Web Push, which name the host that callnet connects to."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import DataInvalid
from callnet.push.webpush import PushHosts, read_subscription
from tests.support.push_browser import Browser, base64url

HOSTS = PushHosts(["push.test", "*.notify.test", "other.test:8443"])
URL = "https://push.test/send/dR-3:APA91b_x?token=BQ%2bA%3d&x=/"
MARK = "s3cret-m4rk"
_any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class SubscriptionTests(SynchronousTestCase):
    """One browser."""

    def setUp(self) -> None:
        """It has drawn its keys."""
        self.browser = Browser()

    def fields(self, **changed: object) -> dict[str, Any]:
        """The subscription of the browser, with some changes."""
        fields = self.browser.subscription(URL)
        fields["keys"] |= {name: value for name, value in changed.items() if name in fields["keys"]}
        return fields | {name: value for name, value in changed.items() if name not in fields["keys"]}

    def refusal(self, target: str) -> str:
        """The reason of a refusal; the target is not repeated."""
        error = self.assertRaises(DataInvalid, read_subscription, target, HOSTS)
        self.assertNotIn(MARK, str(error))
        self.assertLess(len(str(error)), 100)
        return str(error)

    def test_as_browsers_give_it(self) -> None:
        """It is accepted in the browsers' form, and stored without unneeded parts."""
        read = read_subscription(json.dumps(self.fields(more=MARK)), HOSTS)
        self.assertEqual((URL, "push.test", 443), (read.url, read.host, read.port))
        self.assertEqual((self.browser.public, self.browser.auth), (read.browser_key, read.auth))
        self.assertNotIn(MARK, read.target())
        self.assertEqual(read, read_subscription(read.target(), HOSTS))

    def test_hosts(self) -> None:
        """Hosts that are named are allowed, and hosts below a name with a star before it; on their port alone."""
        longest = "a" * 63
        for host in (
            f"{longest}.notify.test",
            "push.test",
            "push.test:443",
            "a.notify.test",
            "a.b.notify.test",
            "other.test:8443",
        ):
            read = read_subscription(json.dumps(self.fields(endpoint=f"https://{host}/x")), HOSTS)
            self.assertEqual(f"https://{host.removesuffix(':443')}", read.origin)
        for host in (
            "notify.test",
            "evilnotify.test",
            "a.push.test",
            "xpush.test",
            "push.test.evil.test",
            "other.test",
            "push.test:8443",
            "push.test:80",
            "localhost",
        ):
            self.assertIn("no push service", self.refusal(json.dumps(self.fields(endpoint=f"https://{host}/x"))), host)

    def test_addresses(self) -> None:
        """Only the plain form of URLs is taken, which nobody can read in another way."""
        for url in (
            "",
            MARK,
            "http://push.test/x",
            "HTTPS://push.test/x",
            "https://push.test",
            "https:/push.test/x",
            "https://PUSH.test/x",
            "https://user@push.test/x",
            f"https://push.test@{MARK}.test/x",
            "https://push.test:/x",
            "https://push.test:0/x",
            "https://push.test:999999/x",
            "https://push.test:443@evil.test/x",
            "https://push.test\\@evil.test/x",
            "https://push.test/x\\y",
            "https://push.test/x#y",
            "https://push.test/x y",
            "https://push.test/x\r\nX: y",
            "https://push.test/x\n",
            "https://pushétest/x",
            "https://push.test/é",
            "https://[::1]/x",
            "https://127.0.0.1/x",
            "https://169.254.169.254/x",
            "https://2130706433/x",
            "https://0x7f.1/x",
            "https://push.test./x",
            "https://a..notify.test/x",
            "https://.notify.test/x",
            "https://-.notify.test/x",
            "https://a_b.notify.test/x",
            f"https://{'a' * 64}.notify.test/x",
            'https://push.test/"',
            "https://push.test/<x>",
            "https://push.test/{x}",
            "https://push.test%2f@evil.test/x",
            " https://push.test/x",
            "https://" + "a" * 254 + "/x",
        ):
            self.assertIn(
                "endpoint must be a plain https URL", self.refusal(json.dumps(self.fields(endpoint=url))), url
            )

    def test_keys(self) -> None:
        """A key must be a point on the curve, and both must have their length and form."""
        public, auth = self.browser.public, self.browser.auth
        off_curve = public[:-1] + bytes([public[-1] ^ 1])
        for data in (b"", public[:-1], public + b"\0", off_curve, b"\0", b"\2" + public[1:33], b"\6" + public[1:]):
            self.assertIn("p256dh", self.refusal(json.dumps(self.fields(p256dh=base64url(data)))), data)
        for text in (base64url(public) + "=", base64url(public)[:-1] + "\n", MARK, base64url(public)[:-1] + "é"):
            self.assertIn("p256dh", self.refusal(json.dumps(self.fields(p256dh=text))), text)
        for data in (b"", auth[:-1], auth + b"x"):
            self.assertIn("keys.auth", self.refusal(json.dumps(self.fields(auth=base64url(data)))), data)
        for text in (base64url(auth) + "==", "+" * 22, "/" * 22, base64url(auth)[:-1] + "B"):
            self.assertIn("keys.auth", self.refusal(json.dumps(self.fields(auth=text))), text)

    def test_what_is_none(self) -> None:
        """Anything else is refused with the expected form."""
        fields = self.fields()
        wrongs: tuple[object, ...] = (
            [],
            MARK,
            7,
            None,
            {},
            {"endpoint": URL},
            fields | {"endpoint": 7},
            fields | {"keys": []},
            fields | {"keys": {"p256dh": MARK}},
            fields | {"keys": {"p256dh": None, "auth": None}},
        )
        for wrong in wrongs:
            self.assertIn("PushSubscription", self.refusal(json.dumps(wrong)), wrong)
        for text in ("", "{", "[" * 100_000, "\ud800", f'{{"endpoint": "{MARK}'):
            self.assertIn("PushSubscription", self.refusal(text))

    @settings(max_examples=300, deadline=None)
    @given(target=st.text() | _any_json.map(json.dumps))
    def test_any_text(self, target: str) -> None:
        """Any text is refused in our own words."""
        self.assertRaises(DataInvalid, read_subscription, target, HOSTS)

    @settings(max_examples=300, deadline=None)
    @given(
        st.builds(
            lambda *parts: "".join(parts),
            st.sampled_from(["https://", "http://", "https:", "//", "https:///"]),
            st.sampled_from(["", "user@", "push.test@", "push.test:443@", "evil.test\\", "evil.test#@", "evil.test?"]),
            st.sampled_from(["push.test", "a.notify.test", "evil.test", "push.test.", "127.0.0.1"])
            | st.text(max_size=9),
            st.sampled_from(["", ":443", ":8443", ":", ":0443"]),
            st.sampled_from(["", "/", "/x", "\\x", "?x", "#x"]) | st.text(max_size=9),
        )
    )
    def test_any_address(self, url: str) -> None:
        """An accepted address begins with https and an allowed host, and cannot be read otherwise."""
        try:
            read = read_subscription(json.dumps(self.fields(endpoint=url)), HOSTS)
        except DataInvalid:
            return
        self.assertTrue(read.host == "push.test" or read.host.endswith(".notify.test"))
        self.assertRegex(url, r"\Ahttps://[a-z.]+(:443)?/[!-~]*\Z")
        self.assertNotRegex(url, r"[\\#]")
        self.assertTrue(url.startswith(f"https://{read.host}"))

    @settings(max_examples=100, deadline=None)
    @given(st.binary(min_size=65, max_size=65))
    def test_any_key(self, data: bytes) -> None:
        """65 bytes are a key only if they are a point on the curve."""
        self.assertIn("p256dh", self.refusal(json.dumps(self.fields(p256dh=base64url(data)))))
