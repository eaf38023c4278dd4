"""Forks of five devices: four lose, and try to get into the call of the one that has accepted, or to end it.

Each loser opens pages by the room id that it was told, before the accept, at the same moment and afterwards, says
something to both parties' pages, whose sessions it is given, and presses hang up there; and it hangs up by its device.
Meanwhile the two parties open their pages, must meet, hear one thing from each other and nothing from anybody else,
until one of them hangs up. On one process, and on two nodes with Redis.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Final, Self

from acceptance.crowd.crowd import door_of
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.faults.line import Door
from acceptance.proof import Outcome, Proof
from harness.base_protocol import EVERY, Frame
from harness.device import Device, Line
from harness.redis_server import RedisServer
from harness.wire import HOST, Closed, WebSocket

DEVICES: Final = 5
HOUSES: Final = 8
CALLS: Final = 500
"""Calls on one process, and as many on two nodes."""
BRIEF: Final = 8
IN_TIME: Final = 8.0
"""Seconds in which every due message must have come."""
SETTLED: Final = 1.0
"""Seconds after which all nodes have heard of a new connection."""
SHOWN: Final = 5


class Page(Line):
    """A page."""

    def __init__(self, socket: WebSocket, session: str) -> None:
        super().__init__(socket, IN_TIME)
        self.session: Final = session

    @classmethod
    async def open(cls, door: Door, room: str, random: Random) -> Self:
        """Ask for a seat."""
        origin = f"http://{HOST}:{door.site}"
        page = cls(await WebSocket.upgrade(door.site, "/room", origin=origin), f"{random.getrandbits(128):032x}")
        page.say("join", room_id=room, key=f"{random.getrandbits(128):032x}", session=page.session)
        return page

    @property
    def states(self) -> list[str]:
        """The states of its room."""
        return [frame["state"] for frame in self.heard if frame["type"] == "room"]


class House:
    """A caller, and a phone with five devices, on as many doors as there are."""

    def __init__(self, doors: Sequence[Door], number: int, random: Random, counts: Counter[str]) -> None:
        self._doors = doors
        self._random = random
        self._counts = counts
        self._number = number
        self.misses: list[str] = []

    async def live(self, calls: int) -> None:
        """Call so often."""
        door = self._random.choice

        async def connect(phone: str, device_id: str) -> Device:
            at = door(self._doors)
            return await Device.connect((at.account, at.signaling), (phone, device_id), IN_TIME)

        self._caller = await connect(f"137{self._number:08}", "phone")
        self._callees = [await connect(f"138{self._number:08}", f"device{at}") for at in range(DEVICES)]
        await asyncio.sleep(SETTLED)
        for _ in range(calls):
            try:
                await self._call()
            except (TimeoutError, Closed):
                self.misses.append(f"house {self._number}: something did not come: {self._last()}")
                self._counts["calls that broke"] += 1
                break
        for device in (self._caller, *self._callees):
            device.drop()

    def _last(self) -> list[list[str]]:
        return [[frame["type"] for frame in line.heard[-2:]] for line in (self._caller, *self._callees)]

    async def _call(self) -> None:
        caller, callees, random = self._caller, self._callees, self._random
        for line in (caller, *callees):
            line.forget()
        caller.call((callees[0].address.phone, EVERY))
        rung = [await one.until("called") for one in callees]
        rooms = [called["room_id"] for called in rung]
        self._counts["room ids that were told twice"] += DEVICES - len(set(rooms))
        winner = random.randrange(DEVICES)
        losers = [at for at in range(DEVICES) if at != winner]
        strangers = [await self._page(rooms[at]) for at in losers if random.random() < 0.5]
        for page in strangers:
            page.say("hangup")
        at_once = [asyncio.ensure_future(self._page(rooms[at])) for at in losers if random.random() < 0.5]
        early = await self._page(rooms[winner]) if random.random() < 0.5 else None
        callees[winner].answer(rung[winner])
        room = (await caller.until("call_success"))["room_id"]
        self._counts["calls"] += 1
        self._counts["calls with another room than the winner's"] += room != rooms[winner]
        strangers += [await page for page in at_once]
        strangers += [await self._page(rooms[at]) for at in losers]
        parties = [await self._page(room), early or await self._page(room)]
        await self._attack(strangers, parties, [(callees[at], rooms[at]) for at in losers])
        await self._meet(parties)
        await self._attack(strangers, parties, [(callees[at], rooms[at]) for at in losers])
        await asyncio.gather(*(page.hears(_is_refused) for page in strangers))
        await self._see(strangers, parties, callees[winner])
        await self._end(room, parties, callees[winner])
        for page in (*strangers, *parties):
            page.drop()

    async def _page(self, room: str) -> Page:
        return await Page.open(self._random.choice(self._doors), room, self._random)

    async def _attack(
        self, strangers: Sequence[Page], parties: Sequence[Page], losers: Sequence[tuple[Device, str]]
    ) -> None:
        for page in strangers:
            for party in parties:
                page.say("relay", to=party.session, data={"kind": "intruder"})
            page.say("hangup")
            self._counts["tries of pages to relay and to hang up"] += 1
        for device, room in losers:
            device.hang_up(self._caller, room)
            self._counts["tries of devices to hang up"] += 1

    async def _meet(self, parties: Sequence[Page]) -> None:
        await asyncio.gather(*(page.hears(lambda frame: frame.get("state") == "meeting") for page in parties))
        for page, other in (parties, reversed(parties)):
            page.say("relay", to=other.session, data={"kind": "hello"})
        await asyncio.gather(*(page.hears(lambda frame: frame["type"] == "relay") for page in parties))
        self._counts["calls whose parties met"] += 1

    async def _see(self, strangers: Sequence[Page], parties: Sequence[Page], winner: Device) -> None:
        """Look for the received messages; all earlier ones have arrived when a later answer has."""
        for page in parties:
            page.say("ping")
        await asyncio.gather(*(page.hears(lambda frame: frame["type"] == "pong") for page in parties))
        self._counts["pages of losers"] += len(strangers)
        self._counts["losers that sat"] += sum("meeting" in page.states for page in strangers)
        for page in parties:
            relayed = [frame["data"]["kind"] for frame in page.heard if frame["type"] == "relay"]
            self._counts["losers that were relayed"] += relayed.count("intruder")
            self._counts["calls that losers ended"] += "ended" in page.states
        for device in (self._caller, winner):
            self._counts["calls that losers ended"] += any(
                frame["type"] == "calling_be_hangup" for frame in device.heard
            )

    async def _end(self, room: str, parties: Sequence[Page], winner: Device) -> None:
        told = [self._caller, winner]
        if self._random.random() < 0.5:
            parties[0].say("hangup")
        else:
            self._caller.hang_up(winner, room)
            told.remove(self._caller)
        await asyncio.gather(
            *(device.hears(lambda frame: frame["type"] == "calling_be_hangup") for device in told),
            *(page.hears(lambda frame: frame.get("state") == "ended") for page in parties),
        )


def _is_refused(frame: Frame) -> bool:
    return frame.get("state") == "ended" or frame["type"] == "refused"


def node(folder: Path, number: int, redis: str) -> CountedDaemon:
    """One of several daemons with a shared store."""
    home = folder / f"node{number}"
    listeners = "".join(
        f'{service} = [{{ endpoint = "tcp:0:interface={HOST}", tls = false }}]\n'
        for service in ("account", "signaling", "site")
    )
    settings = (
        f'database.url = "sqlite:///{folder}/accounts.db"\n'
        f'tokens.signing_key_file = "{folder}/signing.key"\n'
        + (f'redis.url = "{redis}"\n' if redis else "")
        + WITHOUT_LIMITS
    )
    admin = f'admin = [{{ endpoint = "unix:{home}/admin" }}]\n'
    return CountedDaemon(home, settings, listeners=f"[listeners]\n{listeners}{admin}")


@contextmanager
def daemons(count: int, redis: str, logged: list[str]) -> Iterator[Sequence[Door]]:
    """This number of daemons; their complaints are added to ``logged``."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name, ExitStack() as running:
        folder = Path(name)
        key = folder / "signing.key"
        key.touch(0o600)
        key.write_text("k" * 64)
        nodes = [running.enter_context(node(folder, number, redis)) for number in range(count)]
        yield [door_of(each) for each in nodes]
        for each in nodes:
            logged += each.complaints()


async def play(doors: Sequence[Door], calls: int, random: Random, counts: Counter[str]) -> list[str]:
    """Let all houses live; returns the errors."""
    houses = [House(doors, number, Random(random.getrandbits(64)), counts) for number in range(HOUSES)]
    await asyncio.gather(*(house.live(-(-calls // HOUSES)) for house in houses))
    return [miss for house in houses for miss in house.misses]


def prove(brief: bool, seed: int) -> Outcome:
    """Some forks, or a thousand."""
    random, counts = Random(seed), Counter[str]()
    calls = BRIEF if brief else CALLS
    misses: list[str] = []
    logged: list[str] = []
    with daemons(1, "", logged) as doors:
        misses += asyncio.run(play(doors, calls, random, counts))
    server = RedisServer("redis")
    try:
        with daemons(2, server.url(), logged) as doors:
            misses += asyncio.run(play(doors, calls, random, counts))
    finally:
        server.close()
    misses += [f"{name}: {counts[name]}" for name in FORBIDDEN if counts[name]]
    if counts["calls whose parties met"] != counts["calls"]:
        misses.append("not all parties met")
    return Outcome(
        dict(sorted(counts.items())), [*misses[:SHOWN], *(f"the daemon logged {line}" for line in logged[:SHOWN])]
    )


FORBIDDEN: Final = (
    "room ids that were told twice",
    "calls with another room than the winner's",
    "losers that sat",
    "losers that were relayed",
    "calls that losers ended",
)

PROOF: Final = Proof(
    "forks",
    "of five devices that a call rings, the four that do not accept neither sit in its room, nor say anything there,"
    " nor end it, before the accept, at the same moment or afterwards; the two parties meet each time; on one process,"
    " and on two nodes with Redis",
    prove,
)
