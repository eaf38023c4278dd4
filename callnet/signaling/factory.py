"""Makes the sockets of devices (protocol §2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from callnet.accounts.token import Token
from callnet.calls.extended import LONGEST_FRAME, ExtendedSession
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.client_site import site_of
from callnet.config import LimitSettings, SignalingSettings, SocketSettings
from callnet.interfaces import ILimits
from callnet.operations.ice_servers import IceServers
from callnet.operations.limits import SignalLimits
from callnet.signaling.peer import Peer
from callnet.websocket import ServerSocketFactory
from callnet.websocket.crowds import Heads
from callnet.websocket.factory import NO_SETTINGS


class SignalingFactory(ServerSocketFactory):
    """Serves ``/socket.io``.

    ``authenticate`` verifies a token, or raises :class:`callnet.errors.TokenInvalid`.
    ``signaling.allowed_origins``: if there are any, a browser's page must come
    from one of them (``https://host``); WebViews, which say ``null`` or ``file:`` or nothing, always pass.
    ``open_enrolment``: anybody may log in as a new device of any phone, so only claimed devices may take over calls.
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
        open_enrolment: bool = True,
        sockets: SocketSettings = NO_SETTINGS,
    ) -> None:
        of_an_address, in_all = settings.sockets_of_an_address, settings.sockets_of_a_process
        super().__init__(Peer, clock, LONGEST_FRAME, of_an_address, in_all, sockets, sockets.unread)
        self.phones: Final = Heads(settings.sockets_of_a_phone)
        self.limits: Final = SignalLimits(settings, limits)
        self.authenticate: Final = authenticate
        self._ice = ice
        self._rooms = rooms
        self._open_enrolment = open_enrolment
        self._settings = settings
        self._signaling = signaling
        self._allowed_origins = _plain(signaling.allowed_origins)

    def changed(self) -> None:
        """Go by the settings as they now are."""
        settings = self._settings
        self.allow(settings.sockets_of_an_address, settings.sockets_of_a_process)
        self.phones.allow(settings.sockets_of_a_phone)
        self.limits.changed()
        self._allowed_origins = _plain(self._signaling.allowed_origins)

    def allows_origin(self, origin: str | None) -> bool:
        """Tell whether a page of this ``Origin`` may open a socket."""
        if not self._allowed_origins or not origin:
            return True
        return origin == "null" or urlsplit(origin).scheme == "file" or origin.lower() in self._allowed_origins

    def close_revoked(self, phones: Collection[str], is_revoked: Callable[[Token], bool]) -> None:
        """Close the sockets of devices of these phones whose tokens are revoked."""
        for socket in list(self.sockets):
            if isinstance(socket, Peer) and socket.is_of(phones) and is_revoked(socket.token):
                socket.session.revoked()

    def session(self, token: Token, peer: Peer, extended: bool) -> Session:
        """Make the session of a device that was admitted."""
        if not extended:
            return Session(token.device, self._rooms, peer, self.clock, self.limits)
        may_pull = token.claimed or not self._open_enrolment
        site = site_of(peer.host)
        return ExtendedSession(token.device, self._rooms, peer, self.clock, self.limits, may_pull, self._ice, site)


def _plain(origins: Iterable[str]) -> frozenset[str]:
    """Origins as they are compared."""
    return frozenset(origin.rstrip("/").lower() for origin in origins)
