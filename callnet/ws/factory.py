"""Creates the WebSockets of one kind, checks them for silence, and closes them at the end.

A process that stops drains them: it closes a few at a time, and those in calls last.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from http import HTTPStatus
from itertools import islice
from math import ceil, inf
from random import shuffle, uniform
from typing import Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from callnet.config.schema import SocketSettings
from callnet.ops.limits import PerAddress
from callnet.util import short_path
from callnet.util.logger import Logger
from callnet.util.turn_budget import TurnBudget
from callnet.ws.protocol import CLOSE_TIME, ServerSocket

NO_SETTINGS: Final = SocketSettings()
"""The default settings."""
SWEEP_EVERY: Final = 5.0
"""Seconds in which every socket is looked at once."""
_LATE: Final = 2.5
"""The delay of a check, in seconds, after which it says nothing about a client's silence."""
SWEPT_AT_ONCE: Final = 200
"""Sockets that are looked at in one go: to look at twenty thousand would keep everybody waiting."""
_FRACTIONS: Final = 1e-9
"""The rounding error of sums of fractions of a second."""
GENERAL: Final = {"longest_short": -1, "reads_plain": False}
"""A socket with these attributes leaves everything to Autobahn."""


class Pace:
    """A limit for one connection, which keeps the only state: the generic cell rate algorithm (ITU-T I.371).

    :param a_minute: the number that may come at once, and in each minute; 0: any number.
    """

    def __init__(self, a_minute: int) -> None:
        self.allow(a_minute)

    def allow(self, a_minute: int) -> None:
        """Apply a new limit."""
        self._spacing = 60.0 / a_minute if a_minute else 0.0

    def next(self, until: float, now: float) -> float:
        """Count one more. Answers with what is to be handed in for the one after it; infinite: it is too many.

        :param until: what this answered before; at first 0.
        """
        until = (max(now, until)) + self._spacing
        return until if until - now <= 60.0 + _FRACTIONS else inf


class ServerSocketFactory(WebSocketServerFactory):
    """Makes sockets of one kind, watches over them with one timer, and closes them all in the end.

    :param longest_message: in bytes.
    :param of_an_address: the maximum number open from each address; 0: any number.
    :param in_all: the maximum number open in total; 0: any number.
    :param limits: what each of them may take of time and memory.
    :param unread_max: bytes that may wait for a client that does not read.
    :param pace: how fast frames of all kinds may come on one of them; without it, as fast as they are.
    :param budget: the time that all edges together may take in a turn.
    """

    noisy = False

    def __init__(
        self,
        protocol: type[ServerSocket],
        clock: IReactorTime,
        longest_message: int,
        of_an_address: int = 0,
        in_all: int = 0,
        limits: SocketSettings = NO_SETTINGS,
        unread_max: int = NO_SETTINGS.unread,
        pace: Pace | None = None,
        budget: TurnBudget | None = None,
    ) -> None:
        super().__init__(reactor=clock, server="")  # type: ignore[no-untyped-call]
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            utf8validateIncoming=True,
            maxFramePayloadSize=longest_message,
            maxMessagePayloadSize=longest_message,
            failByDrop=False,
            openHandshakeTimeout=0,  # the sweep sees to both handshakes
            closeHandshakeTimeout=0,
            tcpNoDelay=True,
            serveFlashSocketPolicy=False,
            allowNullOrigin=True,  # who may come from where is the business of ``admit``
        )
        shared = _state_of_new(self) | {"limits": limits, "unread_max": unread_max}
        if short_path.ON:
            shared["longest_short"] = min(protocol.longest_short, longest_message)
        else:
            shared |= GENERAL
        bound: Any = type(protocol.__name__, (protocol,), shared)
        self.protocol = bound
        self.clock: Final = clock
        self.sockets: OrderedDict[ServerSocket, None] = OrderedDict()
        self.crowds: Final = PerAddress(of_an_address)
        self.pace: Final = pace or Pace(0)
        self.budget: Final = budget or TurnBudget(clock)
        self.draining = False
        self._most = in_all or inf
        self.refused: Final[Counter[int]] = Counter()
        """Handshakes that were refused, by status of HTTP."""
        self.closed: Final[Counter[int]] = Counter()
        """Sockets that were closed from here, by close code."""
        self.frames_received = self.frames_sent = 0
        """Texts, those of sockets that are gone included; and the bytes in them."""
        self.bytes_received = self.bytes_sent = 0
        self._sweep: IDelayedCall | None = None
        self._looks_at = 0.0
        self._left_to_look_at = 0
        self._pause = SWEEP_EVERY
        self._all_gone: Deferred[None] | None = None

    def startFactory(self) -> None:
        """Begin to watch over the sockets."""
        super().startFactory()  # type: ignore[no-untyped-call]
        if self._sweep is None:
            self._look_in(SWEEP_EVERY)

    def web_resource(self) -> IResource:
        """Make a web resource that upgrades to these sockets. Autobahn has a ``resource`` of its own."""
        self.startFactory()
        made: IResource = _Upgrade(self)
        return made

    def shut_down(self) -> Deferred[None]:
        """Open no more sockets, close all with 1001. Fires when they are gone, after 5 s at the latest."""
        self.draining = True
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for socket in list(self.sockets):
            socket.go_away()
        if not self.sockets:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._all_gone = gone
        limit = self.clock.callLater(CLOSE_TIME, self._abort_all)
        return gone.addCallback(lambda _: limit.cancel() if limit.active() else None)

    def allow(self, of_an_address: int, in_all: int) -> None:
        """Apply new limits to new sockets; open ones stay."""
        self.crowds.allow(of_an_address)
        self._most = in_all or inf

    @property
    def is_full(self) -> bool:
        """True if there are too many sockets, those that are still being opened included."""
        return len(self.sockets) > self._most

    @property
    def not_reading(self) -> int:
        """The number of sockets whose clients have stopped reading."""
        return sum(socket.is_stuck for socket in self.sockets)

    @property
    def unread(self) -> int:
        """The bytes that wait for them, beyond the buffers of the system and the transport."""
        return sum(socket.unread for socket in self.sockets if socket.is_stuck)

    def remove(self, socket: ServerSocket) -> None:
        """Forget a socket that is gone."""
        self.sockets.pop(socket, None)
        self.crowds.leave(socket.site)
        if not self.sockets:
            self._end_waiting()

    def _abort_all(self) -> None:
        for socket in list(self.sockets):
            socket.transport.abortConnection()
        self._end_waiting()

    def _end_waiting(self) -> None:
        if self._all_gone is not None:
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    def _look(self) -> None:
        now = self.clock.seconds()
        # Who stood still has heard nobody, and may have much to read before it knows who was silent.
        is_late = now - self._looks_at > _LATE
        # To copy all of them, or to leave a copy, would take as long as to look at them: they go round in a circle.
        if self._left_to_look_at <= 0:
            # The pace of a round is set at its beginning: sockets that are cut in it do not make it slower.
            self._left_to_look_at = len(self.sockets)
            self._pause = SWEEP_EVERY * min(1.0, SWEPT_AT_ONCE / max(1, self._left_to_look_at))
        some = list(islice(self.sockets, min(SWEPT_AT_ONCE, self._left_to_look_at)))
        self._left_to_look_at -= SWEPT_AT_ONCE
        for socket in some:
            self.sockets.move_to_end(socket)
            if not is_late:
                socket.look(now)
        self._look_in(self._pause)

    def _look_in(self, pause: float) -> None:
        self._looks_at = self.clock.seconds() + pause
        self._sweep = self.clock.callLater(pause, self._look)


class _Upgrade(WebSocketResource):
    """Hands a connection over. The base class would say that the client speaks HTTP/1.1, whatever it has said."""

    _factory: ServerSocketFactory

    def render(self, request: Request) -> bytes | int:
        """Upgrade the connection of a request."""
        if request.clientproto != b"HTTP/1.1":
            self._factory.refused[HTTPStatus.HTTP_VERSION_NOT_SUPPORTED] += 1
            request.setResponseCode(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
            return b""
        rendered: bytes | int = super().render(request)  # type: ignore[no-untyped-call]
        return rendered


_ITS_OWN: Final = frozenset({"factory", "is_open", "is_closed", "utf8validator"})
"""The attributes of each connection."""


def _state_of_new(factory: WebSocketServerFactory) -> dict[str, Any]:
    """The options and initial state that Autobahn gives to each new connection, as attributes of a class.

    Nothing that several connections could change is among it: what is no plain value is only counted or kept
    there by methods of Autobahn that callnet does without.
    """
    new: Any = WebSocketServerProtocol()
    new.factory = factory
    new._connectionMade()  # noqa: SLF001  there is no other way to ask
    factory.countConnections = 0
    state = {name: value for name, value in vars(new).items() if name not in _ITS_OWN}
    # As an attribute of a class a plain function would become a method. Every browser offers compression.
    state["perMessageCompressionAccept"] = staticmethod(factory.perMessageCompressionAccept)
    return state | {"websocket_version": 13, "inside_message": False, "current_frame": None}


A_SECOND: Final = 500
"""Sockets closed each second: their clients reconnect to other processes, or to the next one here."""
_PAUSE: Final = 0.05, 0.15
"""Seconds between two batches, at the least and at the most."""
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks at whether sockets are still in calls."""


class Draining:
    """Closes all sockets of some factories."""

    _log = Logger()

    def __init__(self, factories: Sequence[ServerSocketFactory], clock: IReactorTime) -> None:
        self._factories = factories
        self._clock = clock
        self._hurries = False
        self._waiting: list[ServerSocket] = []
        self._in_calls: list[ServerSocket] = []
        self._timers: list[IDelayedCall] = []
        self._done: Deferred[None] | None = None
        self._until = 0.0

    def begin(self, limit: float) -> Deferred[None]:
        """Open no more sockets, and close those that there are. Fires when only the last of them, if any, are left:
        they are for the factories to close.

        :param limit: seconds after which those who are still in calls are given up. In the first half of it the others
            are closed, however many they are.
        """
        for factory in self._factories:
            factory.draining = True
        self._waiting = [socket for factory in self._factories for socket in factory.sockets]
        if not self._waiting or not limit or self._hurries:
            return succeed(None)
        shuffle(self._waiting)
        self._log.info("draining {count} sockets; calls may continue for {limit:g} s", count=self._left, limit=limit)
        self._done = done = Deferred[None]()
        self._a_second = max(A_SECOND, 2 * len(self._waiting) / limit)
        self._timers = [self._clock.callLater(limit, self._give_up)]
        self._until = self._clock.seconds() + limit
        self._close_some()
        return done

    def hurry(self) -> None:
        """Stop waiting, even before it has begun."""
        self._hurries = True
        if self._done is not None:
            for timer in self._timers:
                if timer.active():
                    timer.cancel()
            done, self._done = self._done, None
            done.callback(None)

    @property
    def _left(self) -> int:
        return sum(len(factory.sockets) for factory in self._factories)

    def _give_up(self) -> None:
        self._log.info("closing {count} sockets in calls: drain deadline reached", count=self._left)
        self.hurry()

    def _close_some(self) -> None:
        """Close the next batch."""
        pause = uniform(*_PAUSE)  # noqa: S311  it hides nothing
        self._waiting, batch = _split(self._waiting, ceil(pause * self._a_second))
        needed = _still_needed(batch)
        for socket in needed:
            socket.will_go_away(self._until - self._clock.seconds())
        self._in_calls += needed
        if self._waiting:
            self._later(pause, self._close_some)
        else:
            self._look()

    def _look(self) -> None:
        """Close those whose calls have ended."""
        self._in_calls = _still_needed(self._in_calls)
        if self._in_calls:
            self._later(_LOOK_EVERY, self._look)
        else:
            self.hurry()

    def _later(self, pause: float, act: Callable[[], None]) -> None:
        limit, *_ = self._timers
        self._timers = [limit, self._clock.callLater(pause, act)]


def _split(sockets: list[ServerSocket], count: int) -> tuple[list[ServerSocket], list[ServerSocket]]:
    """All but the last of them, and these."""
    return sockets[:-count], sockets[-count:]


def _still_needed(sockets: Sequence[ServerSocket]) -> list[ServerSocket]:
    """Those by which somebody is in a call; the others are closed."""
    needed = []
    for socket in sockets:
        if socket.is_needed():
            needed.append(socket)
        else:
            socket.go_away()
    return needed
