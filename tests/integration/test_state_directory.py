"""Two daemons, and one state directory."""

from __future__ import annotations

import os
import subprocess

from twisted.trial.unittest import TestCase

from harness.daemon import BIN, TWISTD
from tests.support.shared_daemon import shared_daemon


class TwoDaemonsTests(TestCase):
    """One daemon serves."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Have it."""
        self.first = await shared_daemon(self)

    def say(self, *command: str, **environment: str) -> tuple[int, str]:
        """The exit status and output of a command with the same settings, unless the environment names others."""
        done = subprocess.run(
            command,
            env={**self.first.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.decode()

    def test_second(self) -> None:
        """Another one says so in one line, and does not start."""
        why = f"another callnet uses {self.first.state_dir}; set redis.url, or workers, to run several on one machine"
        self.assertEqual((1, f"callnet: state_dir: {why}\n"), self.say(*TWISTD))

    def test_restore(self) -> None:
        """A backup cannot be put in its place either while it runs, wherever it listens."""
        file, settings = self.mktemp(), os.path.abspath(self.mktemp())
        callnet = os.path.join(BIN, "callnet")
        self.assertEqual(0, self.say(callnet, "backup", file)[0])
        with open(settings, "w", encoding="utf-8") as written:
            written.write(f'state_dir = "{self.first.state_dir}"\n[listeners]\nadmin = []\n')
        status, said = self.say(callnet, "restore", "--replace", file, CALLNET_CONFIG=settings)
        self.assertEqual(1, status)
        self.assertIn("another callnet uses", said)
