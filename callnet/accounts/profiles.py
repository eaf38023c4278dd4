"""The profiles of phones by their devices, without HTTP (protocol §1), and the pictures in them."""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from typing import Annotated, Final, Literal, cast

from msgspec import UNSET, Struct, UnsetType

from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import PhoneRule, require_name
from callnet.errors import DataInvalid
from callnet.model import PHOTO_MAX, PHOTO_SIDE_MAX, PROFILE_NAME_MAX, turns_text
from callnet.storage.contacts import Photo, Profile, SqlProfiles
from callnet.util.deferreds import as_deferred
from callnet.util.schema_hints import NAME

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""JPEG's markers of a frame's header: the others of their range are tables."""
_NO_LENGTH: Final = frozenset((0x00, 0x01, *range(0xD0, 0xD8)))
"""JPEG's markers that stand alone, and the zero after which a byte is none."""
_TEXTS: Final = frozenset((0xE1, 0xED, 0xFE))
"""JPEG's markers of Exif, XMP, IPTC and comments."""
_AFTER_SCAN: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
"""The first marker that ends a scan's pixels: in these are restarts, and the byte of a marker with a zero after it."""
_START, _END, _SCAN = 0xD8, 0xD9, 0xDA
_ANIMATED, _XMP, _EXIF = 0x02, 0x04, 0x08
"""Flags of WebP's extended header."""


class ProfileFields(Struct, frozen=True):
    """The profile of a phone."""

    name: Annotated[str, NAME]
    """The name of the phone's owner, or the empty string."""
    photo: str | None
    """The version of its photo, which changes with it; ``null``: there is no photo."""

    @classmethod
    def of(cls, profile: Profile) -> ProfileFields:
        """The fields of a profile."""
        return cls(profile.name, profile.photo)


class PhotoFields(Struct, frozen=True):
    """A photo."""

    type: Literal["image/jpeg", "image/png", "image/webp"]
    """The format of the picture."""
    version: str
    """As in the profile."""
    data: str
    """The picture, in base64."""


class PhotoAnswer(Struct, frozen=True):
    """The photo of a phone, if it has one that may be seen."""

    photo: PhotoFields | None
    """``null``: there is none, or it may not be seen."""


class Profiles:
    """Shows devices the profiles of phones, and changes that of their own.

    All methods raise :class:`TokenInvalid` if the token is not valid, and :class:`Unavailable` if the database
    cannot be reached.
    """

    def __init__(self, profiles: SqlProfiles, tokens: Tokens, phone_rule: PhoneRule) -> None:
        self._profiles = profiles
        self._tokens = tokens
        self._phones = phone_rule
        self.photos = 0
        """The number of photos that were stored."""

    @as_deferred
    async def change(
        self, token: str, name: str | UnsetType = UNSET, photo: str | UnsetType | None = UNSET
    ) -> ProfileFields:
        """Change the profile of the token's phone, and return all of it.

        :param photo: a square picture in base64; ``None``: none.
        :raises DataInvalid: the name or the photo is not acceptable.
        """
        phone = self._tokens.verify(token).device.phone
        if not isinstance(name, UnsetType):
            name = require_name(name, PROFILE_NAME_MAX, "name")
            if turns_text(name):
                raise DataInvalid("name has characters that turn the text around it (U+202A-202E, U+2066-2069)")
        taken = read_photo(photo) if isinstance(photo, str) else photo
        changed = await self._profiles.change(phone, name, taken, self._tokens.now())
        self.photos += isinstance(taken, Photo)
        return ProfileFields.of(changed)

    @as_deferred
    async def photo(self, token: str, phone: str) -> PhotoAnswer:
        """The photo of a phone for the token's phone. The answer does not tell a hidden one from none.

        :raises PhoneInvalid: the phone number is not acceptable.
        """
        asker = self._tokens.verify(token).device.phone
        found = await self._profiles.photo(self._phones.require(phone, "contact_phone"), asker)
        if found is None:
            return PhotoAnswer(None)
        kind = cast(Literal["image/jpeg", "image/png", "image/webp"], f"image/{found.kind}")
        return PhotoAnswer(PhotoFields(kind, found.version, base64.b64encode(found.data).decode("ascii")))


def read_photo(text: str) -> Photo:
    """A photo from the wire.

    :raises DataInvalid: it is not acceptable. The message repeats nothing of it.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise DataInvalid("photo is not base64") from None
    if len(data) > PHOTO_MAX:
        raise DataInvalid(f"photo has more than {PHOTO_MAX} bytes")
    try:
        picture = look_at(data)
    except ValueError:
        raise DataInvalid("photo is not a whole picture in JPEG, PNG or WebP") from None
    if picture.width != picture.height or not 0 < picture.width <= PHOTO_SIDE_MAX:
        raise DataInvalid(f"photo is not a square of at most {PHOTO_SIDE_MAX} pixels a side")
    if picture.has_metadata or picture.is_animated:
        raise DataInvalid("photo has metadata, such as Exif, or is animated")
    return Photo(picture.kind, data)


class Picture(Struct, frozen=True):
    """The properties of a picture."""

    kind: str
    """``jpeg``, ``png`` or ``webp``."""
    width: int
    height: int
    has_metadata: bool
    """True if it says more than its pixels: where it was taken, for example."""
    is_animated: bool


def look_at(data: bytes) -> Picture:
    """Read the headers of a picture.

    :raises ValueError: it is none of these, or is cut off.
    """
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(_PNG):
            return _png(data)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
    except (struct.error, IndexError):
        raise ValueError("the picture is cut off") from None
    raise ValueError("not a picture in JPEG, PNG or WebP")


def _jpeg(data: bytes) -> Picture:
    size: tuple[int, int] | None = None
    markers: set[int] = set()
    for marker, segment in _jpeg_segments(data):
        markers.add(marker)
        if marker in _FRAMES:
            if size is not None:
                raise ValueError("a JPEG of several frames")
            height, width = struct.unpack_from(">xHH", segment)
            size = width, height
    if size is None or _SCAN not in markers:
        raise ValueError("a JPEG without pixels")
    return Picture("jpeg", *size, not markers.isdisjoint(_TEXTS), False)


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    place = 2
    while True:
        if data[place] != 0xFF:
            raise ValueError("not a JPEG")
        while data[place] == 0xFF:  # any number of them may stand before a marker
            place += 1
        marker = data[place]
        if marker == _END:
            break
        if marker in _NO_LENGTH or marker == _START:
            raise ValueError("a JPEG without pixels")
        (length,) = struct.unpack_from(">H", data, place + 1)
        segment = data[place + 3 : place + 1 + length]
        if length < 2 or len(segment) != length - 2:
            raise ValueError("the picture is cut off")
        yield marker, segment
        place += 1 + length
        if marker == _SCAN:
            after = _AFTER_SCAN.search(data, place)
            if after is None:
                raise ValueError("the picture is cut off")
            place = after.start()
    if place + 1 != len(data):
        raise ValueError("a JPEG with something after it")


def _png(data: bytes) -> Picture:
    chunks = list(_png_chunks(data))
    if len(chunks) < 3 or chunks[0][0] != b"IHDR" or chunks[-1][0] != b"IEND":
        raise ValueError("not a whole PNG")
    width, height = struct.unpack_from(">II", chunks[0][1])
    names = {name for name, _ in chunks}
    return Picture("png", width, height, not names.isdisjoint((b"eXIf", b"iTXt", b"tEXt", b"zTXt")), b"acTL" in names)


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(_PNG)
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        if place + 12 + length > len(data):
            raise ValueError("the picture is cut off")
        yield name, data[place + 8 : place + 8 + length]
        place += 12 + length


def _webp(data: bytes) -> Picture:
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 != len(data):
        raise ValueError("the picture is cut off")
    chunks = list(_webp_chunks(data))
    name, first = chunks[0]
    if name != b"VP8X":
        return Picture("webp", *_webp_size(name, first), False, False)
    if len(first) < 10:
        raise ValueError("the picture is cut off")
    flags = first[0]
    width, height = (int.from_bytes(first[at : at + 3], "little") + 1 for at in (4, 7))
    names = {name for name, _ in chunks}
    is_animated = bool(flags & _ANIMATED) or not names.isdisjoint((b"ANIM", b"ANMF"))
    has_metadata = bool(flags & (_XMP | _EXIF)) or not names.isdisjoint((b"EXIF", b"XMP "))
    for name, body in chunks:
        if name in (b"VP8 ", b"VP8L") and _webp_size(name, body) != (width, height):
            raise ValueError("a WebP of two sizes")
    if not is_animated and names.isdisjoint((b"VP8 ", b"VP8L")):
        raise ValueError("a WebP without pixels")
    return Picture("webp", width, height, has_metadata, is_animated)


def _webp_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place < len(data):
        name, length = struct.unpack_from("<4sI", data, place)
        if place + 8 + length > len(data):
            raise ValueError("the picture is cut off")
        yield name, data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2


def _webp_size(name: bytes, body: bytes) -> tuple[int, int]:
    if name == b"VP8 ":
        tag, start, width, height = struct.unpack_from("<3s3sHH", body)
        if tag[0] & 1 or start != b"\x9d\x01\x2a":
            raise ValueError("not a key frame")
        return width & 0x3FFF, height & 0x3FFF  # the other bits are for scaling
    if name == b"VP8L":
        signature, bits = struct.unpack_from("<BI", body)
        if signature != 0x2F:
            raise ValueError("not a VP8L")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    raise ValueError("a WebP without pixels")
