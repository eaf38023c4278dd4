"""The identification of callnet to push services (RFC 8292)."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import StartError
from callnet.push.webpush import Vapid, load_or_make_key
from tests.support.push_browser import claims_of, from_base64url


def pem_of(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, lock: KeySerializationEncryption | None = None
) -> bytes:
    """A key as a file has it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock or NoEncryption())


class VapidTests(SynchronousTestCase):
    """The claims that push services get."""

    def test_claims(self) -> None:
        """Each is told who sends, for itself alone, and not for longer than a day."""
        vapid = Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:ops@example.org")
        claims, key = claims_of(vapid.authorization("https://push.test", 1_600_000_000.9))
        self.assertEqual("https://push.test", claims["aud"])
        self.assertEqual("mailto:ops@example.org", claims["sub"])
        self.assertIsInstance(claims["exp"], int)
        self.assertGreater(claims["exp"], 1_600_000_000 + 3600)
        self.assertLess(claims["exp"], 1_600_000_000 + 86400)
        self.assertEqual(vapid.public_key, key)

    def test_public_key(self) -> None:
        """Browsers are shown a point on the curve, uncompressed."""
        key = ec.generate_private_key(ec.SECP256R1())
        numbers = key.public_key().public_numbers()
        point = from_base64url(Vapid(key, "").public_key)
        self.assertEqual(b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big"), point)


class KeyFileTests(SynchronousTestCase):
    """The file of the key."""

    def setUp(self) -> None:
        """None is there yet."""
        self.path = os.path.abspath(self.mktemp())

    def refusal(self, content: bytes, mode: int = 0o600) -> str:
        """The error about an invalid file, in one line, which does not repeat it."""
        Path(self.path).write_bytes(content)
        os.chmod(self.path, mode)
        error = str(self.assertRaises(StartError, load_or_make_key, self.path))
        self.assertTrue(error.startswith(f"push.vapid_key_file: {self.path}"), error)
        self.assertNotIn("\n", error)
        return error

    def test_made_once(self) -> None:
        """It is made for this user alone, and read from then on."""
        made = load_or_make_key(self.path)
        self.assertEqual(0o600, os.stat(self.path).st_mode & 0o777)
        self.assertEqual(pem_of(made), pem_of(load_or_make_key(self.path)))
        self.assertEqual([os.path.basename(self.path)], _beside(self.path))

    def test_of_the_operator(self) -> None:
        """It may be one that the operator brings, in any form of PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        Path(self.path).write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        os.chmod(self.path, 0o600)
        self.assertEqual(pem_of(key), pem_of(load_or_make_key(self.path)))

    def test_no_good(self) -> None:
        """Another kind of key, a locked one, or something else stops the start, and is left as it is."""
        for content in (
            b"",
            b"s3cret",
            pem_of(ec.generate_private_key(ec.SECP384R1())),
            pem_of(rsa.generate_private_key(65537, 2048)),
            pem_of(ec.generate_private_key(ec.SECP256R1()), BestAvailableEncryption(b"x")),
        ):
            self.assertIn("no unencrypted PEM private key on P-256", self.refusal(content))
            self.assertEqual(content, Path(self.path).read_bytes())

    def test_open_to_others(self) -> None:
        """A key that others can read is not used."""
        self.assertIn("chmod 600", self.refusal(pem_of(ec.generate_private_key(ec.SECP256R1())), 0o640))

    def test_nowhere(self) -> None:
        """A file that can be neither read nor made is named."""
        error = str(self.assertRaises(StartError, load_or_make_key, f"{self.path}/nowhere/vapid.key"))
        self.assertIn(f"push.vapid_key_file: {self.path}/nowhere/vapid.key: No such file or directory", error)
        os.mkdir(self.path)
        self.assertIn("Is a directory", str(self.assertRaises(StartError, load_or_make_key, self.path)))


def _beside(path: str) -> list[str]:
    return [name for name in os.listdir(os.path.dirname(path)) if os.path.basename(path) in name]
