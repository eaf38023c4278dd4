"""A base client that records its requests, messages and beliefs (:mod:`acceptance.faults.books`)."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Any, Final, Literal

from acceptance.faults.books import Answer, Attempt, Part, Ring, Withdrawal
from acceptance.faults.bounds import CLEARLY_AWAY, GRACE, RING_TIME, SLACK, STANDS_STILL, TOLD
from acceptance.faults.line import Line
from harness.base_protocol import EVERY, Address, Frame, answer, call, hang_up, named

IN_DOUBT: Final = 2.0
"""A message sent this shortly before the connection broke may not have arrived, in seconds."""
CROSSING: Final = STANDS_STILL + SLACK
"""Messages in flight when the device placed a call come within this, in seconds: its node may stand still."""
REMEMBERED: Final = 40
"""The number of rooms that a device remembers to have heard of, or left."""
LEAVING: Final = ("hang up", "called another", "away")
"""Ends of a part in a call that the others have to hear of."""


class Phone(Line):
    """One device, and its beliefs."""

    attempt: Attempt | None = None
    """The call that it waits for the answer to."""
    room: str | None = None
    """The room of the call that it is in."""
    peer: Address | None = None
    part: Part | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.rings: Final[dict[str, tuple[Ring, Address]]] = {}
        self._known: Final[OrderedDict[str, None]] = OrderedDict()
        self._done_with: Final[OrderedDict[str, None]] = OrderedDict()
        """The rooms of the calls that it has left by itself."""
        self._asked: Final[dict[Address, Attempt]] = {}
        """The newest call to each device, and to all of a phone."""
        self._hung_up: tuple[float, Address, str] | None = None
        self._left_call: tuple[Address, str] | None = None
        """The call that it left by calling somebody else; one that was not answered yet has no room."""

    # Saying

    def call(self, target: Address) -> None:
        """Place a call, leaving everything else; a call to the caller that rings this device answers that."""
        now = time.monotonic()
        self._left_call = None if self.attempt is None else (self.attempt.target, "")
        if self.room is not None and self.peer is not None:
            self._left_call = self.peer, self.room
        for room, (_, caller) in list(self.rings.items()):
            self._stop(room, "accepted" if caller == target else "called another", now)
        part, left = self.part, self.attempt
        self._leave_call("called another", now)
        self.give_up("replaced", now)
        self.attempt = self._asked[target] = self.books.place(self.address, target, now)
        if left is not None:
            left.replaced_by = self.attempt
        if part is not None:
            part.instead = self.attempt
        self.say(call(target))

    def answer(self, room: str, accept: bool) -> None:
        """Accept or refuse a ringing call."""
        now, caller = time.monotonic(), self.rings[room][1]
        self._stop(room, "accepted" if accept else "refused", now)
        if accept:
            self._enter(room, caller, now)
        self.say(answer(caller, room, accept))

    def hang_up(self) -> None:
        """End the call that this device is in."""
        if self.room is not None and self.peer is not None:
            now = time.monotonic()
            self._hung_up = (now, self.peer, self.room)
            self.say(hang_up(self.peer, self.room))
            self._leave_call("hang up", now)

    def cancel(self, how: Literal["cancelled", "cut off"] = "cancelled") -> None:
        """Give up the call that was placed."""
        if self.attempt is not None:
            self.say(hang_up(self.attempt.target))
            if how == "cut off" and self._left_call is not None:
                self.say(hang_up(*self._left_call))  # nor was it heard that it left that
            self.give_up(how, time.monotonic())

    # Believing

    def give_up(self, how: Literal["cancelled", "replaced", "away", "cut off", "ended"], at: float) -> None:
        """Stop waiting for the answer to a call."""
        if self.attempt is not None:
            self.attempt.withdrawal = Withdrawal(how, at)
            self.attempt = None

    def _enter(self, room: str, peer: Address, at: float) -> None:
        self._leave_call("called another", at)
        self.room, self.peer, self.part = room, peer, self.books.joined(self.address, room, at)

    def _leave_call(self, how: str, at: float) -> None:
        if self.part is not None:
            self.part.end, self.part.how = at, how
        if self.room is not None and how in LEAVING:
            _remember(self._done_with, self.room)
        self.room = self.peer = self.part = None

    def _stop(self, room: str, how: str, at: float) -> None:
        ring, _ = self.rings.pop(room)
        ring.end, ring.how = at, how

    # Coming and going

    def moving(self) -> None:
        """Calls that ring on the old connection ring there no more."""
        now = time.monotonic()
        for room in list(self.rings):
            self._stop(room, "away", now)
        if self.attempt is not None:
            # A node that stands still may never hear of it, and nobody else will answer.
            self.background(self._see_whether_it_rings(self.attempt, RING_TIME + TOLD))

    def came_back(self) -> None:
        """Repeat messages that may not have been heard, and leave calls that must be over."""
        if self.lost_at is None:
            return
        now = time.monotonic()
        hung_up = self._hung_up
        if self.broke and hung_up is not None and hung_up[0] > self.lost_at - IN_DOUBT:
            self.background(self._say_hang_up_again(hung_up[1], hung_up[2]))
        if now - self.lost_at > CLEARLY_AWAY:
            self._leave_everything(min(now, self.lost_at + GRACE))
        elif self.attempt is not None and self.broke and self.attempt.at > self.lost_at - IN_DOUBT:
            self.background(self._see_whether_it_rings(self.attempt, IN_DOUBT))

    def _leave_everything(self, at: float) -> None:
        if self.room is not None and self.peer is not None:
            self.background(self._say_hang_up_again(self.peer, self.room))
            self._leave_call("away", at)
        if self.attempt is not None:
            self.background(self._say_hang_up_again(self.attempt.target, ""))
            self.give_up("away", at)

    async def _say_hang_up_again(self, other: Address, room: str) -> None:
        await asyncio.sleep(0.2)  # missed messages come first
        if room or self.attempt is None:
            self.say(hang_up(other, room))

    async def _see_whether_it_rings(self, attempt: Attempt, patience: float) -> None:
        await asyncio.sleep(patience)
        if self.attempt is attempt and not attempt.stories:
            self.cancel("cut off")

    def slow(self) -> float:
        """Longer than the grace, for sure."""
        return GRACE * self.random.uniform(1.6, 2.5)

    # Hearing

    def hear(self, frame: Frame) -> None:
        """Take a frame of the server."""
        now = time.monotonic()
        match frame.get("type"):
            case "called":
                self._on_called(named(frame, "from"), frame["room_id"], now)
            case "call_success":
                self._on_success(named(frame, "to"), frame["room_id"], now)
            case "call_refuse" | "call_failed" as kind:
                self._on_no(kind, named(frame, "to"), str(frame.get("reason")), now)
            case "calling_be_hangup":
                self._on_be_hangup(named(frame, "fire"), frame["room_id"], str(frame.get("reason")), now)
            case _:
                self._strange(f"was sent {frame}", now)

    def _strange(self, what: str, at: float) -> None:
        self.books.seen("strange", self.address, at, what)

    def _told_otherwise(self, kind: str, answer: Answer, at: float, what: str, *others: Address) -> None:
        """Something was said of a call that had been answered: its cause may lie as far back as that."""
        self.books.seen(kind, self.address, at, what, since=answer.at, bound=at - answer.at, others=others)

    def _on_called(self, caller: Address, room: str, at: float) -> None:
        self._know(room)
        if room == self.room:
            self._leave_call("undone", at)  # our accept did not arrive
        ring = self.books.rung(self.address, caller, room, self.connections, at)
        if ring is None:
            self._strange(f"is rung by {caller}, who did not call", at)
        elif self.attempt is not None and at - self.attempt.at < CROSSING:
            # It crossed our call, which leaves or answers the ringing one.
            ring.end, ring.how = at, "accepted" if self.attempt.target == caller else "called another"
        elif room not in self.rings:
            self.rings[room] = (ring, caller)
        else:
            ring.end = at  # the books see that this is one ring too many

    def _on_success(self, callee: Address, room: str, at: float) -> None:
        self._know(room)
        asked = filter(None, (self._asked.get(callee), self._asked.get(Address(callee.phone, EVERY))))
        attempt = max(asked, key=lambda one: one.number, default=None)
        if room == self.room:
            return
        if room in self._done_with:
            self.say(hang_up(callee, room))  # it was not heard
        elif attempt is None:
            self._strange(f"is given {callee}, which it did not call", at)
        elif attempt is self.attempt:
            self.attempt = None
            self.rings.pop(room, None)
            self.books.succeeded(attempt, callee, room, at)
            self._enter(room, callee, at)
        elif room in self.rings:  # accepted by calling, which the node that it went to hears only now
            self._stop(room, "accepted", at)
            self._enter(room, callee, at)
        elif attempt.withdrawal is None and attempt.answer is not None and attempt.answer.kind != "call_success":
            what = f"is given {callee} in {room} after it was told {attempt.answer.kind} {attempt.answer.reason}"
            self._told_otherwise("given late", attempt.answer, at, what)
        elif self._withdrew_earlier(attempt):
            self.say(hang_up(callee, room))  # it was not heard

    def _withdrew_earlier(self, attempt: Attempt) -> bool:
        """Tell whether a call was given up on an earlier connection, with which that may have got lost."""
        return attempt.withdrawal is not None and self.spell is not None and attempt.withdrawal.at < self.spell.start

    def _on_no(self, kind: Literal["call_refuse", "call_failed"], target: Address, reason: str, at: float) -> None:
        attempt = self._asked.get(target)
        if attempt is None:
            self._strange(f"is told {kind} {reason} of {target}, which it did not call", at)
        elif attempt is self.attempt:
            self.attempt = None
            attempt.answer = Answer(kind, reason, at)
            if reason == "unavailable" and self._left_call is not None:
                self.say(hang_up(*self._left_call))  # nothing has changed, and it is in that call still (§2.4, step 1)
        elif attempt.answer is not None and (attempt.answer.kind, attempt.answer.reason) == (kind, reason):
            if not self._just_back:
                self._told_otherwise("repeated", attempt.answer, at, f"{kind} {reason} of {target}")
        elif attempt.answer is not None:
            what = f"{kind} {reason} of {target} after {attempt.answer.kind} {attempt.answer.reason}"
            self._told_otherwise("two ends", attempt.answer, at, what, target)
        elif attempt.withdrawal is None and not self._just_back:
            self._strange(f"is told {kind} {reason} of {target}, and waits for no such thing", at)

    def _on_be_hangup(self, fire: Address, room: str, reason: str, at: float) -> None:
        if room in self.rings:
            self._stop(room, f"told {reason}", at)
        elif room == self.room:
            self._leave_call(f"told {reason}", at)
        elif self.attempt is not None and self.attempt.target.phone == fire.phone and room not in self._known:
            self.give_up("ended", at)
        elif room not in self._known and not self._just_back:
            self.books.unheard(self.address, fire, at, f"{room}, {reason}")
        self._know(room)

    @property
    def _just_back(self) -> bool:
        """True if this may be told of events that an earlier connection missed, or heard already."""
        return self.connections > 1 and self.heard_here <= 2

    def _know(self, room: str) -> None:
        _remember(self._known, room)

    @property
    def free(self) -> bool:
        """True if this device is connected and has nothing to do with any call."""
        return self.settled and self.attempt is None and self.room is None and not self.rings


def _remember(rooms: OrderedDict[str, None], room: str) -> None:
    rooms[room] = None
    if len(rooms) > REMEMBERED:
        rooms.popitem(last=False)
