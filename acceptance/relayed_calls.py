"""Calls whose sides have nothing but the relay: TURN clients (RFC 8656) over UDP, which send each other bytes."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import Any, Final

from callnet.doctor.stun import REFRESH, Datagrams, StunClient
from callnet.frames.ice import Attributes, attributes_of, message, parse_uri

_SEND: Final = 0x016
_DATA: Final = 0x017
_PEER: Final = 0x0012
_BYTES: Final = 0x0013
_RELAYED: Final = 0x0016
_LARGEST: Final = 2048
_TRIES: Final = 5


class _Way(Datagrams):
    """The way to the relay."""

    def send(self, indication: bytes) -> None:
        """Send something that is not answered."""
        self._socket.send(indication)

    def hear(self) -> bytes:
        """The bytes that were relayed to this side; none: nothing came in time."""
        self._socket.settimeout(1)
        with suppress(TimeoutError):
            while True:
                heard = self._socket.recv(_LARGEST)
                if int.from_bytes(heard[:2]) == _DATA:
                    return dict(attributes_of(heard))[_BYTES]
        return b""


class _Side(StunClient):
    """One side of a call.

    :param server: the relay as the account service offers it: URIs and credentials.
    """

    def __init__(self, server: dict[str, Any]) -> None:
        uri = parse_uri(next(uri for uri in server["urls"] if uri.endswith("transport=udp")))
        self._way = _Way(uri.host, uri.port)
        super().__init__(self._way, server["username"], server["credential"])
        self.place = b""
        """The address that the other side sends to, as it is sent: an IPv4 one looks the same in each message."""
        if code := self.allocate():
            raise ConnectionError(f"the relay refuses with {code}")

    def _ask(self, method: int, attributes: Attributes, key: bytes) -> Attributes:
        answer = super()._ask(method, attributes, key)
        self.place = dict(answer).get(_RELAYED, self.place)
        return answer

    def reaches(self, other: _Side) -> bool:
        """Send the other side something; tell whether it arrives."""
        sent = secrets.token_bytes(16)
        for _ in range(_TRIES):
            self._way.send(message(_SEND, secrets.token_bytes(12), [(_PEER, other.place), (_BYTES, sent)]))
            if other.hears(sent):
                return True
        return False

    def hears(self, sent: bytes) -> bool:
        """Tell whether this comes next."""
        return self._way.hear() == sent

    def goes_on(self) -> bool:
        """Ask for the address for longer; tell whether the relay agrees."""
        return self.request(REFRESH, list) == 0


class RelayedCall:
    """One call.

    :param first: the relay as it is offered to one side, ``second``: to the other.
    """

    def __init__(self, first: dict[str, Any], second: dict[str, Any]) -> None:
        self._sides: Final = _Side(first), _Side(second)
        for one, other in (self._sides, self._sides[::-1]):
            one.permit(other.relayed)

    def goes_on(self) -> bool:
        """Tell whether bytes pass in both directions, also after the relay was asked to go on."""
        one, other = self._sides
        return all(
            each for _ in range(2) for each in (one.reaches(other), other.reaches(one), one.goes_on(), other.goes_on())
        )

    def close(self) -> None:
        """Be gone, without a word to the relay."""
        for side in self._sides:
            side.close()
