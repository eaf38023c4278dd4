"""The words in which the program that orders a certificate says why there is none."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import requests
from acme import errors, messages
from twisted.trial.unittest import SynchronousTestCase

from callnet.acme.order import OrderError, _explained, _take
from callnet.acme.renewal import AcmeFolder
from callnet.config.schema import AcmeSettings
from callnet.ops.certificates import sign

SETTINGS = AcmeSettings(names=("callnet.example.org",), directory="https://acme.example.org/dir")


class WordsTests(SynchronousTestCase):
    """An error of the library, or of the authority, in one line."""

    def words(self, error: Exception) -> str:
        """The words for an error."""

        def fail() -> None:
            with _explained(SETTINGS):
                raise error

        return str(self.assertRaises(OrderError, fail))

    def test_refused(self) -> None:
        """The text of the authority is shown, at most a line of it, without control characters and tokens."""
        token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
        problem = messages.Error.with_code("rateLimited", detail=f"see \x1b[31m\n{token}: {'too many ' * 99}")
        words = self.words(problem)
        self.assertTrue(words.startswith("the authority refused: rateLimited: see  [31m …: too many"), words)
        self.assertLess(len(words), 400)
        self.assertNotIn(token, words)

    def test_not_signed(self) -> None:
        """An order that fails after the names were validated says why."""
        problem = messages.Error.with_code("caa", detail="CAA record forbids it")
        self.assertEqual(
            "the authority did not sign: caa: CAA record forbids it", self.words(errors.IssuanceError(problem))
        )

    def test_not_reached(self) -> None:
        """An authority that is away is named, with the cause at the bottom."""
        away = requests.ConnectionError(requests.RequestException(ConnectionRefusedError(111, "Connection refused")))
        self.assertEqual("cannot reach https://acme.example.org/dir: Connection refused", self.words(away))
        self.assertEqual("https://acme.example.org/dir did not answer in time", self.words(requests.ReadTimeout()))
        untrusted = requests.exceptions.SSLError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
        self.assertEqual(
            "the certificate of https://acme.example.org/dir is not trusted (tls.acme.ca):"
            " [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
            self.words(untrusted),
        )

    def test_slow(self) -> None:
        """So is one that takes too long."""
        self.assertEqual("the authority took longer than 180 s", self.words(errors.TimeoutError()))

    def test_nonsense(self) -> None:
        """An answer that is not understood is no crash."""
        self.assertIn("unexpected answer of https://acme.example.org/dir", self.words(ValueError("Expecting value")))


class TakingTests(SynchronousTestCase):
    """A certificate that the authority has signed."""

    def test_due(self) -> None:
        """One that is due at once is written, and a failure: it lacks a name, or is too old."""
        state_dir, now = self.mktemp(), datetime.now(UTC)
        os.mkdir(state_dir)
        folder = AcmeFolder(state_dir, SETTINGS.directory)
        folder.make()
        for pair in (sign(["other.example.org"], [], now), sign(SETTINGS.names, [], now - timedelta(days=800))):
            error = self.assertRaises(OrderError, _take, pair, SETTINGS, folder)
            self.assertEqual("the authority signed other names, or for too short a time", str(error))
            written = folder.pair()
            assert written is not None
            self.assertEqual(pair.chain, written.chain)
        _take(sign([*SETTINGS.names, "www.example.org"], [], now), SETTINGS, folder)
