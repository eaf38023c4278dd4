"""The two clients keep the same rules: whatever happens to a device's calls, both say and tell the same."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet_client import DeviceAddress
from callnet_client.call import Call
from callnet_client.calls import Calls
from callnet_client.event_queue import EventQueue
from callnet_client.events import CallEvent
from callnet_client.frames import PresentCall, Request, parse_frame
from harness import ROOT

PROGRAM: Final = ROOT / "tests" / "javascript" / "play_calls.mjs"
PHONES: Final = st.sampled_from(("2", "3", "guest:4"))
DEVICES: Final = st.sampled_from(("tv", "phone"))
ASKED: Final = st.sampled_from(("tv", "phone", "*"))
ROOMS: Final = st.sampled_from(("a" * 32, "b" * 32, "c" * 32))
IDS: Final = st.sampled_from(("call-1", "call-2", "resume-1", "call-3"))
MILLISECONDS: Final = st.sampled_from((500, 999, 1_000, 5_000, 64_000))


def frames(kind: str, optional: dict[str, st.SearchStrategy[Any]], **fields: st.SearchStrategy[Any]) -> Any:
    """Steps in which the server says something."""
    frame = st.fixed_dictionaries({"type": st.just(kind), **fields}, optional=optional)
    return frame.map(lambda frame: ["hear", frame])


def reasons(*words: str) -> dict[str, st.SearchStrategy[Any]]:
    """The optional fields, which an older server leaves out."""
    return {"reason": st.sampled_from(words), "id": IDS}


def views(*states: str) -> st.SearchStrategy[dict[str, Any]]:
    """Calls in a welcome, in these states."""
    return st.fixed_dictionaries(
        {
            "room_id": ROOMS,
            "state": st.sampled_from(states),
            "direction": st.sampled_from(("incoming", "outgoing")),
            "peer_phone": PHONES,
            "peer_device_id": DEVICES,
            "page": st.just("/page"),
        },
        optional={"on_hold": st.just(True)},
    )


STEPS: Final = st.one_of(
    st.tuples(st.just("place"), PHONES, ASKED).map(list),
    st.tuples(st.just("pull"), ROOMS).map(list),
    st.tuples(st.just("accept"), st.booleans(), st.booleans()).map(list),
    st.sampled_from((["refuse"], ["hangUp"], ["noteEnd"], ["signal", 1], ["welcomed", None], ["swap"])),
    st.tuples(st.just("revoked"), st.booleans()).map(list),
    st.tuples(st.just("connected"), st.booleans()).map(list),
    st.just(["hangUpFirst"]),
    st.tuples(st.just("wait"), MILLISECONDS).map(list),
    st.tuples(st.just("welcomed"), views("ringing", "active"), st.none() | views("active"))
    .filter(lambda step: step[2] is None or step[1]["room_id"] != step[2]["room_id"])
    .map(list),
    frames(
        "called",
        {
            "expires_in": st.integers(0, 60),
            "from_name": st.just("Bob"),
            "page": st.just("/p"),
            "auto_answer": st.just(True),
            "can_hold": st.just(True),
            "guest": st.just(True),
            "link_name": st.just("Door"),
        },
        from_phone=PHONES,
        from_device_id=DEVICES,
        room_id=ROOMS,
    ),
    frames("call_ringing", {"id": IDS}, to_phone=PHONES, to_device_id=ASKED, room_id=ROOMS),
    frames("call_success", {"id": IDS, "page": st.just("/p")}, to_phone=PHONES, to_device_id=DEVICES, room_id=ROOMS),
    frames("call_refuse", {**reasons("refused", "busy"), "room_id": ROOMS}, to_phone=PHONES, to_device_id=ASKED),
    frames("call_failed", reasons("busy", "invalid"), to_phone=st.sampled_from(("2", "3", "")), to_device_id=ASKED),
    frames("calling_be_hangup", reasons("moved", "expired"), fire_phone=PHONES, fire_device_id=DEVICES, room_id=ROOMS),
    frames("peer_state", {}, room_id=ROOMS, state=st.sampled_from(("reconnecting", "back", "held", "resumed"))),
    frames("peer_state", {}, room_id=ROOMS, state=st.just("moved"), device_id=DEVICES),
    frames("error", {"id": IDS}, message=st.just("no")),
)


TALKS: Final = [
    ["hear", {"type": "called", "from_phone": "2", "from_device_id": "tv", "room_id": "a" * 32}],
    ["accept", False, False],
]
SECOND: Final = {"type": "called", "from_phone": "3", "from_device_id": "tv", "room_id": "b" * 32, "can_hold": True}
RINGS: Final = [["hear", SECOND]]
HOLDS: Final = [["accept", False, True]]
INCOMING: Final = {"direction": "incoming", "peer_device_id": "tv"}
RUNG: Final = {"room_id": "b" * 32, "state": "ringing", "peer_phone": "3", **INCOMING}
TALKED: Final = {"room_id": "a" * 32, "state": "active", "peer_phone": "2", **INCOMING}
RINGS_BEFORE_HELD: Final = [*RINGS, ["welcomed", RUNG, TALKED]]
AWAITED: Final = {**TALKED, "state": "ringing", "direction": "outgoing", "room_id": "b" * 32}
ONE_ROOM: Final = [
    ["place", "2", "tv"],
    ["welcomed", AWAITED, TALKED],
    ["hear", {"type": "call_ringing", "to_phone": "2", "to_device_id": "tv", "room_id": "a" * 32}],
    ["hear", {"type": "peer_state", "room_id": "a" * 32, "state": "reconnecting"}],
]
"""The server says of two calls that they have the same room."""
BEGINNINGS: Final = st.sampled_from(([], TALKS, TALKS + RINGS, TALKS + RINGS + HOLDS, RINGS_BEFORE_HELD))


def python(call_waiting: bool, steps: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The result of the steps in the Python client."""
    said: list[Any] = []
    told: list[Any] = []
    made: list[Call] = []
    clock = Clock()

    def say(request: Request) -> None:
        said.append(msgspec.to_builtins(request))

    def tell(event: CallEvent) -> None:
        if event.call not in made:
            made.append(event.call)
        told.append(seen(event.call, made.index(event.call)))

    queue = EventQueue()
    calls = Calls(say, lambda event: queue.add(lambda: tell(event)), queue, clock, call_waiting)
    for step, *words in steps:
        take(calls, made[-1] if made else None, clock, step, words)
    calls.left()
    assert clock.getDelayedCalls() == []
    return {"said": said, "told": told}


def take(calls: Calls, call: Call | None, clock: Clock, step: str, words: Sequence[Any]) -> None:
    """Take one step."""
    match step:
        case "place":
            calls.place(DeviceAddress(*words))
        case "pull" | "connected" | "revoked":
            getattr(calls, step)(words[0])
        case "hear":
            calls.hear(parse_frame(json.dumps(words[0]).encode()))
        case "welcomed":
            calls.welcomed(*(msgspec.convert(view, PresentCall | None) for view in words))
        case "wait":
            clock.advance(words[0] / 1_000)
        case "swap":
            calls.swap()
        case "hangUpFirst":
            if calls.present is not None:
                calls.present.hang_up()
        case _ if call is not None:
            act(calls, call, step, words)


def act(calls: Calls, call: Call, step: str, words: Sequence[Any]) -> None:
    """Do something with the latest call."""
    match step:
        case "accept":
            call.accept(by_itself=words[0], hold=words[1])
        case "refuse":
            call.refuse()
        case "hangUp":
            call.hang_up()
        case "noteEnd":
            calls.note_end(call)
        case "signal":
            call.signal(words[0])


def seen(call: Call, number: int) -> list[Any]:
    """A call as it is told."""
    who = [*call.peer, call.asked]
    about = [call.room_id, call.page, call.name, call.auto_answer, call.is_guest, call.link_name, call.other_side]
    about += [call.can_hold, call.is_on_hold]
    return [number, call.direction, call.state, *who, *about, call.reason, call.is_own_end, call.is_forgotten]


class AlikeTests(SynchronousTestCase):
    """Both clients, side by side."""

    maxDiff = None

    def setUp(self) -> None:
        """Start the one in JavaScript."""
        command = ("node", "--no-warnings", str(PROGRAM))
        self.node = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.node.communicate)

    def javascript(self, call_waiting: bool, steps: Sequence[Sequence[Any]]) -> Any:
        """The result of the steps in the JavaScript client."""
        assert self.node.stdin is not None
        assert self.node.stdout is not None
        self.node.stdin.write(f"{json.dumps([call_waiting, *steps])}\n")
        self.node.stdin.flush()
        return json.loads(self.node.stdout.readline())

    def test_they_are_alike(self) -> None:
        """They say the same to the server, and tell the same of their calls, in the same order."""

        @settings(max_examples=500, deadline=None)
        @example(False, [], ONE_ROOM)
        @given(st.booleans(), BEGINNINGS, st.lists(STEPS, max_size=12))
        def same(call_waiting: bool, beginning: list[list[Any]], steps: list[list[Any]]) -> None:
            steps = beginning + steps
            self.assertEqual(python(call_waiting, steps), self.javascript(call_waiting, steps))

        same()
