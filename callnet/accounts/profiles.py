"""The profiles of phones by their devices, without HTTP (protocol §1)."""

from __future__ import annotations

import base64
from typing import Annotated, Literal, cast

from msgspec import UNSET, Struct, UnsetType
from twisted.internet.defer import Deferred

from callnet.accounts.enrolment import PhoneRule, require_plain_text
from callnet.accounts.tokens import Tokens
from callnet.errors import DataInvalid
from callnet.model import PHOTO_MAX, PHOTO_SIDE_MAX, PROFILE_NAME_MAX
from callnet.storage.profiles import Photo, Profile, SqlProfiles
from callnet.util.pictures import look_at
from callnet.util.schema_hints import NAME


class ProfileFields(Struct, frozen=True):
    """The profile of a phone."""

    name: Annotated[str, NAME]
    """The name of the phone's owner, or the empty string."""
    photo: str | None
    """The version of its photo: another photo has another one. ``null``: there is none."""

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
    """Shows devices the profiles of phones, and changes that of their own."""

    def __init__(self, profiles: SqlProfiles, tokens: Tokens, phone_rule: PhoneRule) -> None:
        self._profiles = profiles
        self._tokens = tokens
        self._phones = phone_rule
        self.photos = 0
        """The number of photos that were stored."""

    def change(
        self, token: str, name: str | UnsetType = UNSET, photo: str | UnsetType | None = UNSET
    ) -> Deferred[ProfileFields]:
        """Change the profile of the token's phone, and return all of it.

        :param photo: a square picture in base64; ``None``: none.
        :raises TokenInvalid: the token is not valid.
        :raises DataInvalid: the name or the photo is not acceptable.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._change(token, name, photo))

    async def _change(self, token: str, name: str | UnsetType, photo: str | UnsetType | None) -> ProfileFields:
        phone = self._tokens.verify(token).device.phone
        if not isinstance(name, UnsetType):
            require_plain_text(name, PROFILE_NAME_MAX, "name")
        taken = _decode(photo) if isinstance(photo, str) else photo
        changed = await self._profiles.change(phone, name, taken, self._tokens.now())
        self.photos += isinstance(taken, Photo)
        return ProfileFields.of(changed)

    def photo(self, token: str, phone: str) -> Deferred[PhotoAnswer]:
        """The photo of a phone for the token's phone. The answer does not tell a hidden one from none.

        :raises TokenInvalid: the token is not valid.
        :raises PhoneInvalid: the phone number is not acceptable.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._photo(token, phone))

    async def _photo(self, token: str, phone: str) -> PhotoAnswer:
        asker = self._tokens.verify(token).device.phone
        found = await self._profiles.photo(self._phones.require(phone, "contact_phone"), asker)
        if found is None:
            return PhotoAnswer(None)
        kind = cast(Literal["image/jpeg", "image/png", "image/webp"], f"image/{found.kind}")
        return PhotoAnswer(PhotoFields(kind, found.version, base64.b64encode(found.data).decode("ascii")))


def _decode(text: str) -> Photo:
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
