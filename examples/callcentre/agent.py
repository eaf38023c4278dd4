"""An agent of the queue: ``agent.py NAME``, beside a browser. It goes by the environment, as devices.py says.

The desk rings when a caller waits; Enter takes the call, whose page opens in the browser (``BROWSER``). It is the
device that is in the call, so it must run as long as that lasts. Ctrl-C: no more calls.
"""

from __future__ import annotations

import os
import sys
import webbrowser
from typing import Any

from devices import AGENT, BELL, device_of, leave_to_lines, server_of
from twisted.internet.defer import Deferred
from twisted.internet.stdio import StandardIO
from twisted.internet.task import react
from twisted.protocols.basic import LineReceiver

from callnet_client import Call, CallEvent, ClientError, Device, Event, SignalEvent, StateEvent


class Agent(LineReceiver):
    """The view and the actions of an agent."""

    delimiter = b"\n"

    def __init__(self, device: Device) -> None:
        self._device = device
        self._rung: Call | None = None
        self._opened: Call | None = None
        device.listen(self._heard)

    def lineReceived(self, line: bytes) -> None:  # noqa: ARG002, N802  Twisted's name
        """Take the call."""
        if self._rung is not None:
            self._rung.accept()
            self._rung = None

    def _heard(self, event: Event) -> None:
        if isinstance(event, StateEvent):
            say(event.state)
        elif isinstance(event, SignalEvent) and is_of_desk(event.call):
            self._device.pull(event.data["take"])
        elif isinstance(event, CallEvent) and is_of_desk(event.call):
            self._ring(event)
        elif isinstance(event, CallEvent) and not event.call.is_incoming:
            self._talk(event)
        elif isinstance(event, CallEvent) and event.state == "ringing":
            leave_to_lines(self._device, event.call)

    def _ring(self, event: CallEvent) -> None:
        if event.state == "ringing":
            self._rung = event.call
            say("\aA caller waits. Enter takes the call.")
        elif event.state == "over" and self._rung is not None:
            self._rung = None
            say("Somebody else has it, or the caller has gone.")

    def _talk(self, event: CallEvent) -> None:
        if event.state == "active" and event.call is not self._opened:
            self._opened = event.call
            page = self._device.account.server.page_of(event.call.room_id, event.call.page)
            if not webbrowser.open(page):
                say(f"The page of the call: {page}")
        elif event.state == "over":
            say(f"The call is over ({event.call.reason}).")


def is_of_desk(call: Call) -> bool:
    """True if this is the desk that rings, and not a caller that rings all devices of its phone."""
    return call.is_incoming and call.peer == (os.environ["QUEUE_PHONE"], BELL)


def say(text: str) -> None:
    """Show a line."""
    print(text, flush=True)


async def main(reactor: Any, name: str) -> None:
    """Run until it is stopped."""
    try:
        device = device_of(server_of(reactor), AGENT + name)
    except (KeyError, OSError, ValueError, ClientError) as error:
        sys.exit(f"cannot start: {error}")
    StandardIO(Agent(device), reactor=reactor)
    await device.until("denied", "elsewhere")
    say("Somebody else is this agent now, or it may not be one any more.")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, sys.argv[1])))
