"""Houses with links that ring: the phones of an owner, their devices and friends, and the guests that come."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

from acceptance.faults.line import Door
from acceptance.forks import Page
from acceptance.visitor import Visitor
from harness.base_protocol import Frame, hang_up, named
from harness.device import Device
from harness.wire import post

_HALF_A_DAY: Final = timedelta(hours=6)
_ICE: Final = (b"turn:", b"stun:", b"ice_servers", b"username", b"credential")
"""Words of ICE servers."""

ANSWERED: Final = ("answered", "refused", "busy")
"""Guests with a good link that somebody answers."""
AWAY: Final = ("not answered", "away", "quiet")
"""Guests with a good link that nobody answers: the devices ring, none is there, or the phone has quiet hours."""
BAD: Final = ("switched off", "removed", "expired", "out of hours", "used up", "wrong")
"""Guests with a link that does not ring."""
ALIKE: Final = (*AWAY, *BAD)
"""Guests that must not be told apart."""
RUNG: Final = ("answered", "refused", "not answered")
"""Guests that ring devices."""


def _span(hours_from_now: int) -> dict[str, str]:
    """Twelve hours of the day, of which the middle is so far from now."""
    middle = datetime.now(UTC) + timedelta(hours=hours_from_now)
    begins, ends = middle - _HALF_A_DAY, middle + _HALF_A_DAY
    return {"from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}", "time_zone": "UTC"}


class Owner:
    """A phone with a claimed device, which is not connected."""

    def __init__(self, doors: Sequence[Door], phone: str) -> None:
        self.phone: Final = phone
        self._port = doors[0].account
        self.token = ""

    async def begin(self) -> None:
        """Claim the device."""
        fields = {"phone": self.phone, "device_id": "desk"}
        secret = (await self.ask("/account/login", **fields))["device_secret"]
        self.token = (await self.ask("/account/login", **fields, secret=secret))["token"]

    async def ask(self, path: str, **fields: Any) -> dict[str, Any]:
        """A request that succeeds.

        :raises ValueError: it does not.
        """
        token = {"token": self.token} if self.token else {}
        answer = await post(self._port, path, {**token, **fields})
        if answer["errorCode"]:
            raise ValueError(f"{path}: {answer}")
        return answer

    async def make(self, name: str, **fields: Any) -> dict[str, Any]:
        """A new link."""
        link: dict[str, Any] = (await self.ask("/links/make", name=name, **fields))["link"]
        return link

    async def change(self, link: dict[str, Any], **fields: Any) -> None:
        """Change a link."""
        await self.ask("/links/change", link_id=link["link_id"], **fields)

    async def history(self) -> list[dict[str, Any]]:
        """All past calls."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await self.ask("/calls/history", **cursor)
            found += page["calls"]
            if not page.get("next"):
                return found
            cursor = {"after": page["next"]}


class House:
    """An owner at home with two devices, one who does not answer, one whose devices are off, one with quiet hours, and
    two friends.

    :param problems: it adds what goes wrong, in words.
    """

    def __init__(self, doors: Sequence[Door], number: int, random: Random, problems: list[str]) -> None:
        self._doors = doors
        self._random = random
        self._problems = problems
        self._phones = [f"13{kind}{number:08}" for kind in range(4, 10)]
        self._turns = {**dict.fromkeys(ANSWERED, asyncio.Lock()), "not answered": asyncio.Lock()}
        """Locks by kind of guest: the same devices ring for these, for one after the other."""
        self._secrets: dict[str, str] = {}
        self.at_home: Final = Owner(doors, self._phones[0])
        self.away: Final = Owner(doors, self._phones[1])
        self.quiet: Final = Owner(doors, self._phones[2])
        self.idle: Final = Owner(doors, self._phones[5])
        self.counts: Final[Counter[str]] = Counter()

    @property
    def owners(self) -> Sequence[Owner]:
        """Those who have links."""
        return self.at_home, self.away, self.quiet, self.idle

    async def begin(self) -> None:
        """Have all devices there, and make the links."""
        for owner in self.owners:
            await owner.begin()
        await self.quiet.ask("/account/settings", do_not_disturb=_span(0))
        self.devices = [await self._connect(self._phones[0], f"set-{number}") for number in range(2)]
        self.sleepers = [await self._connect(self._phones[2], "set-2")]
        self._friends = [await self._connect(phone, "set-3") for phone in self._phones[3:5]]
        self.ringers = [await self._connect(self._phones[5], f"set-{number}") for number in range(2)]
        self._secrets["not answered"] = (await self.idle.make("Door"))["secret"]
        self._secrets["away"] = (await self.away.make("Door"))["secret"]
        self._secrets["quiet"] = (await self.quiet.make("Door"))["secret"]
        owner = self.at_home
        links = {kind: await owner.make(kind) for kind in ("good", "switched off", "removed", "expired")}
        links["out of hours"] = await owner.make("out of hours", hours=_span(12))
        links["used up"] = await owner.make("used up", calls_left=1)
        self._secrets |= {kind: link["secret"] for kind, link in links.items()}
        await owner.change(links["switched off"], is_on=False)
        await owner.ask("/links/remove", link_id=links["removed"]["link_id"])
        await owner.change(links["expired"], expires_at=time.time() - 1)

    async def use_up(self) -> None:
        """Have the one call of a link answered."""
        visitor = Visitor(self._doors, self._secrets["used up"], "Guest first")
        await visitor.arrive()
        await self._answer(visitor)
        async with asyncio.timeout(30):
            while all(link["calls_left"] != 0 for link in (await self.at_home.ask("/links/list"))["links"]):
                pass

    def end(self) -> None:
        """Be gone."""
        for device in (*self.devices, *self.sleepers, *self.ringers, *self._friends):
            device.drop()

    async def take(self, kind: str, number: int, slots: asyncio.Semaphore, spread: float) -> Visitor:
        """Have a guest of a kind come; it.

        :param slots: those who are busy with one.
        :param spread: it comes at some time in this number of seconds.
        """
        doors = self._random.choices(self._doors, k=2)
        secret = self._secrets.get(kind, self._secrets["good"])
        if kind == "wrong":
            secret = secrets.token_urlsafe(16)
        visitor = Visitor(doors, secret, f"Guest {number:05}")
        # In the order in which they were drawn: the machine has more to do at some times. Those who have waited for a
        # turn come at any time, too: the server ends calls four times a second.
        async with slots, self._turns.get(kind, nullcontext()):
            await asyncio.sleep(self._random.uniform(0.0, spread))
            if kind in ANSWERED:
                await self._welcome(kind, visitor)
            else:
                await self._ring(kind, visitor)
            if kind == "not answered":
                for device in self.ringers:
                    await self._called(device, visitor)
                    await device.until("calling_be_hangup")
        self.counts[kind] += 1
        return visitor

    async def _welcome(self, kind: str, visitor: Visitor) -> None:
        """Somebody who is at home."""
        await visitor.arrive()
        if kind == "answered":
            await self._answer(visitor)
        elif kind == "refused":
            await self._refuse(visitor)
        else:
            await self._be_busy(visitor)

    async def _ring(self, kind: str, visitor: Visitor) -> None:
        """Come, ring until nobody has answered, say what one might say besides, and leave."""
        await visitor.arrive()
        ringing = asyncio.ensure_future(visitor.rings())
        await asyncio.sleep(0)
        for frame in ("ring", "ping", "ring"):
            visitor.say(frame)
        await ringing
        visitor.say("calling_hangup")
        visitor.say("ping")
        await visitor.until("pong")
        self._expect(await visitor.leave() == 1000, f"{kind}: closed otherwise")
        self._look(kind, visitor, b"")

    async def _called(self, device: Device, visitor: Visitor) -> Frame:
        """The ringing of a device for a guest."""
        called = await device.until("called")
        self._expect(called["from_device_id"] == visitor.name, "another guest rang")
        self._expect(called["from_name"] == visitor.name, "a call did not have the guest's name")
        self._expect(called["guest"] is True, "a call was not marked as a guest's")
        return called

    async def _answer(self, visitor: Visitor) -> None:
        """Talk, and hang up."""
        await self._meet(secrets.token_hex(16), has_credentials=False)
        ringing = asyncio.ensure_future(visitor.rings())
        called = [await self._called(device, visitor) for device in self.devices]
        before = len(visitor.stream)
        winner = self._random.randrange(2)
        device, loser = self.devices[winner], self.devices[1 - winner]
        device.answer(called[winner])
        success = await ringing
        await loser.until("calling_be_hangup")
        self._expect(len(visitor.heard) == 2, f"it heard {[frame['type'] for frame in visitor.heard]}")
        self._look("answered", visitor, visitor.stream[:before])
        room = success["room_id"]
        await self._meet(room, has_credentials=True)
        if self._random.random() < 0.5:
            visitor.say("calling_hangup")
            await device.until("calling_be_hangup")
        else:
            ending = hang_up(named(called[winner], "from"), called[winner]["room_id"])
            device.say(ending.pop("type"), **ending)
            await visitor.until("calling_be_hangup")
        await visitor.leave()
        self._look("answered", visitor, b"")

    async def _meet(self, room: str, has_credentials: bool) -> None:
        """Have two pages meet in a room, and see whether it gives them TURN credentials."""
        pages = [await Page.open(self._random.choice(self._doors), room, self._random) for _ in range(2)]
        for page in pages:
            met = await page.hears(lambda frame: frame.get("state") == "meeting")
            credentials = [server for server in met["ice_servers"] if "credential" in server]
            self._expect(bool(credentials) == has_credentials, f"a room gave {len(credentials)} credentials")
            self.counts["credentials after an accept" if has_credentials else "in rooms made up before"] += len(
                credentials
            )
        for page in pages:
            page.drop()

    async def _refuse(self, visitor: Visitor) -> None:
        ringing = asyncio.ensure_future(visitor.rings())
        called = [await self._called(device, visitor) for device in self.devices]
        self.devices[0].answer(called[0], accept=False)
        outcome = await ringing
        self._expect(outcome["type"] == "call_refuse", f"refused: {outcome}")
        await self.devices[1].until("calling_be_hangup")
        await visitor.leave()
        self._look("refused", visitor, visitor.stream)

    async def _be_busy(self, visitor: Visitor) -> None:
        rooms = []
        for friend, device in zip(self._friends, self.devices, strict=True):
            friend.call(device.address)
            device.answer(await device.until("called"))
            rooms.append((await friend.until("call_success"))["room_id"])
        outcome = await visitor.rings()
        self._expect((outcome["type"], outcome["reason"]) == ("call_failed", "busy"), f"busy: {outcome}")
        await visitor.leave()
        self._look("busy", visitor, visitor.stream)
        for friend, device, room in zip(self._friends, self.devices, rooms, strict=True):
            friend.hang_up(device, room)
            await device.until("calling_be_hangup")

    def _look(self, kind: str, visitor: Visitor, early: bytes) -> None:
        """See that a guest was told nothing of the owner, and ``early`` nothing of a room and of ICE servers."""
        told = b"".join((visitor.entered, visitor.admitted, visitor.stream))
        names = [*self._phones, *(f"set-{number}" for number in range(4)), "desk", "guest:"]
        self._expect(not _any_in(map(str.encode, names), told), f"{kind}: a guest was told of the owner")
        self._expect(not _any_in(_ICE, told), f"{kind}: a guest's socket named ICE servers")
        self._expect(not _any_in((b"room", b"page"), early), f"{kind}: a guest was told of a room before the accept")

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self._problems.append(otherwise)

    async def _connect(self, phone: str, device_id: str) -> Device:
        door = self._random.choice(self._doors)
        return await Device.connect((door.account, door.signaling), (phone, device_id))


def _any_in(words: Iterable[bytes], text: bytes) -> bool:
    return any(word in text for word in words)
