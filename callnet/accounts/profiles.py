"""The profiles of phones by their devices, without HTTP (protocol §1)."""

from __future__ import annotations

import base64
from typing import Annotated, Literal, cast

from msgspec import UNSET, Struct, UnsetType

from callnet.accounts.enrolment import PhoneRule, require_plain_text
from callnet.accounts.tokens import Tokens
from callnet.errors import DataInvalid
from callnet.model import PHOTO_MAX, PHOTO_SIDE_MAX, PROFILE_NAME_MAX, turns_text
from callnet.storage.profiles import Photo, Profile, SqlProfiles
from callnet.util.deferreds import as_deferred
from callnet.util.pictures import look_at
from callnet.util.schema_hints import NAME


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
            require_plain_text(name, PROFILE_NAME_MAX, "name")
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
