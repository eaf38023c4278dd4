"""The stories of tests/client_stories, played by the client in JavaScript in Node.js, with the committed logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from harness import ROOT
from tests.support.daemon import Daemon

HERE: Final = ROOT / "tests"
STORIES: Final = HERE / "client_stories"
PROGRAM: Final = HERE / "javascript" / "run_story.mjs"

reactor: Any = installed


def stories() -> Iterator[tuple[str, str]]:
    """The name of each story, with each protocol that it is to be played on."""
    for path in sorted(STORIES.glob("*.json")):
        for protocol in json.loads(path.read_text())["protocols"]:
            yield path.stem, protocol


class StoryTests(TestCase):
    """Each story with a daemon of its own."""

    timeout = 180

    async def play(self, name: str, protocol: str) -> str:
        """The log of a story."""
        story = STORIES / f"{name}.json"
        daemon = Daemon(self.mktemp(), json.loads(story.read_text()).get("settings", ""))
        self.addCleanup(daemon.stop)
        await daemon.start()
        options = ("--no-warnings", "--experimental-websocket", str(PROGRAM))
        urls = (daemon.account_url, daemon.signaling_url)
        out, errors, status = await getProcessOutputAndValue("node", (*options, str(story), protocol, *urls), env=None)
        self.assertEqual((0, ""), (status, errors.decode()))
        return str(out.decode())


def _told(name: str, protocol: str) -> Any:
    def test(self: StoryTests) -> Deferred[None]:
        async def tell() -> None:
            log = await self.play(name, protocol)
            self.assertEqual((STORIES / f"{name}.{protocol}.log").read_text(), log)

        return Deferred.fromCoroutine(tell())

    test.__doc__ = f"{json.loads((STORIES / f'{name}.json').read_text())['says']} ({protocol})"
    return test


for _name, _protocol in stories():
    setattr(StoryTests, f"test_{_name.replace('-', '_')}_{_protocol}", _told(_name, _protocol))
