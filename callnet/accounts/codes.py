"""One-time codes that admit a device to a phone (protocol §1, enrolment ``otp``)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from twisted.internet.defer import Deferred

from callnet.accounts.ports import ICodes

VALID_FOR: Final = 300.0
"""Seconds for which a code is good."""
TRIES: Final = 5
"""So often a code may be guessed at."""
SENT_AN_HOUR: Final = 5
"""So many codes are sent to a phone in an hour: more would be a nuisance, and more guesses."""

_CODE: Final = re.compile(r"[0-9]{6}")


class Codes:
    """Sends codes, and takes each of them once.

    :param send: hands an event to whoever sends the codes on; it does not wait, and does not raise.
    :param text: what the phone is to be sent; ``{code}`` stands for the code.
    :param secret: makes what is kept of a code useless to who reads the database.
    :param now: the time, in seconds since 1970.
    """

    def __init__(
        self,
        store: ICodes,
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
        """Send a code to a phone, in the place of the one before. If it had too many, nothing is sent.

        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._request(phone))

    async def _request(self, phone: str) -> None:
        code = f"{secrets.randbelow(1_000_000):06}"
        if await self._store.put(phone, self._digest(phone, code), self._now(), VALID_FOR, SENT_AN_HOUR):
            text = self._text.replace("{code}", code)
            self._send("code", {"phone": phone, "code": code, "text": text, "valid_for": int(VALID_FOR)})

    def take(self, phone: str, code: str) -> Deferred[bool]:
        """Tell whether this is the code that the phone was sent last. It is spent then, and so is a try if not.

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
