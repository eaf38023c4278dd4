"""Properties of any bytes that a device or a page may send."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.frames.base import Call, CallFailed, CallingHangup, Request, encode
from callnet.frames.decode import BASE, BadFrame
from callnet.frames.page import BadPageFrame, RelayTo, decode_page
from harness.websocket import client_frame
from tests.support.quiet import QuietTestCase

NAMES = {
    "call": ("to_phone", "to_device_id"),
    "called_success": ("from_phone", "from_device_id", "room_id"),
    "called_refuse": ("from_phone", "from_device_id", "room_id"),
    "calling_hangup": ("notified_phone", "notified_device_id", "room_id"),
}
LONGEST = {"to_phone": 32, "from_phone": 32, "notified_phone": 32}
WORDS = re.compile(
    r"the frame is (not JSON|nested too deeply)|the frame must be a JSON object"
    r'|type (is missing|must be a string)|duplicate key "type"|unknown type'
    r"|(call|called_success|called_refuse|calling_hangup): (to_phone|to_device_id|from_phone|from_device_id"
    r"|notified_phone|notified_device_id|room_id) (is missing|must be a string|is empty|has control characters"
    r"|is longer than (32|50) characters|must be 32 lowercase hex digits)"
)
"""Every message that an error may have."""

# Parts of a frame

texts = st.text(st.characters(exclude_categories=()), max_size=60) | st.sampled_from(
    ["", "*", "13651884967", "tv888", "0" * 32, "f" * 32, "F" * 32, "x" * 32, "x" * 50, "x" * 51, "\n", "\x85", "类型"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts | st.sampled_from([*NAMES, "room_id"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=5,
)
keys = st.sampled_from(["type", *sorted({name for names in NAMES.values() for name in names})]) | texts


@st.composite
def near_frames(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """The fields of a frame that is right but for a few changes."""
    kind = draw(st.sampled_from(list(NAMES)))
    good = {"room_id": st.sampled_from(["0" * 32, "", None])}
    names = st.sampled_from(["13651884967", "tv888", "*", '"\\', "\U0001f4fa" * 32])
    pairs = [("type", kind), *((name, draw(good.get(name, names))) for name in NAMES[kind])]
    for pair in draw(st.lists(st.tuples(keys, values | st.sampled_from(list(NAMES))), max_size=3)):
        pairs.insert(draw(st.integers(0, len(pairs))), pair)
    if draw(st.booleans()) and draw(st.booleans()):
        del pairs[draw(st.integers(0, len(pairs) - 1))]
    return pairs


def write(pairs: list[tuple[str, Any]], ascii_only: bool) -> bytes:
    """Write fields as JSON, in order, each as often as it comes."""
    fields = (f"{json.dumps(key, ensure_ascii=ascii_only)}:{json.dumps(value)}" for key, value in pairs)
    return ("{" + ",".join(fields) + "}").encode("utf-8", "surrogatepass")


objects = st.builds(write, near_frames() | st.lists(st.tuples(keys, values), max_size=6), st.booleans())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A frame in which some bytes were replaced."""
    payload = draw(objects)
    begin = draw(st.integers(0, len(payload)))
    return payload[:begin] + draw(st.binary(max_size=4)) + payload[draw(st.integers(begin, len(payload))) :]


def as_text(payload: bytes) -> bytes:
    """The payload of a text frame: the socket lets only UTF-8 pass."""
    return payload.decode(errors="replace").encode()


payloads = (objects | damaged() | st.binary(max_size=100) | values.map(lambda value: json.dumps(value).encode())).map(
    as_text
)


# The model: the same rules, written naively


class Pairs(list[tuple[str, Any]]):
    """A JSON object as it stands there."""


def refuse(constant: str) -> None:
    """Take no ``NaN``: it is no JSON."""
    raise ValueError(constant)


def is_name(value: object, name: str) -> bool:
    """True if this may be a phone or a device id, or nothing."""
    if not isinstance(value, str) or len(value) > LONGEST.get(name, 50):
        return False
    return not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in value)


def model(payload: bytes) -> dict[str, Any] | str:
    """The meaning of a frame, or the answer to it: ``call_failed`` or ``error``."""
    try:
        pairs = json.loads(payload.decode(), object_pairs_hook=Pairs, parse_constant=refuse)
        str(pairs).encode()
        json.dumps(pairs, ensure_ascii=False).encode()
    except ValueError:
        return "error"
    if not isinstance(pairs, Pairs) or [key for key, _ in pairs].count("type") != 1:
        return "error"
    fields = dict(pairs)
    kind = fields["type"]
    if not isinstance(kind, str) or kind not in NAMES:
        return "error"
    found = {
        name: fields.get(name, "" if (kind, name) == ("calling_hangup", "room_id") else None) for name in NAMES[kind]
    }
    if kind == "call":
        return found if all(is_name(value, name) and value for name, value in found.items()) else "call_failed"
    room = found["room_id"]
    is_room = isinstance(room, str) and re.fullmatch("[0-9a-f]{32}", room) is not None
    if not is_room and not (kind == "calling_hangup" and room in ("", None)):
        return "error"
    return found if all(is_name(value, name) for name, value in found.items() if name != "room_id") else "error"


def read(payload: bytes) -> Request | BadFrame:
    """Decode a frame, or return its fault."""
    try:
        return BASE.decode(payload)
    except BadFrame as bad:
        return bad


class DecodeProperties(SynchronousTestCase):
    """The frames of devices."""

    @settings(max_examples=500, deadline=None)
    @given(payloads)
    def test_agrees_with_the_model(self, payload: bytes) -> None:
        """A frame is read, or refused in one way or the other, just as the rules say."""
        found, expected = read(payload), model(payload)
        if isinstance(found, BadFrame):
            self.assertEqual("call_failed" if isinstance(found.answer, CallFailed) else "error", expected)
            self.assert_says_little(found)
        else:
            names = NAMES[str(found.__struct_config__.tag)]
            self.assertEqual({name: getattr(found, name) for name in names}, expected)

    def assert_says_little(self, bad: BadFrame) -> None:
        """Assert that the answer is short, on one line, and repeats nothing but acceptable names."""
        answer = encode(bad.answer)
        self.assertLess(len(answer), 512)
        self.assertNotIn(b"\n", answer)
        self.assertIsNotNone(WORDS.fullmatch(bad.answer.message), bad.answer.message)
        if isinstance(bad.answer, CallFailed):
            self.assertTrue(is_name(bad.answer.to_phone, "to_phone"))
            self.assertTrue(is_name(bad.answer.to_device_id, "to_device_id"))

    @given((st.binary(max_size=300) | damaged()).map(as_text))
    def test_any_text(self, payload: bytes) -> None:
        """Any text is a frame or a bad frame; none does worse."""
        self.assertIsInstance(read(payload), BadFrame | Call | CallingHangup | Request)


page_payloads = payloads | st.builds(
    write,
    st.lists(
        st.tuples(st.sampled_from(["type", "room_id", "key", "session", "to", "data"]), values)
        | st.tuples(st.just("type"), st.sampled_from(["join", "relay", "hangup", "ping"]))
        | st.tuples(st.sampled_from(["key", "session", "to"]), st.just("0" * 32)),
        max_size=8,
        unique_by=lambda pair: pair[0],
    ),
    st.booleans(),
)


class DecodePageProperties(SynchronousTestCase):
    """The frames of pages."""

    @settings(max_examples=500, deadline=None)
    @given(page_payloads)
    def test_any_bytes(self, payload: bytes) -> None:
        """Any bytes are a frame or a bad frame; the relayed data is the JSON that came."""
        try:
            frame = decode_page(payload)
        except BadPageFrame:
            return
        if isinstance(frame, RelayTo):
            came = json.loads(payload.decode(errors="replace"), strict=False)["data"]
            self.assertEqual(repr(json.loads(bytes(frame.data).decode(errors="replace"), strict=False)), repr(came))


# Streams of bytes as RFC 6455 has them, or nearly

bits = st.sampled_from([0x80, 0x80, 0x80, 0, 0xC0, 0xF0])
opcodes = st.sampled_from([0, 1, 1, 1, 2, 8, 9, 10, 3, 11, 15])
raw_frames = st.builds(
    lambda bits, opcode, length, rest: bytes((bits | opcode,)) + length + rest,
    bits,
    opcodes,
    st.sampled_from([b"\x80", b"\x81", b"\x85", b"\xfd", b"\xfe\x00\x7e", b"\xfe\x00\x01", b"\xfe\x40\x00"])
    | st.sampled_from([b"\xff" + bytes(6) + b"\xff\xff", b"\xff" + b"\xff" * 8, b"\xff\x7f" + b"\xff" * 7, b"\x05"]),
    st.binary(max_size=30),
)
good_frames = st.builds(client_frame, opcodes, payloads.map(lambda payload: payload[:120]), st.booleans())
streams = st.lists(good_frames | raw_frames | st.binary(max_size=40), max_size=8).map(b"".join)

lines = st.lists(
    st.sampled_from(
        [
            b"GET /socket.io?token=x HTTP/1.1",
            b"Host: callnet.test",
            b"Host: callnet.test:99999999999999999999",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Protocol: callnet.v2,",
            b"Sec-WebSocket-Extensions: permessage-deflate; x=",
            b"Origin: http://[",
            b"Authorization: Bearer",
        ]
    )
    | st.binary(max_size=40),
    max_size=12,
).map(b"\r\n".join)


class StreamProperties(QuietTestCase):
    """Bytes on the wire."""

    @settings(max_examples=300, deadline=None)
    @given(streams, st.lists(st.integers(0, 400), max_size=6))
    def test_any_stream(self, stream: bytes, cuts: list[int]) -> None:
        """Whatever comes and however it is cut: no exception, nothing in the log, nothing kept."""
        device = self.world.device("13651884967", "tv888")
        edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
        for begin, end in pairwise(edges):
            device.wire.send(stream[begin:end])
            self.world.settle()
        if not device.wire.lost:
            self.assertLess(len(device.wire.transport.protocol.data), 14)
        self.assertIn(device.close_code, (None, 1000, 1002, 1003, 1007, 1009))
        device.leave()
        self.assertEqual(self.world.signaling.sockets, {})
        self.world.wires.clear()

    @settings(max_examples=300, deadline=None)
    @given(lines)
    def test_any_handshake(self, head: bytes) -> None:
        """Whatever comes instead of a handshake is refused by a status that is not our fault, or waited on."""
        wire = self.world.connect()
        wire.send(head + b"\r\n\r\n")
        self.world.settle()
        self.assertIn(wire.status, (400, 401, 404, 405, 426, 505))
        self.assertTrue(wire.lost)
        self.world.wires.clear()
