"""The invariants of a device, whatever a server says, in whatever order, and whatever happens to the connection."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet_client import (
    EXTENDED,
    Account,
    Call,
    CallEvent,
    CloseReason,
    Connection,
    Credentials,
    Device,
    Event,
    Server,
    Unreachable,
)
from callnet_client.socket import ClientSocket

ROOMS = ("a" * 32, "b" * 32, "")
PHONES = ("13651884968", "13651884969", "")
KINDS = (
    *("called", "call_ringing", "call_success", "call_refuse", "call_failed", "calling_be_hangup", "peer_state"),
    *("welcome", "presence", "missed", "signal", "pong", "going_away", "error", "tomorrow"),
)

odd: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.just([]) | st.just({})
)
phones, device_ids = st.sampled_from(PHONES) | odd, st.sampled_from(("tv", "*", "pad", "")) | odd
views = st.fixed_dictionaries(
    {
        "room_id": st.sampled_from(ROOMS),
        "state": st.sampled_from(("ringing", "active", "later")),
        "direction": st.sampled_from(("incoming", "outgoing", "sideways")),
        "peer_phone": st.sampled_from(PHONES),
        "peer_device_id": st.sampled_from(("tv", "*")),
    }
)
fields = st.fixed_dictionaries(
    {},
    optional={
        **{f"{role}_phone": phones for role in ("to", "from", "fire")},
        **{f"{role}_device_id": device_ids for role in ("to", "from", "fire")},
        "room_id": st.sampled_from(ROOMS) | odd,
        "id": st.sampled_from(("call-1", "call-2", "")) | odd,
        "reason": st.sampled_from(("busy", "hangup")) | odd,
        "state": st.sampled_from(("reconnecting", "back", "moved")) | odd,
        "expires_in": st.integers() | odd,
        "reconnect_in": st.floats(0, 100) | odd,
        "ping_every": st.integers(0, 100) | odd,
        "call": views | odd,
        "calls": st.lists(odd | st.just({"room_id": 1})) | odd,
        "calls_of_phone": st.lists(odd) | odd,
        "online": st.booleans() | odd,
        "data": odd,
    },
)
frames = st.tuples(st.just("frame"), st.sampled_from(KINDS), fields)
good_phones = st.sampled_from(PHONES[:2])
good_fields = st.fixed_dictionaries(
    {
        **{f"{role}_phone": good_phones for role in ("to", "from", "fire")},
        **{f"{role}_device_id": st.just("tv") for role in ("to", "from", "fire")},
        "room_id": st.sampled_from(ROOMS[:2]),
        "state": st.sampled_from(("reconnecting", "back", "moved")),
    },
    optional={"call": views},
)
good_frames = st.tuples(st.just("frame"), st.sampled_from(KINDS[:8]), good_fields)
garbage = st.tuples(st.just("raw"), st.binary(max_size=20), st.none())
acts = st.tuples(
    st.sampled_from(("place", "pull", "accept", "refuse", "hang_up", "note_end", "signal", "check", "wait for it")),
    st.sampled_from(PHONES[:2]),
    st.sampled_from(ROOMS[:2]),
)
losses = st.tuples(st.just("lose"), st.sampled_from((1001, 1006, 4409, 4401, 4408)), st.none())
others = st.tuples(st.sampled_from(("refuse to open", "log out", "connect", "close")), st.none(), st.none())
times = st.tuples(st.just("time"), st.floats(0.1, 100), st.none())
usual = (good_frames, good_frames, good_frames, acts, acts, acts, times)
step = st.integers(0, 19).flatmap(
    lambda number: st.sampled_from(usual).flatmap(lambda one: one) if number else frames | losses | others | garbage
)
begun = {
    "room_id": ROOMS[0],
    "state": "active",
    "direction": "incoming",
    "peer_phone": PHONES[0],
    "peer_device_id": "tv",
}
second = {"room_id": ROOMS[1], "from_phone": PHONES[1], "from_device_id": "tv"}
welcomed, rung = ("frame", "welcome", {"call": begun}), ("frame", "called", second)
beginnings = st.sampled_from(([], [welcomed, rung], [rung, welcomed]))
steps = st.tuples(beginnings, st.lists(step, min_size=15, max_size=60)).map(lambda parts: [*parts[0], *parts[1]])


class FakeSocket(ClientSocket):
    """A socket without a wire."""

    is_here = True

    @property
    def can_send(self) -> bool:
        """True until it ends."""
        return self.is_here

    def send(self, payload: bytes, binary: bool = False) -> bool:  # noqa: ARG002
        """Send nothing anywhere."""
        return self.is_here

    def ask(self, answered: Callable[[], object]) -> None:
        """Be alive."""
        answered()

    def sendClose(self, code: int | None = None, reason: str | None = None) -> None:  # noqa: ARG002
        """Be closed."""
        self.ends(1000)

    def cut(self) -> None:
        """Be gone."""
        self.ends(1006)

    def ends(self, code: int) -> None:
        """End."""
        if self.is_here:
            self.is_here = False
            self.lost(CloseReason(code, ""))


class Site(Server):
    """A scripted server without a network."""

    def __init__(self, clock: IReactorTime, subprotocol: str | None) -> None:
        super().__init__("https://callnet.test", clock)
        self._subprotocol = subprotocol
        self.socket: FakeSocket | None = None
        self.lets_in = True

    def post(self, path: str, fields: Mapping[str, Any]) -> Deferred[Mapping[str, Any]]:  # noqa: ARG002
        """Let everybody log in."""
        answer: Deferred[Mapping[str, Any]] = Deferred()
        self.reactor.callLater(0.1, self._log_in, answer)
        return answer

    def _log_in(self, answer: Deferred[Mapping[str, Any]]) -> None:
        if not answer.called:
            answer.callback({"token": "t", "expires_in": 1e6})

    def connect(self, token: str, received: Callable[[bytes], object], **_options: Any) -> Deferred[Connection]:  # noqa: ARG002
        """Open a socket, or not."""
        opened: Deferred[Connection] = Deferred()
        self.reactor.callLater(0.1, self._open, opened, received)
        return opened.addErrback(lambda _: Failure(Unreachable(ConnectError())))

    def _open(self, opened: Deferred[Connection], received: Callable[[bytes], object]) -> None:
        if opened.called:
            return
        if not self.lets_in:
            opened.errback(ConnectError())
            return
        self.socket = FakeSocket(self.reactor)
        self.socket.subprotocol = self._subprotocol
        opened.callback(Connection(self.socket, received, None))


class World:
    """A device and its server, and all that was told."""

    def __init__(self, subprotocol: str | None, call_waiting: bool) -> None:
        self.clock = Clock()
        self.site = Site(self.clock, subprotocol)
        self.account = Account(self.site, "13651884967", "tv", kept=Credentials("t", 1e6))
        self.device = Device(self.account, call_waiting=call_waiting)
        self.told: dict[Call, list[str]] = {}
        self.waiting: list[Deferred[Any]] = []
        self.device.listen(self._note)
        self.device.connect()
        self.clock.advance(0.2)
        self.do("frame", "welcome", {})

    def _note(self, event: Event) -> None:
        if isinstance(event, CallEvent):
            self.told.setdefault(event.call, []).append(event.state)

    def do(self, what: str, one: Any, other: Any) -> None:
        """Do a step of the story."""
        ways: dict[str, Callable[[], object]] = {
            "frame": lambda: self._hear(json.dumps({"type": one, **(other or {})}).encode()),
            "raw": lambda: self._hear(one),
            "lose": lambda: self._lose(one),
            "log out": self.account.forget,
            "connect": self.device.connect,
            "close": self.device.close,
            "time": lambda: self.clock.pump([0.5] * round(one * 2)),
            "place": lambda: self.device.place(one),
            "pull": lambda: self.device.pull(other),
            "check": self.device.check,
        }
        if what in ways:
            ways[what]()
        elif what == "refuse to open":
            self.site.lets_in = not self.site.lets_in
        elif what == "wait for it":
            self.waiting.append(self.device.until("online"))
        elif self.told:
            called = self.device.call if one == PHONES[0] else self.device.waiting_call
            self._do_to(called or list(self.told)[-1], what)  # which may be over

    def _lose(self, code: int) -> None:
        if self.site.socket is not None:
            self.site.socket.ends(code)

    def _do_to(self, call: Call, what: str) -> None:
        self.waiting.append(call.until("active"))
        if what == "note_end":
            self.device.note_end(call)
        else:
            getattr(call, what)(*(["x"] if what == "signal" else []))

    def _hear(self, payload: bytes) -> None:
        socket = self.site.socket
        if socket is not None and socket.is_here:
            socket.received(payload)


class AnythingTests(SynchronousTestCase):
    """Any order of anything."""

    @given(st.sampled_from((None, EXTENDED)), st.booleans(), steps, st.booleans())
    def test_anything(
        self, subprotocol: str | None, call_waiting: bool, story: list[tuple[str, Any, Any]], hangs_up: bool
    ) -> None:
        """Nothing raises, a device is in one call at most and a second one rings only with call waiting, each call ends
        once, and nobody who waits is forgotten.
        """
        world = World(subprotocol, call_waiting)
        device = world.device
        for step in story:
            world.do(*step)
            going_on = [call for call, states in world.told.items() if states[-1] != "over"]
            own = [call for call in (device.call, device.waiting_call) if call is not None]
            self.assertCountEqual(own, going_on)  # a call that rings may be told of before the one that is active
            if device.waiting_call is not None:
                self.assertEqual((True, ["active", "ringing"]), (call_waiting, [call.state for call in own]))
                self.assertTrue(device.waiting_call.is_incoming)
        while hangs_up and device.call is not None:
            device.call.hang_up()
        device.close()
        for call, states in world.told.items():
            if call not in (device.call, device.waiting_call):
                self.assertEqual(("over", 1, True), (states[-1], states.count("over"), call.is_over))
                self.assertNotEqual("", call.reason)
        self.assertEqual([True] * len(world.waiting), [waiting.called for waiting in world.waiting])
        world.clock.advance(1)  # a connection or login in progress is given up
        self.assertEqual([], world.clock.getDelayedCalls())
        self.assertEqual([], self.flushLoggedErrors())
