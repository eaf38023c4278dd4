"""Tickets by which a woken device refuses its call without a login (protocol §1, ``/calls/refuse``)."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final

from twisted.internet.defer import Deferred

from callnet.accounts.enrolment import is_device_id, is_well_formed_phone
from callnet.accounts.signing_keys import Key
from callnet.accounts.tokens import Tokens, base64url
from callnet.errors import TokenInvalid
from callnet.model import DeviceAddress, RoomId

_PURPOSE: Final = b"callnet ticket"


class Tickets:
    """Issues and checks tickets.

    A ticket is good for one call of one device: an HMAC-SHA256 over both, by a key that is derived from the signing
    key and signs nothing else, so no ticket is a token. It ends with the ringing: only then is there a call to compare
    it with.

    :param tokens: has the signing keys.
    """

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def of(self, device: DeviceAddress, room: RoomId) -> str:
        """The ticket for the call that a device knows by this room id: 43 characters of base64url."""
        return _ticket(self._tokens.signing_key, device, room)

    def fits(self, ticket: str, device: DeviceAddress, room: RoomId) -> bool:
        """Return whether a ticket is the one for this call. It may be of any key whose tokens are accepted."""
        offered = ticket.encode("utf-8", "replace")
        return any(hmac.compare_digest(offered, _ticket(key, device, room).encode()) for key in self._tokens.keys)


class TicketRefusals:
    """Refuses calls for devices that show a ticket.

    :param refuse: see :meth:`callnet.calls.policies.WakeRequests.refuse`.
    """

    def __init__(
        self,
        tickets: Tickets,
        refuse: Callable[[DeviceAddress, Callable[[RoomId], bool]], Deferred[bool]],
    ) -> None:
        self._tickets = tickets
        self._refuse = refuse

    async def refuse(self, phone: str, device_id: str, ticket: str) -> None:
        """Refuse the call that rings a device.

        :raises TokenInvalid: no call rings this device, or the ticket is not for it: the text does not tell which.
        :raises Unavailable: the store cannot be reached.
        """
        device = DeviceAddress(phone, device_id)
        is_device = is_well_formed_phone(phone) and is_device_id(device_id)
        if not (is_device and await self._refuse(device, partial(self._tickets.fits, ticket, device))):
            raise TokenInvalid("the ticket is for no call that rings this device now")


def _ticket(key: Key, device: DeviceAddress, room: RoomId) -> str:
    derived = hmac.digest(key.secret, _PURPOSE, sha256)
    return base64url(hmac.digest(derived, "\n".join([*device, room]).encode(), sha256))
