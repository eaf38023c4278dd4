"""Pairing: a device of a phone lets another one in by the letters that it shows (protocol §1; after RFC 8628).

The device that waits has a secret from the beginning. With this it asks what has become of it, as often as it wants,
and once it is let in it logs in with it as any device does: no answer that gets lost takes anything with it.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.accounts.tokens import Token, Tokens, is_revoked
from callnet.accounts.validation import new_secret, require_device_id, require_name, secret_hash
from callnet.errors import CodeInvalid, DataInvalid, DeviceInvalid
from callnet.model import DEVICE_LABEL_MAX, DeviceAddress
from callnet.storage.codes import NewPairing, SqlPairings
from callnet.storage.enrolling import SqlAccounts
from callnet.util.schema_hints import DEVICE_ID, LABEL, NOT_NEGATIVE, PAIRING_CODE, PAIRING_ID, PHONE

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""Letters that nobody takes for others, and of which nobody makes words (RFC 8628 §6.1)."""
CODE_LENGTH: Final = 8
VALID_FOR: Final = 600
"""Seconds for which a device waits."""
INTERVAL: Final = 5
"""Seconds between two questions of a device that waits."""
OPEN_MAX: Final = 10_000
"""The maximum number of devices that wait at once: one code of 2.5 million is valid then."""

_IGNORED: Final = frozenset(("Zs", "Pd", "Cf", "Cc"))
"""Kinds of characters that people and keyboards put between letters: spaces, hyphens, and what is not seen."""
_TYPED_MAX: Final = 64
"""Characters in which there may be a code."""


class BegunPairing(Struct, frozen=True):
    """A device that waits, as it is told itself."""

    device_secret: str
    """Its secret: with this it asks what has become of it, and logs in once it is let in."""
    user_code: Annotated[str, PAIRING_CODE]
    """The letters to show, valid for ``expires_in``."""
    expires_in: Annotated[int, NOT_NEGATIVE]
    """Seconds."""
    interval: Annotated[int, NOT_NEGATIVE]
    """Seconds between two questions."""


class PairingResult(Struct, frozen=True):
    """The outcome for a device that waits. Both are ``null`` while nobody has let it in."""

    phone: Annotated[str, PHONE] | None
    device_id: Annotated[str, DEVICE_ID] | None
    """The device that it is now; it logs in with its secret."""


class WaitingDevice(Struct, frozen=True):
    """A device that waits, as one that may let it in sees it."""

    pairing_id: Annotated[str, PAIRING_ID]
    name: Annotated[str, LABEL]
    """The name that it gives itself, or the empty string. It may be untrue."""
    age: Annotated[int, NOT_NEGATIVE]
    """Seconds since it began to wait."""


def draw_code() -> str:
    """Draw the letters of a code."""
    return "".join(secrets.choice(LETTERS) for _ in range(CODE_LENGTH))


def shown(code: str) -> str:
    """The letters of a code as people read them, in two groups."""
    half = CODE_LENGTH // 2
    return f"{code[:half]}-{code[half:]}"


def read_code(text: str) -> str | None:
    """The letters of the code that somebody has typed, or ``None``. It takes any text.

    Small letters and wide ones count, and spaces and hyphens do not.
    """
    if len(text) > _TYPED_MAX:
        return None
    typed = unicodedata.normalize("NFKC", text).upper()
    code = "".join(each for each in typed if unicodedata.category(each) not in _IGNORED)
    return code if len(code) == CODE_LENGTH and all(each in LETTERS for each in code) else None


class Pairings:
    """Lets devices in.

    All methods raise :class:`Unavailable` if the database cannot be reached.

    :param look: makes this node read what has changed now; fires when that is done.
    """

    def __init__(
        self, pairings: SqlPairings, accounts: SqlAccounts, tokens: Tokens, look: Callable[[], Deferred[None]]
    ) -> None:
        self._pairings = pairings
        self._accounts = accounts
        self._tokens = tokens
        self._look = look
        self.counts: Final = dict.fromkeys(("begun", "accepted", "refused", "limited"), 0)
        """The pairings that have begun, how others ended, and those that were too many, by the names of the metric."""

    async def begin(self, name: str) -> BegunPairing:
        """Have a device wait.

        :param name: what it calls itself, or the empty string.
        :raises DataInvalid: the name is not acceptable. Characters that are not seen are not, either: they could
            change how the question is read.
        :raises RateLimited: too many wait.
        """
        if any(unicodedata.category(each) == "Cf" for each in name):
            raise DataInvalid("name has format characters")
        name = require_name(name, DEVICE_LABEL_MAX, "name")
        secret, code = new_secret(), draw_code()
        new = NewPairing(secrets.token_hex(16), secret_hash(secret), secret_hash(code), name)
        if not await self._pairings.begin(new, self._tokens.now(), VALID_FOR):
            return await self.begin(name)  # another device shows these letters
        self.counts["begun"] += 1
        return BegunPairing(secret, shown(code), VALID_FOR, INTERVAL)

    async def poll(self, secret: str) -> PairingResult:
        """Tell a device what has become of it.

        :raises CodeInvalid: it does not wait, or no more.
        :raises DeviceInvalid: it was refused.
        """
        state = await self._pairings.state(secret_hash(secret), self._tokens.now())
        if state is None:
            raise CodeInvalid("the pairing has expired; begin another one")
        if state.is_refused:
            raise DeviceInvalid("the pairing was refused")
        return PairingResult(*(state.device or (None, None)))

    def may_accept(self, token: str) -> Token:
        """Return the content of a token whose device may let others in: it has shown its secret. Without one, anybody
        who knows its phone can pose as it.

        :raises TokenInvalid: the token is not valid.
        :raises DeviceInvalid: its device may not.
        :raises Unavailable: it is not known yet which tokens are revoked.
        """
        found = self._tokens.verify(token)
        if not found.claimed:
            raise DeviceInvalid("only a device that has logged in with its secret may let others in")
        return found

    async def find(self, code: str) -> WaitingDevice:
        """The device that shows the letters of a code.

        :raises CodeInvalid: there is none.
        """
        found = await self._pairings.look(secret_hash(code), self._tokens.now())
        if found is None:
            raise CodeInvalid("no device shows this code, or not any more")
        return WaitingDevice(found.id, found.name, max(0, int(found.age)))

    async def accept(self, token: Token, pairing_id: str, device_id: str, label: str) -> None:
        """Have a device that waits be one of the token's phone. It may be said again.

        :raises TokenInvalid: the token was revoked meanwhile.
        :raises CodeInvalid: it does not wait any more, or was removed since.
        :raises DeviceInvalid: the device id is not acceptable, or another device has it, or the phone has the maximum
            number of devices.
        :raises DataInvalid: the label is not acceptable.
        """
        require_device_id(device_id)
        label = require_name(label, DEVICE_LABEL_MAX, "label")
        address = DeviceAddress(token.device.phone, device_id)
        if await self._accounts.pair(pairing_id, address, label, partial(is_revoked, token)):
            self.counts["accepted"] += 1
        await self._look()

    async def refuse(self, pairing_id: str) -> None:
        """Refuse a device that waits. It may be said again.

        :raises CodeInvalid: it does not wait any more.
        """
        is_new = await self._pairings.refuse(pairing_id, self._tokens.now())
        if is_new is None:
            raise CodeInvalid("no such device waits any more")
        if is_new:
            self.counts["refused"] += 1
