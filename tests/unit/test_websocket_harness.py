"""The framing of tests, bench and acceptance: its bytes on the wire (RFC 6455 §5.2)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import InvalidHandshake, ProtocolError

from harness.websocket import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    Frame,
    FrameReader,
    Handshake,
    Refused,
    client_frame,
    server_frame,
)

MASK = b"\x01\x02\x03\x04"


class FrameTests(SynchronousTestCase):
    """Frames as bytes."""

    def test_short_frame_is_whole_and_masked(self) -> None:
        """A short text goes in one final text frame, masked, with its length in seven bits."""
        self.assertEqual(
            b"\x81\x85" + MASK + bytes(byte ^ MASK[at % 4] for at, byte in enumerate(b"hello")),
            client_frame(TEXT, b"hello", mask=MASK),
        )
        self.assertEqual(b"\x88\x80" + MASK, client_frame(CLOSE, mask=MASK))
        self.assertEqual(b"\x81\x82\0\0\0\0hi", client_frame(TEXT, b"hi", mask=bytes(4)))

    def test_mask(self) -> None:
        """The mask is always the same if none is given, and masks something."""
        self.assertEqual(client_frame(TEXT, b"hello"), client_frame(TEXT, b"hello"))
        self.assertNotIn(b"hello", client_frame(TEXT, b"hello"))

    def test_longer_frames(self) -> None:
        """From 126 bytes on the length follows in two bytes, from 65536 on in eight."""
        self.assertEqual(b"\x81\xfd", client_frame(TEXT, b"x" * 125)[:2])
        self.assertEqual(b"\x81\xfe\x00\x7e", client_frame(TEXT, b"x" * 126)[:4])
        self.assertEqual(b"\x81\xfe\x01\x2c", client_frame(TEXT, b"x" * 300)[:4])
        self.assertEqual(b"\x81\xff" + (65536).to_bytes(8, "big"), client_frame(TEXT, b"x" * 65536)[:10])
        self.assertEqual(b"x" * 300, client_frame(TEXT, b"x" * 300, mask=bytes(4))[8:])

    def test_against_the_protocol(self) -> None:
        """A client's frame may be one that no client may send: in parts, unknown, a control frame that is too long."""
        self.assertEqual(b"\x01\x82", client_frame(TEXT, b"hi", fin=False)[:2])
        self.assertEqual(b"\x8b\x80", client_frame(11)[:2])
        self.assertEqual(b"\x09\xfe\x00\x7e", client_frame(PING, b"x" * 126, fin=False)[:4])

    def test_frames_of_a_server(self) -> None:
        """They are whole, and not masked."""
        self.assertEqual(b"\x81\x02hi", server_frame(TEXT, b"hi"))
        self.assertEqual(b"\x82\x7e\x00\x80" + bytes(128), server_frame(BINARY, bytes(128)))


class FrameReaderTests(SynchronousTestCase):
    """Bytes as frames."""

    def test_frames_are_cut_wherever_the_network_cuts_them(self) -> None:
        """Frames of every kind of length come out whole, though they come byte by byte."""
        stream = b"\x81\x02ab" + b"\x89\x00" + b"\x81\x7e\x00\xc8" + b"c" * 200 + b"\x88\x02\x03\xe9"
        expected = [Frame(TEXT, b"ab"), Frame(PING, b""), Frame(TEXT, b"c" * 200), Frame(CLOSE, b"\x03\xe9")]
        reader = FrameReader()
        self.assertEqual(expected, [frame for byte in stream for frame in reader.feed(bytes((byte,)))])
        self.assertEqual(expected, FrameReader().feed(stream))

    def test_very_long_frame(self) -> None:
        """A length in eight bytes is read too."""
        frame = b"\x81\x7f" + (70000).to_bytes(8, "big") + b"d" * 70000
        self.assertEqual([Frame(TEXT, b"d" * 70000)], FrameReader().feed(frame))

    def test_what_no_server_of_ours_sends(self) -> None:
        """Masked frames, messages in parts, reserved bits and unknown opcodes are refused."""
        for data in (client_frame(TEXT, b"ab"), b"\x01\x02ab", b"\xc1\x02ab", b"\x83\x00", b"\x09\x00"):
            self.assertRaises(ProtocolError, FrameReader().feed, data)


class HandshakeTests(SynchronousTestCase):
    """The opening of a WebSocket."""

    def test_request(self) -> None:
        """It has the path unchanged, the host, and the client's offers."""
        request = Handshake("/socket.io?token=a%2Fb", "h:1", "https://o", "callnet.v2").request.decode()
        self.assertTrue(request.startswith("GET /socket.io?token=a%2Fb HTTP/1.1\r\nHost: h:1\r\n"), request)
        self.assertIn("\r\nOrigin: https://o\r\n", request)
        self.assertIn("\r\nSec-WebSocket-Protocol: callnet.v2\r\n", request)
        self.assertNotIn("Origin", Handshake("/room", "h").request.decode())

    def test_refused(self) -> None:
        """A refusal is known when its head is whole, byte by byte; it may say when to come again."""
        handshake = Handshake("/room", "h")
        answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 9\r\n\r\n"
        for byte in answer[:-1]:
            self.assertIsNone(handshake.feed(bytes((byte,))))
        refused = self.assertRaises(Refused, handshake.feed, b"\n")
        self.assertEqual((503, 7), (refused.status, refused.retry_after))

    def test_answer_to_another_key(self) -> None:
        """A 101 whose accept value belongs to another request is none."""
        answer = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        )
        self.assertRaises(InvalidHandshake, Handshake("/room", "h").feed, answer)

    def test_end(self) -> None:
        """A connection that ends in the handshake is an error."""
        self.assertRaises(ConnectionError, Handshake("/room", "h").feed, b"")
