"""The load generator: what it writes and reads on the wire, and what it makes of its figures."""

from __future__ import annotations

import math

from twisted.trial.unittest import SynchronousTestCase

from bench.devices import KEY, address_of
from bench.figures import Figures, percentile, table, typical, verdicts
from bench.wire import CLOSE, PING, TEXT, FrameReader, WireError, client_frame, sign_token
from callnet.accounts.tokens import Key, Tokens
from callnet.errors import TokenInvalid

GOOD = Figures(call=100.0, connection=200.0, login=400.0, memory=8.0, p50=0.5, p99=2.0)
REFERENCE = Figures(call=160.0, connection=300.0, login=math.nan, memory=10.5, p50=0.4, p99=1.0)


def unmask(frame: bytes, header: int) -> bytes:
    """The payload of a masked frame whose header has ``header`` bytes (RFC 6455 §5.3)."""
    mask, payload = frame[header : header + 4], frame[header + 4 :]
    return bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))


class ClientFrameTests(SynchronousTestCase):
    """What the generator sends."""

    def test_short_frame_is_whole_and_masked(self) -> None:
        """A short text goes in one final text frame, masked, with its length in seven bits."""
        frame = client_frame(b'{"type":"call"}')
        self.assertEqual(bytes((0x81, 0x80 | 15)), frame[:2])
        self.assertEqual(b'{"type":"call"}', unmask(frame, 2))

    def test_longer_frame_has_its_length_in_two_bytes(self) -> None:
        """From 126 bytes on the length follows in two bytes."""
        frame = client_frame(b"x" * 300)
        self.assertEqual(b"\x81\xfe\x01\x2c", frame[:4])
        self.assertEqual(b"x" * 300, unmask(frame, 4))


class FrameReaderTests(SynchronousTestCase):
    """What the generator reads."""

    def test_frames_are_cut_wherever_the_network_cuts_them(self) -> None:
        """Frames of every kind of length come out whole, though they come byte by byte."""
        stream = b"\x81\x02ab" + b"\x89\x00" + b"\x81\x7e\x00\xc8" + b"c" * 200 + b"\x88\x02\x03\xe9"
        expected = [(TEXT, b"ab"), (PING, b""), (TEXT, b"c" * 200), (CLOSE, b"\x03\xe9")]
        reader = FrameReader()
        self.assertEqual(expected, [frame for byte in stream for frame in reader.feed(bytes((byte,)))])
        self.assertEqual(expected, list(FrameReader().feed(stream)))

    def test_very_long_frame(self) -> None:
        """A length in eight bytes is read too."""
        frame = b"\x81\x7f" + (70000).to_bytes(8, "big") + b"d" * 70000
        self.assertEqual([(TEXT, b"d" * 70000)], list(FrameReader().feed(frame)))

    def test_a_server_may_neither_mask_nor_fragment(self) -> None:
        """A masked frame breaks the protocol, and a fragment is more than this reader knows."""
        for frame in (client_frame(b"ab"), b"\x01\x02ab"):
            with self.assertRaises(WireError):
                list(FrameReader().feed(frame))


class TokenTests(SynchronousTestCase):
    """Tokens that the generator signs itself."""

    def test_tokens_are_as_good_as_those_of_a_login(self) -> None:
        """A callnet with the same key takes them, until they expire."""
        token = sign_token(address_of(7), KEY, expires=1000)
        self.assertEqual(address_of(7), Tokens([Key.of(KEY)], 60, lambda: 999.0).verify(token))
        with self.assertRaises(TokenInvalid):
            Tokens([Key.of(KEY)], 60, lambda: 1000.0).verify(token)


class FiguresTests(SynchronousTestCase):
    """What is made of the figures."""

    def test_percentile_is_the_nearest_rank(self) -> None:
        """The percentile is a value that was measured, whatever their order."""
        values = [float(value) for value in range(100, 0, -1)]
        self.assertEqual([50.0, 99.0, 100.0], [percentile(values, share) for share in (0.5, 0.99, 1.0)])
        self.assertEqual(3.0, percentile([3.0], 0.01))

    def test_one_bad_round_spoils_nothing(self) -> None:
        """The median of each figure counts, of the waiting the best; a figure that nobody has stays unknown."""
        rounds = [GOOD, Figures(900.0, 100.0, 400.0, 9.0, 0.5, 90.0), Figures(101.0, 210.0, 410.0, 8.5, 0.6, 3.0)]
        self.assertEqual(Figures(101.0, 200.0, 400.0, 8.5, 0.5, 2.0), typical(rounds))
        self.assertTrue(math.isnan(typical([REFERENCE]).login))

    def test_table_sets_servers_side_by_side(self) -> None:
        """Every figure has a row, with the ratio to each reference; what is not known is a dash."""
        lines = table({"callnet": GOOD, "Autobahn": REFERENCE}, rate=200).splitlines()
        self.assertEqual(7, len(lines))
        self.assertEqual(["100.0", "160.0", "0.62"], lines[1].split()[-3:])
        self.assertEqual(["400.0", "–", "–"], lines[3].split()[-3:])
        self.assertIn("at 200 calls/s", lines[5])

    def test_limits_that_are_kept_are_met(self) -> None:
        """Both limits are marked, with the figure."""
        self.assertEqual(
            "≤ 1.3 × the plain Autobahn reference: met (0.62)\n≤ 12 KiB per idle socket: met (8.0)",
            verdicts({"callnet": GOOD, "Autobahn": REFERENCE}, "Autobahn"),
        )

    def test_limits_that_are_not_kept_are_missed(self) -> None:
        """A limit that is not kept is said loudly."""
        slow = Figures(210.0, 200.0, 400.0, 12.1, 0.5, 2.0)
        self.assertEqual(
            "≤ 1.3 × the plain Autobahn reference: MISSED (1.31)\n≤ 12 KiB per idle socket: MISSED (12.1)",
            verdicts({"callnet": slow, "Autobahn": REFERENCE}, "Autobahn"),
        )

    def test_without_the_reference_nothing_is_claimed(self) -> None:
        """Where the reference is not there, its limit is neither met nor missed."""
        self.assertIn("not measured", verdicts({"callnet": GOOD}, "Autobahn"))
