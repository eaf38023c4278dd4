"""The schemas of frames: accepted and refused frames, and that the server agrees."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import Any, Final

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from msgspec import Struct
from twisted.trial.unittest import SynchronousTestCase

from callnet.frames import decode
from callnet.frames.base import encode
from callnet.frames.decode import BadFrame
from callnet.frames.page import BadPageFrame, decode_page
from callnet.frames.v2 import EXTENDED
from callnet.schemas import (
    DIRECTIONS,
    FROM_DEVICE,
    FROM_EXTENDED,
    FROM_PAGE,
    TO_DEVICE,
    TO_EXTENDED,
    TO_PAGE,
    Direction,
    schema_of,
)
from callnet.ws.protocol import text_header
from tests.support import checked_client
from tests.support.frame_schemas import check, complaint
from tests.support.quiet import QuietTestCase
from tests.support.schema_strategies import Spoilt, spoilt, values

GRAMMARS: Final[dict[str, tuple[Direction, Callable[[bytes], Any]]]] = {
    "seed": (FROM_DEVICE, decode.BASE.decode),
    "extended": (FROM_EXTENDED, EXTENDED.decode),
}
"""The readers of messages of devices."""
IGNORED: Final = ("auto_answer", "of_page")
"""Fields of devices that are ignored if they are invalid."""


@cache
def good_frames(direction: Direction) -> st.SearchStrategy[dict[str, Any]]:
    """Frames as they should be."""
    schemas = direction.schemas()
    return st.one_of([values(schemas[name], schemas) for name in direction.frames().values()])


@cache
def bad_frames(direction: Direction) -> st.SearchStrategy[Spoilt]:
    """Frames of one type with one thing wrong each, and in which field that is."""
    schemas = direction.schemas()
    return st.one_of([spoilt(schemas[name], schemas) for name in direction.frames().values()])


def written(frame: Any) -> bytes:
    """A frame on the wire."""
    return json.dumps(frame).encode()


class SchemaTests(SynchronousTestCase):
    """The frames that the schemas of each direction accept and refuse."""

    @given(st.data(), st.sampled_from(DIRECTIONS))
    def test_good_frames(self, data: st.DataObject, direction: Direction) -> None:
        """A frame as it should be is taken, also by the one schema of its direction."""
        frame = data.draw(good_frames(direction))
        self.assertIsNone(complaint(direction, frame))
        self.assertTrue(WHOLE[direction.name].is_valid(frame))

    @settings(max_examples=300)
    @given(st.data(), st.sampled_from(DIRECTIONS))
    def test_bad_frames(self, data: st.DataObject, direction: Direction) -> None:
        """A frame that lacks a field, or has one of a wrong type, a broken room or an unknown word is refused."""
        for _, frame in data.draw(bad_frames(direction)):
            self.assertIsNotNone(complaint(direction, frame), frame)
            self.assertFalse(WHOLE[direction.name].is_valid(frame), frame)

    def test_what_is_no_frame(self) -> None:
        """So is a frame that is no object, or of a type for the other direction."""
        frames: tuple[Any, ...] = ([], None, 1, "call", {}, {"type": None}, {"type": "called"})
        for frame in frames:
            self.assertIsNotNone(complaint(FROM_DEVICE, frame))

    def test_further_fields(self) -> None:
        """Unknown fields are ignored in the server's input, and never in its output."""
        for direction in DIRECTIONS:
            frames = direction.schemas()[next(iter(direction.frames().values()))]
            self.assertEqual(direction.by_server, frames.get("additionalProperties") is False)

    def test_check(self) -> None:
        """The tests' check of frames names the faults."""
        check(TO_PAGE, b'{"type":"pong"}')
        with self.assertRaisesRegex(AssertionError, r"to_device: .*: room_id: "):
            check(TO_DEVICE, b'{"type":"call_success","to_phone":"1","to_device_id":"a","room_id":"x","page":""}')


class SeenTests(QuietTestCase):
    """The frames that the tests' clients see are checked."""

    def test_in_memory(self) -> None:
        """A device of :mod:`tests.support.wires` that is told nonsense fails its test."""
        device = self.world.device("13800000001", "tv")
        device.wire.transport.write(text_header(17) + b'{"type":"called"}')
        self.assertRaises(AssertionError, self.world.settle)

    def test_over_sockets(self) -> None:
        """So does the client that integration tests use, in either direction."""
        for direction in (FROM_DEVICE, TO_DEVICE):
            checked_client.look(direction, b'{"type":"called"}')
            self.expect_error(AssertionError)


class ServerTests(SynchronousTestCase):
    """The server agrees with the schemas."""

    @given(st.data(), st.sampled_from(sorted(GRAMMARS)))
    def test_it_reads_what_a_device_may_say(self, data: st.DataObject, name: str) -> None:
        """Every valid message of a device is a good frame, and is read unchanged."""
        direction, decode = GRAMMARS[name]
        frame = data.draw(good_frames(direction))
        request = decode(written(frame))
        self.assertEqual(frame, {**frame, **fields_of(request, frame)})

    @given(st.data(), st.sampled_from(sorted(GRAMMARS)))
    def test_it_refuses_what_a_device_may_not_say(self, data: st.DataObject, grammar_name: str) -> None:
        """Any other frame is bad, except for a field that is ours and ignored if it makes no sense."""
        direction, decode = GRAMMARS[grammar_name]
        for name, frame in data.draw(bad_frames(direction)):
            if name in IGNORED:
                without = {other: value for other, value in frame.items() if other != name}
                self.assertEqual(decode(written(without)), decode(written(frame)))
            else:
                self.assertRaises(BadFrame, decode, written(frame))

    @given(good_frames(FROM_PAGE))
    def test_it_reads_what_the_page_says(self, frame: dict[str, Any]) -> None:
        """The same goes for the page."""
        decode_page(written(frame))

    @given(bad_frames(FROM_PAGE))
    def test_it_refuses_what_the_page_does_not_say(self, seen: Spoilt) -> None:
        """A page that asks for an impossible room is answered by ``refused``; anything else closes its socket."""
        for name, frame in seen:
            if name != "room_id" or not isinstance(frame.get(name), str):
                self.assertRaises(BadPageFrame, decode_page, written(frame))

    @given(good_frames(TO_DEVICE))
    def test_it_writes_what_a_device_may_be_told(self, frame: dict[str, Any]) -> None:
        """Every message to devices is written as the schemas say, also where it had to be cut."""
        check(TO_DEVICE, encode(struct_of(TO_DEVICE, frame)))

    @given(good_frames(TO_EXTENDED))
    def test_it_writes_what_an_extended_device_may_be_told(self, frame: dict[str, Any]) -> None:
        """So is every message to extended devices."""
        check(TO_EXTENDED, msgspec.json.encode(struct_of(TO_EXTENDED, frame)))

    @given(good_frames(TO_PAGE))
    def test_it_writes_what_the_page_is_told(self, frame: dict[str, Any]) -> None:
        """So is every message to the page."""
        check(TO_PAGE, msgspec.json.encode(struct_of(TO_PAGE, frame)))


def fields_of(request: Struct, frame: dict[str, Any]) -> dict[str, Any]:
    """The fields that were read from a frame."""
    found = {name: getattr(request, name) for name in frame if name != "type"}
    raw = {name: json.loads(bytes(value)) for name, value in found.items() if isinstance(value, msgspec.Raw)}
    return found | raw


def struct_of(direction: Direction, frame: dict[str, Any]) -> Any:
    """A frame as the server has it before it writes it."""
    kind = next(kind for kind in direction.kinds if kind.__struct_config__.tag == frame["type"])
    return msgspec.json.decode(written(frame), type=kind)


WHOLE: Final = {direction.name: Draft202012Validator(schema_of(direction)) for direction in DIRECTIONS}
