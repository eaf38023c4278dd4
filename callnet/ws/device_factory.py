"""Makes the sockets of devices (protocol §2)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final
from urllib.parse import urlsplit

from twisted.internet.interfaces import IReactorTime

from callnet.accounts.token import Token
from callnet.calls.ports import ILimits
from callnet.calls.rooms import RoomManager
from callnet.calls.session import Session
from callnet.calls.session_v2 import LONGEST_FRAME, ExtendedSession
from callnet.config.schema import LimitSettings, SignalingSettings, SocketSettings
from callnet.model import DeviceAddress
from callnet.ops.connection_limits import Heads
from callnet.ops.ice_servers import IceServers
from callnet.ops.rate_limits import SignalLimits
from callnet.util.net import site_of
from callnet.util.turn_budget import TurnBudget
from callnet.ws import ServerSocketFactory
from callnet.ws.device_socket import Peer
from callnet.ws.factory import NO_SETTINGS
from callnet.ws.pace import Pace


def _note_nothing(device: DeviceAddress) -> None:
    """Do nothing."""


class SignalingFactory(ServerSocketFactory):
    """Serves ``/socket.io``.

    ``authenticate`` verifies a token, or raises :class:`callnet.errors.TokenInvalid`, or
    :class:`callnet.errors.Unavailable` as long as it is not known which tokens are revoked.
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
    ) -> None:
        of_an_address, in_all = settings.sockets_of_an_address, settings.sockets_of_a_process
        pace = Pace(settings.frames_a_minute_of_a_device)
        super().__init__(Peer, clock, LONGEST_FRAME, of_an_address, in_all, sockets, sockets.unread, pace, budget)
        self.phones: Final[Heads[Peer]] = Heads(settings.sockets_of_a_phone)
        self.limits: Final = SignalLimits(settings, limits)
        self.authenticate: Final = authenticate
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

    def session(self, token: Token, peer: Peer, extended: bool) -> Session:
        """Make the session of a device that was admitted."""
        self._used(token.device)
        if not extended:
            return Session(token.device, self._rooms, peer, self.clock, self.limits)
        site = site_of(peer.host)
        return ExtendedSession(token.device, self._rooms, peer, self.clock, self.limits, token.claimed, self._ice, site)
