"""A simulated cluster that lives for some time: calls begin and end between random nodes, and nodes die."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Final

from callnet.config.schema import CallSettings
from tests.cluster.case import Phone
from tests.cluster.crowd import PREFIX, Crowd, Pair
from tests.cluster.simulated import SimulatedNode

SETTINGS: Final = CallSettings()
BOUND: Final = SETTINGS.grace + 5
"""Seconds after its node's death in which a device's peer is told."""
BEGUN: Final = 10
"""Calls that begin in a second, while there are devices for them."""
LASTS: Final = 20
"""Seconds that a call takes."""
DIE: Final = 0.05
"""The share of the nodes that dies."""
_LOST: Final = "calling_be_hangup:connection_lost"


class Life:
    """The events, and the observations."""

    def __init__(self, crowd: Crowd, random: Random) -> None:
        self._world = crowd.world
        self._crowd = crowd
        self._random = random
        self._node_of = {phone: node for node, phones in crowd.phones.items() for phone in phones}
        self._dead: list[str] = []
        self._talking: dict[Pair, float] = {}
        """Until when."""
        self._left: dict[Phone, float] = {}
        """Those whose peer's node has died, and when."""
        self._begun = self._ended = 0
        self._told: list[float] = []

    def go_on(self, seconds: int) -> None:
        """Live for so long, then until everybody should have been told whose peer's node has died."""
        dying = self._random.sample(self._world.nodes, max(1, int(DIE * len(self._world.nodes))))
        moments = {node: self._random.randrange(seconds // 4, seconds // 2) for node in dying}
        for second in range(seconds):
            for node in dying:
                if moments[node] == second:
                    self._kill(node)
            self._begin()
            self._pass_second()
        while self._talking or any(self._world.passed - died < BOUND for died in self._left.values()):
            self._pass_second()

    def counts(self) -> Mapping[str, object]:
        """The figures, in the words of the report."""
        told = sorted(self._told)
        return {
            "nodes that died": len(self._dead),
            "calls begun": self._begun,
            "calls hung up": self._ended,
            "devices whose peer's node died in a call": len(told) + len(self._left),
            "seconds until they were told": f"{told[0]:g} to {told[-1]:g}" if told else "–",
        }

    def misses(self) -> Iterator[str]:
        """The violations."""
        if self._left:
            yield f"{len(self._left)} devices were never told that their peer's node had died"
        if self._told and max(self._told) > BOUND:
            yield f"a device was told after {max(self._told):g} s that its peer's node had died"
        for name in self._dead:
            if self._world.redis.ask(b"EXISTS", f"{PREFIX}n:{name}".encode()):
                yield "Redis knows what a dead node held"

    def _kill(self, node: SimulatedNode) -> None:
        self._dead.append(node.store.node)
        node.die()
        self._left = {phone: died for phone, died in self._left.items() if self._node_of[phone] is not node}
        for pair in list(self._talking):
            living = [phone for phone in pair if self._node_of[phone] is not node]
            if len(living) < len(pair):
                del self._talking[pair]
                self._left.update(dict.fromkeys(living, self._world.passed))

    def _begin(self) -> None:
        pairs = self._free_pairs()
        self._crowd.talk(pairs)
        self._begun += len(pairs)
        self._talking.update(dict.fromkeys(pairs, self._world.passed + LASTS))

    def _free_pairs(self) -> Sequence[Pair]:
        """Some who are in no call, each with somebody on another node."""
        busy = {phone for pair in self._talking for phone in pair} | self._left.keys()
        nodes = self._random.sample(self._world.nodes, min(2 * BEGUN, len(self._world.nodes)))
        free = [next((phone for phone in self._crowd.phones[node] if phone not in busy), None) for node in nodes]
        pairs = zip(free[::2], free[1::2], strict=False)
        return [(caller, callee) for caller, callee in pairs if caller is not None and callee is not None]

    def _pass_second(self) -> None:
        self._world.pass_time(1)
        over = [pair for pair, until in self._talking.items() if until <= self._world.passed]
        self._crowd.hang_up(over)
        self._ended += len(over)
        for pair in over:
            del self._talking[pair]
        for phone, died in list(self._left.items()):
            if phone.told[-1] == _LOST:
                self._told.append(self._world.passed - died)
                del self._left[phone]
