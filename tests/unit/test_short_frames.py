"""The short way of short texts: whatever a client sends, it makes no difference but in time."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.ws.factory import ServerSocketFactory
from callnet.ws.handshake import Opening
from callnet.ws.protocol import ServerSocket, take_text
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.transport import Transport
from tests.support.wires import Wire

LIMIT = 5000
"""The longest message, of more bytes than any that goes the short way."""

HANG_UP = b"hang up"
FAIL = b"fail"


class ListeningSocket(ServerSocket):
    """Records its messages; ends when it is told to, in one way or the other."""

    heard: list[bytes]

    def admit(self, opening: Opening) -> None:  # noqa: ARG002
        """Let anybody in."""
        self.session = self

    def opened(self) -> None:
        """Begin to listen."""
        self.heard = []

    def received(self, payload: bytes) -> None:
        """Listen, and say it again."""
        self.heard.append(payload)
        if payload == FAIL:
            raise LookupError
        if payload == HANG_UP:
            self.close(4403, "as you wish")
        self.send(payload)

    def gone(self) -> None:
        """Do nothing."""


class SlowSocket(ListeningSocket):
    """The same, and Autobahn reads every frame."""

    longest_short = -1


class End(Struct):
    """Everything that a socket comes to."""

    heard: list[bytes]
    written: bytes
    state: int
    disconnecting: bool
    ended_by: type[Exception] | None


def feed(kind: type[ListeningSocket], pieces: list[bytes]) -> End:
    """Send these pieces, in this order, over an open socket."""
    factory = ServerSocketFactory(kind, Clock(), LIMIT)
    wire = Wire(factory)
    transport: Transport = wire.transport
    wire.handshake("/")
    socket: Any = transport.protocol
    socket.dataReceived(wire.take_unsent())
    transport.clear()
    for piece in pieces:
        socket.dataReceived(piece)
    return End(socket.heard, transport.value(), socket.state, transport.disconnecting, transport.ended_by)


# Parts of a stream of frames

IN_A_FRAME = client_frame(TEXT, b"no frame", mask=bytes(4))
"""Bytes that look like a frame but are within one."""
ODD = (
    *(client_frame(CLOSE, payload) for payload in (b"", b"\x03\xe8", b"\x03", b"\x0f\xa0\xff")),
    *(client_frame(TEXT, payload) for payload in (b"\xed\xa0\x80", b"\xc0\xaf", b"x" * (LIMIT + 1), b"x" * 70000)),
    client_frame(BINARY, b"x"),
    client_frame(TEXT, b"x", fin=False) + client_frame(TEXT, b"y"),
    b"\x81\x02{}",
    b"\xc1\x81" + bytes(5),
    b"\x81\xfe\x00\x01" + bytes(5),
    b"\x81\xfe\x00\x7d" + bytes(129),
    b"\x81\xff" + (300).to_bytes(8, "big") + bytes(304),
    b"\x81\xff" + b"\xff" * 8 + bytes(4),
)
"""Frames that end a socket."""

lengths = st.sampled_from([0, 1, 2, 3, 5, 124, 125, 126, 127, 128, 4095, 4096, 4097, LIMIT])
texts = (
    st.builds(lambda text, length: (text * length)[: length // 4].encode(), st.text(min_size=1), lengths)
    | st.builds(lambda byte, length: byte * length, st.sampled_from([b"a", b"b"]), lengths)
    | st.sampled_from([IN_A_FRAME, HANG_UP, FAIL])
)
masks = st.just(bytes(4)) | st.binary(min_size=4, max_size=4)
pings = st.builds(client_frame, st.sampled_from([PING, PONG]), st.binary(max_size=125), mask=masks)
harmless = (
    st.builds(client_frame, st.just(TEXT), texts, mask=masks).map(lambda frame: [frame])
    | pings.map(lambda frame: [frame])
    | st.builds(
        lambda text, cut, pings: [
            client_frame(TEXT, text[:cut], fin=False),
            *pings,
            client_frame(CONTINUATION, text[cut:]),
        ],
        texts,
        st.integers(0, 5),
        st.lists(pings, max_size=2),
    )
)
kinds = st.sampled_from([TEXT, CONTINUATION, BINARY, PING, 3, 11])
harmful = st.sampled_from(ODD) | st.builds(client_frame, kinds, st.binary(max_size=9), fin=st.booleans(), mask=masks)


@st.composite
def cut_streams(draw: st.DrawFn) -> list[bytes]:
    """Some frames, one of them possibly invalid, as the network cuts them: between two or within one."""
    frames = [frame for some in draw(st.lists(harmless, max_size=6)) for frame in some]
    if draw(st.booleans()):
        frames.insert(draw(st.integers(0, len(frames))), draw(harmful | st.binary(max_size=9)))
    pieces = [b""]
    for frame in frames:
        cut = draw(st.sampled_from([0, 1, 6, 8]) | st.integers(0, len(frame)))
        pieces[-1] += frame[:cut]
        pieces += [frame[cut:]] if draw(st.booleans()) else [frame[cut:], b""]
    return [piece for piece in pieces if piece]


class ShortFrameTests(SynchronousTestCase):
    """Two sockets; one lets Autobahn read every frame."""

    @settings(max_examples=400, deadline=None)
    @given(cut_streams())
    def test_no_difference(self, pieces: list[bytes]) -> None:
        """Both hear the same, say the same and end alike, whatever comes and wherever it is cut."""
        self.assertEqual(feed(SlowSocket, pieces), feed(ListeningSocket, pieces))
        self.flushLoggedErrors(LookupError)

    def test_cut_anywhere(self) -> None:
        """That holds too wherever one frame is cut in two, and whatever the second part looks like."""
        looks_whole = client_frame(TEXT, b"x", mask=b"\x80abc")
        self.assertEqual(take_text(looks_whole, 1, LIMIT), (b"", 7))
        frames_within = [client_frame(opcode, IN_A_FRAME, mask=bytes(4)) for opcode in (TEXT, PING)]
        for frame in (looks_whole, *frames_within, *ODD):
            for cut in range(min(len(frame), 300)):
                pieces = [frame[:cut], frame[cut:], client_frame(TEXT, b"y")]
                self.assertEqual(feed(SlowSocket, pieces), feed(ListeningSocket, pieces), f"{frame[:20]!r}, {cut}")

    def test_what_goes_the_short_way(self) -> None:
        """Texts of up to 4096 bytes go the short way, many at once, each with its own mask, in any script."""
        for length in (0, 1, 2, 3, 4, 125, 126, 127, 4096):
            for mask in (bytes(4), b"\xff\x00\x01\x80"):
                text = ("é" * length)[: length // 2].encode() + b"x" * (length % 2)
                stream = b"12" + client_frame(TEXT, text, mask=mask) + b"34"
                self.assertEqual(take_text(stream, 2, 4096), (text, len(stream) - 2))

    def test_what_does_not(self) -> None:
        """Longer texts, parts of frames and everything else are left to Autobahn."""
        for stream in (
            b"",
            b"\x81",
            client_frame(TEXT, b"x" * 4097),
            client_frame(TEXT, b"x" * 70000),
            client_frame(TEXT, b"x" * 9)[:-1],
            client_frame(TEXT, b"x" * 200)[:7],
            client_frame(TEXT, b"x", fin=False),
            client_frame(BINARY, b"x"),
            client_frame(PING, b"x"),
            client_frame(TEXT, b"\xff"),
            b"\x81\x05hello",
        ):
            self.assertIsNone(take_text(stream, 0, 4096))

    def test_nothing_after_the_end(self) -> None:
        """Bytes after the frame that made the server close the socket are ignored."""
        stream = b"".join(client_frame(TEXT, text) for text in (b"one", HANG_UP, b"two"))
        self.assertEqual(feed(ListeningSocket, [stream]).heard, [b"one", HANG_UP])
