"""Random streams of frames from two devices and two pages, and a whole server's reactions.

A stream is made before anybody knows the room ids that the server will draw, so that it can be played twice:
to a server with its short paths, and to one that leaves everything to its libraries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Any, Final

from hypothesis import strategies as st
from msgspec import Struct

from callnet.ws.factory import GENERAL
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.rooms_case import ANN, TV
from tests.support.wires import Wire, World

MADE_UP: Final = b"fedcba9876543210" * 2
THE_ROOM: Final = b"0000000000000000" * 2
"""Stands in a frame for the room that was named last."""
KEYS: Final = (b"a" * 32, b"b" * 32)
SESSIONS: Final = (b"c" * 32, b"d" * 32)

_ROOM: Final = re.compile(rb'"room_id":"([0-9a-f]{32})"')
_ID: Final = re.compile(rb"[0-9a-f]{32}")


class Frame(Struct, frozen=True):
    """One frame of a client, not yet masked."""

    opcode: int
    payload: bytes
    fin: bool
    mask: bytes


class Step(Struct, frozen=True):
    """The data that one client sends in one go: frames, or anything else, cut into pieces where the network likes."""

    who: int
    """0 and 1: the devices, 2 and 3: the pages."""
    parts: tuple[Frame | bytes, ...]
    cuts: tuple[float, ...]
    """Where, as shares of the whole."""
    wait: float
    """Seconds that pass after it."""


class Told(Struct):
    """Everything that a server did."""

    written: list[bytes]
    """The messages to each client, with room ids by the order in which they were named first."""
    ended: list[object]
    """The end of each connection, if it ended."""
    counts: dict[str, Any]
    """The outcomes of calls."""
    left: tuple[int, int, int]
    """The number of devices, calls and rooms with seats that are remembered."""


# Parts of frames

ODD_TEXTS: Final = (
    b"\xff",
    b"\xc0\xaf",
    b"\xed\xa0\x80",
    b"\\ud800",
    b"\\u0000",
    b"\xc3\xa9",
    b"\xf0\x9f\x98\x80",
    b"\x7f",
    b"\x01",
    b"x" * 60,
    b"x" * 5000,
    b"\\",
    b'"',
)
texts = st.sampled_from([ANN.phone.encode(), TV.phone.encode(), b"phone", b"tv", b"*", b""]) | st.sampled_from(
    ODD_TEXTS
)
rooms = st.sampled_from([*[THE_ROOM] * 12, MADE_UP, b"", b"x", *ODD_TEXTS])
unknown = st.builds(
    lambda name, value: b',"%b":%b' % (name, value),
    st.sampled_from([b"x", b"type", b"room_id", b"\xff"]),
    st.sampled_from([b"1", b"null", b'"\xff"', b'"\xed\xa0\x80"', b'{"a":["b"]}', b"[" * 2000, b'"call"', b"1e999"]),
)
data = st.sampled_from([b"1", b'{"sdp":"x"}', b'"\xc3\xa9"', b'"' + b"x" * 5000 + b'"'])
odd_data = data | st.sampled_from([b'"\xff"', b'"\xed\xa0\x80"', b"", b"{"])
others = ((TV.phone.encode(), b"tv"), (ANN.phone.encode(), b"phone"))


def _message(who: int, kind: bytes, room: bytes, odd: tuple[int, bytes] | None, more: bytes) -> bytes:
    """One message of the protocol, in which one field may be odd."""
    phone, device = others[who]
    fields = {
        b"call": ((b"to_phone", phone), (b"to_device_id", device)),
        b"called_success": ((b"from_phone", phone), (b"from_device_id", device), (b"room_id", room)),
        b"called_refuse": ((b"from_phone", phone), (b"from_device_id", device), (b"room_id", room)),
        b"calling_hangup": ((b"notified_phone", phone), (b"notified_device_id", device), (b"room_id", room)),
    }[kind]
    spelled = [b'"%b":"%b"' % field for field in fields]
    if odd is not None:
        at = odd[0] % len(fields)
        spelled[at] = b'"%b":"%b"' % (fields[at][0], odd[1])
    return b'{"type":"%b",%b%b}' % (kind, b",".join(spelled), more)


def messages(who: int, odd: bool) -> st.SearchStrategy[bytes]:
    """Messages of a device: the first mostly calls, the second mostly answers."""
    mostly = [b"call", b"call", b"calling_hangup"] if who == 0 else [b"called_success"] * 3
    kinds = st.sampled_from([*mostly, b"call", b"called_success", b"called_refuse", b"calling_hangup"])
    plain = st.builds(_message, st.just(who), kinds, st.just(THE_ROOM), st.none(), st.just(b""))
    if not odd:
        return plain
    strange = st.builds(
        _message, st.just(who), kinds, rooms, st.none() | st.tuples(st.integers(0, 2), texts), st.just(b"") | unknown
    )
    noise = st.sampled_from([b"", b"{}", b"[]", b"nonsense", b'{"type":"\xff"}', b'{"type":"unknown"}', b'{"type":1}'])
    return plain | plain | strange | noise


def page_messages(who: int, odd: bool) -> st.SearchStrategy[bytes]:
    """Messages of a page."""
    mine, theirs = who - 2, 3 - who
    join = st.builds(
        lambda room: b'{"type":"join","room_id":"%b","key":"%b","session":"%b"}' % (room, KEYS[mine], SESSIONS[mine]),
        st.sampled_from([MADE_UP] * 4 + [THE_ROOM, b"a room"] + [b"\xff"] * odd),
    )
    said = odd_data if odd else data
    relay = st.builds(lambda what: b'{"type":"relay","to":"%b","data":%b}' % (SESSIONS[theirs], what), said)
    rest = [b'{"type":"ping"}', b'{"type":"hangup"}']
    noise = [b"nonsense", b'{"type":"ping","x":"\xff"}'] if odd else []
    return join | relay | relay | st.sampled_from(rest + noise)


masks = st.just(bytes(4)) | st.binary(min_size=4, max_size=4)


def frames(payloads: st.SearchStrategy[bytes], odd: bool) -> st.SearchStrategy[tuple[Frame | bytes, ...]]:
    """One message, whole or in parts, or a control frame; if ``odd``, possibly one that no client should send."""
    whole = st.builds(lambda payload, mask: (Frame(TEXT, payload, True, mask),), payloads, masks)
    parts = st.builds(
        lambda payload, cut, mask: (
            Frame(TEXT, payload[:cut], False, mask),
            Frame(PING, b"x", True, mask),
            Frame(CONTINUATION, payload[cut:], True, mask),
        ),
        payloads,
        st.integers(0, 40),
        masks,
    )
    opcodes = [PING, PONG] + [CLOSE, BINARY, CONTINUATION, 3, 11] * odd
    control = st.builds(
        lambda opcode, payload, mask: (Frame(opcode, payload, True, mask),),
        st.sampled_from(opcodes),
        st.sampled_from([b"", b"x", b"x" * 125] + [b"\x03\xe8", b"\x03\xe8\xff"] * odd),
        masks,
    )
    if not odd:
        return whole | whole | whole | parts | control
    raw = st.sampled_from([b"\x81\x02{}", b"\xc1\x80" + bytes(4), b"\x81\xfe\x00\x01" + bytes(5), b"\x81", b"\x00"])
    return whole | whole | whole | parts | control | raw.map(lambda some: (some,))


cuts = st.just(()) | st.lists(st.floats(0, 1), max_size=3).map(lambda where: tuple(sorted(where)))
waits = st.sampled_from([0.0] * 20 + [0.25, 2.0, 16.0, 46.0])


def steps_of(who: int, odd: bool) -> st.SearchStrategy[Step]:
    """The data that one client sends in one go."""
    payloads = messages(who, odd) if who < 2 else page_messages(who, odd)
    several = st.lists(frames(payloads, odd), min_size=1, max_size=3)
    return st.builds(Step, st.just(who), several.map(lambda some: tuple(chain.from_iterable(some))), cuts, waits)


_STEPS: Final = {(who, odd): steps_of(who, odd) for who in range(4) for odd in (False, True)}
_plain_steps = st.sampled_from((0, 1, 0, 1, 2, 3)).flatmap(lambda who: _STEPS[who, False])
_odd_steps = st.sampled_from((0, 1, 0, 1, 2, 3)).flatmap(lambda who: _STEPS[who, True])
streams = (
    st.lists(_plain_steps, min_size=2, max_size=12)
    | st.lists(_plain_steps | _plain_steps | _plain_steps | _odd_steps, min_size=2, max_size=12)
    | st.lists(_odd_steps, min_size=1, max_size=12)
)


# A server's reactions


def play(steps: Sequence[Step], short: bool) -> Told:
    """Play a stream to a new server, with or without its short paths."""
    world = World()
    if not short:
        for socket in (world.signaling.protocol, world.pages.protocol):
            for name, value in GENERAL.items():
                setattr(socket, name, value)
    wires = [_connect(world, who) for who in range(4)]
    player = _Player(wires)
    for step in steps:
        player.send(step)
        _settle(player, wires)
        world.clock.advance(step.wait)
        _settle(player, wires)
    counts = world.rooms.counts
    told = Told(
        player.written(),
        [wire.transport.ended_by for wire in wires],
        {"placed": counts.placed, "answered": counts.answered, "failed": counts.failed, "ended": counts.ended},
        (len(world.store._tables.devices), len(world.store._tables.calls), len(world.store._tables.seats)),
    )
    world.rooms.stop()
    return told


def _connect(world: World, who: int) -> Wire:
    if who < 2:
        wire = world.connect()
        token = world.tokens.issue((ANN, TV)[who])
        wire.handshake(f"/socket.io?token={token}")
    else:
        wire = world.connect(world.pages)
        wire.handshake("/room", {"Origin": "https://callnet.test"})
    wire.transport.protocol.dataReceived(wire.take_unsent())
    assert wire.transport.value().startswith(b"HTTP/1.1 101 ")
    return wire


class _Player:
    """Remembers the bytes to each client, and the room that was named last."""

    def __init__(self, wires: Sequence[Wire]) -> None:
        self._wires = wires
        self._written = [bytearray() for _ in wires]
        self._room = MADE_UP

    def send(self, step: Step) -> None:
        """Send it, piece by piece."""
        wire = self._wires[step.who]
        data = b"".join(part if isinstance(part, bytes) else self._frame(part) for part in step.parts)
        places = [0, *(int(cut * len(data)) for cut in step.cuts), len(data)]
        for start, end in pairwise(places):
            if start < end and wire.transport.ended_by is None:
                wire.transport.protocol.dataReceived(data[start:end])

    def take(self) -> None:
        """Let all clients read."""
        for wire, written in zip(self._wires, self._written, strict=True):
            data = wire.transport.read()
            written.extend(data)
            for room in _ROOM.findall(data):
                self._room = room

    def written(self) -> list[bytes]:
        """All that was written, with the ids that the server draws by the order of their first appearance."""
        names: dict[bytes, bytes] = {}
        return [
            _ID.sub(lambda found: names.setdefault(found[0], b"%032d" % len(names)), bytes(written))
            for written in self._written
        ]

    def _frame(self, frame: Frame) -> bytes:
        return client_frame(frame.opcode, frame.payload.replace(THE_ROOM, self._room), frame.fin, frame.mask)


def _settle(player: _Player, wires: Sequence[Wire]) -> None:
    """Let everybody read, and connections end that are closed."""
    player.take()
    for wire in wires:
        if wire.transport.ended_by is not None:
            wire.leave(wire.transport.ended_by())
    player.take()
