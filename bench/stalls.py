"""The time that one event keeps all others waiting: storms of devices, calls, logins, long lists, when all are gone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from bench import watched
from bench.devices import Device, LoadError, address_of
from bench.load import Pairs, connect_all, log_in
from bench.measures import Plan
from bench.servers import Callnet
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from harness.wire import login, post

_SWEEPS: Final = 11.0
"""Seconds in which every socket is looked at twice."""
_LISTS: Final = 20
"""So often a long list of contacts is asked for."""


async def longest_event(way: Callnet, plan: Plan, core: int) -> float:
    """The longest that one event has taken while all of this was done, in ms of CPU.

    :raises LoadError: the server did something that it may not do.
    """
    watching = replace(way, program=("-m", "bench.watched", "{folder}/events"))
    with watching.running(core) as server:
        assert server.folder is not None
        begun = time.monotonic()
        ((signaling,), (account,)) = (server.ports_of(service) for service in ("signaling", "account"))
        devices = [Device(number, signaling) for number in range(plan.beside[1])]
        await connect_all(devices)
        pairs = Pairs([signaling], plan.pairs, first=2 * plan.beside[1])
        await pairs.connect()
        await asyncio.gather(asyncio.sleep(min(_SWEEPS, plan.forgotten)), pairs.call_in_turn(plan.seconds))
        await log_in(account, plan.logins, plan.known_devices)
        await _list_contacts(server.folder / "state" / "callnet.db", account, plan)
        for device in devices:
            device.abort()
        pairs.close()
        await asyncio.sleep(plan.forgotten)
        events = watched.read(server.folder / "events")
    return max((event.took for event in events if event.at >= begun), default=0.0) * 1e3


async def _list_contacts(database: Path, port: int, plan: Plan) -> None:
    """Have a device ask for a list with all that have logged in."""
    owner = address_of(0)
    opened = Database(f"sqlite:///{database}")
    everybody = [Pair(owner.phone, address_of(number).phone) for number in range(plan.known_devices)]
    contacts.add(opened, everybody, time.time())
    opened.close()
    token = await login(port, *owner)
    for _ in range(_LISTS):
        listed = await post(port, "/getContactPersons", {"phone": owner.phone, "token": token})
        if len(listed["contacts"]) != plan.known_devices:
            raise LoadError(f"{len(listed['contacts'])} contacts are listed")
