"""Two daemons, and one state directory."""

from __future__ import annotations

import os
import subprocess

from twisted.trial.unittest import TestCase

from harness.daemon import BIN, TWISTD
from tests.support.daemon import Daemon


class TwoDaemonsTests(TestCase):
    """One daemon serves."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Start it."""
        self.first = Daemon(self.mktemp())
        self.addCleanup(self.first.stop)
        await self.first.start()

    def say(self, *command: str) -> tuple[int, str]:
        """The exit status of a command with the same settings, and what it says."""
        done = subprocess.run(
            command,
            env=dict(self.first.environ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=60,
        )
        return done.returncode, done.stdout.decode()

    def test_second(self) -> None:
        """Another one says so in one line, and does not start."""
        why = f"another callnet runs with {self.first.state_dir}; several on one machine need redis.url, or workers"
        self.assertEqual((1, f"callnet: state_dir: {why}\n"), self.say(*TWISTD))

    def test_restore(self) -> None:
        """Nor is a backup put in its place while it runs, wherever it listens."""
        file = os.path.join(self.first.folder, "backup")
        callnet = os.path.join(BIN, "callnet")
        self.assertEqual(0, self.say(callnet, "backup", file)[0])
        os.replace(os.path.join(self.first.folder, "callnet.toml"), os.path.join(self.first.folder, "other.toml"))
        with open(os.path.join(self.first.folder, "callnet.toml"), "w", encoding="utf-8") as settings:
            settings.write(f'state_dir = "{self.first.state_dir}"\n[listeners]\nadmin = []\n')
        status, said = self.say(callnet, "restore", "--replace", file)
        self.assertEqual(1, status)
        self.assertIn("another callnet runs", said)
