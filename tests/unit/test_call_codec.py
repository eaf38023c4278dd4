"""A call's record between nodes: flat, as nodes of the revision before know it, and by state here."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Decoder
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.records import Active, CallRecord, Notice, Over, Ringing, is_over
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.redis.codec import decode_call, decode_ended, decode_messages, encode_call, encode_message

ROOM, ALIAS = RoomId("1" * 32), RoomId("2" * 32)
devices = st.builds(DeviceAddress, st.sampled_from(("1", "2")), st.sampled_from(("tv", "pad")))
several = st.lists(devices, max_size=3).map(tuple)
times = st.floats(0, 1e6)
ringing = st.builds(Ringing, several, st.none() | times, st.booleans())
active = st.builds(
    Active,
    devices,
    times,
    st.booleans(),
    st.booleans(),
    st.booleans(),
    several,
    several,
    st.none() | times,
    st.none() | st.tuples(devices, devices),
)
over = st.builds(Over, ringing | active, st.sampled_from(Reason), times, st.none() | devices, st.booleans())
calls = st.builds(
    CallRecord,
    st.just(ROOM),
    st.integers(0, 9),
    ringing | active | over,
    devices,
    devices,
    several,
    times,
    st.none() | times,
    several,
    st.lists(st.tuples(devices, st.just(ALIAS)), max_size=2).map(tuple),
    several,
)


class CallCodecTests(SynchronousTestCase):
    """Every call there may be."""

    @given(calls)
    def test_call(self, call: CallRecord) -> None:
        """A call is read back unchanged. Nodes of the revision before know its first 26 fields, and ignore the last."""
        written = encode_call(call)
        self.assertEqual(call, decode_call(written))
        self.assertEqual((28, call.state.word), (len(flat := Decoder(list[object]).decode(written)), flat[2]))
        if is_over(call):
            self.assertEqual(call, decode_ended(written))
        else:
            self.assertRaises(ValueError, decode_ended, written)

    @given(calls, devices)
    def test_notice(self, call: CallRecord, to: DeviceAddress) -> None:
        """The same holds for a node's notice to another."""
        notice = Notice(to, call)
        self.assertEqual([notice], decode_messages(b"\x91" + encode_message(notice)))  # a list of one, in msgpack
