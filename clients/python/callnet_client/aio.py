"""The client in an asyncio program.

Twisted has a reactor that runs on an asyncio event loop, TLS included, so this module only converts between the two::

    from callnet_client import Account, Device, Server, aio

    async def main() -> None:
        async with aio.running() as reactor:
            account = Account(Server("https://calls.example.org:8080", reactor), "13800000001", "doorbell")
            await aio.wait(account.login())
            device = Device(account)
            events = aio.events(device)
            device.connect()
            async for event in events:
                print(event)

    asyncio.run(main())
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from twisted.internet.asyncioreactor import AsyncioSelectorReactor
from twisted.internet.defer import Deferred
from twisted.internet.main import installReactor

from callnet_client.device import Device
from callnet_client.events import Event

T = TypeVar("T")


class _Reactor(AsyncioSelectorReactor):
    """A reactor with an independent event loop: asyncio still needs it for tasks, generators and threads."""

    def crash(self) -> None:
        """Stop the reactor alone."""
        super(AsyncioSelectorReactor, self).crash()


@asynccontextmanager
async def running() -> AsyncIterator[AsyncioSelectorReactor]:
    """The reactor of this process, on the running event loop. It is stopped at the end; close devices before.

    The event loop continues after it.

    Parts of Twisted, TLS among them, look up the reactor themselves, so a process can have one only once.

    :raises twisted.internet.error.ReactorAlreadyInstalledError: there is another one already.
    """
    reactor = _Reactor(asyncio.get_running_loop())
    installReactor(reactor)
    reactor.startRunning(installSignalHandlers=False)
    try:
        yield reactor
    finally:
        stopped = Deferred[None]()
        reactor.addSystemEventTrigger("after", "shutdown", stopped.callback, None)
        reactor.fireSystemEvent("shutdown")
        await wait(stopped)


def wait(deferred: Deferred[T]) -> asyncio.Future[T]:
    """An awaitable for asyncio. Cancelling it cancels the Deferred."""
    return deferred.asFuture(asyncio.get_running_loop())


def events(device: Device) -> AsyncGenerator[Event, None]:
    """The events of a device from now on, without end."""
    queue: asyncio.Queue[Event] = asyncio.Queue()
    return _drain(queue, device.listen(queue.put_nowait))


async def _drain(queue: asyncio.Queue[Event], stop_listening: Callable[[], None]) -> AsyncGenerator[Event, None]:
    try:
        while True:
            yield await queue.get()
    finally:
        stop_listening()
