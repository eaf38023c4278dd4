"""Secrets that sign requests to the operator's programs: in the settings, the environment, or files of their own."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from callnet.config.load import load
from callnet.config.schema import GatewaySettings, OtpSettings, Settings, WebhookSettings
from callnet.errors import StartError
from callnet.ops.webhooks import read_signing_secrets
from tests.support.tap_case import DaemonTestCase

SECRET = "known to callnet and to this program alone"
SECTIONS = {
    "accounts.otp": ("CALLNET_OTP_SECRET", 'accounts.enrolment = "otp"\n'),
    "webhooks": ("CALLNET_WEBHOOKS_SECRET", ""),
    "push.gateway": ("CALLNET_GATEWAY_SECRET", ""),
}


def secret_of(settings: Settings, section: str) -> str:
    """The secret of a section."""
    found: dict[str, OtpSettings | WebhookSettings | GatewaySettings] = {
        "accounts.otp": settings.accounts.otp,
        "webhooks": settings.webhooks,
        "push.gateway": settings.push.gateway,
    }
    return found[section].secret


class SigningSecretsTests(SynchronousTestCase):
    """Each of the three."""

    def setUp(self) -> None:
        """A file with a secret."""
        self.file = Path(self.mktemp()).absolute()
        self.write(f"{SECRET}\n".encode())

    def write(self, content: bytes, mode: int = 0o600) -> None:
        """Let the file hold this."""
        self.file.write_bytes(content)
        os.chmod(self.file, mode)

    def load(self, section: str, settings: str, environ: dict[str, str] | None = None) -> str:
        """The secret that holds with these settings of a section."""
        path = self.mktemp()
        text = f'{SECTIONS[section][1]}{section}.url = "https://program.example.org/"\n{settings}'
        Path(path).write_text(text, encoding="utf-8")
        return secret_of(read_signing_secrets(load(path, environ or {})), section)

    def refusal(self, section: str, settings: str, environ: dict[str, str] | None = None) -> str:
        """Why callnet does not start with them."""
        error = str(self.assertRaises(StartError, self.load, section, settings, environ))
        self.assertNotIn(SECRET, error)
        return error

    def test_file(self) -> None:
        """A file may hold the secret; the end of the line is no part of it."""
        for section in SECTIONS:
            self.assertEqual(SECRET, self.load(section, f'{section}.secret_file = "{self.file}"'))

    def test_environment(self) -> None:
        """The environment goes before the file of settings, and is enough alone."""
        for section, (name, _) in SECTIONS.items():
            for settings in ("", f'{section}.secret = "{"x" * 32}"'):
                self.assertEqual(SECRET, self.load(section, settings, {name: SECRET}))
            self.assertIn(f"{section}.secret must have at least 32", self.refusal(section, "", {name: "short"}))

    def test_both(self) -> None:
        """A secret and a file with one are a mistake, which names both, wherever the secret stands."""
        for section, (name, _) in SECTIONS.items():
            file = f'{section}.secret_file = "{self.file}"\n'
            expected = f"{section}.secret and {section}.secret_file are both set; remove one"
            self.assertIn(expected, self.refusal(section, f'{file}{section}.secret = "{SECRET}"'))
            self.assertIn(expected, self.refusal(section, file, {name: SECRET}))

    def test_bad_files(self) -> None:
        """A file that is not there, open to others, too short, or no text of one line stops the start."""
        for section in SECTIONS:
            settings = f'{section}.secret_file = "{self.file}"'
            for content, mode, word in (
                (SECRET.encode(), 0o640, "accessible to others"),
                (b"short", 0o600, "at least 32"),
                (f"{SECRET}\n{SECRET}".encode(), 0o600, "one line"),
                (b"\xff" * 32, 0o600, "UTF-8"),
            ):
                self.write(content, mode)
                error = self.refusal(section, settings)
                self.assertIn(f"{section}.secret_file", error)
                self.assertIn(word, error)
        self.file.unlink()
        self.assertIn("No such file", self.refusal("webhooks", f'webhooks.secret_file = "{self.file}"'))


class DaemonTests(DaemonTestCase):
    """A daemon whose secret is in a file."""

    def test_start(self) -> None:
        """It starts with a good file alone."""
        file = Path(self.mktemp()).absolute()
        settings = f'webhooks.url = "https://program.example.org/"\nwebhooks.secret_file = "{file}"'
        self.assertIn("webhooks.secret_file", self.refusal(settings))
        file.touch(0o600)
        file.write_text(SECRET, encoding="utf-8")
        self.assertEqual(SECRET, self.compose(settings).live.settings.webhooks.secret)
