"""Programs on asyncio: how they end (docs/python-client.md)."""

from __future__ import annotations

import subprocess
import sys
from textwrap import indent
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

PROGRAM: Final = """
import asyncio
from callnet_client import Account, Device, Server, aio

async def main():
    async with aio.running() as reactor:
        device = Device(Account(Server("http://127.0.0.1:9", reactor), "13800000001", "doorbell"))
{story}
    print("after")
{after}

asyncio.run(main())
print("done")
"""
"""Nothing listens at that port."""


class EndTests(SynchronousTestCase):
    """A program ends with its main coroutine, whatever else there is."""

    def run_program(self, story: str, after: str = "") -> tuple[int, str]:
        """Run a program with a device, and code for after the reactor has stopped; returns status and output."""
        source = PROGRAM.format(story=indent(story, " " * 8), after=indent(after, " " * 4))
        done = subprocess.run(
            [sys.executable, "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout

    def test_nothing_else(self) -> None:
        """With nothing else it ends."""
        self.assertEqual(self.run_program("await asyncio.sleep(0)"), (0, "after\ndone\n"))

    def test_a_task_that_runs(self) -> None:
        """A task that still runs is cancelled, as in any program on asyncio."""
        story = (
            "async def forever():\n    try:\n        await asyncio.sleep(3600)\n"
            "    finally:\n        await asyncio.sleep(0.01)\n        print('cancelled')\n"
            "task = asyncio.create_task(forever())\nawait asyncio.sleep(0)"
        )
        self.assertEqual(self.run_program(story), (0, "after\ncancelled\ndone\n"))

    def test_events_that_are_left(self) -> None:
        """The events of a device may be left in the middle."""
        story = (
            "events = aio.events(device)\ndevice.connect()\nasync for event in events:\n    break\n"
            "await aio.wait(device.close())"
        )
        self.assertEqual(self.run_program(story), (0, "after\ndone\n"))

    def test_a_thread(self) -> None:
        """Threads of asyncio's may have been used."""
        self.assertEqual(self.run_program("await asyncio.to_thread(int)"), (0, "after\ndone\n"))

    def test_what_follows(self) -> None:
        """The event loop goes on after the reactor has stopped."""
        self.assertEqual(self.run_program("pass", "await asyncio.sleep(0.05)"), (0, "after\ndone\n"))

    def test_an_error(self) -> None:
        """It ends with an error of the program's own."""
        status, said = self.run_program("asyncio.create_task(asyncio.sleep(3600))\nraise LookupError('its own')")
        self.assertEqual((status, said.strip().splitlines()[-1]), (1, "LookupError: its own"))
