"""What a daemon reads again, and what comes of it."""

from __future__ import annotations

import time
from pathlib import Path

import jwt
from twisted.logger import LogLevel, capturedLogs, formatEvent

from callnet.accounts.keys import add_key, load_keys, remove_key
from tests.test_tap import DaemonTestCase

PHONE = "13651884967"


class ReloadTests(DaemonTestCase):
    """A daemon whose files change."""

    settings = ""

    def setUp(self) -> None:
        """Start it, and log in."""
        super().setUp()
        self.daemon = self.compose(self.settings)
        self.daemon.startService()
        self.addCleanup(self.stop)
        self.path = Path(self.state_dir, "signing.key")
        self.token = self.login()

    def stop(self) -> None:
        """Stop it."""
        stopped = self.daemon.stopService()
        self.reactor.advance(10)
        self.successResultOf(stopped)

    def login(self) -> str:
        """A new token."""
        return str(self.post(8083, "/account/login", phone=PHONE, device_id="tv")["token"])

    def error_code(self, token: str) -> int:
        """What a token is answered with."""
        return int(self.post(8083, "/getContactPersons", phone=PHONE, token=token)["errorCode"])

    def kid(self, token: str) -> str:
        """The key that a token names."""
        return str(jwt.get_unverified_header(token)["kid"])

    def reload(self) -> list[str]:
        """Have everything read again; the level and the text of each line in the log."""
        with capturedLogs() as events:
            self.daemon.reload(self.daemon.renewals)
        return [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]

    def test_nothing_has_changed(self) -> None:
        """The log says what was read, how many keys there are, and which of them signs."""
        self.assertEqual(
            self.reload(),
            [
                "info: the certificate was read again",
                f"info: the signing keys were read: there are 1, and {self.kid(self.token)} signs",
            ],
        )
        self.assertEqual(self.error_code(self.token), 0)

    def test_key_added_and_retired(self) -> None:
        """A new key signs after a reload; the tokens of the old one are good until it is retired, and a reload."""
        new = add_key(self.path, time.time())
        self.assertEqual(self.kid(self.login()), self.kid(self.token))
        self.assertIn(f"there are 2, and {new.kid} signs", self.reload()[1])
        token = self.login()
        self.assertEqual(self.kid(token), new.kid)
        self.assertEqual((self.error_code(self.token), self.error_code(token)), (0, 0))

        remove_key(self.path, load_keys(self.path).keys[0])
        self.assertEqual(self.error_code(self.token), 0)
        self.assertIn(f"there are 1, and {new.kid} signs", self.reload()[1])
        self.assertEqual((self.error_code(self.token), self.error_code(token)), (4, 0))

    def test_wrong_keys(self) -> None:
        """If one of the files is no good, one line says which and why, and all keys stay as they were."""
        add_key(self.path, time.time())
        self.path.chmod(0o644)
        [_, said] = self.reload()
        self.assertEqual(
            said,
            "error: the signing keys stay as they were:"
            f" tokens.signing_key_file: {self.path.absolute()} is open to others (mode 0644); chmod 600 it",
        )
        self.assertEqual(self.kid(self.login()), self.kid(self.token))
        self.assertEqual(self.error_code(self.token), 0)

    def test_no_key_any_more(self) -> None:
        """If there is no key any more, none is made, and the last one stays."""
        self.path.unlink()
        self.assertIn("No such file", self.reload()[1])
        self.assertFalse(self.path.exists())
        self.assertEqual(self.error_code(self.token), 0)

    def test_wrong_certificate(self) -> None:
        """A certificate that is no good keeps no key from being read."""
        new = add_key(self.path, time.time())
        Path(self.state_dir, "self-signed.crt").unlink()
        Path(self.state_dir, "self-signed.crt").mkdir()
        lines = self.reload()
        self.assertRegex(lines[0], "^error: the certificate stays as it was: ")
        self.assertIn(f"{new.kid} signs", lines[1])


class SettingsKeyTests(DaemonTestCase):
    """A daemon whose key is in the settings."""

    def test_keys_are_not_read(self) -> None:
        """It has no keys to read again, and says nothing of them."""
        daemon = self.compose(f'tokens.signing_key = "{"k" * 32}"')
        with capturedLogs() as events:
            daemon.reload(daemon.renewals)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])
        self.assertNotIn("key", str(formatEvent(events[0])))
