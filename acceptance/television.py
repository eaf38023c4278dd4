"""Grandmother's television for a month that passes in an hour: whatever happens, nobody has to touch it.

Several televisions side by side, each a browser with a phone number of its own, are paired by their letters and set up
by a relative, as kiosks that answer chosen callers. Then each has its share of calls, and of what goes wrong: the
power is cut (the browser is killed, and starts again, perhaps before the network is there), the network is lost, with
and without a word, and comes back with another address; at rest, while a call rings, or in a call. Each day begins for
all of them when the clocks of the daemon and of the browsers are set ahead; on some the daemon comes back with another
release of the page, or has another certificate. Tokens last a day, and logins three.

A call counts if it was placed when the television showed, after whatever happened, that it is connected.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

from msgspec import Struct
from playwright.async_api import async_playwright

import callnet
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.living_room import LOOK_EVERY, Stuck, Television, until
from acceptance.machine import set_clock
from acceptance.proof import Outcome, Proof
from harness.base_protocol import EVERY, hang_up
from harness.daemon import staying_listeners
from harness.device import Device
from harness.wire import Closed, post

DAY: Final = 86400
SETTINGS: Final = f"""
calls.ring_time = 25
tokens.lifetime = {DAY}
tokens.session_lifetime = {3 * DAY}
{WITHOUT_LIMITS}"""
COUNTED: Final = 10.0
"""Seconds of the countdown."""
TICK: Final = 0.2
"""Seconds by which a countdown may seem shorter to the caller."""
RINGS: Final = 11.5
"""Seconds for which the others let it ring."""
ENDS_WITHIN: Final = 60.0
"""Seconds in which a caller hears what became of a call."""
ENDS: Final = "call_failed", "call_refuse", "calling_be_hangup"
TRIES: Final = 10
"""Calls until the server knows the chosen callers."""
PIN: Final = "0471"
NAME: Final = "tv"
SETTLES: Final = 1.0
"""Seconds after which a television has heard of what happened to its connection."""
OFF: Final = 0.2, 3.0
AWAY: Final = 0.3, 40.0
TALKS: Final = 0.0, 2.0
SOON: Final = 0.2, 9.0
"""Seconds after which something goes wrong with a call."""
ANSWERED_IN: Final = 0.999
SHOWN: Final = 20


class Plan(Struct, frozen=True):
    """The amounts."""

    televisions: int
    days: int
    allowed: int
    others: int
    power_cuts: int
    losses: int
    addresses: int
    releases: int
    certificates: int


FULL: Final = Plan(10, 30, 2000, 2000, 60, 200, 10, 8, 2)
BRIEF: Final = Plan(4, 1, 2, 2, 2, 2, 0, 1, 1)


class Site:
    """The daemon, from a copy of the code whose page gets other releases.

    :param clock: the file with the seconds by which its clock is ahead.
    """

    def __init__(self, folder: Path, clock: Path) -> None:
        self._clock = clock
        self._days = 0.0
        self._releases = count(1)
        self._script = folder / "code" / "callnet" / "static" / "phone" / "bundle.js"
        kept = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(callnet.__file__).parent, folder / "code" / "callnet", ignore=kept)
        self.daemon: Final = CountedDaemon(
            folder / "daemon",
            SETTINGS,
            ("acceptance.set_clock", str(clock)),
            listeners=staying_listeners(),
            environment={"PYTHONPATH": str(folder / "code")},
        )
        self.complaints: Final[list[str]] = []

    @property
    def at(self) -> tuple[int, int]:
        """Its ports for accounts and for signaling."""
        return self.daemon.ports["account"], self.daemon.ports["signaling"]

    def set_clock(self, days: float) -> float:
        """Advance its clock by days. Returns the seconds by which it is ahead now."""
        self._days += days
        set_clock(self._clock, self._days * DAY)
        return self._days * DAY

    def stop(self) -> None:
        """Stop the daemon."""
        self.daemon.stop()
        self.complaints.extend(self.daemon.complaints())

    def release(self) -> None:
        """Have the daemon come back with another release of the page."""
        self.stop()
        with self._script.open("a") as script:
            script.write(f"\n// release {next(self._releases)}\n")
        self.daemon.start()

    async def renew_certificate(self) -> None:
        """Have the daemon sign itself another certificate."""
        before = self.daemon.certificate.read_bytes()
        self.daemon.certificate.unlink()
        self.daemon.process.send_signal(signal.SIGHUP)
        await until(lambda: self.daemon.certificate.exists() and self.daemon.certificate.read_bytes() != before)


class Home:
    """A television, its relatives, and those who are none.

    :param phones: the numbers of the television, of the chosen caller, of a contact and of a stranger.
    """

    def __init__(self, site: Site, television: Television, phones: Sequence[str], random: Random) -> None:
        self.television: Final = television
        self._site = site
        self._phone, self._chosen, *self._others = phones
        self._random = random
        self.counts: Final[Counter[str]] = Counter()
        self.misses: Final[list[str]] = []
        self.longest = 0.0
        """Seconds until the kiosk was there again."""
        self.shortest = COUNTED * 2
        """Seconds until an allowed call was answered."""

    # Setting up

    async def set_up(self) -> None:
        """Pair the television, and make it a kiosk that answers the chosen caller."""
        television = self.television
        await television.network.open()
        for phone in (self._chosen, *self._others):
            async with self._caller(phone):
                pass  # it has joined
        token = await self._claimed()
        await television.switch_on()
        await television.shows("login")
        await television.press("pair")
        await television.shows("pairing")
        await television.page.wait_for_selector("#pairing-shown:not([hidden])")
        letters = await television.page.inner_text("#pairing-code")
        television.touches = 0  # of whoever has installed it
        found = await self._ask("/pairing/look", token=token, user_code=letters)
        await self._ask("/pairing/accept", token=token, pairing_id=found["pairing_id"], device_id=NAME, label="")
        for phone, name in ((self._chosen, "Anna"), (self._others[0], "Uncle Theodore")):
            await self._ask("/contacts/add", token=token, contact_phone=phone, name=name)
        await self._ask("/account/settings", token=token, auto_answer=[self._chosen])
        await television.shows("home", "online")
        await self._ask("/devices/configure", token=token, device_id=NAME, kiosk_pin=PIN, auto_answers=True)
        await self.rests()
        for _ in range(TRIES):
            if await self._allowed():
                return
        raise Stuck("the chosen caller is not answered")

    async def _claimed(self) -> str:
        """Log in another device of the phone, which has a secret. Returns its token."""
        who = {"phone": self._phone, "device_id": "desk"}
        secret = (await self._ask("/account/login", **who))["device_secret"]
        return str((await self._ask("/account/login", **who, secret=secret))["token"])

    async def _ask(self, path: str, **fields: Any) -> dict[str, Any]:
        answer = await post(self._site.at[0], path, fields)
        if answer["errorCode"] != 0:
            raise ValueError(f"{path} was refused with {answer['errorCode']}")
        return answer

    @asynccontextmanager
    async def _caller(self, phone: str) -> AsyncIterator[Device]:
        caller = await Device.connect(self._site.at, (phone, "phone"), ENDS_WITHIN)
        try:
            yield caller
        finally:
            caller.close()

    # A day

    async def rests(self) -> None:
        """Wait until it is connected, and in no call."""
        self.longest = max(self.longest, await self.television.shows("kiosk", "online"))

    async def lives(self, doings: Sequence[str]) -> None:
        """Take part of a day. What it does not come back from is a miss, and it is started again."""
        for doing in doings:
            try:
                await getattr(self, doing)()
                await self.rests()
            except (Stuck, Closed, TimeoutError) as error:
                self.misses.append(f"{doing}: {type(error).__name__}: {error}")
                self.television.network.come_back()
                await self.television.cut_power()
                await self.television.switch_on()

    async def allowed(self) -> None:
        """The chosen caller calls, and is to be answered after the countdown."""
        self.counts["allowed calls"] += 1
        self.counts["allowed calls answered"] += await self._allowed()

    async def _allowed(self) -> bool:
        async with self._caller(self._chosen) as caller:
            began = time.monotonic()
            caller.call((self._phone, EVERY))
            frame = await caller.until("call_success", *ENDS)
            if frame["type"] != "call_success":
                self.counts[f"allowed calls that ended with {frame['type']} {frame.get('reason', '')}"] += 1
                return False
            self.shortest = min(self.shortest, time.monotonic() - began)
            await self.television.shows("call")
            await asyncio.sleep(self._random.uniform(*TALKS))
            caller.say(**_end(self._phone, NAME, frame["room_id"]))
        return True

    async def others(self) -> None:
        """Somebody else calls, and must not be answered."""
        self.counts["calls of others"] += 1
        async with self._caller(self._random.choice(self._others)) as caller:
            caller.call((self._phone, EVERY))
            await self.television.shows("ringing")
            try:
                async with asyncio.timeout(RINGS):
                    frame = await caller.until("call_success", *ENDS)
            except TimeoutError:
                caller.say(**_end(self._phone, EVERY))
                return
        self.counts["calls of others answered"] += frame["type"] == "call_success"
        self.misses.append(f"a call of somebody else ended with {frame['type']} {frame.get('reason', '')}")

    # What goes wrong

    async def power_cut(self) -> None:
        """The power is cut. When it is back the network may take longer."""
        await self._disturb("power cuts", self._cut_power)

    async def loss(self) -> None:
        """The network is lost for a while."""
        await self._disturb("losses of network", self._lose_network)

    async def address(self) -> None:
        """The network gets another address."""
        await self._disturb("changes of address", self._change_address)

    async def _disturb(self, name: str, disturb: Callable[[], Awaitable[None]]) -> None:
        """Do it at rest, while a call rings, or in a call that was answered."""
        self.counts[name] += 1
        if self._random.random() < 0.5:
            await disturb()
            return
        self.counts[f"{name} while a call rang, or in it"] += 1
        async with self._caller(self._chosen) as caller:
            caller.call((self._phone, EVERY))
            await asyncio.sleep(self._random.uniform(*SOON) + self._random.choice((0, COUNTED)))
            await disturb()
            rooms = [frame["room_id"] for frame in caller.heard if frame["type"] == "call_success"]
            caller.say(**(_end(self._phone, NAME, rooms[0]) if rooms else _end(self._phone, EVERY)))

    async def _cut_power(self) -> None:
        television = self.television
        await television.cut_power()
        is_first = self._random.random() < 0.5
        if is_first:
            self.counts["starts before the network"] += 1
            television.network.lose(silent=False)
        await asyncio.sleep(self._random.uniform(*OFF))
        await television.switch_on()
        if is_first:
            await asyncio.sleep(self._random.uniform(*SOON))
            television.network.come_back()

    async def _lose_network(self) -> None:
        network = self.television.network
        network.lose(silent=self._random.random() < 0.5)
        low, high = AWAY
        await asyncio.sleep(low * (high / low) ** self._random.random())
        network.come_back()
        await asyncio.sleep(SETTLES)

    async def _change_address(self) -> None:
        network = self.television.network
        network.change_address()
        async with asyncio.timeout(120):
            await network.renewed.wait()
        await asyncio.sleep(SETTLES)


def _end(phone: str, device_id: str, room: str = "") -> dict[str, Any]:
    frame = hang_up((phone, device_id), room)
    return {"kind": frame.pop("type"), **frame}


def dealt(plan: Plan, random: Random) -> Sequence[Sequence[Sequence[str]]]:
    """The doings of each day, by television."""
    amounts = {
        "allowed": plan.allowed,
        "others": plan.others,
        "power_cut": plan.power_cuts,
        "loss": plan.losses,
        "address": plan.addresses,
    }
    doings = [name for name, amount in amounts.items() for _ in range(amount)]
    random.shuffle(doings)
    shares = plan.days * plan.televisions
    hands = [doings[number::shares] for number in range(shares)]
    return [hands[first : first + plan.televisions] for first in range(0, shares, plan.televisions)]


async def month(site: Site, homes: Sequence[Home], plan: Plan, random: Random) -> dict[str, object]:
    """Let the days pass. Returns the counts."""
    releases = random.sample(range(plan.days), plan.releases)
    certificates = random.sample(range(plan.days), plan.certificates)
    for day, hands in enumerate(dealt(plan, random)):
        morning = random.random()
        await _set_clocks(site, homes, morning)
        if day in certificates:
            await site.renew_certificate()
        if day in releases:
            before = (await homes[0].television.shown())[2]
            await asyncio.to_thread(site.release)
            await asyncio.gather(*(_takes_release(home, before) for home in homes))
        await asyncio.gather(*(home.lives(hand) for home, hand in zip(homes, hands, strict=True)))
        await _set_clocks(site, homes, 1 - morning)
        print(f"day {day + 1}: {sum(len(home.misses) for home in homes)} misses", flush=True)
    return {
        "televisions": plan.televisions,
        "days": plan.days,
        "releases of daemon and page": len(releases),
        "certificates": len(certificates),
    }


async def _set_clocks(site: Site, homes: Sequence[Home], days: float) -> None:
    ahead = site.set_clock(days)
    for home in homes:
        await home.television.set_clock(ahead)


async def _takes_release(home: Home, before: str) -> None:
    """Wait until a television has another release of the page."""
    try:
        async with asyncio.timeout(120):
            while (await home.television.shown())[2] in ("", before):  # noqa: ASYNC110  nobody tells of it
                await asyncio.sleep(LOOK_EVERY)
        await home.rests()
    except (Stuck, TimeoutError) as error:
        home.misses.append(f"a new release: {type(error).__name__}: {error}")


async def prove_it(plan: Plan, folder: Path, random: Random) -> Outcome:
    """The whole proof."""
    clock = folder / "clock"
    set_clock(clock, 0)
    site = Site(folder, clock)
    await asyncio.to_thread(site.daemon.start)
    async with AsyncExitStack() as exits:
        exits.callback(site.stop)
        playwright = await exits.enter_async_context(async_playwright())
        homes = []
        for number in range(plan.televisions):
            place = folder / f"home{number}"
            place.mkdir()
            phones = [f"13{kind}{number:08}" for kind in range(4)]
            port = site.daemon.ports["site"]
            television = Television(place, phones[0], port, playwright)
            exits.push_async_callback(television.network.close)
            exits.push_async_callback(television.cut_power)
            homes.append(Home(site, television, phones, random))
        await asyncio.gather(*(home.set_up() for home in homes))
        counts = await month(site, homes, plan, random)
    return judge(counts, homes, site.complaints)


def judge(counts: dict[str, object], homes: Sequence[Home], logged: Sequence[str]) -> Outcome:
    """The counts of all televisions together, and the misses."""
    total: Counter[str] = Counter()
    for home in homes:
        total.update(home.counts)
    misses = [miss for home in homes for miss in home.misses]
    touches = sum(home.television.touches for home in homes)
    if touches:
        misses.append(f"{touches} touches")
    if total["allowed calls answered"] < ANSWERED_IN * total["allowed calls"]:
        misses.append("too few allowed calls were answered")
    shortest = min(home.shortest for home in homes)
    if shortest < COUNTED - TICK:
        misses.append(f"an allowed call was answered after {shortest:.1f} s")
    misses += [f"a page threw {error}" for home in homes for error in home.television.complaints]
    misses += [f"the daemon logged {line}" for line in logged]
    longest = max(home.longest for home in homes)
    figures = {
        "touches": touches,
        "calls of others answered": total.pop("calls of others answered", 0),
        **dict(sorted(total.items())),
        "shortest time until an allowed call was answered, s": round(shortest, 1),
        "longest time until the kiosk was there again, s": round(longest, 1),
    }
    return Outcome({**counts, **figures}, misses[:SHOWN])


def prove(brief: bool, seed: int) -> Outcome:
    """A month, or two days."""
    with tempfile.TemporaryDirectory(prefix="callnet-television-") as name:
        return asyncio.run(prove_it(BRIEF if brief else FULL, Path(name), Random(seed)))


PROOF: Final = Proof(
    "television",
    "in a month with power cuts, losses of network, new addresses, releases, tokens and certificates, nobody touches"
    f" a kiosk, {ANSWERED_IN:.1%} of allowed calls are answered after the countdown, and no others",
    prove,
)
