"""A push message can be read by its browser alone (RFC 8291, RFC 8188)."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.push.webpush import PLAIN_MAX, PushHosts, Subscription, encrypt, read_subscription, sealed
from tests.support.push_browser import Browser, base64url, from_base64url

URL = "https://push.test/send/1"
HOSTS = PushHosts(["push.test"])


def subscription_of(browser: Browser) -> Subscription:
    """It as callnet reads it."""
    return read_subscription(browser.target(URL), HOSTS)


class EncryptionTests(SynchronousTestCase):
    """One message for one browser."""

    def test_example_of_the_standard(self) -> None:
        """The example of RFC 8291 §5 comes out as it stands there."""
        browser = Browser(
            int.from_bytes(from_base64url("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"), "big"),
            from_base64url("BTBZMqHH6r4Tts7J_aSIgg"),
        )
        self.assertEqual(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            base64url(browser.public),
        )
        sender = int.from_bytes(from_base64url("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"), "big")
        body = encrypt(
            b"When I grow up, I want to be a watermelon\2",
            subscription_of(browser),
            ec.derive_private_key(sender, ec.SECP256R1()),
            from_base64url("DGv6ra1nlYgDCS1FRnbzlw"),
        )
        self.assertEqual(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBr"
            "u3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
            base64url(body),
        )
        self.assertEqual(b"When I grow up, I want to be a watermelon", browser.read(body))

    @settings(max_examples=20, deadline=None)
    @given(plain=st.binary(max_size=PLAIN_MAX).filter(lambda plain: not plain.endswith(b"\0")))
    def test_any_message(self, plain: bytes) -> None:
        """Whatever is said is read."""
        browser = Browser()
        self.assertEqual(plain, browser.read(sealed(plain, subscription_of(browser), 512)))

    def test_longest(self) -> None:
        """The longest message fits in the size that every push service accepts."""
        browser = Browser()
        body = sealed(b"x" * PLAIN_MAX, subscription_of(browser), 512)
        self.assertEqual(4096, len(body))
        self.assertEqual(b"x" * PLAIN_MAX, browser.read(body))

    def test_length_tells_nothing(self) -> None:
        """Messages have one length."""
        browser = Browser()
        lengths = {len(sealed(b"x" * length, subscription_of(browser), 512)) for length in (0, 1, 100, 512)}
        self.assertEqual(1, len(lengths))

    def test_never_the_same(self) -> None:
        """Each message has a key and a salt of its own."""
        to = subscription_of(Browser())
        bodies = [sealed(b"x", to, 512) for _ in range(3)]
        for part in (slice(0, 16), slice(21, 86), slice(86, None)):
            self.assertEqual(3, len({body[part] for body in bodies}))

    def test_for_one_browser(self) -> None:
        """Another browser cannot read it."""
        body = sealed(b"x", subscription_of(Browser()), 512)
        self.assertRaises(AssertionError, Browser().read, body)
