"""The sockets of devices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from http import HTTPStatus
from math import inf
from random import uniform
from typing import Final
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.accounts.tokens import Token
from callnet.calls.ports import GuestLink, IPeer
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.calls.session_guest import GuestSession
from callnet.calls.session_v2 import LONGEST_FRAME, ExtendedSession
from callnet.config.schema import LimitSettings, SignalingSettings, SocketSettings
from callnet.errors import TokenInvalid, Unavailable
from callnet.frames.v2 import LONGEST_SIGNAL, SUBPROTOCOL, GoingAway
from callnet.model import CloseCode, DeviceAddress
from callnet.ops.ice import IceServers
from callnet.ops.limits import ILimits, SignalLimits
from callnet.util.net import site_of
from callnet.util.turn_budget import TurnBudget
from callnet.ws.factory import NO_SETTINGS, Pace, ServerSocketFactory
from callnet.ws.handshake import Opening, Refused
from callnet.ws.protocol import ServerSocket

GUEST_PATH: Final = "/socket.io/guest"
"""The path of the sockets of guests."""
_BEARER = "bearer "
_RECONNECT_IN: Final = 1.0, 10.0
"""Seconds in which extended clients are to come again, at the least and at the most ..."""
_IN_A_CALL: Final = 0.0, 0.5
"""... and those who are in a call: whoever is on the other side hears nothing of them until then."""


@implementer(IPeer)
class Peer(ServerSocket):
    """A device's socket. Who it is was said by the token of its handshake."""

    factory: SignalingFactory
    session: Session
    token: Token

    def admit(self, opening: Opening) -> None:
        """Check path, origin, token, and whether the device fights with itself, in this order."""
        factory = self.factory
        if opening.path not in ("/socket.io", "/socket.io/", GUEST_PATH):
            raise Refused(HTTPStatus.NOT_FOUND)
        if not factory.allows_origin(opening.headers.get("origin")):
            raise Refused(HTTPStatus.FORBIDDEN)
        is_extended = SUBPROTOCOL in map(str.strip, opening.headers.get("sec-websocket-protocol", "").split(","))
        if is_extended:
            self._speak_extended(opening.path != GUEST_PATH)
        link = None
        try:
            if opening.path == GUEST_PATH:
                link = factory.guest(_token(opening), self.host)
                self.token = Token(link.address, 0.0, inf, None)
            else:
                self.token = factory.authenticate(_token(opening))
        except TokenInvalid:
            if is_extended:
                return  # a browser cannot see a status: it is told when the socket is open
            raise Refused(HTTPStatus.UNAUTHORIZED) from None
        except Unavailable:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE) from None
        device = self.token.device
        if factory.phones.are_full(device.phone) or not factory.limits.may_connect(device):
            raise Refused(HTTPStatus.TOO_MANY_REQUESTS)
        if link is not None:
            self.session = factory.guest_session(link, self)
            return
        call_waiting = opening.params.get("call_waiting") == ["1"]
        self.session = factory.session(self.token, self, is_extended, call_waiting)

    def _speak_extended(self, has_signals: bool) -> None:
        self.subprotocol = SUBPROTOCOL
        if has_signals:
            self.maxFramePayloadSize = self.maxMessagePayloadSize = LONGEST_SIGNAL
            self.unread_max = self.limits.unread_of_pages

    @property
    def is_admitted(self) -> bool:
        """True if this is the socket of a device that has shown its token."""
        return hasattr(self, "session")

    def opened(self) -> None:
        """Connect the device, or close the socket of a client whose token is invalid."""
        if self.is_admitted:
            self.factory.phones.come(self.token.device.phone, self)
            self.session.opened()
        else:
            self.close(CloseCode.TOKEN_INVALID, "token invalid")

    def is_needed(self) -> bool:
        """Tell whether the device is in a call, ringing ones included."""
        session = getattr(self, "session", None)
        return session is not None and session.is_in_call()

    def look(self, now: float) -> None:
        """Close the socket of a guest that does not call, too."""
        super().look(now)
        session = getattr(self, "session", None)
        if isinstance(session, GuestSession) and session.is_idle(now):
            self.close(CloseCode.GOING_AWAY, "in no call")

    def will_go_away(self, deadline: float) -> None:
        """Tell an extended client how long it has, and when to come again then."""
        session = getattr(self, "session", None)
        if isinstance(session, ExtendedSession):
            span = _IN_A_CALL if session.is_in_call() else _RECONNECT_IN
            session.send(GoingAway(uniform(*span), deadline))  # noqa: S311  it hides nothing

    def go_away(self) -> None:
        """Close the socket, and tell an extended client before it when to come again."""
        self.will_go_away(0.0)
        super().go_away()

    def gone(self) -> None:
        """Let the device be gone."""
        if self.is_admitted:
            self.factory.phones.go(self.token.device.phone, self)
            self.session.closed(self.said_goodbye)
            del self.session  # which knows this socket


def _token(opening: Opening) -> str:
    tokens = opening.params.get("token")
    if tokens:
        return tokens[0]
    authorization = opening.headers.get("authorization", "")
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else ""


def _note_nothing(device: DeviceAddress) -> None:
    """Do nothing."""


def _no_guest(token: str, host: str) -> GuestLink:  # noqa: ARG001
    """Let nobody in."""
    raise TokenInvalid("there are no links here")


class PerPhone:
    """The sockets of each phone's devices.

    :param most: the maximum number of a phone; 0: any number.
    """

    def __init__(self, most: int) -> None:
        self._there: dict[str, tuple[Peer, ...]] = {}
        self.allow(most)

    def allow(self, most: int) -> None:
        """Apply a new limit to new ones; those that are there stay."""
        self._most = most

    def of(self, phone: str) -> Sequence[Peer]:
        """The sockets of a phone."""
        return self._there.get(phone, ())

    def come(self, phone: str, socket: Peer) -> None:
        """Take one more in."""
        self._there[phone] = (*self.of(phone), socket)

    def go(self, phone: str, socket: Peer) -> None:
        """Let one go."""
        left = tuple(other for other in self.of(phone) if other is not socket)
        if left:
            self._there[phone] = left
        else:
            del self._there[phone]

    def are_full(self, phone: str) -> bool:
        """Tell whether one more would be too many."""
        return self._most > 0 and len(self.of(phone)) >= self._most


class SignalingFactory(ServerSocketFactory):
    """Serves ``/socket.io``, and ``/socket.io/guest`` for guests.

    ``authenticate`` verifies a token, or raises :class:`callnet.errors.TokenInvalid`, or
    :class:`callnet.errors.Unavailable` as long as it is not known which tokens are revoked.
    ``guest`` returns the link that the guest of a token uses, or raises :class:`callnet.errors.TokenInvalid`; it is
    given the guest's site for rate limits, too.
    ``signaling.allowed_origins``: if there are any, a browser's page must come
    from one of them (``https://host``); WebViews, which say ``null`` or ``file:`` or nothing, always pass.
    ``used`` is called with each device that connects.
    """

    def __init__(
        self,
        rooms: RoomManager,
        authenticate: Callable[[str], Token],
        clock: IReactorTime,
        settings: LimitSettings,
        limits: ILimits,
        ice: IceServers,
        signaling: SignalingSettings,
        used: Callable[[DeviceAddress], None] = _note_nothing,
        sockets: SocketSettings = NO_SETTINGS,
        budget: TurnBudget | None = None,
        guest: Callable[[str, str], GuestLink] = _no_guest,
    ) -> None:
        of_an_address, in_all = settings.sockets_of_an_address, settings.sockets_of_a_process
        pace = Pace(settings.frames_a_minute_of_a_device)
        super().__init__(Peer, clock, LONGEST_FRAME, of_an_address, in_all, sockets, sockets.unread, pace, budget)
        self.phones: Final = PerPhone(settings.sockets_of_a_phone)
        self.limits: Final = SignalLimits(settings, limits)
        self.authenticate: Final = authenticate
        self.guest: Final = guest
        self._ice = ice
        self._rooms = rooms
        self._settings = settings
        self._signaling = signaling
        self._used = used

    def changed(self) -> None:
        """Go by the settings as they now are."""
        settings = self._settings
        self.allow(settings.sockets_of_an_address, settings.sockets_of_a_process)
        self.phones.allow(settings.sockets_of_a_phone)
        self.pace.allow(settings.frames_a_minute_of_a_device)
        self.limits.changed()

    def allows_origin(self, origin: str | None) -> bool:
        """Tell whether a page of this ``Origin`` may open a socket."""
        if not self._signaling.allowed_origins or not origin:
            return True
        return origin == "null" or urlsplit(origin).scheme == "file" or self._signaling.allows(origin)

    def close_revoked(self, phones: Collection[str], is_revoked: Callable[[Token], bool]) -> None:
        """Close the sockets of devices of these phones whose tokens are revoked."""
        for phone in phones:
            for socket in self.phones.of(phone):
                if is_revoked(socket.token):
                    socket.session.revoked()

    def guest_session(self, link: GuestLink, peer: Peer) -> Session:
        """Make the session of a guest that was admitted."""
        return GuestSession(self._rooms, peer, self.clock, self.limits, link)

    def session(self, token: Token, peer: Peer, extended: bool, call_waiting: bool) -> Session:
        """Make the session of a device that was admitted."""
        self._used(token.device)
        if not extended:
            return Session(token.device, self._rooms, peer, self.clock, self.limits)
        site = site_of(peer.host)
        return ExtendedSession(
            token.device, self._rooms, peer, self.clock, self.limits, token.claimed, self._ice, site, call_waiting
        )
