"""Tokens: issuing and accepting them."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import jwt
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import TOKEN_MAX, Tokens
from callnet.errors import TokenInvalid
from callnet.model import DEVICE_ID_MAX, DeviceAddress

NOW = 1_600_000_000
SECRET = b"k" * 32
OLD_SECRET = b"o" * 32
TV = DeviceAddress("13651884967", "tv888")
SEED_TOKEN_CLAIMS = {"userName": "13651884967tv888", "ip": "", "exp": 1614569876}
CLAIMS = {"phone": TV.phone, "deviceid": TV.device_id, "exp": NOW + 60}

ANY_TYPE: list[Any] = ["x", "", None, True, 1, 1.5, [], ["x"], {}, {"x": 1}]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def forge(claims: object, secret: bytes = SECRET, **header: Any) -> str:
    """A token with these claims, signed with ``secret``; ``alg`` and others may be set in its header."""
    algorithm = header.pop("alg", "HS256")
    parts: list[object] = [{"typ": "JWT", "alg": algorithm, **header}, claims]
    signed = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    digest = hmac.digest(secret, signed.encode(), "sha384" if algorithm == "HS384" else "sha256")
    return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


class TokensTests(SynchronousTestCase):
    """Tokens of one key, and of two."""

    def setUp(self) -> None:
        """A clock, and tokens that live for an hour."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.key = Key.of(SECRET)
        self.tokens = Tokens(KeyRing.of(self.key), 3600, self.clock.seconds)
        self.splitting = Tokens(KeyRing.of(self.key), 3600, self.clock.seconds, split_user_name=True)

    def assert_refused(self, token: str, tokens: Tokens | None = None) -> None:
        """The token is refused, and the error does not repeat it."""
        error = self.assertRaises(TokenInvalid, (tokens or self.tokens).verify, token)
        self.assertLess(len(str(error)), 80)
        if len(token) > 20:
            self.assertNotIn(token, str(error))

    def test_claims(self) -> None:
        """A token carries the seed's claims and ours, and names its key."""
        token = self.tokens.issue(TV)
        claims = jwt.decode(token, SECRET, ["HS256"], options={"verify_exp": False, "verify_iat": False})
        self.assertEqual(len(claims["jti"]), 32)
        self.assertEqual((claims.pop("jti"), NOW), (claims.pop("sid"), claims.pop("auth_time")))
        self.assertEqual(
            claims,
            {
                "userName": "13651884967tv888",
                "ip": "",
                "phone": "13651884967",
                "deviceid": "tv888",
                "iat": NOW,
                "exp": NOW + 3600,
            },
        )
        self.assertEqual(jwt.get_unverified_header(token), {"alg": "HS256", "typ": "JWT", "kid": self.key.kid})

    def test_each_token_is_another(self) -> None:
        """Two tokens of one device differ, even of the same second."""
        self.assertNotEqual(self.tokens.issue(TV), self.tokens.issue(TV))

    def test_key_id_tells_nothing_but_the_key(self) -> None:
        """The id of a key is always the same, differs from that of another, and its secret is never printed."""
        self.assertEqual(Key.of(SECRET).kid, Key.of(SECRET).kid)
        self.assertNotEqual(Key.of(SECRET).kid, Key.of(OLD_SECRET).kid)
        self.assertNotIn("kkk", repr(Key.of(SECRET)))

    def test_expiry(self) -> None:
        """A token is valid for its lifetime on the clock that was given, not on the machine's."""
        token = self.tokens.issue(TV)
        self.assertLess(NOW + 3600, time.time())
        self.clock.advance(3599)
        self.assertEqual(self.tokens.verify(token).device, TV)
        self.clock.advance(1)
        self.assert_refused(token)

    def test_not_yet_valid(self) -> None:
        """A token from the future is refused, but for an hour, by which another node's clock may be ahead."""
        for claim in ("iat", "nbf"):
            self.assertEqual(self.tokens.verify(forge({**CLAIMS, claim: NOW + 3600})).device, TV)
            self.assert_refused(forge({**CLAIMS, claim: NOW + 3601}))

    def test_older_key(self) -> None:
        """A token of a key that no longer signs is accepted while the key is listed."""
        old, new = Key.of(OLD_SECRET), Key.of(SECRET)
        token = Tokens(KeyRing.of(old), 3600, self.clock.seconds).issue(TV)
        self.assertEqual(Tokens(KeyRing.of(old, [new]), 3600, self.clock.seconds).verify(token).device, TV)
        self.assert_refused(token, Tokens(KeyRing.of(new), 3600, self.clock.seconds))

    def test_without_key_id(self) -> None:
        """A token without a key id is checked against the first key, and against no other."""
        tokens = Tokens(KeyRing.of(Key.of(SECRET), [Key.of(OLD_SECRET, NOW - 1)]), 3600, self.clock.seconds)
        self.assertEqual(tokens.verify(forge(CLAIMS)).device, TV)
        self.assert_refused(forge(CLAIMS, OLD_SECRET), tokens)

    def test_key_ids(self) -> None:
        """A key id in another spelling of the header is found; an unknown one, or none that is a string, is refused."""
        self.assertEqual(self.tokens.verify(forge(CLAIMS, kid=self.key.kid, x=1)).device, TV)
        for kid in ANY_TYPE:
            self.assert_refused(forge(CLAIMS, kid=kid))

    def test_algorithm_is_pinned(self) -> None:
        """The algorithm that the token names is never followed."""
        for algorithm in ("none", "HS384", "RS256", ["HS256"], *ANY_TYPE):
            self.assert_refused(forge(CLAIMS, alg=algorithm))
            self.assert_refused(forge(CLAIMS, alg=algorithm, kid=self.key.kid))
        self.assert_refused(jwt.encode(CLAIMS, "", "none"))

    def test_header_extensions(self) -> None:
        """A header that asks for an extension that nobody knows is refused."""
        self.assert_refused(forge(CLAIMS, crit=["x"], x=1))
        self.assert_refused(forge(CLAIMS, b64=False, crit=["b64"]))

    def test_forged(self) -> None:
        """A token with any other signature or contents is refused."""
        token = self.tokens.issue(TV)
        header, payload, signature = token.split(".")
        other = self.tokens.issue(DeviceAddress("13651884968", "tv")).split(".")[1]
        for bad in (
            f"{header}.{other}.{signature}",
            f"{header}.{payload}.",
            f"{header}.{payload}",
            f"{header}..{signature}",
            f"{header}.{payload}.{signature}.{signature}",
            f"{header}.{payload}.{signature[:-2]}",
            f" {token}",
            f"{token}\n",
            f"{token}=",
            f"{token} ",
            forge(CLAIMS, b"x" * 32),
            forge(CLAIMS, b""),
        ):
            self.assert_refused(bad)

    def test_nonsense(self) -> None:
        """Any other text is refused."""
        for text in ("", ".", "..", "...", "\0", "é", "\ud800", "x" * (TOKEN_MAX + 1), "." * 2000, "{}", "a.b.c"):
            self.assert_refused(text)

    def test_too_long(self) -> None:
        """A token that is too long is refused, however valid."""
        self.assertEqual(self.tokens.verify(forge({**CLAIMS, "x": "y" * 1000})).device, TV)
        self.assert_refused(forge({**CLAIMS, "x": "y" * TOKEN_MAX}))

    def test_longest_address_fits(self) -> None:
        """The token of the longest phone and the longest device id is not too long."""
        address = DeviceAddress("+" * 32, "\U0001f4fa" * DEVICE_ID_MAX)
        self.assertEqual(self.tokens.verify(self.tokens.issue(address)).device, address)

    def test_claims_of_wrong_types(self) -> None:
        """Claims of any other type than theirs are refused."""
        for claim in ("exp", "iat", "nbf"):
            for value in ("1700000000", *(value for value in ANY_TYPE if not _is_number(value) and value is not None)):
                self.assert_refused(forge({**CLAIMS, claim: value}))
        self.assert_refused(forge({**CLAIMS, "exp": None}))
        for claim in ("phone", "deviceid", "jti", "userName"):
            for value in (value for value in ANY_TYPE if not isinstance(value, str) and value is not None):
                self.assert_refused(forge({**CLAIMS, claim: value}))
        for claims in ANY_TYPE:
            self.assert_refused(forge(claims))

    def test_payload_that_is_no_json(self) -> None:
        """A payload that was signed and is not JSON, or not in UTF-8, or nested for ever, is refused."""
        for payload in (b"", b"{", b"\xff", b'{"exp":1e999}', b"[" * 900, b'{"exp":NaN}', b'{"phone":"\xff"}'):
            token = jwt.PyJWS().encode(payload, SECRET, "HS256")
            self.assert_refused(token)

    def test_missing_claims(self) -> None:
        """A token must say when it expires, and whose it is."""
        for claim in ("exp", "phone", "deviceid"):
            self.assert_refused(forge({name: value for name, value in CLAIMS.items() if name != claim}))

    def test_malformed_addresses(self) -> None:
        """A token of a device that cannot exist is refused."""
        for phone in ("", "1" * 33, "1\0", "1\n"):
            self.assert_refused(forge({**CLAIMS, "phone": phone}))
        for device_id in ("", "*", "x" * 51, "a\0b", "\x7f"):
            self.assert_refused(forge({**CLAIMS, "deviceid": device_id}))

    def test_user_name_alone(self) -> None:
        """The seed's sample claims name a device only where all phones have 11 digits."""
        self.clock.rightNow = 1614569875
        token = forge(SEED_TOKEN_CLAIMS)
        self.assertEqual(self.splitting.verify(token).device, TV)
        self.assert_refused(token)

    def test_user_name_that_cannot_be_split(self) -> None:
        """A user name is split after 11 digits and nowhere else."""
        for name in (
            "",
            "13651884967",
            "1365188496",
            "23651884967tv",
            "1365188496xtv",
            "１3651884967tv",
            "13651884967*",
        ):
            self.assert_refused(forge({"userName": name, "exp": NOW + 60}), self.splitting)

    def test_user_name_beside_others(self) -> None:
        """With ``phone`` or ``deviceid`` in it, a token's ``userName`` is ignored."""
        claims = {"userName": "13651884968x", "exp": NOW + 60}
        self.assertEqual(self.splitting.verify(forge({**claims, "phone": TV.phone, "deviceid": "tv888"})).device, TV)
        self.assert_refused(forge({**claims, "phone": TV.phone}), self.splitting)
        self.assert_refused(forge({**claims, "deviceid": "tv888"}), self.splitting)


class TokenProperties(SynchronousTestCase):
    """Properties of any text."""

    tokens = Tokens(KeyRing.of(Key.of(SECRET)), 3600, lambda: NOW, split_user_name=True)

    @given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
    def test_any_text_is_refused(self, text: str) -> None:
        """No text that was not signed is a token, and none does worse than be refused."""
        self.assertRaises(TokenInvalid, self.tokens.verify, text)

    @given(st.data())
    def test_any_change_is_noticed(self, data: st.DataObject) -> None:
        """A token in which one character was changed, lost or put in is refused."""
        token = self.tokens.issue(TV)
        place = data.draw(st.integers(0, len(token) - 1))
        put = data.draw(st.text(st.characters(max_codepoint=127), max_size=2))
        changed = token[:place] + put + token[place + 1 :]
        if changed != token:
            self.assertRaises(TokenInvalid, self.tokens.verify, changed)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
        st.sampled_from(["phone", "deviceid", "exp", "iat", "nbf", "jti", "userName"]),
    )
    def test_any_claim(self, value: object, claim: str) -> None:
        """Whatever a signed claim is, the token is one of a well-formed device, or refused."""
        try:
            address = self.tokens.verify(forge({**CLAIMS, claim: value})).device
        except TokenInvalid:
            return
        self.assertTrue(0 < len(address.phone) <= 32)
        self.assertTrue(0 < len(address.device_id) <= 50)

    @given(
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=32),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1, max_size=50).filter("*".__ne__),
    )
    def test_round_trip(self, phone: str, device_id: str) -> None:
        """The token of any device that can exist names that device."""
        address = DeviceAddress(phone, device_id)
        self.assertEqual(self.tokens.verify(self.tokens.issue(address)).device, address)


class GeneralTokens(Tokens):
    """Tokens that are all read by PyJWT."""

    def __init__(self, ring: KeyRing) -> None:
        super().__init__(ring, 3600, lambda: NOW)
        self._headers = {}


class LibraryTests(SynchronousTestCase):
    """Tokens with a header of ours are checked as PyJWT would have checked them."""

    def setUp(self) -> None:
        """Two readers with the same keys; one leaves everything to PyJWT."""
        first, other = Key.of(SECRET), Key.of(OLD_SECRET, NOW)
        ring = KeyRing.of(first, [other])
        self.tokens, self.library = Tokens(ring, 3600, lambda: NOW), GeneralTokens(ring)
        seeds = [
            forge(CLAIMS),
            forge(CLAIMS, OLD_SECRET),
            forge({"exp": NOW + 60}),
            forge([]),
            forge(CLAIMS, alg="HS384"),
        ]
        self.made = [self.tokens.issue(TV), Tokens(KeyRing.of(first), 3600, lambda: NOW).issue(TV), *seeds]

    def verdict(self, tokens: Tokens, token: str) -> DeviceAddress | None:
        """The device of a token, if it is accepted."""
        try:
            return tokens.verify(token).device
        except TokenInvalid:
            return None

    def test_made_tokens(self) -> None:
        """They agree on every made-up token, and on issued ones."""
        for token in self.made:
            self.assertEqual(self.verdict(self.library, token), self.verdict(self.tokens, token), token)
        self.assertEqual(TV, self.library.verify(self.tokens.issue(TV)).device)

    @given(st.integers(0, 6), st.integers(0, 400), st.integers(0, 3), st.text("aZ0-_.=+/", max_size=3))
    def test_changed_tokens(self, which: int, at: int, left_out: int, put_in: str) -> None:
        """They agree on every token that was changed, but that a signature has one spelling only."""
        made = self.made[which]
        token = made[:at] + put_in + made[at + left_out :]
        verdict = self.verdict(self.tokens, token)
        if verdict is not None or token[:-1] != made[:-1]:
            self.assertEqual(self.verdict(self.library, token), verdict, token)
