"""Base devices that call each other at random while nodes lose Redis, die and come back, in simulated time.

``python -m tests.cluster.random_faults FIRST COUNT [loses]`` runs the worlds of COUNT seeds, and prints of each that
is wrong in the end everything that its devices said and heard.
"""

from __future__ import annotations

import sys
from random import Random
from typing import Final

from callnet.calls.records import Over
from callnet.config.schema import CallSettings
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId
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


class Socket(Phone):
    """A socket that carries nothing any more when it is closed."""

    def __init__(self, address: DeviceAddress, node: SimulatedNode) -> None:
        self._last_heard = node.clock.seconds()
        super().__init__(address, node)

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


class Person:
    """A person who holds a device, and believes what it was told."""

    def __init__(self, address: DeviceAddress, random: Random) -> None:
        self.address = address
        self._random = random
        self.node: SimulatedNode | None = None
        self.phone: Phone | None = None
        self.state = "idle"
        """``idle``, ``waits`` for the outcome of a call, ``rings`` or ``talks``."""
        self.room = ""
        self.is_misled = False
        """It was told the end of a ring, and not that of the call which it is in: only the newest end is told (protocol
        §2.4)."""
        self._target = address
        self._called_on: Phone | None = None
        self.story: list[str] = []
        """Everything that it said and heard."""
        self._read = 0

    def connects(self, node: SimulatedNode) -> None:
        """Open a socket at a node."""
        self.node, self._read = node, 0
        self.phone = Socket(self.address, node)

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
            self._hears(frame["type"], frame.get("room_id", ""))
        if self.phone.closed:
            self.phone = None

    def _hears(self, kind: str, room: str) -> None:
        if kind == "called" and self.state == "idle":
            self.state, self.room = "rings", room
        elif kind == "call_success" and self.state != "idle":
            self.state, self.room = "talks", room
        elif (kind in ("call_refuse", "call_failed") and self.state == "waits") or (
            kind == "calling_be_hangup" and room == self.room
        ):
            self.state, self.room = "idle", ""
        elif kind == "calling_be_hangup":
            self.is_misled = self.state == "talks"

    def acts(self) -> None:
        """Do something, perhaps."""
        phone, chance = self.phone, self._random.random()
        if phone is None:
            return
        if self.state == "idle" and chance < 0.08:
            other = self._random.choice([one for one in ADDRESSES if one.phone != self.address.phone])
            target = other._replace(device_id=EVERY_DEVICE) if self._random.random() < 0.2 else other
            self._does(f"calls {target}", "waits", "")
            self._target, self._called_on = target, phone
            phone.calls(target)
        elif self.state == "rings" and chance < 0.3:
            self._does("accepts", "talks", self.room)
            phone.says(type="called_success", from_phone="1", from_device_id="1", room_id=self.room)
        elif self.state == "rings" and chance < 0.35:
            room = self.room
            self._does("refuses", "idle", "")
            phone.says(type="called_refuse", from_phone="1", from_device_id="1", room_id=room)
        elif self.state == "talks" and chance < 0.05:
            room = self.room
            self._does("hangs up", "idle", "")
            phone.hangs_up(room)
        elif self.state == "waits" and chance < 0.03:
            self._does("cancels", "idle", "")
            phone.says(type="calling_hangup", notified_phone=self._target.phone, notified_device_id="1")

    def gave_up(self) -> bool:
        """Tell whether it lost the socket on which it called, and was told nothing: people try again."""
        return self.state == "waits" and self.phone is not self._called_on

    def _does(self, what: str, state: str, room: str) -> None:
        self.story.append(what)
        self.state, self.room, self.is_misled = state, room, False


class Crowd:
    """Three nodes, eight devices, and their faults.

    :param loses: whether Redis may lose what was written last, too. Then one world of 500 is wrong in the end: what two
        nodes have said of a call is lost with the node that could say it again.
    """

    def __init__(self, server: RedisServer, seed: int, loses: bool) -> None:
        server.flush()
        self._random = Random(seed)  # noqa: S311
        self._loses = loses
        self.world: Final = World(server, PREFIX, TIMES)
        self.people: Final = [Person(address, self._random) for address in ADDRESSES]
        self._faults: list[tuple[float, SimulatedNode]] = []
        self._replica: dict[bytes, tuple[int, bytes]] = {}
        self._add_nodes(NODES)

    def _add_nodes(self, count: int) -> None:
        self.world.start(count, lambda: self._random.uniform(0, MINUTES))

    def run(self) -> list[str]:
        """Let it all happen. Returns the faults in the end, a line for each device."""
        while self.world.passed < BUSY:
            self._step(can_act=True)
            if self._random.random() < 0.06:
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
            person.looks()
            if person.phone is None:
                if not can_act or self._random.random() < 0.3:
                    node = self._random.choice(self.world.nodes)
                    person.story.append(f"{now} connects at {self.world.nodes.index(node)}")
                    person.connects(node)
            elif can_act and self._random.random() < 0.02:
                person.story.append(f"{now} leaves")
                person.leaves(self._random.random() < 0.3)
            elif can_act:
                person.acts()
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
        calls = {room: call for records in known for room, call in records.calls.items()}
        aliases = {alias: room for records in known for alias, room in records.aliases.items()}
        present = [
            call.room for call in calls.values() if not isinstance(call.state, Over) and person.address in call.parties
        ]
        room = aliases.get(RoomId(person.room), RoomId(person.room))
        if person.gave_up() or person.is_misled:
            return ""
        believed = [] if person.state == "idle" else [room]
        if believed == present and person.state in ("idle", "talks"):
            return ""
        return f"{person.address} {person.state} {room[:4]} and is in {[one[:4] for one in present]}"


def main(first: int, count: int, loses: bool) -> None:
    """Run worlds."""
    server, wrong = RedisServer("redis"), 0
    for seed in range(first, first + count):
        crowd = Crowd(server, seed, loses)
        lines = crowd.run()
        crowd.world.close()
        if lines:
            wrong += 1
            stories = [f"{person.address}\n  " + "\n  ".join(person.story) for person in crowd.people]
            sys.stdout.write("\n".join((f"== {seed}", *lines, *stories, "")))
    server.close()
    sys.stdout.write(f"{wrong} of {count} worlds are wrong in the end\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), "loses" in sys.argv[3:])
