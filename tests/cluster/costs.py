"""The cost of each event to the shared store: counted by Redis, and on the wire."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.calls.transaction import REMEMBERED
from callnet.config.schema import CallSettings
from callnet.model import DeviceAddress
from callnet.redis.commands import Counted
from callnet.store.ended import KEPT_MAX
from callnet.util.net import hidden
from harness.redis_server import RedisServer
from tests.cluster.case import ANN, TV, Phone
from tests.cluster.page import Page
from tests.cluster.simulated import World

PREFIX: Final = "callnet:"
SETTINGS: Final = CallSettings(ring_time=4, grace=2)
ROOM: Final = "blue-house"
AT_ONCE: Final = 64
MANY: Final = 2000


class Cost(Struct, frozen=True):
    """The cost of an action."""

    scripts: Mapping[str, int]
    """The number of runs of each script: each run is a round trip."""
    commands: int
    """Commands that these gave in Redis."""
    messages: int
    """The number of published messages."""
    sent: int
    """Bytes to Redis."""
    received: int
    """Bytes from Redis, messages to other nodes among them."""
    records: int
    """Records that were read."""

    @property
    def round_trips(self) -> int:
        """Answers that somebody waited for."""
        return sum(self.scripts.values())

    def __add__(self, other: Cost) -> Cost:
        return self - (Cost({}, 0, 0, 0, 0, 0) - other)

    def __sub__(self, other: Cost) -> Cost:
        names = {**self.scripts, **other.scripts}
        scripts = {name: self.scripts.get(name, 0) - other.scripts.get(name, 0) for name in names}
        return Cost(
            {name: count for name, count in scripts.items() if count},
            self.commands - other.commands,
            self.messages - other.messages,
            self.sent - other.sent,
            self.received - other.received,
            self.records - other.records,
        )


def spent(world: World) -> Cost:
    """The cost of everything so far, without the requests of the world itself."""
    commands = dict(_commands(world.redis.ask(b"INFO", b"commandstats").decode()))
    given = {**world.redis.given, "evalsha": sum(world.round_trips.values())}
    return Cost(
        dict(world.round_trips),
        sum(commands.values()) - sum(given.get(name, 0) for name in commands),
        commands.get("publish", 0),
        world.redis.sent,
        world.redis.received + world.redis.published,
        world.records_read,
    )


def _commands(stats: str) -> Iterator[tuple[str, int]]:
    for line in stats.splitlines():
        name, _, counts = line.partition(":calls=")
        if name.startswith("cmdstat_"):
            yield name.removeprefix("cmdstat_").partition("|")[0], int(counts.partition(",")[0])


def cost_of(world: World, action: Callable[[], object]) -> Cost:
    """The cost of an action and of all its immediate consequences."""
    before = spent(world)
    action()
    world.settle()
    return spent(world) - before


def cost_of_time(world: World, seconds: float, begin: Callable[[], object]) -> Cost:
    """The cost of a period after something was begun, without heartbeats."""
    idle = cost_of(world, lambda: world.pass_time(seconds))
    begin()
    world.settle()
    return cost_of(world, lambda: world.pass_time(seconds)) - idle


def new_world(server: RedisServer, nodes: int) -> World:
    """A world with this number of nodes, and nothing else."""
    world = World(server, PREFIX, SETTINGS)
    world.start(nodes)
    world.pass_time(3)  # one of them sweeps
    return world


def costs(server: RedisServer) -> Mapping[str, Cost]:
    """The cost of each event that the document lists, by its words there."""
    found: dict[str, Cost] = {}
    for count in (of_beats, of_connections, of_calls, of_ended, of_limits, of_seats):
        server.flush()
        found.update(count(server))
    return found


def of_beats(server: RedisServer) -> Mapping[str, Cost]:
    """Heartbeats."""
    world = new_world(server, 1)
    sweeping = cost_of(world, lambda: world.pass_time(1))
    world.phones(world.nodes[0], [DeviceAddress(f"{13600000000 + number}", "phone") for number in range(MANY)])
    with_devices = cost_of(world, lambda: world.pass_time(1))
    world.start(1)
    world.pass_time(2)  # it looks at unhandled records only when they have been there for some time
    both = cost_of(world, lambda: world.pass_time(1))
    world.close()
    return {
        "heartbeat of a node": both - with_devices,
        "heartbeat of the one that sweeps": sweeping,
        f"the same with {MANY} devices": with_devices,
    }


def of_connections(server: RedisServer) -> Mapping[str, Cost]:
    """Devices come and go."""
    world = new_world(server, 2)
    here, there = world.nodes
    found: dict[str, Cost] = {}
    found["device connects"] = cost_of(world, lambda: Phone(ANN, here))
    phones: list[Phone] = []
    found["device connects to another node"] = cost_of(world, lambda: phones.append(Phone(ANN, there)))
    found["device disconnects"] = cost_of(world, phones[0].goes)
    world.pass_time(SETTINGS.grace + 1)
    again = world.phones(here, [ANN])
    found["its record is forgotten"] = cost_of_time(world, REMEMBERED / 2 + 1, again[0].goes)
    addresses = [DeviceAddress(f"{13700000000 + number}", "phone") for number in range(AT_ONCE)]
    found[f"{AT_ONCE} devices connect at once"] = cost_of(world, lambda: world.phones(here, addresses))
    world.close()
    return found


def of_calls(server: RedisServer) -> Mapping[str, Cost]:
    """Calls inside one node, and across two."""
    world = new_world(server, 2)
    here = world.nodes[0]
    found: dict[str, Cost] = {}
    for where, there in (("", here), (", across nodes", world.nodes[1])):
        [ann], [tv] = world.phones(here, [ANN]), world.phones(there, [TV])
        found |= {name + where: cost for name, cost in calls_between(world, ann, tv).items()}
        found["call is not answered in time" + where] = cost_of_time(
            world, SETTINGS.ring_time + 1, partial(ann.calls, TV)
        )
    world.close()
    return found


def calls_between(world: World, ann: Phone, tv: Phone) -> Mapping[str, Cost]:
    """A call that is answered, and one that is refused."""
    found: dict[str, Cost] = {}
    found["call is placed"] = cost_of(world, lambda: ann.calls(tv.address))
    found["call is answered"] = cost_of(world, tv.accepts)
    room = ann.last("call_success")["room_id"]
    found["call is hung up"] = cost_of(world, lambda: tv.hangs_up(room))
    assert ann.told[-1] == "calling_be_hangup:hangup"
    found["whole call"] = found["call is placed"] + found["call is answered"] + found["call is hung up"]
    ann.calls(tv.address)
    world.settle()
    found["call is refused"] = cost_of(world, tv.refuses)
    assert ann.told[-1] == "call_refuse:refused"
    return found


def of_ended(server: RedisServer) -> Mapping[str, Cost]:
    """The cost of recording an ended call."""
    world = new_world(server, 1)
    [node] = world.nodes
    commands = node.member.commands
    taken: list[bytes] = []
    found = {"a node asks what is over: nothing": cost_of(world, lambda: commands.take_ended(AT_ONCE, KEPT_MAX))}
    ann, tv = world.phones(node, [ANN, TV])
    for _ in range(AT_ONCE):
        ann.calls(tv.address)
        world.settle()
        tv.refuses()
        world.settle()
    world.pass_time(1)

    def write_down() -> None:
        taking = commands.take_ended(AT_ONCE, KEPT_MAX)
        taking.addCallback(lambda found: taken.extend(one.key for one in found[1]))
        world.settle()
        commands.done_with(taken)

    found[f"{AT_ONCE} calls that are over are written down"] = cost_of(world, write_down)
    assert len(taken) == AT_ONCE
    world.close()
    return found


def of_limits(server: RedisServer) -> Mapping[str, Cost]:
    """Logins, and the messages between nodes about all other limits."""
    world = new_world(server, 1)
    commands = world.nodes[0].member.commands

    def exchange(counted: Sequence[Counted], sockets: Sequence[tuple[str, int]]) -> None:
        Deferred.fromCoroutine(commands.exchange(counted, sockets))

    found = {"a node asks what is used up: nothing": cost_of(world, lambda: exchange((), ()))}
    counted = [Counted(f"calls:{number:011}\nphone", 6.0, 30.0) for number in range(AT_ONCE)]
    found[f"{AT_ONCE} devices have placed another tenth of their calls"] = cost_of(world, lambda: exchange(counted, ()))
    sockets = [(f"devices:{hidden(str(number))}", 50) for number in range(AT_ONCE)]
    found[f"a node tells of {AT_ONCE} addresses"] = cost_of(world, lambda: exchange((), sockets))
    limits = [(f"{name}:{hidden(name)}", 2.0, 60.0) for name in ("logins-from", "logins-of")]
    found["device logs in"] = cost_of(world, lambda: Deferred.fromCoroutine(commands.take(limits)))
    world.close()
    return found


def of_seats(server: RedisServer) -> Mapping[str, Cost]:
    """Pages, on one node and on two."""
    found: dict[str, Cost] = {}
    for where, apart in (("", 0), (", across nodes", 1)):
        world = new_world(server, 2)
        one, other = Page(world.nodes[0], ROOM, 1), Page(world.nodes[apart], ROOM, 2)
        found["page takes the first seat"] = cost_of(world, one.joins)
        found["page takes the second seat" + where] = cost_of(world, other.joins)
        found["page says something to the other" + where] = cost_of(world, one.relays)
        assert other.frames[-1]["type"] == "relay"
        found["page leaves its seat" + where] = cost_of(world, one.goes)
        world.close()
        server.flush()
    return found


def bytes_held(server: RedisServer) -> Mapping[str, float]:
    """The memory of Redis for one of each, on average of many."""
    server.flush()
    world = new_world(server, 2)
    addresses = [DeviceAddress(f"{13600000000 + number}", "phone") for number in range(2 * MANY)]
    empty = _used(world)
    phones = [
        phone for node, some in zip(world.nodes, (addresses[:MANY], addresses[MANY:]), strict=True)
        for phone in world.phones(node, some)
    ]  # fmt: skip
    connected = _used(world)
    for caller, callee in zip(phones[:MANY], phones[MANY:], strict=True):
        caller.calls(callee.address)
    world.settle()
    for phone in phones[MANY:]:
        phone.accepts()
    world.settle()
    talking = _used(world)
    world.close()
    server.flush()
    return {"device that is connected": (connected - empty) / (2 * MANY), "call": (talking - connected) / MANY}


def _used(world: World) -> int:
    text = world.redis.ask(b"INFO", b"memory").decode()
    return int(next(line for line in text.splitlines() if line.startswith("used_memory:")).partition(":")[2])


def table(found: Mapping[str, Cost]) -> str:
    """The costs as the document has them."""
    lines = [
        "| what happens | scripts | commands in them | messages | bytes to Redis | bytes from Redis |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for what, cost in found.items():
        numbers = f"{cost.commands} | {cost.messages} | {cost.sent} | {cost.received}"
        lines.append(f"| {what} | {_named(cost.scripts)} | {numbers} |")
    return "\n".join(lines)


def _named(scripts: Mapping[str, int]) -> str:
    named = sorted(scripts.items(), reverse=True)
    return ", ".join(name if count == 1 else f"{count} × {name}" for name, count in named) or "–"
