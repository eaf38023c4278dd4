"""The client in Python plays each story of tests/client_stories, and tells what it is to tell."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from tests.support.shared_daemon import shared_daemon
from tests.support.story_player import RUNS, Player, add_tests, expected, read

reactor: Any = installed


class StoriesTests(TestCase):
    """Each story, on each protocol that it names."""

    timeout = 180

    async def perform(self, name: str, protocol: str) -> None:
        """Play one."""
        run = next(RUNS)
        story = read(name, run)
        daemon = await shared_daemon(self, story.get("settings", ""))
        self.assertEqual(expected(name, protocol, run), await Player(story, protocol, reactor).play(daemon))
        self.assertNotIn("Traceback", daemon.log)


add_tests(StoriesTests)
