"""Devices that call each other at random while nodes lose Redis, die and come back, in simulated time. Base devices
have one call; extended ones, with the calls of the client library, hold calls, go on with them, and take them over.

``python -m tests.cluster.random_faults FIRST COUNT [loses | faultless]`` runs the worlds of COUNT seeds, and prints of
each that is wrong in the end everything that its devices said and heard.
"""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from random import Random
from typing import Any, Final, NamedTuple

import msgspec
from twisted.internet.task import Clock

from callnet.calls.records import Active, CallRecord, Over
from callnet.config.schema import CallSettings
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId
from callnet_client import DeviceAddress as ClientAddress
from callnet_client.call import Call
from callnet_client.calls import Calls
from callnet_client.event_queue import EventQueue
from callnet_client.frames import PresentCall, Request, parse_frame
from harness.redis_server import RedisServer
from tests.cluster.case import Phone
from tests.cluster.simulated import STEP, SimulatedNode, World

PREFIX: Final = "callnet:"
META: Final = f"{PREFIX}meta".encode()
TIMES: Final = CallSettings(ring_time=4.0, grace=2.0, unseated_limit=0.0, offline_after=0.0)
NODES: Final = 3
ADDRESSES: Final = [DeviceAddress(f"1360000000{phone}", device) for phone in range(4) for device in ("phone", "tv")]
BUSY: Final = 12.0
"""Seconds in which things go wrong."""
QUIET: Final = 30.0
"""Seconds after which everybody must know."""
MINUTES: Final = 300.0
"""Seconds by which clocks of nodes differ at most."""
ANSWERS_AFTER: Final = (0.0, 0.005, 0.02, 0.1)
"""Seconds after which a node has the answer of Redis; messages are faster."""


class Socket(Phone):
    """A socket that carries nothing any more when it is closed."""

    def __init__(self, address: DeviceAddress, node: SimulatedNode, extended: bool) -> None:
        self._last_heard = node.clock.seconds()
        super().__init__(address, node, extended, call_waiting=True)

    def send(self, payload: bytes) -> None:
        """Carry a frame to the device."""
        if not self.closed:
            super().send(payload)

    def heard_at(self) -> float:
        """When the device sent a frame last."""
        return self._last_heard

    def says(self, **frame: object) -> None:
        """Carry a frame to the node."""
        self._last_heard = self._clock.seconds()
        super().says(**frame)


class InCalls(NamedTuple):
    """The calls of a device, by their rooms."""

    present: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    on_hold: frozenset[str] = frozenset()
    """Those of them that the other party holds."""


class Person(ABC):
    """A person who holds a device, and believes what it was told."""

    extended = False

    def __init__(self, address: DeviceAddress, random: Random) -> None:
        self.address = address
        self._random = random
        self.node: SimulatedNode | None = None
        self.phone: Phone | None = None
        self.story: list[str] = []
        """Everything that it said and heard."""
        self._read = 0

    def connects(self, node: SimulatedNode) -> None:
        """Open a socket at a node."""
        self.node, self._read = node, 0
        self.phone = Socket(self.address, node, self.extended)

    def leaves(self, says_goodbye: bool) -> None:
        """Lose the socket."""
        if self.phone is not None and not self.phone.closed:
            self.phone.closed.append(1006)
            self.phone.session.closed(says_goodbye)
        self.phone = None

    def looks(self) -> None:
        """Take in the messages of the device."""
        if self.phone is None:
            return
        frames = self.phone.frames[self._read :]
        self._read += len(frames)
        for frame in frames:
            self.story.append(f"heard {frame}")
            self._hears(frame)
        if self.phone.closed:
            self.phone = None

    def _somebody(self, every: float) -> DeviceAddress:
        """A target for a call: with the chance ``every`` all devices of a phone."""
        other = self._random.choice([one for one in ADDRESSES if one.phone != self.address.phone])
        return other._replace(device_id=EVERY_DEVICE) if self._random.random() < every else other

    @abstractmethod
    def waits(self, seconds: float) -> None:
        """Let time pass for the device."""

    @abstractmethod
    def _hears(self, frame: dict[str, Any]) -> None:
        """Take in a message."""

    @abstractmethod
    def acts(self, people: Sequence[Person]) -> None:
        """Do something, perhaps."""

    @abstractmethod
    def believes(self) -> InCalls | None:
        """Its calls, as it believes; ``None`` if it cannot know."""


class BasePerson(Person):
    """... that speaks the base protocol."""

    def __init__(self, address: DeviceAddress, random: Random) -> None:
        super().__init__(address, random)
        self._state = "idle"
        """``idle``, ``waits`` for the outcome of a call, ``rings`` or ``talks``."""
        self._room = ""
        self._is_misled = False
        """It was told the end of a ring, and not that of the call which it is in: only the newest end is told (protocol
        §2.4)."""
        self._target = address
        self._called_on: Phone | None = None

    def waits(self, seconds: float) -> None:
        """Nothing: it has no clock."""

    def _hears(self, frame: dict[str, Any]) -> None:
        kind, room = frame["type"], frame.get("room_id", "")
        if kind == "called" and self._state == "idle":
            self._state, self._room = "rings", room
        elif kind == "call_success":  # it follows it into the page, whatever it was told before (protocol §2.3)
            self._state, self._room = "talks", room
        elif (kind in ("call_refuse", "call_failed") and self._state == "waits") or (
            kind == "calling_be_hangup" and room == self._room
        ):
            self._state, self._room = "idle", ""
        elif kind == "calling_be_hangup":
            self._is_misled = self._state == "talks"

    def acts(self, people: Sequence[Person]) -> None:  # noqa: ARG002
        """Call, accept, refuse, hang up or cancel, perhaps."""
        phone, chance = self.phone, self._random.random()
        if phone is None:
            return
        if self._state == "idle" and chance < 0.08:
            target = self._somebody(0.2)
            self._does(f"calls {target}", "waits", "")
            self._target, self._called_on = target, phone
            phone.calls(target)
        elif self._state == "rings" and chance < 0.3:
            self._does("accepts", "talks", self._room)
            phone.says(type="called_success", from_phone="1", from_device_id="1", room_id=self._room)
        elif self._state == "rings" and chance < 0.35:
            room = self._room
            self._does("refuses", "idle", "")
            phone.says(type="called_refuse", from_phone="1", from_device_id="1", room_id=room)
        elif self._state == "talks" and chance < 0.05:
            room = self._room
            self._does("hangs up", "idle", "")
            phone.hangs_up(room)
        elif self._state == "waits" and chance < 0.03:
            self._does("cancels", "idle", "")
            phone.says(type="calling_hangup", notified_phone=self._target.phone, notified_device_id="1")

    def _does(self, what: str, state: str, room: str) -> None:
        self.story.append(what)
        self._state, self._room, self._is_misled = state, room, False

    def believes(self) -> InCalls | None:
        """See :meth:`Person.believes`. Who lost the socket on which it called, and was told nothing, tries again."""
        if self._is_misled or (self._state == "waits" and self.phone is not self._called_on):
            return None
        return InCalls() if self._state == "idle" else InCalls(frozenset({self._room or self._state}))


class ExtendedPerson(Person):
    """... that speaks the extended protocol by the client library, and shows a second call."""

    extended = True

    def __init__(self, address: DeviceAddress, random: Random) -> None:
        super().__init__(address, random)
        self._clock = Clock()
        self._unsaid: list[dict[str, Any]] = []
        self._is_welcome = False
        self.calls = Calls(self._says, lambda _: None, EventQueue(), self._clock, call_waiting=True)

    def _says(self, request: Request) -> None:
        frame = json.loads(msgspec.json.encode(request))
        self.story.append(f"says {frame}")
        if self.phone is None or not self._is_welcome:
            self._unsaid.append(frame)
        else:
            self.phone.says(**frame)

    def connects(self, node: SimulatedNode) -> None:
        """Open a socket at a node."""
        self._is_welcome = False
        super().connects(node)
        self.calls.connected(is_extended=True)

    def waits(self, seconds: float) -> None:
        """Let time pass for the device."""
        self._clock.advance(seconds)

    def _hears(self, frame: dict[str, Any]) -> None:
        if frame["type"] != "welcome":
            self.calls.hear(parse_frame(json.dumps(frame).encode()))
            return
        self._is_welcome = True
        views = [msgspec.convert(frame.get(name), PresentCall | None) for name in ("call", "held_call")]
        self.calls.welcomed(*views)
        unsaid, self._unsaid = self._unsaid, []
        for one in unsaid:
            if self.phone is not None:
                self.phone.says(**one)

    def acts(self, people: Sequence[Person]) -> None:
        """Call, accept, hold, swap, refuse, hang up, or take a call over, perhaps."""
        calls, chance = self.calls, self._random.random()
        present = calls.present
        if self.phone is None or not self._is_welcome:
            return
        if self._random.random() < 0.02 and (room := self._call_elsewhere(people)):
            self.story.append("takes over")
            calls.pull(room)
        elif present is not None:
            self._acts_in(present, chance)
        elif chance < 0.15:
            calls.place(ClientAddress(*self._somebody(0.3)))

    def _acts_in(self, present: Call, chance: float) -> None:
        calls = self.calls
        if present.state == "ringing" and present.is_incoming:
            if chance < 0.45:
                present.accept() if chance < 0.4 else present.refuse()
        elif (waiting := calls.waiting) is not None:
            if chance < 0.45:
                waiting.accept(hold=chance < 0.4)
            elif chance < 0.5:
                (waiting if chance < 0.48 else present).hang_up()
        elif (held := calls.held) is not None:
            if chance < 0.15:
                calls.swap()
            elif chance < 0.22:
                (present if chance < 0.2 else held).hang_up()
        elif chance < 0.03:
            present.hang_up()

    def _call_elsewhere(self, people: Sequence[Person]) -> str:
        """The room of a call of another extended device of its phone, if there is one."""
        others = [one for one in people if isinstance(one, ExtendedPerson) and one.address.phone == self.address.phone]
        found = [call for one in others if one is not self for call in (one.calls.present, one.calls.held)]
        rooms = [call.room_id for call in found if call is not None and call.state == "active"]
        return self._random.choice(rooms) if rooms else ""

    def believes(self) -> InCalls | None:
        """See :meth:`Person.believes`. The page of a call that the server has forgotten shows that it is over."""
        calls = self.calls
        both = [call for call in (calls.present, calls.held) if call is not None]
        seen = [call for call in both if not call.is_forgotten]
        held = frozenset(call.room_id for call in seen if call is calls.held)
        on_hold = frozenset(call.room_id for call in seen if call.is_on_hold)
        return InCalls(frozenset(call.room_id or call.state for call in seen) - held, held, on_hold)


class Crowd:
    """Three nodes, eight devices, and their faults. The devices of a third of the worlds are extended, those of another
    third are not, and of the others some are.

    :param loses: whether Redis may lose what was written last, too.
    :param fails: whether anything fails at all.
    """

    def __init__(self, server: RedisServer, seed: int, loses: bool = False, fails: bool = True) -> None:
        server.flush()
        self._random = Random(seed)  # noqa: S311
        self._loses, self._fails = loses, fails
        self.world: Final = World(server, PREFIX, TIMES)
        kinds = ((ExtendedPerson,), (BasePerson,), (BasePerson, ExtendedPerson))[seed % 3]
        self.people: Final[Sequence[Person]] = [
            self._random.choice(kinds)(address, self._random) for address in ADDRESSES
        ]
        self._faults: list[tuple[float, SimulatedNode]] = []
        self._replica: dict[bytes, tuple[int, bytes]] = {}
        self._add_nodes(NODES)

    def _add_nodes(self, count: int) -> None:
        for node in self.world.start(count, lambda: self._random.uniform(0, MINUTES)):
            node.wire.answers_after = self._random.choice(ANSWERS_AFTER)

    def run(self) -> list[str]:
        """Let it all happen. Returns the faults in the end, a line for each device."""
        while self.world.passed < BUSY:
            self._step(can_act=True)
            if self._fails and self._random.random() < 0.06:
                self._goes_wrong()
            if self._loses and self._random.random() < 0.4:
                self._replicate()
        for _, node in self._faults:
            node.wire.heal()
        self._faults.clear()
        end = self.world.passed + QUIET
        while self.world.passed < end:
            self._step(can_act=False)
        return [wrong for person in self.people if (wrong := self._wrong(person))]

    def _step(self, can_act: bool) -> None:
        self.world.pass_time(STEP)
        now = self.world.passed
        for _, node in [fault for fault in self._faults if fault[0] <= now]:
            node.wire.heal()
        self._faults = [fault for fault in self._faults if fault[0] > now]
        for person in self.people:
            person.waits(STEP)
            person.looks()
            if person.phone is None:
                if not can_act or self._random.random() < 0.3:
                    node = self._random.choice(self.world.nodes)
                    person.story.append(f"{now} connects at {self.world.nodes.index(node)}")
                    person.connects(node)
            elif can_act and self._fails and self._random.random() < 0.02:
                person.story.append(f"{now} leaves")
                person.leaves(self._random.random() < 0.3)
            elif can_act:
                person.acts(self.people)
            self.world.settle()
            person.looks()

    def _goes_wrong(self) -> None:
        node, kind = self._random.choice(self.world.nodes), self._random.random()
        until = self.world.passed + self._random.choice((0.75, 2.0, 4.0, 8.0))
        if any(one is node for _, one in self._faults):
            return
        if kind < 0.1 and self._loses:
            self._fails_over()
            return
        if kind < 0.5:
            node.wire.cut()
        elif kind < 0.7:
            node.wire.silence()
        elif kind < 0.85:
            node.wire.deafen()
        else:
            self._dies(node)
            return
        self._faults.append((until, node))

    def _fails_over(self) -> None:
        """Have a replica of Redis take over, which lacks the last writes."""
        redis = self.world.restart_redis()
        for key, (lives, value) in self._replica.items():
            if key != META:  # that has the time
                redis.ask(b"RESTORE", key, b"%d" % max(lives, 0), value)
        away = {node for _, node in self._faults}
        for node in self.world.nodes:
            if node not in away:
                node.wire.heal()

    def _replicate(self) -> None:
        redis = self.world.redis
        keys = redis.ask(b"KEYS", PREFIX.encode() + b"*")
        self._replica = {key: (redis.ask(b"PTTL", key), redis.ask(b"DUMP", key)) for key in keys}

    def _dies(self, node: SimulatedNode) -> None:
        node.die()
        self._add_nodes(1)
        for person in self.people:
            if person.node is node:
                person.phone = None

    def _wrong(self, person: Person) -> str:
        known = [node.rooms.known for node in self.world.nodes]
        calls: dict[RoomId, CallRecord] = {}
        for records in known:
            for room, call in records.calls.items():
                if room not in calls or call.is_later_than(calls[room]):
                    calls[room] = call
        live = [one for one in calls.values() if not isinstance(one.state, Over) and person.address in one.parties]
        rooms = {one.room_for(person.address): one for one in live}
        holders = {room: one.state.held_by for room, one in rooms.items() if isinstance(one.state, Active)}
        held = frozenset(room for room, by in holders.items() if person.address in by)
        on_hold = frozenset(room for room, by in holders.items() if set(by) - {person.address})
        true = InCalls(frozenset(rooms) - held, held, on_hold if person.extended else frozenset())
        believed = person.believes()
        return "" if believed in (None, true) else f"{person.address} believes {believed} and is in {true}"


def main(first: int, count: int, loses: bool, fails: bool) -> None:
    """Run worlds."""
    server, wrong = RedisServer("redis"), 0
    for seed in range(first, first + count):
        crowd = Crowd(server, seed, loses, fails)
        lines = crowd.run()
        crowd.world.close()
        if lines:
            wrong += 1
            stories = [f"{person.address}\n  " + "\n  ".join(person.story) for person in crowd.people]
            sys.stdout.write("\n".join((f"== {seed}", *lines, *stories, "")))
    server.close()
    sys.stdout.write(f"{wrong} of {count} worlds are wrong in the end\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), "loses" in sys.argv[3:], "faultless" not in sys.argv[3:])
