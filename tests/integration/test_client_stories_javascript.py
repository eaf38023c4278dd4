"""The stories of tests/client_stories, played by the client in JavaScript in Node.js, with the committed logs."""

from __future__ import annotations

import atexit
import json
import subprocess
from functools import cache
from typing import Any, Final

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from harness import ROOT
from tests.support.shared_daemon import shared_daemon
from tests.support.story_player import RUNS, add_tests, expected, read

PROGRAM: Final = ROOT / "tests" / "javascript" / "run_story.mjs"


@cache
def node() -> subprocess.Popen[str]:
    """Node.js, which plays all stories."""
    command = ("node", "--no-warnings", "--experimental-websocket", str(PROGRAM))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.communicate)  # it ends when its input does
    return process


def ask(request: list[Any]) -> dict[str, Any]:
    """The outcome of a story."""
    process = node()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    outcome: dict[str, Any] = json.loads(process.stdout.readline())
    return outcome


class StoryTests(TestCase):
    """Each story, on each protocol that it names."""

    timeout = 180

    async def perform(self, name: str, protocol: str) -> None:
        """Play one."""
        run = next(RUNS)
        story = read(name, run)
        daemon = await shared_daemon(self, story.get("settings", ""))
        outcome = await deferToThread(ask, [story, protocol, daemon.account_url, daemon.signaling_url])
        self.assertEqual(("", []), (outcome["errors"], outcome["left"]))
        self.assertEqual(expected(name, protocol, run), outcome["log"])


add_tests(StoryTests)
