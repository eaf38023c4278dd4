"""The stories of tests/client_stories, played by the client in JavaScript in Node.js, with the committed logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, Final

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from harness import ROOT
from tests.support.shared_daemon import shared_daemon
from tests.support.story_player import RUNS, expected, read, stories

PROGRAM: Final = ROOT / "tests" / "javascript" / "run_story.mjs"


class StoryTests(TestCase):
    """Each story, on each protocol that it names."""

    timeout = 180

    async def play(self, name: str, protocol: str) -> None:
        """Play one."""
        run = next(RUNS)
        story = read(name, run)
        daemon = await shared_daemon(self, story.get("settings", ""))
        options = ("--no-warnings", "--experimental-websocket", str(PROGRAM))
        arguments = (json.dumps(story), protocol, daemon.account_url, daemon.signaling_url)
        out, errors, status = await getProcessOutputAndValue("node", (*options, *arguments), env=None)
        self.assertEqual((0, ""), (status, errors.decode()))
        self.assertEqual(expected(name, protocol, run), out.decode())


def _told(name: str, protocol: str) -> Callable[[StoryTests], Coroutine[Any, Any, None]]:
    async def test(self: StoryTests) -> None:
        await self.play(name, protocol)

    test.__doc__ = f"{read(name)['says']} ({protocol})"
    return test


for _name, _protocol in stories():
    setattr(StoryTests, f"test_{_name.replace('-', '_')}_{_protocol}", _told(_name, _protocol))
