"""The client in Python plays each story of tests/client_stories, and reports the expected events."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor as installed
from twisted.trial.unittest import TestCase

from tests.support.shared_daemon import shared_daemon
from tests.support.story_player import RUNS, STORIES, Entry, Player, add_tests, expected, read

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


class WaitsTests(TestCase):
    """The stories themselves."""

    def test_ends_of_the_other_side(self) -> None:
        """A story waits for each end that another device brings about: its log is whole when it is read."""
        for path in sorted(STORIES.glob("*.json")):
            story = read(path.stem)
            for protocol in story["protocols"]:
                entries = [json.loads(line) for line in expected(path.stem, protocol).splitlines()]
                steps = [step for step in story["steps"] if step.get("on", protocol) == protocol and "await" in step]
                for device in story["devices"]:
                    wanted = [step["await"] for step in steps if step["device"] == device]
                    left = not_waited_for(wanted, [entry for entry in entries if entry["device"] == device])
                    ends = [entry for entry in left if entry.get("state") == "over" and not entry.get("own_end")]
                    self.assertEqual([], ends, f"{path.stem}, {protocol}")


def not_waited_for(wanted: Sequence[Entry], entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries of a device after the last that the story waits for."""
    for fields in wanted:
        place = next(place for place, entry in enumerate(entries) if fields.items() <= entry.items())
        entries = entries[place + 1 :]
    return entries
