"""The nouns of callnet: devices, rooms, reasons, outcomes of calls."""

from __future__ import annotations

import os
import re
import secrets
import unicodedata
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Final, NamedTuple, NewType, TypeAlias

from msgspec import Struct

PHONE_MAX: Final = 32
"""The longest phone number that callnet looks at, in characters."""

DEVICE_ID_MAX: Final = 50
"""The longest device id, in characters (protocol §1, errorCode 5)."""

CONTACT_NAME_MAX: Final = 64
"""The longest name of a contact, in characters."""

PROFILE_NAME_MAX: Final = 64
"""The longest name in a profile, in characters."""

DEVICE_LABEL_MAX: Final = 64
"""The longest label of a device, in characters."""

PHOTO_MAX: Final = 32 * 1024
"""The largest photo, in bytes."""

PHOTO_SIDE_MAX: Final = 512
"""The longest side of a photo, in pixels."""

CONTACTS_MAX: Final = 1000
"""The most contacts that a list has which devices add to."""

CONTACT_PHOTOS_MAX: Final = 50
"""The most contacts that a phone may give photos of its own."""

BLOCKED_MAX: Final = 1000
"""The most phones that a phone may have its devices block."""

REVOCATIONS_MAX: Final = 100
"""Revocations of tokens with which a phone gets no further device by a login, until some have expired."""

REVOCATIONS_OF_DEVICE_MAX: Final = 10
"""The most revocations of tokens that are remembered of a device."""

LISTED_MAX: Final = 100
"""The most phones that a setting of a phone may name, such as those whose calls its devices answer by themselves."""

PUSH_TARGET_MAX: Final = 2048
"""The longest text by which a device says how it is woken, in characters."""

LINK_NAME_MAX: Final = 64
"""The longest name of a link that rings, in characters."""

LINKS_MAX: Final = 20
"""The most links that ring a phone."""

GUEST: Final = "guest:"
"""The beginning of a guest's phone, which the id of its link and digits of its own follow. No account has such a phone.
Its device id is the name that the guest has typed."""

LINK_ID_LENGTH: Final = 12
"""The hex digits in the id of a link."""

is_guest: Final = re.compile(GUEST).match
"""Tells whether a phone is that of a guest, by a match or ``None``: each call asks this, and a function costs more."""

EVERY_DEVICE: Final = "*"
"""The device id that rings all devices of a phone (protocol §2.1)."""


EVERY_CALL: Final = "*"
"""The room that stands for all calls of a history."""


class Topic(StrEnum):
    """The subject of a change of a phone's data, in the words of the wire (protocol §2.5)."""

    CONTACTS = "contacts"
    """Its lists, or the profile of a contact."""
    ADDED = "added"
    """The phones that list it."""
    PROFILE = "profile"
    SETTINGS = "settings"
    HISTORY = "history"
    DEVICES = "devices"
    LINKS = "links"
    """Its links that ring."""


class DeviceAddress(NamedTuple):
    """The address of a frame: one device of one phone, or ``*`` for all of them."""

    phone: str
    device_id: str

    def covers(self, other: DeviceAddress) -> bool:
        """Tell whether a call to this address may ring ``other``."""
        return self.phone == other.phone and self.device_id in (other.device_id, EVERY_DEVICE)


RoomId = NewType("RoomId", str)
"""The id of a call's room: 32 lowercase hex digits, 128 random bits (protocol §2.2)."""

_ROOM_ID = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_TURNING = re.compile("[\u202a-\u202e\u2066-\u2069]")


def new_room_id() -> RoomId:
    """Draw a fresh room id."""
    return RoomId(os.urandom(16).hex())


def alias_of(secret: RoomId, number: int) -> RoomId:
    """One of many room ids from one random one: who knows some of them cannot tell the others."""
    return RoomId(sha256(f"{secret}/{number}".encode()).hexdigest()[:32])


def is_room_id(text: str) -> bool:
    """Tell whether ``text`` is well formed as the room id of a call."""
    return _ROOM_ID.fullmatch(text) is not None


def guest_phone(link_id: str) -> str:
    """Draw the phone of a guest that came by a link."""
    return f"{GUEST}{link_id}{secrets.token_hex(6)}"


def link_of(phone: str) -> str:
    """The id of the link of a guest with a phone."""
    return phone_of_link(phone)[len(GUEST) :]


def phone_of_link(phone: str) -> str:
    """The part of a guest's phone that all guests of its link have in common."""
    return phone[: len(GUEST) + LINK_ID_LENGTH]


def has_control_characters(text: str) -> bool:
    """Tell whether ``text`` holds a C0 or C1 control character, DEL, or a lone surrogate.

    Such a surrogate is in no UTF-8, and a database refuses it.
    """
    return not text.isprintable() and _CONTROL.search(text) is not None


def is_plain_text(text: str, longest: int) -> bool:
    """Tell whether ``text`` has at most ``longest`` characters and no control characters."""
    return len(text) <= longest and not has_control_characters(text)


def turns_text(text: str) -> bool:
    """Tell whether ``text`` holds an embedding, an override or an isolate, or the end of one (UAX #9 §2): the text
    around it could be read in another order.
    """
    return _TURNING.search(text) is not None


_JOINERS: Final = "\u200c\u200d"
"""Format characters that names have in some languages, and emoji."""
_BLANK: Final = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters and a symbol that are not seen."""


def is_seen(text: str) -> bool:
    """Tell whether ``text`` has something that is seen: a letter, a number, a punctuation mark or a symbol."""
    return any(unicodedata.category(each)[0] in "LNPS" for each in text if each not in _BLANK)


def hides_text(text: str) -> bool:
    """Tell whether ``text`` holds a character that is not seen, spaces apart, or breaks lines, or has no meaning."""
    kinds = [unicodedata.category(each) for each in text if each not in _JOINERS]
    return any(kind[0] == "C" or kind in ("Zl", "Zp") for kind in kinds) or not _BLANK.isdisjoint(text)


class Reason(StrEnum):
    """Why a call failed or ended, in the words of the wire (protocol §2.1, §2.3)."""

    INVALID = "invalid"
    SELF = "self"
    OFFLINE = "offline"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    RATE_LIMITED = "rate_limited"
    SHUTTING_DOWN = "shutting_down"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
    REFUSED = "refused"
    HANGUP = "hangup"
    CANCELLED = "cancelled"
    CONNECTION_LOST = "connection_lost"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    REFUSED_ELSEWHERE = "refused_elsewhere"
    MOVED = "moved"
    REPLACED = "replaced"
    ABANDONED = "abandoned"
    TOO_LONG = "too_long"
    REVOKED = "revoked"
    EXPIRED = "expired"


def log_name(room: RoomId) -> str:
    """The name of a room's call in the logs of all nodes. The room itself must not be logged: it opens the page."""
    return sha256(room.encode()).hexdigest()[:12]


class CloseCode(IntEnum):
    """Why callnet closes a WebSocket (RFC 6455 §7.4.1, protocol §2, docs/room.md)."""

    GOING_AWAY = 1001
    UNSUPPORTED_DATA = 1003
    TOO_LARGE = 1009
    INTERNAL_ERROR = 1011
    BAD_FRAMES = 4400
    TOKEN_INVALID = 4401
    NO_SEAT = 4403
    NO_PONG = 4408
    DISPLACED = 4409
    TOO_SLOW = 4413
    TOO_MANY_FRAMES = 4429


class Accepted(Struct, frozen=True):
    """The call was answered by ``callee``; both meet in ``room``."""

    room: RoomId
    callee: DeviceAddress


class Refused(Struct, frozen=True):
    """The call was refused; ``target`` is the address as the caller gave it."""

    room: RoomId
    target: DeviceAddress
    reason: Reason


class Failed(Struct, frozen=True):
    """The call failed; ``target`` is the address as the caller gave it."""

    target: DeviceAddress
    reason: Reason


class Withdrawn(Struct, frozen=True):
    """The caller itself ended the ringing, so nobody is to be told (protocol §2.1)."""


Outcome: TypeAlias = Accepted | Refused | Failed | Withdrawn
"""The outcome of a call for its caller."""
