"""The client in a program of asyncio's.

Twisted brings a reactor that runs on an event loop of asyncio's, TLS included, so there is nothing here but what leads
from one to the other::

    from callnet.client import Account, Device, Server, aio

    async def main() -> None:
        async with aio.running() as reactor:
            account = Account(Server("https://calls.example.org:8080", reactor), "13800000001", "doorbell")
            await aio.wait(account.login())
            device = Device(account)
            device.connect()
            async for event in aio.events(device):
                print(event)

    asyncio.run(main())
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred

from callnet.client.device import Device
from callnet.client.events import Event

T = TypeVar("T")


@asynccontextmanager
async def running() -> AsyncIterator[AsyncioSelectorReactor]:
    """A reactor on the event loop that runs. At the end it is stopped; close devices before."""
    reactor = AsyncioSelectorReactor(asyncio.get_running_loop())
    reactor.startRunning(installSignalHandlers=False)
    try:
        yield reactor
    finally:
        stopped = Deferred[None]()
        reactor.addSystemEventTrigger("after", "shutdown", stopped.callback, None)
        reactor.fireSystemEvent("shutdown")
        await wait(stopped)


def wait(deferred: Deferred[T]) -> asyncio.Future[T]:
    """Something that asyncio can wait for. If it is cancelled, so is what it waits for."""
    return deferred.asFuture(asyncio.get_running_loop())


async def events(device: Device) -> AsyncGenerator[Event, None]:
    """What a device tells, from when this is first waited for, without end."""
    queue: asyncio.Queue[Event] = asyncio.Queue()
    stop_listening = device.listen(queue.put_nowait)
    try:
        while True:
            yield await queue.get()
    finally:
        stop_listening()
