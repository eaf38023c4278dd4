"""The verification code, compared by two people to exclude a man in the middle (docs/verification.md).

One run for each WebRTC connection, over the notes of its data channel, a JSON object each. The offerer commits itself
to a nonce, the answerer replies with its own, and the offerer reveals. The expected notes in each state; all other
notes of the three kinds break the run:

======== ================== ======== ==================================
side     has                expects  then
======== ================== ======== ==================================
offerer  sent ``commit``    nonce    sends ``reveal``, shows the code
answerer nothing            commit   sends ``nonce``
answerer sent ``nonce``     reveal   shows the code, if it fits
======== ================== ======== ==================================

A run that shows its code, or is broken, ignores all further notes.
"""

from __future__ import annotations

import re
import secrets
from enum import Enum
from hashlib import sha256
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta, Struct

from callnet_client.emoji import EMOJI, Emoji

NONCE: Final = 32
"""The size of a nonce in bytes, the same as a fingerprint's."""
SIGNS: Final = 6
"""The number of emoji in a code."""

_COMMITMENT: Final = b"callnet verification commitment 1"
_CODE: Final = b"callnet verification 1"
_BITS: Final = 6
"""The bits of one emoji."""
_FINGERPRINT: Final = re.compile(r"a=[ \t]*fingerprint([^\r\n]*)", re.ASCII | re.IGNORECASE)
"""Any text that a browser could take for a fingerprint."""
_SHA_256: Final = re.compile(r": *sha-256 +([0-9A-F]{2}(?::[0-9A-F]{2}){31}) *", re.ASCII | re.IGNORECASE)

Code: TypeAlias = tuple[int, ...]
""":data:`SIGNS` numbers from 0 to 63, each an emoji's place in :data:`callnet_client.emoji.EMOJI`."""

_Hex: TypeAlias = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]


class NoFingerprint(Exception):
    """A description does not have exactly one SHA-256 fingerprint."""


class State(Enum):
    """The state of a run."""

    PENDING = "pending"
    SHOWN = "shown"
    BROKEN = "broken"
    """The other side broke the protocol: warn the user."""


class Fingerprints(Struct, frozen=True):
    """The SHA-256 of the certificates of both sides, 32 bytes each."""

    offerer: bytes
    answerer: bytes


class Commit(Struct, frozen=True, tag_field="kind", tag="commit"):
    """The offerer's commitment to its nonce."""

    hash: _Hex


class Nonce(Struct, frozen=True, tag_field="kind", tag="nonce"):
    """The answerer's nonce."""

    nonce: _Hex


class Reveal(Struct, frozen=True, tag_field="kind", tag="reveal"):
    """The nonce of the offerer's commitment."""

    nonce: _Hex


Note: TypeAlias = Commit | Nonce | Reveal

_KINDS: Final = {"commit", "nonce", "reveal"}


class _Kind(Struct, frozen=True):
    kind: str


class _Unexpected(Exception):
    """An unexpected note: the run is broken."""


def fingerprint_of(sdp: str) -> bytes:
    """The one SHA-256 fingerprint of a description (RFC 8122), 32 bytes.

    A browser could use a second one, or one by another hash.

    :raises NoFingerprint: there is none, there are different ones, or one by another hash.
    """
    found = [_SHA_256.fullmatch(text) for text in _FINGERPRINT.findall(sdp)]
    values = {match and match[1].upper() for match in found}
    value = values.pop() if len(values) == 1 else None
    if value is None:
        raise NoFingerprint("the description does not have one SHA-256 fingerprint, and no other")
    return bytes.fromhex(value.replace(":", ""))


def commitment(fingerprints: Fingerprints, nonce: bytes) -> bytes:
    """The offerer's commitment to its nonce, sent before it has seen the other one; 32 bytes."""
    return sha256(_COMMITMENT + fingerprints.offerer + fingerprints.answerer + nonce).digest()


def code_of(fingerprints: Fingerprints, offerers: bytes, answerers: bytes) -> Code:
    """The code from both certificates and both nonces."""
    digest = sha256(_CODE + fingerprints.offerer + fingerprints.answerer + offerers + answerers).digest()
    bits = int.from_bytes(digest, "big") >> (256 - SIGNS * _BITS)
    return tuple(bits >> (_BITS * place) & 63 for place in reversed(range(SIGNS)))


class Verification:
    """One run of one side.

    :param fingerprints: those of both current descriptions.
    :param offers: true if this side made the offer.
    """

    def __init__(self, fingerprints: Fingerprints, *, offers: bool) -> None:
        self.state = State.PENDING
        self.code: Code | None = None
        """The code to show, in the state ``SHOWN``."""
        self._fingerprints: Final = fingerprints
        self._offers: Final = offers
        self._nonce: Final = secrets.token_bytes(NONCE)
        self._expected: type[Note] = Nonce if offers else Commit
        self._commitment = b""
        """The other side's commitment."""

    @property
    def emoji(self) -> tuple[Emoji, ...]:
        """The code as emoji; empty if there is none."""
        return tuple(EMOJI[number] for number in self.code or ())

    def begin(self) -> str | None:
        """The first note after the data channel has opened, if any."""
        if not self._offers:
            return None
        return _text(Commit(commitment(self._fingerprints, self._nonce).hex()))

    def hear(self, text: str | bytes) -> str | None:
        """Handle any message of the data channel. Return the reply, if any."""
        if self.state is not State.PENDING or _kind_of(text) not in _KINDS:
            return None
        try:
            answer = self._take(_read(text))
        except _Unexpected:
            self.state = State.BROKEN
            return None
        return None if answer is None else _text(answer)

    def recheck(self, fingerprints: Fingerprints) -> None:
        """Compare a new description with the fingerprints of this run. If they differ, withdraw the code."""
        if fingerprints != self._fingerprints:
            self.state, self.code = State.BROKEN, None

    def _take(self, note: Note) -> Note | None:
        """Handle a note, and return the reply.

        :raises _Unexpected: it is not the expected one, or does not fit.
        """
        if not isinstance(note, self._expected):
            raise _Unexpected
        match note:
            case Commit():
                self._commitment = bytes.fromhex(note.hash)
                self._expected = Reveal
                return Nonce(self._nonce.hex())
            case Nonce():
                self._show(self._nonce, bytes.fromhex(note.nonce))
                return Reveal(self._nonce.hex())
            case Reveal():
                theirs = bytes.fromhex(note.nonce)
                if commitment(self._fingerprints, theirs) != self._commitment:
                    raise _Unexpected
                self._show(theirs, self._nonce)
                return None

    def _show(self, offerers: bytes, answerers: bytes) -> None:
        self.code = code_of(self._fingerprints, offerers, answerers)
        self.state = State.SHOWN


def _kind_of(text: str | bytes) -> str:
    """The ``kind`` of a note; empty if it is none."""
    try:
        return msgspec.json.decode(text, type=_Kind).kind
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""


def _read(text: str | bytes) -> Note:
    """Decode a note.

    :raises _Unexpected: it is malformed.
    """
    try:
        note: Note = msgspec.json.decode(text, type=Note)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise _Unexpected from None
    return note


def _text(note: Note) -> str:
    return msgspec.json.encode(note).decode("ascii")
