"""Properties of any bytes that an extended device may send (protocol §2.5)."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from twisted.trial.unittest import SynchronousTestCase

from callnet.frames.base import Request
from callnet.frames.decode import BASE, BadFrame
from callnet.frames.v2 import EXTENDED, Ping, Pull, Resume, Signal, compact
from tests.unit.test_message_properties import payloads

ROOM = "0" * 32
_TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[,:\[\]{}]')
WORDS = re.compile(
    r"the frame is (not JSON|nested too deeply)|the frame must be a JSON object"
    r'|type (is missing|must be a string)|duplicate key "type"|unknown type'
    r"|(call|called_success|called_refuse|calling_hangup|signal|resume|pull|ping): (to_phone|to_device_id|from_phone"
    r"|from_device_id|notified_phone|notified_device_id|room_id|data|t|id|hold) (is missing|must be a string|is empty"
    r"|has control characters|is longer than (32|50|64) characters|must be 32 lowercase hex digits"
    r"|must be a number or a string|is nested more than 64 levels deep|must be a string of up to 64 characters"
    r"|must be true or false)"
)
"""Every message that an error may have."""

finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | finite | st.text(max_size=80)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
rooms = st.just(ROOM) | st.sampled_from(["", "x", ROOM.upper() + "F"]) | scalars
ids = st.text(max_size=70) | scalars


@st.composite
def extended(draw: st.DrawFn) -> dict[str, Any]:
    """A frame of the extended protocol alone, with or without mistakes."""
    kind = draw(st.sampled_from(["signal", "resume", "pull", "ping"]))
    fields = {"room_id": rooms, "data": anything, "t": anything, "id": ids}
    names = draw(st.sets(st.sampled_from(sorted(fields))))
    return {"type": kind} | {name: draw(fields[name]) for name in names}


def is_id(value: object) -> bool:
    """True if this may be an id."""
    if not isinstance(value, str) or len(value) > 64:
        return False
    return not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in value)


def is_good(fields: dict[str, Any]) -> bool:
    """True if a frame conforms to the protocol: the same rules, written naively."""
    kind, room, t = fields["type"], fields.get("room_id"), fields.get("t")
    if "id" in fields and not is_id(fields["id"]):
        return False
    if kind == "ping":
        return t is None or (isinstance(t, int | float | str) and not isinstance(t, bool) and len(str(t)) <= 64)
    return room == ROOM and (kind in ("resume", "pull") or "data" in fields)


def blanks(draw: st.DataObject, text: str) -> str:
    """JSON with more blanks between its values."""
    return re.sub(_TOKENS, lambda token: token[0] + draw.draw(st.sampled_from(["", " ", "\n"])), text)


class ExtendedProperties(SynchronousTestCase):
    """The frames of extended devices."""

    @given(payloads)
    def test_any_bytes(self, payload: bytes) -> None:
        """Whatever comes is a frame, or is answered in words of ours."""
        try:
            EXTENDED.decode(payload)
        except BadFrame as bad:
            self.assertIsNotNone(WORDS.fullmatch(bad.answer.message), bad.answer.message)

    @given(payloads)
    def test_seed(self, payload: bytes) -> None:
        """A frame of the seed that says no id and no hold means the same to both, and is answered the same."""
        if b'"id"' in payload or b'"hold"' in payload or b"\\" in payload:
            return
        try:
            base: Request | str = BASE.decode(payload)
        except BadFrame as bad:
            base = bad.answer.message
        try:
            found = EXTENDED.decode(payload)
        except BadFrame as bad:
            self.assertEqual(base, bad.answer.message)
            return
        if not isinstance(found, Signal | Resume | Pull | Ping):
            assert not isinstance(base, str), base
            fields = base.__struct_fields__
            self.assertEqual([getattr(base, name) for name in fields], [getattr(found, name) for name in fields])

    @given(extended())
    def test_extended(self, fields: dict[str, Any]) -> None:
        """A frame is taken if it keeps to the protocol; its answer has its id, if it can have one."""
        payload = json.dumps(fields).encode()
        try:
            frame = EXTENDED.decode(payload)
        except BadFrame as bad:
            self.assertFalse(is_good(fields), (fields, bad.answer.message))
            self.assertEqual(fields["id"] if is_id(fields.get("id")) and fields["id"] else None, bad.answer.id or None)
        else:
            self.assertTrue(is_good(fields), fields)
            self.assertEqual(fields.get("id", ""), frame.id)

    @given(anything, st.data())
    def test_compact(self, value: object, data: st.DataObject) -> None:
        """A signal says the same without blanks, and has no newline."""
        text = blanks(data, json.dumps(value))
        found = compact(Raw(text.encode()))
        self.assertNotIn(b"\n", found)
        self.assertEqual(json.loads(text), json.loads(found))
