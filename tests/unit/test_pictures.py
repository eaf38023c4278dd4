"""The headers of pictures."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Sequence
from zlib import crc32

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.profiles import Picture, look_at

SIDES = st.integers(1, 2**14 - 1)
TRAIL = st.binary(max_size=40)


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00")
"""The header of a scan of a JPEG."""


def jpeg(width: int, height: int, *more: bytes, marker: int = 0xC0, pixels: bytes = b"\x12\x34") -> bytes:
    """A JPEG; ``more``: segments before its frame's header."""
    frame = segment(marker, struct.pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    return b"\xff\xd8" + b"".join(more) + frame + SCAN + pixels + b"\xff\xd9"


def png(width: int, height: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG; ``more``: chunks after its header."""
    header = b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = (header, *more, (b"IDAT", b"\x00" * 7), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", crc32(name + body)) for name, body in chunks
    )


def webp(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    padded = b"".join(name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2) for name, body in chunks)
    return b"RIFF" + struct.pack("<I", len(padded) + 4) + b"WEBP" + padded


def vp8(width: int, height: int) -> tuple[bytes, bytes]:
    """The chunk of a lossy picture."""
    return b"VP8 ", b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height) + b"\x00\x00\x00"


def vp8l(width: int, height: int) -> tuple[bytes, bytes]:
    """The chunk of a lossless picture."""
    return b"VP8L", b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\x00"


def vp8x(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    """The header of an extended picture."""
    sides = b"".join((side - 1).to_bytes(3, "little") for side in (width, height))
    return b"VP8X", bytes([flags, 0, 0, 0]) + sides


def all_kinds(width: int, height: int) -> Sequence[bytes]:
    """A picture of each kind."""
    return (
        jpeg(width, height),
        jpeg(width, height, segment(0xE0, b"JFIF\0"), segment(0xDB, b"\x00" * 65), marker=0xC2),
        png(width, height),
        webp(vp8(width, height)),
        webp(vp8l(width, height)),
        webp(vp8x(width, height), (b"ALPH", b"\x00"), vp8(width, height)),
    )


class PicturesTests(SynchronousTestCase):
    """Pictures, whole and not."""

    def refused(self, data: bytes) -> None:
        """It is no picture."""
        self.assertRaises(ValueError, look_at, data)

    @given(SIDES, SIDES)
    def test_size(self, width: int, height: int) -> None:
        """Of each kind the size is known."""
        for data in all_kinds(width, height):
            picture = look_at(data)
            self.assertEqual((width, height, False, False), (*(picture.width, picture.height), *_rest(picture)))

    def test_kind(self) -> None:
        """So is the kind."""
        kinds = ["jpeg", "jpeg", "png", "webp", "webp", "webp"]
        self.assertEqual(kinds, [look_at(data).kind for data in all_kinds(7, 9)])

    def test_cut_off(self) -> None:
        """A picture that is cut off anywhere is none, and one that does not end where it says, neither."""
        for data in all_kinds(7, 9):
            for length in range(len(data)):
                self.refused(data[:length])
            self.refused(data + b"\x00")

    @given(
        st.binary(max_size=300), st.sampled_from([b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n", b"RIFF\x10\0\0\0WEBPVP8X"])
    )
    def test_any_bytes(self, data: bytes, begin: bytes) -> None:
        """No bytes are anything but a picture or refused."""
        with contextlib.suppress(ValueError):
            self.assertIsInstance(look_at(begin + data), Picture)

    @given(st.sampled_from(all_kinds(300, 300)), st.data())
    def test_broken(self, data: bytes, drawn: st.DataObject) -> None:
        """Nor is a picture with any of its bytes changed."""
        broken = bytearray(data)
        for place in drawn.draw(st.lists(st.integers(0, len(data) - 1), max_size=3)):
            broken[place] = drawn.draw(st.integers(0, 255))
        with contextlib.suppress(ValueError):
            self.assertIsInstance(look_at(bytes(broken)), Picture)

    def test_metadata(self) -> None:
        """Whatever says more than the pixels is seen: Exif, XMP, texts."""
        exif = b"Exif\0\0MM\0*"
        for data in (
            jpeg(7, 7, segment(0xE1, exif)),
            jpeg(7, 7, segment(0xE0, b"JFIF\0"), segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0")),
            jpeg(7, 7, segment(0xFE, b"51.5007 N 0.1246 W")),
            jpeg(7, 7, pixels=b"\x12\xff\x00\xff\xd0" + segment(0xE1, exif) + SCAN + b"\x34"),
            png(7, 7, (b"eXIf", exif)),
            png(7, 7, (b"tEXt", b"a\0b")),
            webp(vp8x(7, 7, flags=0x08), vp8(7, 7), (b"EXIF", exif)),
            webp(vp8x(7, 7), vp8(7, 7), (b"EXIF", exif)),
            webp(vp8x(7, 7, flags=0x04), vp8(7, 7), (b"XMP ", b"<x/>")),
        ):
            self.assertTrue(look_at(data).has_metadata, data)

    def test_scans(self) -> None:
        """A JPEG may have several scans, with tables between them, restarts, and any bytes in place of pixels."""
        scans = b"\x12\xff\x00\xff\xd0\xff\xd7\x34\xff" + segment(0xC4, b"\x00" * 17) + SCAN + b"\x56\xff"
        picture = look_at(jpeg(7, 7, marker=0xC2, pixels=scans))
        self.assertEqual(Picture("jpeg", 7, 7, False, False), picture)

    def test_two_pictures(self) -> None:
        """A file with another picture after the first is none: phones put those with Exif there."""
        self.refused(jpeg(7, 7) + jpeg(7, 7, segment(0xE1, b"Exif\0\0MM\0*")))

    def test_animated(self) -> None:
        """So is a picture that moves."""
        for data in (
            png(7, 7, (b"acTL", b"\x00" * 8)),
            webp(vp8x(7, 7, flags=0x02), (b"ANIM", b"\x00" * 6), (b"ANMF", b"\x00" * 16)),
        ):
            self.assertTrue(look_at(data).is_animated, data)

    def test_two_sizes(self) -> None:
        """A picture of more than one size is none."""
        frame = segment(0xC0, struct.pack(">BHHB", 8, 9, 9, 1))
        self.refused(jpeg(7, 7, frame))
        self.refused(webp(vp8x(7, 7), vp8(9, 9)))
        self.refused(webp(vp8x(7, 7), vp8l(9, 9)))

    def test_without_pixels(self) -> None:
        """A picture without pixels is none."""
        self.refused(b"\xff\xd8\xff\xd9")
        self.refused(b"\xff\xd8" + SCAN + b"\xff\xd9")
        self.refused(jpeg(7, 7).replace(SCAN + b"\x12\x34", b""))
        self.refused(webp(vp8x(7, 7)))
        self.refused(webp((b"EXIF", b"Exif")))
        self.refused(webp((b"VP8 ", b"\x11" + vp8(7, 7)[1][1:])))

    def test_other_kinds(self) -> None:
        """Another kind of file is none."""
        for data in (b"", b"GIF89a\x07\x00\x07\x00", b"<svg/>", b"RIFF\x04\x00\x00\x00WAVE", b"BM"):
            self.refused(data)


def _rest(picture: Picture) -> tuple[bool, bool]:
    return picture.has_metadata, picture.is_animated
