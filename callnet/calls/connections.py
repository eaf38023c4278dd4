"""The connections of devices to this node, as they come and go: which one is a device's newest."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar, cast

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from callnet.calls import events
from callnet.calls.decisions import Decisions, InDoubt
from callnet.calls.outage import Retries
from callnet.calls.registration import Attached, Overtaken
from callnet.errors import Unavailable
from callnet.interfaces import ICallStore
from callnet.model import DeviceAddress
from callnet.records import Displaced, Known, Policy

_TRIES: Final = 3
"""The number of tries to make a connection known."""
_AT_ONCE: Final = 50
"""So many connections are closed before others have their turn: thousands may have left a node that stood still."""

M = TypeVar("M")


class Arrivals(Generic[M]):
    """Those whose arrival is being committed.

    :param receive: takes what was kept when they have arrived, or failed to.
    """

    def __init__(self, receive: Callable[[M], None]) -> None:
        self._receive = receive
        self.kept: Final[dict[Hashable, list[M]]] = {}
        """By addressee."""

    def arriving(self, addressee: Hashable) -> _Arriving[M]:
        """Keep what comes for ``addressee`` until the block ends."""
        return _Arriving(self.kept, addressee, self._receive)

    def keep(self, addressee: Hashable, message: M) -> bool:
        """Keep a message if ``addressee`` is arriving; tell whether that is so."""
        kept = self.kept.get(addressee)
        if kept is None:
            return False
        kept.append(message)
        return True


class _Arriving(Generic[M]):
    """One arrival. A generator would take as long as all the rest of it."""

    __slots__ = ("_addressee", "_kept", "_receive")

    def __init__(self, kept: dict[Hashable, list[M]], addressee: Hashable, receive: Callable[[M], None]) -> None:
        self._kept = kept
        self._addressee = addressee
        self._receive = receive

    def __enter__(self) -> None:
        self._kept[self._addressee] = []

    def __exit__(self, *_: object) -> None:
        for message in self._kept.pop(self._addressee):
            self._receive(message)


class ConnectedInDoubt(Unavailable):
    """It is not known which connection of the device is the newest: there is to be none on this node."""


class Connecting:
    """Tries until it is known what came of it."""

    def __init__(self, store: ICallStore, clock: IReactorTime, decisions: Decisions, retries: Retries) -> None:
        self._store = store
        self._clock = clock
        self._decisions = decisions
        self._retries = retries

    async def connect(
        self,
        device: DeviceAddress,
        known: tuple[Known, ...] | None,
        opened_at: float,
        policy: Policy,
        extended: bool,
    ) -> Attached | Overtaken:
        """Make a connection known that opened then, by the clock of this node.

        :param known: see :class:`callnet.calls.events.Connected`.
        :raises Unavailable: it cannot be known whether it is, or (:class:`ConnectedInDoubt`) may have been.
        """
        # Whatever became of the try before: each makes a connection that is newer than all others.
        connected = events.ExtendedConnected if extended else events.Connected
        doubts: list[Attached | Overtaken] = []
        tried = 0
        failure = Unavailable()
        for _ in range(_TRIES):
            since = opened_at + (self._store.now() - self._clock.seconds())
            opened = connected(device, self._store.node, known, since, tried, policy)
            reply: Attached | Overtaken
            try:
                reply = await self._decisions.settled(opened)
            except InDoubt as doubt:
                failure = doubt
                reply = cast(Attached | Overtaken, doubt.decision.reply)
                doubts.append(reply)
                if isinstance(reply, Attached):
                    tried = reply.generation
            except Unavailable as unavailable:
                failure = unavailable  # the store was found to be away: next time this node goes on without it
            else:
                return reply
        if not doubts:
            raise failure
        self._undo(device, doubts)
        raise ConnectedInDoubt from failure

    def _undo(self, device: DeviceAddress, replies: list[Attached | Overtaken]) -> None:
        for reply in replies:
            if isinstance(reply, Attached):
                self._retries.keep(events.Disconnected(device, reply.generation))


class Departures:
    """Puts them off to the next turn of the reactor. So what a device has said to this node before it left, and a node
    that stood still has yet to read, is heard first.

    :param close: closes the connection, if it is an older one.
    """

    def __init__(self, clock: IReactorTime, close: Callable[[Displaced], None]) -> None:
        self._clock = clock
        self._close = close
        self._waiting: deque[Displaced] = deque()
        self._next: IDelayedCall | None = None

    def add(self, message: Displaced) -> None:
        """Take one in."""
        self._waiting.append(message)
        if self._next is None:
            self._next = self._clock.callLater(0, self._close_some)

    def stop(self) -> None:
        """Close nothing more."""
        self._waiting.clear()
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _close_some(self) -> None:
        self._next = None
        for _ in range(min(_AT_ONCE, len(self._waiting))):
            self._close(self._waiting.popleft())
        if self._waiting:
            self._next = self._clock.callLater(0, self._close_some)
