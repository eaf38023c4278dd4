"""The measurements of a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from bench.callload import saturate, wait_at
from bench.devices import Device
from bench.figures import Figures, percentile
from bench.load import Pairs, connect_all, log_in
from bench.pages import Rooms
from bench.servers import ALONE, Contender, Server

_CALMING: Final = 0.3
"""Seconds after which nothing is left to do for devices that have just connected, or are just gone."""


class Plan(Struct, frozen=True):
    """The amounts."""

    rounds: int = 5
    pairs: int = 32
    rooms: int = 32
    seconds: float = 3.0
    rate: int = 200
    """Calls a second while the waiting is measured, for the comparison with other servers."""
    connections: int = 5000
    connections_over_tls: int = 1000
    beside: tuple[int, int] = (1000, 19000)
    """Numbers of idle devices that are there while calls are made, to see whether they make a difference."""
    busy: int = 6000
    """Calls a second that keep a server busy."""
    logins: int = 2000
    known_devices: int = 200
    forgotten: float = 65.0
    """Seconds after which nothing is left to do for devices that are gone."""


class Cost(Struct, frozen=True):
    """CPU of one thing, µs: that of the nodes, and that of Redis (NaN if there is none)."""

    nodes: float
    store: float


class _Meter:
    """CPU from now on."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._nodes, self._store = server.cpu(), server.store_cpu()

    def cost(self, count: int) -> Cost:
        """The cost of one of ``count`` things since."""
        nodes, store = self._server.cpu() - self._nodes, self._server.store_cpu() - self._store
        return Cost(nodes / count * 1e6, store / count * 1e6)


async def measure(contender: Contender, plan: Plan, core: int, callload: Path | None = None) -> Figures:
    """Measure a server once; it is restarted for calls, so that one thing does not spoil the other.

    :param callload: the load generator in C, if it is there.
    :raises LoadError: it did something that it may not do.
    """
    with contender.running(core) as server:
        connection, memory = await _connections(server, plan)
        await asyncio.sleep(_CALMING)
    with contender.running(core) as server:
        figures = await _calls(server, plan)
        if "account" in server.ports[0] and server.store is None and not server.tls:
            figures = replace(figures, login=await _logins(server, plan))
        if "site" in server.ports[0] and not server.tls:
            figures = replace(figures, relay=await _relays(server, plan))
        await asyncio.sleep(_CALMING)
    if server.store is None and callload is not None:
        with contender.running(core) as server:
            figures = _under_full_load(server, plan, figures, callload)
    if contender is ALONE:
        with contender.running(core) as server:
            figures = await _beside_idle_devices(server, plan, figures)
    return replace(figures, connection=connection.nodes, store_connection=connection.store, memory=memory)


def _under_full_load(server: Server, plan: Plan, figures: Figures, callload: Path) -> Figures:
    saturated = saturate(callload, server, plan.seconds)
    busy = figures.busy if server.tls else wait_at(callload, server, plan.busy, plan.seconds)
    return replace(figures, saturated_calls=saturated.calls, saturated_call=saturated.cost, busy=busy)


async def _beside_idle_devices(server: Server, plan: Plan, figures: Figures) -> Figures:
    """The cost of a call beside few idle devices, and beside many."""
    (port,) = server.ports_of("signaling")
    idle: list[Device] = []
    costs: list[Cost] = []
    for count in plan.beside:
        more = [Device(number, port) for number in range(len(idle), count)]
        await connect_all(more)
        idle += more
        await asyncio.sleep(_CALMING)
        pairs = await _connected_pairs(server, plan, first=max(plan.beside) * (1 + len(costs)))
        costs.append(await _cost_of_calls(server, pairs, plan))
        pairs.close()
        await asyncio.sleep(_CALMING)
    _leave(idle)
    return replace(figures, beside_few=costs[0].nodes, beside_many=costs[1].nodes)


def _leave(devices: Sequence[Device]) -> None:
    """Cut their connections.

    :raises LoadError: one was in trouble before.
    """
    for device in devices:
        if device.error is not None:
            raise device.error
        device.abort()


async def _connected_pairs(server: Server, plan: Plan, first: int = 0) -> Pairs:
    pairs = Pairs(server.ports_of("signaling"), plan.pairs, server.tls, first)
    await pairs.connect()
    await asyncio.sleep(_CALMING)
    await pairs.call_in_turn(plan.seconds / 5)
    return pairs


async def _cost_of_calls(server: Server, pairs: Pairs, plan: Plan) -> Cost:
    meter = _Meter(server)
    return meter.cost(len(await pairs.call_in_turn(plan.seconds)))


async def _calls(server: Server, plan: Plan) -> Figures:
    pairs = await _connected_pairs(server, plan)
    cost = await _cost_of_calls(server, pairs, plan)
    waits = await pairs.call_at_random(plan.rate, plan.seconds)
    half = await pairs.call_at_random(0.5e6 / cost.nodes, plan.seconds)
    pairs.close()
    return Figures(
        call=cost.nodes,
        store_call=cost.store,
        p50=_milliseconds([wait.success for wait in waits], 0.5),
        p99=_milliseconds([wait.success for wait in waits], 0.99),
        rung=_milliseconds([wait.called for wait in half], 0.99),
    )


def _milliseconds(waits: Sequence[float], share: float) -> float:
    return percentile(waits, share) * 1e3


async def _connections(server: Server, plan: Plan) -> tuple[Cost, float]:
    ports = cycle(server.ports_of("signaling"))
    count = plan.connections_over_tls if server.tls else plan.connections
    first = [Device(number, next(ports)) for number in range(count, count + 100)]
    await connect_all(first, server.tls)  # a server's first use of anything is not to be counted
    await asyncio.sleep(_CALMING)
    meter, memory = _Meter(server), server.memory()
    devices = [Device(number, next(ports)) for number in range(count)]
    await connect_all(devices, server.tls)
    await asyncio.sleep(_CALMING)
    cost, memory = meter.cost(count), server.memory() - memory
    _leave(first + devices)
    return cost, memory / count


async def _logins(server: Server, plan: Plan) -> float:
    (port,) = server.ports_of("account")
    await log_in(port, plan.known_devices, plan.known_devices)
    meter = _Meter(server)
    await log_in(port, plan.logins, plan.known_devices)
    return meter.cost(plan.logins).nodes


async def _relays(server: Server, plan: Plan) -> float:
    if server.store is not None:
        await asyncio.sleep(max(0.0, server.settled_at - time.monotonic()))
    rooms = Rooms(server.ports_of("site"), plan.rooms)
    await rooms.connect()
    await rooms.talk(plan.seconds / 5)
    meter = _Meter(server)
    cost = meter.cost(await rooms.talk(plan.seconds))
    rooms.close()
    return cost.nodes
