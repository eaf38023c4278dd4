"""Callers whose call comes to its end, who leave, come back, and call again: the old end is no answer to the new call.

A call is refused, rings until nobody has answered, or is hung up, while its caller is there or just after it left. The
caller leaves by a close frame, by a cut, or by falling silent; it is away for up to a minute, and calls the same device
or another one, which accepts. What it hears after its new call must be the answer to that (protocol §2.4). Others come
back and call nobody: these must hear of the end, unless they were told before they said goodbye.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import product
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.daemon import CountedDaemon, running
from acceptance.proof import Outcome, Proof
from harness.base_protocol import Frame, named
from harness.device import Device
from harness.wire import Closed

AWAY: Final = (0.1, 0.3, 0.7, 1.5, 3.0, 8.0, 20.0, 60.0)
"""Seconds."""
BRIEF_AWAY: Final = (0.1, 1.5)
RING_TIME: Final = 2
"""Seconds."""
SOON: Final = 15.0
"""Seconds in which whatever must come has come, with hundreds of devices side by side on a small machine."""
SILENCE: Final = 2.5
"""Seconds in which nothing may come. An old end comes after one."""
AT_ONCE: Final = 16
ENDS: Final = ("refused", "unanswered", "hung up")
GOODBYES: Final = {"close frame 1000": 1000, "close frame 1001": 1001}
WAYS: Final = (*GOODBYES, "cut", "silence")
END_FRAMES: Final = {"refused": "call_refuse", "unanswered": "call_failed", "hung up": "calling_be_hangup"}


class Story(Struct, frozen=True):
    """The events of one caller."""

    number: int
    end: str
    way: str
    is_there: bool
    """The end comes before it leaves."""
    away: float
    calls: str
    """``same``, ``other`` or ``nobody``."""
    dials_after: float
    """Seconds after it is back."""

    def __str__(self) -> str:
        """In a few words."""
        when = "before" if self.is_there else "after"
        return f"{self.end} {when} it left by {self.way} for {self.away:g} s, then calls {self.calls}"


class Phone:
    """A base client, which may connect several times."""

    def __init__(self, daemon: CountedDaemon, phone: str) -> None:
        self.address: Final = (phone, "one")
        self._ports = daemon.ports["account"], daemon.ports["signaling"]
        self._lines: list[Device] = []

    @property
    def line(self) -> Device:
        """Its newest connection."""
        return self._lines[-1]

    async def connect(self) -> None:
        """Open a connection."""
        self._lines.append(await Device.connect(self._ports, self.address, SOON))

    async def leave(self, way: str) -> None:
        """End the connection, or only stop reading it."""
        if way in GOODBYES:
            self.line.say_goodbye(GOODBYES[way])
            await self.line.ended()
        if way == "silence":
            self.line.fall_silent()
        else:
            self.line.drop()

    def finish(self) -> None:
        """Be gone."""
        for line in self._lines:
            line.drop()

    def call(self, other: Phone) -> None:
        """Call somebody."""
        self.line.call(other.address)

    async def expect(self, kind: str) -> Frame:
        """The next frame, which must be of this kind."""
        heard = await self.line.next()
        if heard["type"] != kind:
            raise Unexpected(f"{kind} was due, and {heard['type']} ({heard.get('reason')}) came")
        return heard

    async def answer(self, accept: bool) -> None:
        """Accept or refuse the call that rings next."""
        self.line.answer(await self.expect("called"), accept)

    async def silence(self) -> None:
        """Hear nothing for some time."""
        try:
            async with asyncio.timeout(SILENCE):
                heard = await self.line.next()
        except TimeoutError:
            return
        raise Unexpected(f"{heard['type']} ({heard.get('reason')}) came, and nothing was due")


class Unexpected(Exception):
    """Another frame came than the due one."""


def stories(aways: Sequence[float], random: Random) -> list[Story]:
    """All ways in which this can go."""
    found: list[Story] = []
    for end, way, is_there, away, calls in product(ENDS, WAYS, (True, False), aways, ("same", "other", "nobody")):
        # A call that still rings has not ended yet.
        least = RING_TIME + 0.5 if end == "unanswered" and not is_there else 0.0
        found.append(Story(len(found), end, way, is_there, max(away, least), calls, random.choice((0.0, 0.3))))
    return found


async def begin(story: Story, caller: Phone, callee: Phone) -> str:
    """Call, and have the call answered if it is to be hung up; the room, if the caller knows it."""
    caller.call(callee)
    if story.end != "hung up":
        return ""
    await callee.answer(accept=True)
    return str((await caller.expect("call_success"))["room_id"])


async def end(story: Story, caller: Phone, callee: Phone, room: str) -> None:
    """Have it end."""
    if story.end == "refused":
        await callee.answer(accept=False)
    elif story.end == "hung up":
        callee.line.hang_up(caller.line, room)
    else:
        await callee.expect("called")
        await callee.expect("calling_be_hangup")


async def play(story: Story, caller: Phone, callee: Phone, other: Phone) -> None:
    """One story.

    :raises Unexpected: something came that was not due.
    :raises TimeoutError: something did not.
    """
    room = await begin(story, caller, callee)
    if story.is_there:
        await end(story, caller, callee, room)
        await caller.expect(END_FRAMES[story.end])
    else:
        if story.end != "hung up":
            await asyncio.sleep(0.1)
        await caller.leave(story.way)
        await asyncio.sleep(0.05)
        await end(story, caller, callee, room)
    if story.is_there:
        await caller.leave(story.way)
    await asyncio.sleep(story.away)
    await caller.connect()
    if story.calls == "nobody":
        if not (story.is_there and story.way in GOODBYES):
            await caller.expect(END_FRAMES[story.end])
        await caller.silence()
        return
    await asyncio.sleep(story.dials_after)
    callee = callee if story.calls == "same" else other
    caller.call(callee)
    await callee.answer(accept=True)
    success = await caller.expect("call_success")
    if named(success, "to") != callee.address or success["room_id"] == room:
        raise Unexpected("an old call_success came")
    await caller.silence()


async def run(daemon: CountedDaemon, told: Sequence[Story], counts: Counter[str]) -> list[str]:
    """Play them all side by side; returns the errors."""
    slots = asyncio.Semaphore(AT_ONCE)
    wrong: list[str] = []

    async def one(story: Story) -> None:
        phones = [Phone(daemon, f"13{each}{story.number:08}") for each in (5, 6, 7)]
        async with slots:
            for phone in phones:
                await phone.connect()
        try:
            await play(story, *phones)
            counts["new calls, answered by their own answer" if story.calls != "nobody" else "called nobody"] += 1
        except (Unexpected, TimeoutError, Closed) as error:
            wrong.append(f"{story}: {str(error) or 'what was due did not come'}")
        for phone in phones:
            phone.finish()

    await asyncio.gather(*map(one, told))
    return wrong


def prove(brief: bool, seed: int) -> Outcome:
    """Every way of coming and going, or those that do not take long."""
    told = stories(BRIEF_AWAY if brief else AWAY, Random(seed))
    counts: Counter[str] = Counter({"stories": len(told)})
    with running(f"[calls]\nring_time = {RING_TIME}\n") as daemon:
        wrong = asyncio.run(run(daemon, told, counts))
        misses = [f"the daemon logged {line}" for line in daemon.complaints()]
    if not brief and counts["new calls, answered by their own answer"] < 200 and not wrong:
        misses.append("there were fewer than 200 new calls")
    return Outcome(counts, [*misses, *wrong[:20], *([f"{len(wrong)} stories went wrong"] if wrong else [])])


PROOF: Final = Proof(
    "stale_answers",
    "nobody hears the end of an old call after a new one was placed; who was cut off and calls nobody learns it",
    prove,
)
