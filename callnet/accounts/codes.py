"""One-time codes for the owner of a phone to admit a device (protocol §1, enrolment ``otp``)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred

from callnet.storage.codes import SqlCodes

VALID_FOR: Final = 300.0
"""Seconds for which a code is valid."""
TRIES: Final = 5
"""The number of guesses for a code."""
SENT_AN_HOUR: Final = 5
"""The number of codes sent to a phone in an hour: more would be a nuisance, and allow more guesses."""

_CODE: Final = re.compile(r"[0-9]{6}")


class Codes:
    """Sends codes, and accepts each of them once.

    :param send: passes an event to the sender of codes; it does not wait, and does not raise.
    :param text: the text for the phone; ``{code}`` stands for the code.
    :param secret: the key of the stored digests, without which a reader of the database cannot use them.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        store: SqlCodes,
        send: Callable[[str, Mapping[str, str | int]], object],
        text: str,
        secret: bytes,
        now: Callable[[], float],
    ) -> None:
        self._store = store
        self._send = send
        self._text = text
        self._secret = secret
        self._now = now

    def request(self, phone: str) -> Deferred[None]:
        """Send a new code to a phone. Over the limit, nothing is sent.

        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._request(phone))

    async def _request(self, phone: str) -> None:
        code = f"{secrets.randbelow(1_000_000):06}"
        if await self._store.put(phone, self._digest(phone, code), self._now(), VALID_FOR, SENT_AN_HOUR):
            text = self._text.replace("{code}", code)
            self._send("code", {"phone": phone, "code": code, "text": text, "valid_for": int(VALID_FOR)})

    def take(self, phone: str, code: str) -> Deferred[bool]:
        """Return whether this is the code that the phone was sent last. It is spent then; otherwise one try is.

        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._take(phone, code))

    async def _take(self, phone: str, code: str) -> bool:
        if _CODE.fullmatch(code) is None:
            return False
        kept = await self._store.try_(phone, self._now(), TRIES)
        if kept is None or not hmac.compare_digest(kept, self._digest(phone, code)):
            return False
        return await self._store.spend(phone, kept)

    def _digest(self, phone: str, code: str) -> bytes:
        return hmac.digest(self._secret, f"{code} {phone}".encode(), hashlib.sha256)
