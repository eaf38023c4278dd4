"""The loads on a server: calls, a storm of connections, logins."""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bench.devices import Callee, Caller, Client, LoadError, Waits, address_of
from harness.wire import login

STALL: Final = 30.0
"""A server that is this many seconds late has failed."""

IN_FLIGHT: Final = 64
"""Connections that are opened at once."""

LOGINS_IN_FLIGHT: Final = 8

_SEED: Final = 7

_BELIEVING: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_BELIEVING.check_hostname, _BELIEVING.verify_mode = False, ssl.CERT_NONE


class Pairs:
    """Devices in pairs, a caller and a callee each, that are connected.

    Callers connect to the first of ``ports``, callees to the last.

    :param first: the number of the first device. Who has called before is told of the end of its last call again.
    """

    def __init__(self, ports: Sequence[int], count: int, tls: bool = False, first: int = 0) -> None:
        self._tls = tls
        self._callers = [self._pair(first + 2 * number, ports) for number in range(count)]
        self._waits: list[Waits] = []
        self._next: Callable[[Caller], None]
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self) -> None:
        """Open all sockets.

        :raises LoadError: the server refused one.
        """
        await connect_all([device for caller in self._callers for device in (caller, caller.callee)], self._tls)

    async def call_in_turn(self, seconds: float) -> Sequence[Waits]:
        """Have every caller call again as soon as its last call is over.

        :return: what every call has waited.
        :raises LoadError: anything went wrong.
        """
        until = time.perf_counter() + seconds
        left = len(self._callers)

        def again(caller: Caller) -> None:
            nonlocal left
            if time.perf_counter() < until:
                caller.call(time.perf_counter())
                return
            left -= 1
            if not left:
                self._over.set_result(None)

        self._begin(again)
        for caller in self._callers:
            caller.call(time.perf_counter())
        return await self._finish(seconds)

    async def call_at_random(self, rate: float, seconds: float) -> Sequence[Waits]:
        """Place ``rate`` calls a second at random times, however the server keeps up.

        :return: what every call has waited since it was due.
        :raises LoadError: anything went wrong.
        """
        idle, late = deque(self._callers), deque[float]()
        placed_all = False

        def end_if_over() -> None:
            if placed_all and len(idle) == len(self._callers) and not self._over.done():
                self._over.set_result(None)

        def again(caller: Caller) -> None:
            if late:
                caller.call(late.popleft())
            else:
                idle.append(caller)
                end_if_over()

        self._begin(again)
        draw = random.Random(_SEED)  # noqa: S311  it draws times
        due = start = time.perf_counter()
        while due < start + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            if idle:
                idle.popleft().call(time.perf_counter())
            else:
                late.append(due)
            due += draw.expovariate(rate)
        placed_all = True
        end_if_over()
        return await self._finish(STALL)

    def close(self) -> None:
        """Cut all connections."""
        for caller in self._callers:
            caller.abort()
            caller.callee.abort()

    def _pair(self, number: int, ports: Sequence[int]) -> Caller:
        def over(error: Exception | None) -> None:
            if error is not None:
                if not self._over.done():
                    self._over.set_exception(error)
                return
            self._waits.append(caller.waited)
            self._next(caller)

        caller = Caller(number, ports[0], over)
        caller.callee = Callee(number + 1, ports[-1], caller, over)
        return caller

    def _begin(self, again: Callable[[Caller], None]) -> None:
        self._waits, self._next = [], again
        self._over = asyncio.get_running_loop().create_future()

    async def _finish(self, seconds: float) -> Sequence[Waits]:
        try:
            await asyncio.wait_for(self._over, seconds + STALL)
        except TimeoutError:
            raise LoadError("calls were lost") from None
        return self._waits


async def connect_all(clients: Iterable[Client], tls: bool = False) -> None:
    """Open these sockets, some at once. Over TLS whatever certificate the server shows is believed.

    :raises LoadError: the server refused one.
    """
    waiting = iter(clients)

    async def connect_some() -> None:
        for client in waiting:
            await _connect(client, _BELIEVING if tls else None)

    await asyncio.gather(*(connect_some() for _ in range(IN_FLIGHT)))


async def _connect(client: Client, tls: ssl.SSLContext | None) -> None:
    await asyncio.get_running_loop().create_connection(lambda: client, "127.0.0.1", client.port, ssl=tls)
    try:
        await asyncio.wait_for(client.opened, STALL)
    except TimeoutError:
        raise LoadError("an upgrade was not answered") from None


async def log_in(port: int, count: int, devices: int) -> None:
    """Log ``devices`` devices in, ``count`` times in all, each time on a connection of its own, as devices do.

    :raises ValueError: a login failed.
    """
    waiting = iter(range(count))

    async def log_some_in() -> None:
        for number in waiting:
            await asyncio.wait_for(login(port, *address_of(number % devices)), STALL)

    await asyncio.gather(*(log_some_in() for _ in range(LOGINS_IN_FLIGHT)))
