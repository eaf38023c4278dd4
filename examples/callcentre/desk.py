"""A queue: its lines accept callers, who wait in the rooms of their calls, and agents are given them in order.

A caller that waits is in a call with a line. The agent who has been free for the longest is rung, and, once it has
accepted, takes that call over from the line (``pull``, docs/extended-protocol.md); the caller's device need not know.
Who is free the operator's API tells (docs/admin-api.md). Beside what devices.py reads of the environment:

    CALLNET_ADMIN            the operator's listener (http://127.0.0.1:8084)
    CALLNET_ADMIN_KEY_FILE   the file with its key (/var/lib/callnet/admin.key)
    QUEUE_LINES              how many callers may wait (10); further ones are told that all is busy
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import treq
from devices import AGENT, BELL, device_of, leave_to_lines, server_of
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react
from twisted.web.http_headers import Headers

from callnet_client import Call, CallEvent, ClientError, Device, Event, StateEvent

ADMIN = os.environ.get("CALLNET_ADMIN", "http://127.0.0.1:8084")
KEY_FILE = Path(os.environ.get("CALLNET_ADMIN_KEY_FILE", "/var/lib/callnet/admin.key"))
PHONE = os.environ.get("QUEUE_PHONE", "")
LINES = int(os.environ.get("QUEUE_LINES", "10"))
RINGS_FOR = float(os.environ.get("QUEUE_RINGS_FOR", "20"))
"""Seconds that an agent is rung, and has to take the call over; then it is somebody else's turn."""
LOOKS_EVERY = 1.0
"""Seconds between two looks for a free agent, while somebody waits."""


class Desk:
    """Gives callers to agents.

    :param bell: rings agents.
    :param lines: accept callers.
    """

    def __init__(self, reactor: Any, bell: Device, lines: Sequence[Device]) -> None:
        self._reactor = reactor
        self._bell = bell
        self._lines = lines
        self._last_turn: dict[str, float] = {}
        for device in (bell, *lines):
            device.listen(partial(self._heard, device))

    def waiting(self) -> list[Call]:
        """The waiting callers in order, which is kept when this program is restarted."""
        calls = [line.call for line in self._lines if line.call is not None and line.call.is_incoming]
        return sorted((call for call in calls if call.state == "active"), key=lambda call: call.answered_at or 0)

    def _heard(self, device: Device, event: Event) -> None:
        if isinstance(event, StateEvent) and event.state in ("denied", "elsewhere"):
            print(f"{device.account.address.device_id} is {event.state}", file=sys.stderr, flush=True)
        if not isinstance(event, CallEvent) or not event.call.is_incoming:
            return
        call = event.call
        if device is self._bell:
            if event.state == "ringing":
                leave_to_lines(device, call)
        elif event.state == "ringing" and call.peer not in {each.peer for each in self.waiting()}:
            call.accept()  # a call to all devices of the phone rings all lines: one is enough
        elif call.is_forgotten:
            call.hang_up()  # callnet was restarted, and the caller with it
        elif event.state in ("active", "over"):
            print(f"{len(self.waiting())} waiting", flush=True)

    async def run(self) -> None:
        """Give callers to agents, for ever."""
        while True:
            try:
                waiting = self.waiting()
                agent = await self._free_agent() if waiting else None
                if agent is not None and await self._offer(waiting[0], agent):
                    continue
            except Exception as error:  # noqa: BLE001  whatever it is, callers go on to wait, and it is tried again
                print(f"cannot see who is free: {type(error).__name__}", file=sys.stderr, flush=True)
            await deferLater(self._reactor, LOOKS_EVERY)

    async def _free_agent(self) -> str | None:
        """The free agent whose last turn is the oldest."""
        asked = {"phone": PHONE, "limit": 500}
        response = await treq.post(
            f"{ADMIN}/api/devices", json=asked, headers=shown_key(), timeout=10, persistent=False
        )
        devices = (await response.json())["devices"]
        free = [each["device_id"] for each in devices if each["extended"] and each["call"] is None]
        agents = [device_id for device_id in free if device_id.startswith(AGENT)]
        return min(agents, key=lambda agent: self._last_turn.get(agent, 0), default=None)

    async def _offer(self, caller: Call, agent: str) -> bool:
        """Ring an agent, and have it take a caller's call over; returns True if that caller does not wait any more."""
        self._last_turn[agent] = self._reactor.seconds()
        ring = self._bell.place(PHONE, agent)
        if ring is None:  # not online just now
            return False
        timer = self._reactor.callLater(RINGS_FOR, ring.hang_up)
        caller.until("over").addCallback(lambda _: ring.hang_up())
        if await ring.until("active") == "active":
            ring.signal({"take": caller.room_id})
            await ring.until("over")  # as soon as the agent has it, or cannot
            with suppress(TimeoutError):
                await caller.until("over").addTimeout(LOOKS_EVERY, self._reactor)
        if timer.active():
            timer.cancel()
        return caller.is_over


def shown_key() -> Headers:
    """The header with the operator's key, as it now is."""
    return Headers({"Authorization": [f"Bearer {KEY_FILE.read_text(encoding='ascii').strip()}"]})


async def main(reactor: Any) -> None:
    """Run until it is stopped. Callers wait half a minute for it to come back."""
    try:
        server = server_of(reactor)
        names = (BELL, *(f"line-{number}" for number in range(1, LINES + 1)))
        bell, *lines = [device_of(server, name) for name in names]
    except (KeyError, OSError, ValueError, ClientError) as error:
        sys.exit(f"cannot start: {error}")
    desk = Desk(reactor, bell, lines)
    await gatherResults([device.until("online") for device in (bell, *lines)])
    print(f"ready: {len(lines)} lines", flush=True)
    await desk.run()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor)))
